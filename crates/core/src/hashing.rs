//! A writer that computes the SHA-256 of the bytes that pass through it.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use crate::Digest;

/// Passes bytes on to a writer and hashes those that it took.
#[derive(Debug)]
pub struct HashingWriter<W> {
    inner: W,
    hash: Sha256,
    len: u64,
}

impl<W> HashingWriter<W> {
    /// Before the first byte.
    pub fn new(inner: W) -> Self {
        HashingWriter { inner, hash: Sha256::new(), len: 0 }
    }

    /// Bytes that were written.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// No byte was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The digest of what was written, and the writer behind.
    pub fn digest(self) -> (Digest, W) {
        (Digest::from_bytes(self.hash.finalize().into()), self.inner)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most 3 bytes at a time.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(&bytes[..bytes.len().min(3)])
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_bytes_that_were_taken_count() {
        let mut writer = HashingWriter::new(Slow(Vec::new()));
        assert!(writer.is_empty());
        writer.write_all(b"a whole layer").unwrap();
        assert_eq!(writer.len(), 13);
        let (digest, slow) = writer.digest();
        assert_eq!(slow.0, b"a whole layer");
        assert_eq!(digest, Digest::of(b"a whole layer"));
    }
}

//! A writer that knows the diff id of what went through it.

use std::io::{self, Write};

use dsync_core::DiffId;
use sha2::{Digest as _, Sha256};

/// Passes bytes on and hashes those that were taken.
#[derive(Debug)]
pub struct DiffIdWriter<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> DiffIdWriter<W> {
    /// Begins before the first byte of a layer.
    pub fn new(inner: W) -> Self {
        DiffIdWriter { inner, hash: Sha256::new() }
    }

    /// The diff id of all bytes that were written, and the writer behind.
    pub fn finish(self) -> (DiffId, W) {
        (DiffId::from_bytes(self.hash.finalize().into()), self.inner)
    }
}

impl<W: Write> Write for DiffIdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
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
        let mut writer = DiffIdWriter::new(Slow(Vec::new()));
        writer.write_all(b"a whole layer").unwrap();
        let (diff_id, slow) = writer.finish();
        assert_eq!(slow.0, b"a whole layer");
        assert_eq!(diff_id, DiffId::of(b"a whole layer"));
    }
}

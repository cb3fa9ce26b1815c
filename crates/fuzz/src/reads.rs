//! Readers that give few bytes at a time, as networks and pipes do.

use std::io::{self, Read};

/// Gives at most so many bytes a read.
pub(crate) struct Short<R>(pub(crate) R, pub(crate) usize);

impl<R: Read> Read for Short<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1.max(1));
        self.0.read(&mut buffer[..most])
    }
}

/// Reads all there is, up to `most` bytes.
pub(crate) fn bounded(from: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

//! Copying an exact number of bytes, with the two ends' failures told apart.

use std::io::{self, Read, Write};

/// Enough that the calls do not count, little enough to stay in the cache.
const BUFFER: usize = 64 << 10;

/// Which end failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The bytes could not be read, or ended early.
    Read(io::Error),
    /// The bytes could not be written.
    Write(io::Error),
}

impl From<CopyError> for io::Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(error) | CopyError::Write(error) => error,
        }
    }
}

/// A buffer that many copies share.
pub(crate) struct Copier(Vec<u8>);

impl Copier {
    pub(crate) fn new() -> Self {
        Copier(vec![0; BUFFER])
    }

    /// Copies exactly `len` bytes.
    pub(crate) fn copy(
        &mut self,
        input: &mut dyn Read,
        out: &mut dyn Write,
        len: u64,
    ) -> Result<(), CopyError> {
        let mut left = len;
        while left > 0 {
            let part = usize::try_from(left).map_or(self.0.len(), |left| left.min(self.0.len()));
            let buffer = &mut self.0[..part];
            input.read_exact(buffer).map_err(CopyError::Read)?;
            out.write_all(buffer).map_err(CopyError::Write)?;
            left -= part as u64;
        }
        Ok(())
    }
}

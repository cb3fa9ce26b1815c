//! Errors of decoding a batch.

use std::io;

/// The reason why a batch was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes break the format, or are coded against other bytes.
    #[error("a batch is malformed: {0}")]
    Malformed(&'static str),
    /// The decompressor refused them.
    #[error("a batch cannot be decompressed")]
    Decompress(#[source] io::Error),
}

/// An empty vector with a capacity of `len` bytes.
pub(super) fn room(len: usize) -> Result<Vec<u8>, BatchError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| BatchError::Malformed("too long"))?;
    Ok(bytes)
}

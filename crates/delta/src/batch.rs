//! New bytes by old ones: one batch of literals, in as few bytes as the effort finds.
//!
//! The format is in `docs/batch.md`. The first byte says the method.

mod zstd;

use std::io;

/// Fewer bytes or less time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A level of zstd, 1 to 22.
    Level(i32),
    /// The fewest bytes, whatever the processor says.
    Max,
}

/// Why a batch was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes break the format, or are coded against other bytes.
    #[error("a batch is malformed: {0}")]
    Malformed(&'static str),
    /// The decompressor refused them.
    #[error("a batch cannot be decompressed")]
    Decompress(#[source] io::Error),
}

/// The methods, as the first byte of a batch.
const PREFIX: u8 = 0;

/// Codes new items, given old ones. `pairs` says for each new item which old one it is a version of.
pub fn encode(old: &[&[u8]], new: &[&[u8]], pairs: &[Option<usize>], effort: Effort) -> io::Result<Vec<u8>> {
    let _ = pairs;
    let mut packed = vec![PREFIX];
    zstd::pack(&old.concat(), &new.concat(), effort, &mut packed)?;
    Ok(packed)
}

/// All new items, one after the other. Takes no more memory than the old and the new ones together, and 8 MiB.
pub fn decode(
    old: &[&[u8]],
    new_lens: &[u64],
    pairs: &[Option<usize>],
    packed: &[u8],
) -> Result<Vec<u8>, BatchError> {
    let _ = pairs;
    let len = new_lens.iter().try_fold(0_u64, |sum, len| sum.checked_add(*len));
    let len = len.and_then(|len| usize::try_from(len).ok()).ok_or(BatchError::Malformed("too long"))?;
    match packed.split_first() {
        Some((&PREFIX, packed)) => zstd::unpack(&old.concat(), len, packed),
        _ => Err(BatchError::Malformed("an unknown method")),
    }
}

//! Compresses one batch of literals against old chunks, and decompresses it.
//!
//! The format is in `docs/batch.md`. The first byte is the method. Which literals make up a batch is decided by
//! [`batching`](crate::batching).

mod error;
mod lz;
mod mix;
mod range;
#[cfg(test)]
mod tests;
mod zstd;

use std::io;

pub use error::BatchError;

/// The trade of bytes against time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// A level of zstd, 1 to 22.
    Level(i32),
    /// The fewest bytes, at any cost of time.
    Max,
}

/// The method of a batch: its first byte. The last two are filters of `dsync-sync`, which wrap batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchMethod {
    /// One zstd frame with the old items as its prefix.
    Prefix = 0,
    /// LZ77 with mixed contexts.
    Lz = 1,
    /// Batches of items whose deflate streams are inflated.
    Inflated = 2,
    /// A batch of items whose code went through the branch filter.
    BranchFilter = 3,
}

impl BatchMethod {
    /// The method with a number.
    pub fn from_byte(byte: u8) -> Option<BatchMethod> {
        [BatchMethod::Prefix, BatchMethod::Lz, BatchMethod::Inflated, BatchMethod::BranchFilter]
            .get(usize::from(byte))
            .copied()
    }
}

/// Items, one after the other, with their lengths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items<'a> {
    /// The bytes of all.
    pub bytes: &'a [u8],
    /// The length of each; together that of `bytes`.
    pub lens: &'a [u64],
}

/// Encodes new items against old ones.
///
/// Takes about 10 bytes of memory for each byte of old and new items at [`Effort::Max`] (8 of them for the last 16 MiB
/// only) and up to 20 MiB: with 24 MiB of both less than 200 MiB, besides the items. The highest levels take as much.
pub fn encode(old: Items<'_>, new: Items<'_>, effort: Effort) -> io::Result<Vec<u8>> {
    match effort {
        Effort::Max => encode_joined(&[old.bytes, new.bytes].concat(), old.bytes.len(), new.lens, effort),
        Effort::Level(level) => encode_at(level, old.bytes, new.bytes),
    }
}

/// As [`encode`], of old and new items in one buffer, where the new ones begin at `begin`. Takes a byte of memory less
/// for each byte.
pub fn encode_joined(bytes: &[u8], begin: usize, new_lens: &[u64], effort: Effort) -> io::Result<Vec<u8>> {
    match effort {
        Effort::Max => Ok(lz::pack(bytes, begin, new_lens, vec![BatchMethod::Lz as u8])),
        Effort::Level(level) => encode_at(level, &bytes[..begin], &bytes[begin..]),
    }
}

/// Encodes at a level of zstd.
fn encode_at(level: i32, old: &[u8], new: &[u8]) -> io::Result<Vec<u8>> {
    let mut packed = vec![BatchMethod::Prefix as u8];
    zstd::pack(old, new, level, &mut packed)?;
    Ok(packed)
}

/// Decodes all new items, one after the other; filters have been undone before. Takes their length in memory, which is
/// for the caller to bound, and 4 MiB.
pub fn decode(old: Items<'_>, new_lens: &[u64], packed: &[u8]) -> Result<Vec<u8>, BatchError> {
    let len = total(new_lens)?;
    match method(packed) {
        Some(BatchMethod::Prefix) => zstd::unpack(old.bytes, len, &packed[1..]),
        Some(BatchMethod::Lz) => lz::unpack(old.bytes, new_lens, len, &packed[1..]),
        Some(BatchMethod::Inflated | BatchMethod::BranchFilter) | None => {
            Err(BatchError::Malformed("an unknown method"))
        }
    }
}

/// Decodes the bytes that the first part of a coded batch gives: the first of those that [`decode`] would return, none
/// where it would fail. Takes as much memory again for the window of a zstd frame.
pub fn decode_prefix(old: Items<'_>, new_lens: &[u64], packed: &[u8]) -> Vec<u8> {
    match (total(new_lens), method(packed)) {
        (Ok(len), Some(BatchMethod::Prefix)) => zstd::unpack_prefix(old.bytes, len, &packed[1..]),
        (Ok(len), Some(BatchMethod::Lz)) => lz::unpack_prefix(old.bytes, new_lens, len, &packed[1..]),
        _ => Vec::new(),
    }
}

fn total(lens: &[u64]) -> Result<usize, BatchError> {
    let len = lens.iter().try_fold(0_u64, |sum, len| sum.checked_add(*len));
    len.and_then(|len| usize::try_from(len).ok()).ok_or(BatchError::Malformed("too long"))
}

/// The method of a coded batch; `None` for an unknown one, and where there is no byte.
fn method(packed: &[u8]) -> Option<BatchMethod> {
    BatchMethod::from_byte(*packed.first()?)
}

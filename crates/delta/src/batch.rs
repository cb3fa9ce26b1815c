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

/// Items, one after the other, and how long each is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Items<'a> {
    /// The bytes of all.
    pub bytes: &'a [u8],
    /// The length of each; together that of `bytes`.
    pub lens: &'a [u64],
}

/// Codes new items, given old ones. `pairs` says for each new item which old one it is a version of.
pub fn encode(
    old: Items<'_>,
    new: Items<'_>,
    pairs: &[Option<usize>],
    effort: Effort,
) -> io::Result<Vec<u8>> {
    debug_assert_eq!(new.lens.len(), pairs.len());
    let mut packed = vec![PREFIX];
    zstd::pack(old.bytes, new.bytes, effort, &mut packed)?;
    Ok(packed)
}

/// All new items, one after the other. Takes no more memory than they do, and 2 MiB.
pub fn decode(
    old: Items<'_>,
    new_lens: &[u64],
    pairs: &[Option<usize>],
    packed: &[u8],
) -> Result<Vec<u8>, BatchError> {
    debug_assert_eq!(new_lens.len(), pairs.len());
    let len = new_lens.iter().try_fold(0_u64, |sum, len| sum.checked_add(*len));
    let len = len.and_then(|len| usize::try_from(len).ok()).ok_or(BatchError::Malformed("too long"))?;
    match packed.split_first() {
        Some((&PREFIX, packed)) => zstd::unpack(old.bytes, len, packed),
        _ => Err(BatchError::Malformed("an unknown method")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Items<'static> = Items { bytes: &[], lens: &[] };

    fn items(bytes: &[u8]) -> (Vec<u8>, [u64; 1]) {
        (bytes.to_vec(), [bytes.len() as u64])
    }

    #[test]
    fn what_is_old_costs_next_to_nothing() {
        let old: Vec<u8> =
            (0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut new = old.clone();
        new.splice(300_000..300_000, *b"inserted");
        let ((old, old_lens), (new, new_lens)) = (items(&old), items(&new));
        let (old, new) = (Items { bytes: &old, lens: &old_lens }, Items { bytes: &new, lens: &new_lens });
        for effort in [Effort::Level(1), Effort::Level(3), Effort::Level(9), Effort::Level(16), Effort::Max] {
            let packed = encode(old, new, &[Some(0)], effort).unwrap();
            assert!(packed.len() < 150, "{effort:?}: {}", packed.len());
            assert_eq!(decode(old, new.lens, &[Some(0)], &packed).unwrap(), new.bytes);
            // Other old bytes give an error or other bytes, never more of them.
            let other = vec![7; old.bytes.len()];
            let other = Items { bytes: &other, lens: old.lens };
            if let Ok(bytes) = decode(other, new.lens, &[Some(0)], &packed) {
                assert_eq!(bytes.len(), new.bytes.len());
            }
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let bytes = b"some text, some text, and some more text".repeat(20);
        let (new, lens) = items(&bytes);
        let packed = encode(NONE, Items { bytes: &new, lens: &lens }, &[None], Effort::Level(9)).unwrap();
        assert_eq!(decode(NONE, &lens, &[None], &packed).unwrap(), new);
        for end in 0..packed.len() {
            assert!(decode(NONE, &lens, &[None], &packed[..end]).is_err(), "{end}");
        }
        for at in 0..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 0x55;
            if let Ok(bytes) = decode(NONE, &lens, &[None], &packed) {
                assert_eq!(bytes.len(), new.len());
            }
        }
        let short = [lens[0] - 1];
        assert!(decode(NONE, &short, &[None], &packed).is_err());
        assert!(decode(NONE, &[u64::MAX, 2], &[None, None], &packed).is_err());
        assert!(decode(NONE, &lens, &[None], &[9, 9]).is_err());
    }

    #[test]
    fn the_bytes_are_pinned() {
        let packed = encode(NONE, Items { bytes: b"abcabc", lens: &[6] }, &[None], Effort::Level(9)).unwrap();
        assert_eq!(packed[..5], [0, 0x28, 0xb5, 0x2f, 0xfd]);
        let empty = encode(NONE, NONE, &[], Effort::Max).unwrap();
        assert_eq!(decode(NONE, &[], &[], &empty).unwrap(), b"");
    }
}

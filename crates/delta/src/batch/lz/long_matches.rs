//! Finds matches by the hash of their first 32 bytes, at any distance: what the tree of [`MatchFinder`] does not reach
//! where many positions begin alike (after the long-distance matching of zstd; Yann Collet, Stella Lau).
//!
//! [`MatchFinder`]: super::finder::MatchFinder

use dsync_core::common_prefix;

/// Bytes that are hashed.
const HASHED: usize = 32;
/// One of so many positions is kept, by its hash; a power of two.
const RATE: u64 = 4;
/// Positions that are kept of one place in the table.
const BUCKET: usize = 4;
/// The most places, which bounds the memory to 16 MiB.
const MOST_BITS: u32 = 20;

/// The positions of hashes.
pub(super) struct LongMatches<'a> {
    bytes: &'a [u8],
    bits: u32,
    /// The last positions with a hash, the newest first. They are one too large, so that zero is none.
    buckets: Vec<[u32; BUCKET]>,
}

/// A position whose hash is kept.
#[derive(Clone, Copy)]
struct Place(usize);

impl<'a> LongMatches<'a> {
    /// Takes 4 bytes for each byte, at most 16 MiB.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let places = bytes.len() / (RATE as usize * BUCKET);
        let bits = (usize::BITS - places.leading_zeros()).clamp(1, MOST_BITS);
        LongMatches { bytes, bits, buckets: vec![[0; BUCKET]; 1 << bits] }
    }

    /// Keeps some positions.
    pub(super) fn keep(&mut self, positions: std::ops::Range<usize>) {
        for at in positions {
            if let Some(place) = self.place(at) {
                self.keep_at(place, at);
            }
        }
    }

    /// The length of the longest match at a position and its distance less one, where it is longer than `than`; and keeps
    /// the position.
    pub(super) fn find(&mut self, at: usize, than: usize) -> Option<(usize, u32)> {
        let place = self.place(at)?;
        let rest = &self.bytes[at..];
        let before =
            self.buckets[place.0].into_iter().take_while(|mark| *mark > 0).map(|mark| mark as usize - 1);
        let found = before.filter_map(|before| {
            // Most that are shorter differ where the longest ends.
            if self.bytes[before..].get(than) != rest.get(than) {
                return None;
            }
            Some((common_prefix(&self.bytes[before..], rest, rest.len()), before))
        });
        let longest = found.max_by_key(|found| *found).filter(|(len, _)| *len > than);
        self.keep_at(place, at);
        longest.map(|(len, before)| (len, (at - before - 1) as u32))
    }

    fn keep_at(&mut self, Place(place): Place, at: usize) {
        let bucket = &mut self.buckets[place];
        bucket.rotate_right(1);
        bucket[0] = at as u32 + 1;
    }

    /// The place of a position in the table, where its hash is one that is kept.
    fn place(&self, at: usize) -> Option<Place> {
        let hashed: &[u8; HASHED] = self.bytes.get(at..)?.first_chunk()?;
        let (words, _) = hashed.as_chunks::<8>();
        let hash = words.iter().fold(0_u64, |hash, word| {
            (hash ^ u64::from_le_bytes(*word)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
        });
        (hash % RATE == 0).then(|| Place((hash >> (u64::BITS - self.bits)) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_of_all_kept_positions_is_found() {
        let mut text = Vec::new();
        blake3::Hasher::new().finalize_xof().fill(text.as_mut_slice());
        let mut part = vec![0; 200];
        blake3::Hasher::new().finalize_xof().fill(&mut part);
        // Three times its beginning, each time more of it.
        for len in [60, 200, 90] {
            text.extend_from_slice(&part[..len]);
            text.extend_from_slice(&[len as u8; 40]);
        }
        let begin = text.len();
        text.extend_from_slice(&part);
        let mut matches = LongMatches::new(&text);
        matches.keep(0..begin);
        let found: Vec<(usize, usize, u32)> = (begin..begin + 30)
            .filter_map(|at| matches.find(at, 31).map(|(len, back)| (at, len, back)))
            .collect();
        assert!(!found.is_empty());
        let source = 60 + 40;
        for (at, len, back) in found {
            assert_eq!((len, at - back as usize - 1), (begin + 200 - at, source + at - begin), "{at}");
        }
    }

    #[test]
    fn what_is_no_longer_or_too_short_is_not_found() {
        let text = [[7_u8; 100], [7; 100]].concat();
        let mut matches = LongMatches::new(&text);
        assert_eq!((0..200).find_map(|at| matches.find(at, 300)), None);
        let mut short = LongMatches::new(&text[..31]);
        assert_eq!((0..31).find_map(|at| short.find(at, 0)), None);
    }
}

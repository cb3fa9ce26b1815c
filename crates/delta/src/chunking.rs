//! Content-defined chunking: a chunk boundary depends on the bytes before it alone, so that an insertion moves no
//! boundary farther on.
//!
//! FastCDC: Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication",
//! USENIX ATC 2016: a gear hash, no boundary below a least length, and a harder test before the average length than
//! after it. The boundaries are part of the protocol.

/// Sizes of chunks, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSizes {
    /// No chunk but the last is shorter.
    pub min: usize,
    /// The average length, about; a power of two.
    pub average: usize,
    /// No chunk is longer.
    pub max: usize,
}

/// Sizes of the chunks of long files, which are found by their hashes.
pub const COARSE: ChunkSizes = ChunkSizes { min: 16 << 10, average: 64 << 10, max: 256 << 10 };
/// Sizes of the fine chunks of a changed chunk, by which ranges of it are found in an old one that only the other side
/// has.
pub const FINE: ChunkSizes = ChunkSizes { min: 128, average: 512, max: 2 << 10 };

/// Bits by which the test is harder before the average length, and easier after it (FastCDC's normalized chunking).
const NORMAL: u32 = 2;

/// Finds chunk boundaries in bytes that arrive in parts of any length.
#[derive(Debug, Clone)]
pub struct Chunker {
    sizes: ChunkSizes,
    hard: u64,
    easy: u64,
    hash: u64,
    /// Bytes since the last boundary.
    len: usize,
}

impl Chunker {
    /// A chunker before the first byte.
    pub fn new(sizes: ChunkSizes) -> Self {
        let bits = sizes.average.trailing_zeros();
        let mask = |bits: u32| !(u64::MAX >> bits);
        Chunker { sizes, hard: mask(bits + NORMAL), easy: mask(bits - NORMAL), hash: 0, len: 0 }
    }

    /// Begins a new chunk.
    pub fn reset(&mut self) {
        (self.hash, self.len) = (0, 0);
    }

    /// Takes bytes up to the next boundary, and returns their number; `None` if there is no boundary and all were
    /// taken.
    pub fn next_boundary(&mut self, bytes: &[u8]) -> Option<usize> {
        let ChunkSizes { min, average, max } = self.sizes;
        let mut at = min.saturating_sub(self.len).min(bytes.len());
        self.len += at;
        for (mask, end) in [(self.hard, average), (self.easy, max)] {
            let end = at + end.saturating_sub(self.len).min(bytes.len() - at);
            if let Some(len) = roll(&mut self.hash, &bytes[at..end], mask) {
                self.reset();
                return Some(at + len);
            }
            self.len += end - at;
            at = end;
        }
        if self.len >= max {
            self.reset();
            return Some(at);
        }
        None
    }
}

/// Takes bytes until the hash has none of the bits, and returns their number.
///
/// Two bytes at a time, after Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication Based
/// Storage Systems", IEEE TPDS 31 (2020): a quarter faster, with the same result.
fn roll(hash: &mut u64, bytes: &[u8], mask: u64) -> Option<usize> {
    let mut two = *hash;
    let (pairs, rest) = bytes.as_chunks::<2>();
    for (at, [first, second]) in pairs.iter().enumerate() {
        let (first, second) = (GEAR[usize::from(*first)], GEAR[usize::from(*second)]);
        let one = (two << 1).wrapping_add(first);
        two = (two << 2).wrapping_add((first << 1).wrapping_add(second));
        if one & mask == 0 {
            return Some(2 * at + 1);
        }
        if two & mask == 0 {
            return Some(2 * at + 2);
        }
    }
    for byte in rest {
        two = (two << 1).wrapping_add(GEAR[usize::from(*byte)]);
        if two & mask == 0 {
            return Some(bytes.len());
        }
    }
    *hash = two;
    None
}

/// A random number for each byte, by SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from 0.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let mut state: u64 = 0;
    let mut byte = 0;
    while byte < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[byte] = mixed ^ (mixed >> 31);
        byte += 1;
    }
    gear
};

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        let mut state: u64 = 7;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(len)
        .collect()
    }

    fn boundaries(bytes: &[u8], step: usize) -> Vec<usize> {
        let mut chunker = Chunker::new(COARSE);
        let (mut boundaries, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let part = &bytes[at..bytes.len().min(at + step)];
            at += match chunker.next_boundary(part) {
                Some(len) => {
                    boundaries.push(at + len);
                    len
                }
                None => part.len(),
            };
        }
        boundaries
    }

    #[test]
    fn the_boundaries_are_pinned() {
        let boundaries = boundaries(&bytes(1 << 20), 1 << 20);
        assert_eq!(boundaries[..4], PINNED);
    }

    const PINNED: [usize; 4] = [35_159, 118_965, 187_879, 213_065];

    #[test]
    fn boundaries_depend_on_the_bytes_only() {
        let bytes = bytes(3 << 20);
        let expected = boundaries(&bytes, bytes.len());
        for step in [1000, 4097, 65_536, 1 << 20] {
            assert_eq!(boundaries(&bytes, step), expected, "{step}");
        }
        let lens: Vec<usize> = expected.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(lens.iter().all(|len| (COARSE.min..=COARSE.max).contains(len)));
        let average = lens.iter().sum::<usize>() / lens.len();
        assert!((48 << 10..96 << 10).contains(&average), "{average}");
    }

    #[test]
    fn an_insertion_moves_no_boundary_far_behind_it() {
        let old = bytes(4 << 20);
        let new = [&old[..1 << 20], b"inserted", &old[1 << 20..]].concat();
        let (old_ends, new_ends) = (boundaries(&old, old.len()), boundaries(&new, new.len()));
        let moved: Vec<usize> = old_ends.iter().filter(|end| **end > 2 << 20).map(|end| end + 8).collect();
        assert!(new_ends.ends_with(&moved));
    }

    #[test]
    fn bytes_without_a_boundary_have_one_at_the_maximum() {
        assert_eq!(boundaries(&vec![0; 600 << 10], 9999)[..2], [256 << 10, 512 << 10]);
    }
}

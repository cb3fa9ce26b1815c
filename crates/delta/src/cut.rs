//! Content-defined chunking: a cut depends on the bytes around it alone, so that an insertion moves no cut farther on.
//!
//! FastCDC: Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data
//! Deduplication", USENIX ATC 2016: a gear hash, no cut below a least length, and a harder test before the
//! average length than after it. Where the cuts are is part of the protocol.

pub mod fine;

/// Sizes of pieces, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lengths {
    /// No piece but the last is shorter.
    pub min: usize,
    /// About this long are most; a power of two.
    pub average: usize,
    /// No piece is longer.
    pub max: usize,
}

/// For contents, which are found by the hash of each piece.
pub const COARSE: Lengths = Lengths { min: 16 << 10, average: 64 << 10, max: 256 << 10 };
/// For what a changed content has in common with an old one that only the other side has.
pub const FINE: Lengths = Lengths { min: 128, average: 512, max: 2 << 10 };

/// Bits that the test has more before the average length, and fewer after it (FastCDC's normalized chunking).
const NORMAL: u32 = 2;

/// Finds cuts in bytes that come in pieces of any length.
#[derive(Debug, Clone)]
pub struct Cutter {
    lengths: Lengths,
    hard: u64,
    easy: u64,
    hash: u64,
    /// Bytes since the last cut.
    len: usize,
}

impl Cutter {
    /// Before the first byte.
    pub fn new(lengths: Lengths) -> Self {
        let bits = lengths.average.trailing_zeros();
        let mask = |bits: u32| !(u64::MAX >> bits);
        Cutter { lengths, hard: mask(bits + NORMAL), easy: mask(bits - NORMAL), hash: 0, len: 0 }
    }

    /// Forgets what it has seen.
    pub fn reset(&mut self) {
        (self.hash, self.len) = (0, 0);
    }

    /// Takes bytes up to the next cut, and says how many; `None` if there is no cut and all were taken.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let Lengths { min, average, max } = self.lengths;
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

/// Takes bytes until the hash has none of the bits, and says how many.
///
/// By two bytes at a time, after Xia et al., "The Design of Fast Content-Defined Chunking for Data Deduplication
/// Based Storage Systems", IEEE TPDS 31 (2020): a quarter faster, with the same result.
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

    fn cuts(bytes: &[u8], step: usize) -> Vec<usize> {
        let mut cutter = Cutter::new(COARSE);
        let (mut cuts, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let piece = &bytes[at..bytes.len().min(at + step)];
            at += match cutter.find(piece) {
                Some(len) => {
                    cuts.push(at + len);
                    len
                }
                None => piece.len(),
            };
        }
        cuts
    }

    #[test]
    fn the_cuts_are_pinned() {
        let cuts = cuts(&bytes(1 << 20), 1 << 20);
        assert_eq!(cuts[..4], PINNED);
    }

    const PINNED: [usize; 4] = [35_159, 118_965, 187_879, 213_065];

    #[test]
    fn they_depend_on_the_bytes_only() {
        let bytes = bytes(3 << 20);
        let expected = cuts(&bytes, bytes.len());
        for step in [1000, 4097, 65_536, 1 << 20] {
            assert_eq!(cuts(&bytes, step), expected, "{step}");
        }
        let lens: Vec<usize> = expected.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(lens.iter().all(|len| (COARSE.min..=COARSE.max).contains(len)));
        let average = lens.iter().sum::<usize>() / lens.len();
        assert!((48 << 10..96 << 10).contains(&average), "{average}");
    }

    #[test]
    fn an_insertion_moves_no_cut_far_behind_it() {
        let old = bytes(4 << 20);
        let new = [&old[..1 << 20], b"inserted", &old[1 << 20..]].concat();
        let (old_cuts, new_cuts) = (cuts(&old, old.len()), cuts(&new, new.len()));
        let moved: Vec<usize> = old_cuts.iter().filter(|cut| **cut > 2 << 20).map(|cut| cut + 8).collect();
        assert!(new_cuts.ends_with(&moved));
    }

    #[test]
    fn what_has_no_pattern_is_cut_at_the_most() {
        assert_eq!(cuts(&vec![0; 600 << 10], 9999)[..2], [256 << 10, 512 << 10]);
    }
}

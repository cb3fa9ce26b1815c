//! Finds matches: a binary tree of all positions that begin with the same three or four bytes, sorted by the bytes that
//! follow (the match finder BT4 of LZMA SDK; Igor Pavlov).

const HASH2_BITS: u32 = 16;
const HASH3_BITS: u32 = 16;
/// The tree has the last positions only, which bounds its memory to 128 MiB.
const WINDOW: usize = 1 << 24;

/// Finds the longest matches at each position, in the positions' order.
pub(super) struct Finder<'a> {
    bytes: &'a [u8],
    at: usize,
    nice: usize,
    depth: usize,
    hash4_bits: u32,
    heads2: Vec<u32>,
    heads3: Vec<u32>,
    heads4: Vec<u32>,
    /// For each position in the window the roots of the smaller and of the larger ones. Positions are one too
    /// large, so that zero is none.
    sons: Vec<[u32; 2]>,
}

/// A match: how long, and its distance less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) len: usize,
    pub(super) back: u32,
}

impl<'a> Finder<'a> {
    /// Matches of `nice` bytes are good enough, and after `depth` nodes it stops. Takes 8 bytes for each byte, at
    /// most 128 MiB, and up to 16 MiB more.
    pub(super) fn new(bytes: &'a [u8], nice: usize, depth: usize) -> Self {
        let hash4_bits = (usize::BITS - bytes.len().leading_zeros()).clamp(10, 22);
        Self {
            bytes,
            at: 0,
            nice,
            depth,
            hash4_bits,
            heads2: vec![0; 1 << HASH2_BITS],
            heads3: vec![0; 1 << HASH3_BITS],
            heads4: vec![0; 1 << hash4_bits],
            sons: vec![[0; 2]; bytes.len().min(WINDOW)],
        }
    }

    /// Goes on without looking.
    pub(super) fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.step(None);
        }
    }

    /// The matches at the next position, each longer than the one before.
    pub(super) fn next(&mut self, found: &mut Vec<Found>) {
        found.clear();
        self.step(Some(found));
    }

    fn step(&mut self, mut found: Option<&mut Vec<Found>>) {
        let at = self.at;
        self.at += 1;
        let rest = &self.bytes[at..];
        let &[a, b, c, d, ..] = rest else { return };
        let word = u32::from_le_bytes([a, b, c, d]);
        let mark = at as u32 + 1;
        let hash2 = (word & 0xffff) as usize;
        let hash3 = ((word << 8).wrapping_mul(0x9e37_79b1) >> (32 - HASH3_BITS)) as usize;
        let hash4 = (word.wrapping_mul(0x9e37_79b1) >> (32 - self.hash4_bits)) as usize;
        let head2 = std::mem::replace(&mut self.heads2[hash2], mark);
        let head3 = std::mem::replace(&mut self.heads3[hash3], mark);
        let mut node = std::mem::replace(&mut self.heads4[hash4], mark);
        let limit = rest.len().min(self.nice);
        let mut longest = 1;
        if let Some(found) = found.as_deref_mut() {
            for head in [head2, head3] {
                if head != 0 {
                    let before = head as usize - 1;
                    let len = common(&self.bytes[before..], rest, limit);
                    if len > longest {
                        longest = len;
                        found.push(Found { len, back: (at - before - 1) as u32 });
                    }
                }
            }
        }
        // Where the next smaller and the next larger position are to be hung.
        let (mut smaller, mut larger) = ((at % WINDOW, 0), (at % WINDOW, 1));
        let (mut smaller_len, mut larger_len) = (0, 0);
        let mut left = self.depth;
        loop {
            if node == 0 || left == 0 || at + 1 - node as usize >= WINDOW {
                self.sons[smaller.0][smaller.1] = 0;
                self.sons[larger.0][larger.1] = 0;
                break;
            }
            left -= 1;
            let before = node as usize - 1;
            let slot = before % WINDOW;
            let mut len = smaller_len.min(larger_len);
            len += common(&self.bytes[before + len..], &rest[len..], limit - len);
            if len > longest {
                longest = len;
                if let Some(found) = found.as_deref_mut() {
                    found.push(Found { len, back: (at - before - 1) as u32 });
                }
            }
            if len == limit {
                // As good as it gets: this position replaces the other one.
                let sons = self.sons[slot];
                self.sons[smaller.0][smaller.1] = sons[0];
                self.sons[larger.0][larger.1] = sons[1];
                break;
            }
            if self.bytes[before + len] < rest[len] {
                self.sons[smaller.0][smaller.1] = node;
                smaller = (slot, 1);
                smaller_len = len;
                node = self.sons[slot][1];
            } else {
                self.sons[larger.0][larger.1] = node;
                larger = (slot, 0);
                larger_len = len;
                node = self.sons[slot][0];
            }
        }
    }
}

/// The number of equal bytes, at most `limit`.
#[inline]
pub(super) fn common(a: &[u8], b: &[u8], limit: usize) -> usize {
    let (a, b) = (&a[..limit.min(a.len())], &b[..limit.min(b.len())]);
    let mut len = 0;
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let differ = u64::from_le_bytes(a.try_into().unwrap_or_default())
            ^ u64::from_le_bytes(b.try_into().unwrap_or_default());
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest match at a position by comparing it with all before it.
    fn longest(bytes: &[u8], at: usize, nice: usize) -> usize {
        (0..at).map(|before| common(&bytes[before..], &bytes[at..], nice)).max().unwrap_or(0)
    }

    #[test]
    fn equal_bytes_are_counted_up_to_the_limit_and_the_ends() {
        let (a, b) = (b"0123456789abcdefgh", b"0123456789abcdeXgh");
        for limit in 0..20 {
            assert_eq!(common(a, b, limit), limit.min(15));
            assert_eq!(common(a, a, limit), limit.min(18));
            assert_eq!(common(&a[..9], a, limit), limit.min(9));
        }
        assert_eq!((common(b"", a, 9), common(b"x", a, 9)), (0, 0));
    }

    #[test]
    fn positions_that_were_skipped_are_found_later() {
        let bytes = b"the first half; the other half; the first half again";
        let mut finder = Finder::new(bytes, 128, 64);
        finder.skip(32);
        let mut found = Vec::new();
        finder.next(&mut found);
        let last = found.last().expect("the first half");
        assert_eq!((last.len, last.back), (14, 31));
    }

    #[test]
    fn a_range_of_one_byte_is_found_at_the_nearest_distance() {
        let bytes = vec![7; 1000];
        let mut finder = Finder::new(&bytes, 128, 4);
        let mut found = Vec::new();
        for at in 0..1000 {
            finder.next(&mut found);
            let rest = 1000 - at;
            // Of the last three bytes nothing is found.
            let expected = if at == 0 || rest < 4 { 0 } else { rest.min(128) };
            assert_eq!(found.last().map_or(0, |found| found.len), expected, "{at}");
            assert!(found.iter().all(|found| found.back == 0));
        }
    }

    proptest! {
        #[test]
        fn matches_are_true_rise_and_reach_the_longest(
            bytes in prop::collection::vec(0_u8..4, 0..400),
            nice in prop_oneof![Just(8_usize), Just(128)],
        ) {
            // As many nodes as there are positions, so that none is missed.
            let mut finder = Finder::new(&bytes, nice, 1000);
            let mut found = Vec::new();
            for at in 0..bytes.len() {
                finder.next(&mut found);
                let mut before = 1;
                for &Found { len, back } in &found {
                    let from = at - back as usize - 1;
                    prop_assert!(len > before && len <= nice);
                    prop_assert_eq!(&bytes[from..from + len], &bytes[at..at + len]);
                    before = len;
                }
                if bytes.len() - at >= 4 {
                    let longest = longest(&bytes, at, nice);
                    prop_assert_eq!(found.last().map_or(0, |found| found.len), if longest < 2 { 0 } else { longest });
                }
            }
        }
    }
}

//! Finds matches: a binary tree of all positions that begin with the same three or four bytes, sorted by the bytes that
//! follow (the match finder BT4 of LZMA SDK; Igor Pavlov).

use dsync_core::common_prefix;

const HASH2_BITS: u32 = 16;
const HASH3_BITS: u32 = 16;
/// The tree has the last positions only, which bounds its memory to 128 MiB.
const WINDOW: usize = 1 << 24;

/// Finds the longest matches at each position, in the positions' order.
pub(super) struct MatchFinder<'a> {
    bytes: &'a [u8],
    at: usize,
    nice: usize,
    depth: usize,
    hash4_bits: u32,
    heads2: Vec<u32>,
    heads3: Vec<u32>,
    heads4: Vec<u32>,
    /// For each position in the window the roots of the smaller and of the larger ones. Positions are one too large, so
    /// that zero is none.
    sons: Vec<[u32; 2]>,
}

/// A match: how long, and its distance less one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundMatch {
    pub(super) len: usize,
    pub(super) back: u32,
}

impl<'a> MatchFinder<'a> {
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
    pub(super) fn next(&mut self, found: &mut Vec<FoundMatch>) {
        found.clear();
        self.step(Some(found));
    }

    fn step(&mut self, mut found: Option<&mut Vec<FoundMatch>>) {
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
        let root = std::mem::replace(&mut self.heads4[hash4], mark);
        let limit = rest.len().min(self.nice);
        let mut longest = 1;
        if let Some(found) = found.as_deref_mut() {
            for head in [head2, head3] {
                if head != 0 {
                    let before = head as usize - 1;
                    let len = common_prefix(&self.bytes[before..], rest, limit);
                    if len > longest {
                        longest = len;
                        found.push(FoundMatch { len, back: (at - before - 1) as u32 });
                    }
                }
            }
        }
        self.descend(at, root, limit, longest, found);
    }

    /// Makes a position the root of the tree with this root: what is smaller and what is larger is hung below it. Adds
    /// the matches on the way that are longer than `longest`.
    fn descend(
        &mut self,
        at: usize,
        mut node: u32,
        limit: usize,
        mut longest: usize,
        mut found: Option<&mut Vec<FoundMatch>>,
    ) {
        let rest = &self.bytes[at..];
        let (mut smaller, mut larger) = (Branch::new(at, Son::Smaller), Branch::new(at, Son::Larger));
        let mut left = self.depth;
        loop {
            if node == 0 || left == 0 || at + 1 - node as usize >= WINDOW {
                self.hang(0, smaller);
                self.hang(0, larger);
                return;
            }
            left -= 1;
            let before = node as usize - 1;
            let mut len = smaller.len.min(larger.len);
            len += common_prefix(&self.bytes[before + len..], &rest[len..], limit - len);
            if len > longest {
                longest = len;
                if let Some(found) = found.as_deref_mut() {
                    found.push(FoundMatch { len, back: (at - before - 1) as u32 });
                }
            }
            let sons = self.sons[before % WINDOW];
            if len == limit {
                // As good as it gets: this position replaces the other one.
                self.hang(sons[Son::Smaller as usize], smaller);
                self.hang(sons[Son::Larger as usize], larger);
                return;
            }
            if self.bytes[before + len] < rest[len] {
                self.hang(node, smaller);
                smaller = Branch { len, ..Branch::new(before, Son::Larger) };
                node = sons[Son::Larger as usize];
            } else {
                self.hang(node, larger);
                larger = Branch { len, ..Branch::new(before, Son::Smaller) };
                node = sons[Son::Smaller as usize];
            }
        }
    }

    fn hang(&mut self, node: u32, branch: Branch) {
        self.sons[branch.slot][branch.son as usize] = node;
    }
}

/// The side of a node on which another is hung.
#[derive(Debug, Clone, Copy)]
enum Son {
    Smaller = 0,
    Larger = 1,
}

/// The place at which the next smaller or the next larger position is to be hung.
#[derive(Debug, Clone, Copy)]
struct Branch {
    slot: usize,
    son: Son,
    /// Bytes that all positions below it have in common with the new one.
    len: usize,
}

impl Branch {
    fn new(position: usize, son: Son) -> Self {
        Branch { slot: position % WINDOW, son, len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest match at a position by comparing it with all before it.
    fn longest(bytes: &[u8], at: usize, nice: usize) -> usize {
        (0..at).map(|before| common_prefix(&bytes[before..], &bytes[at..], nice)).max().unwrap_or(0)
    }

    #[test]
    fn positions_that_were_skipped_are_found_later() {
        let bytes = b"the first half; the other half; the first half again";
        let mut finder = MatchFinder::new(bytes, 128, 64);
        finder.skip(32);
        let mut found = Vec::new();
        finder.next(&mut found);
        let last = found.last().expect("the first half");
        assert_eq!((last.len, last.back), (14, 31));
    }

    #[test]
    fn a_range_of_one_byte_is_found_at_the_nearest_distance() {
        let bytes = vec![7; 1000];
        let mut finder = MatchFinder::new(&bytes, 128, 4);
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
            let mut finder = MatchFinder::new(&bytes, nice, 1000);
            let mut found = Vec::new();
            for at in 0..bytes.len() {
                finder.next(&mut found);
                let mut before = 1;
                for &FoundMatch { len, back } in &found {
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

//! Reconciles a list of items with the lists of a peer, at a cost that follows the difference.
//!
//! Items are 16-byte hashes in an order that means something: the entries of a tar, the fine cuts of a file.
//! They are put in groups, the groups in groups again, and so on. Where a group ends is decided by the hashes
//! in it, so an insertion changes the groups around it only. The side that has the new list ([`Requester`]) asks
//! level by level, top down, whether the other ([`Responder`]) has the same group anywhere, and opens what it
//! has not. A hash tree of this kind is Merkle's (CRYPTO '87); with ends by content it is known as a prolly
//! tree or a "content-defined Merkle tree". The messages are in `docs/negotiation.md`.
//!
//! On the wire a hash is its first seven bytes. With n hashes asked for and m in the index of the other
//! side, some two different ones agree with odds of about n·m/2⁵⁶: at 20,000 and a million 1 in 3.6 million.
//! Nothing here notices. The layer then comes out with another diff id, and is asked for again with nothing
//! taken as known. Only lists that are asked about [`low`](Requester::low) have narrow hashes, of four bytes: what
//! is found by them has to be checked.

mod question;
mod requester;
mod responder;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use requester::Requester;
pub use responder::{Match, Responder};

use crate::WantedError;

/// An item of a list: a hash of all that makes it equal to another.
pub type Item = [u8; 16];

/// Most items that can be asked about.
pub const ITEMS_MAX: usize = 1 << 21;

/// The part of a hash that crosses the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    /// Two hashes are hardly ever equal by chance.
    Wide,
    /// Few hashes are equal by chance.
    Narrow,
}

impl Width {
    fn bytes(self) -> usize {
        match self {
            Width::Wide => 7,
            Width::Narrow => 4,
        }
    }
}

/// No group but the last of a level has fewer nodes, so each level has at most a quarter of the one below.
const GROUP_MIN: usize = 4;
/// From this length on a group ends more easily: so most are about equally long, and what is opened for one
/// change is about 16 nodes. (With one and the same test everywhere it is twice as many.)
const GROUP_USUAL: usize = 12;
/// A group ends with a node whose last hash byte has these bits all zero: one in 32 of a short group.
const HARD: u8 = 0x1f;
/// And one in 4 of a longer one.
const EASY: u8 = 0x03;
/// No group has more nodes.
const GROUP_MAX: usize = 64;

/// Why a message of the other side was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// The question breaks the format, or does not follow from those before.
    #[error("a question about what is there is malformed: {0}")]
    Question(&'static str),
    /// The answer is none to the last question.
    #[error(transparent)]
    Answer(#[from] WantedError),
    /// There was an answer, but no question.
    #[error("an answer to no question")]
    Unasked,
}

/// Items in groups, these in groups, and so on up to one.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    items: &'a [Item],
    /// From the lowest up: groups of items, groups of these…
    levels: Vec<Vec<Node>>,
}

/// A group.
#[derive(Debug, Clone, Copy)]
struct Node {
    hash: Item,
    /// The number of items that end before or within it.
    end: u32,
}

impl<'a> Tree<'a> {
    /// The tree over these items, of which those beyond 2³² are left out. Takes 2 bytes of memory for each.
    pub fn of(items: &'a [Item]) -> Tree<'a> {
        let leaves = items.iter().zip(1..).map(|(hash, end)| Node { hash: *hash, end });
        let mut levels: Vec<Vec<Node>> = Vec::new();
        let mut level = groups(leaves);
        while level.len() > 1 {
            let above = groups(level.iter().copied());
            levels.push(level);
            level = above;
        }
        levels.push(level);
        Tree { items, levels }
    }

    /// The number of levels; the items are the lowest.
    fn height(&self) -> usize {
        self.levels.len() + 1
    }

    /// The number of nodes of a level; 0 is the items.
    fn width(&self, level: usize) -> usize {
        if level == 0 { self.items.len() } else { self.levels[level - 1].len() }
    }

    /// The hash of a node, and the items it covers.
    fn node(&self, level: usize, at: usize) -> (&Item, Range<usize>) {
        if level == 0 {
            return (&self.items[at], at..at + 1);
        }
        let level = &self.levels[level - 1];
        let start = if at == 0 { 0 } else { level[at - 1].end };
        (&level[at].hash, start as usize..level[at].end as usize)
    }

    /// The nodes of a level that make up a range of items; the range is that of a node of a higher level.
    fn within(&self, level: usize, items: &Range<usize>) -> Range<usize> {
        if level == 0 {
            return items.clone();
        }
        let before = |items: usize| self.levels[level - 1].partition_point(|node| node.end as usize <= items);
        before(items.start)..before(items.end)
    }
}

/// Groups nodes by their hashes.
fn groups(nodes: impl Iterator<Item = Node>) -> Vec<Node> {
    let mut groups = Vec::new();
    let (mut hasher, mut count, mut end) = (blake3::Hasher::new(), 0, 0);
    let mut close = |hasher: &mut blake3::Hasher, end: u32| {
        let mut hash = [0; 16];
        hash.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        hasher.reset();
        groups.push(Node { hash, end });
    };
    for node in nodes {
        hasher.update(&node.hash);
        (count, end) = (count + 1, node.end);
        let mask = if count < GROUP_USUAL { HARD } else { EASY };
        if count >= GROUP_MIN && node.hash[15] & mask == 0 || count == GROUP_MAX {
            close(&mut hasher, end);
            count = 0;
        }
    }
    if count > 0 {
        close(&mut hasher, end);
    }
    groups
}

/// Adds a range at the end of a list of ranges, to the last one where they touch.
pub(crate) fn append(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => ranges.push(range),
    }
}

//! A hash tree over a list of items, whose groups end by content.

use std::ops::Range;

use super::item::Item;
use crate::ChunkHasher;

/// No group but the last of a level has fewer nodes, so each level has at most a quarter of the one below.
const GROUP_MIN: usize = 4;
/// A group of this length ends more easily, so that most are about equally long, and one change opens about 16 nodes.
/// (With one and the same test everywhere it is twice as many.)
const GROUP_USUAL: usize = 12;
/// A group ends with a node whose last hash byte has these bits all zero: one in 32 of a short group.
const HARD: u8 = 0x1f;
/// A group of the usual length ends with a node whose last hash byte has these bits all zero: one in 4.
const EASY: u8 = 0x03;
/// No group has more nodes.
const GROUP_MAX: usize = 64;

/// Items in groups, these in groups, and so on up to one.
#[derive(Debug, Clone)]
pub(super) struct HashTree<'a> {
    pub(super) items: &'a [Item],
    /// The levels from the lowest up: groups of items, groups of these…
    pub(super) levels: Vec<Vec<TreeNode>>,
}

/// A group.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeNode {
    pub(super) hash: Item,
    /// The number of items that end before or within it.
    pub(super) end: u32,
}

/// A node, or an item, and the items that it covers.
#[derive(Debug)]
pub(super) struct CoveredNode<'a> {
    pub(super) hash: &'a Item,
    pub(super) items: Range<usize>,
}

impl<'a> HashTree<'a> {
    /// The tree over these items, of which those beyond 2³² are left out. Takes 2 bytes of memory for each.
    pub(super) fn of(items: &'a [Item]) -> HashTree<'a> {
        let leaves = items.iter().zip(1..).map(|(hash, end)| TreeNode { hash: *hash, end });
        let mut levels: Vec<Vec<TreeNode>> = Vec::new();
        let mut level = groups(leaves);
        while level.len() > 1 {
            let above = groups(level.iter().copied());
            levels.push(level);
            level = above;
        }
        levels.push(level);
        HashTree { items, levels }
    }

    /// The number of levels; the items are the lowest.
    pub(super) fn height(&self) -> usize {
        self.levels.len() + 1
    }

    /// The number of nodes of a level; 0 is the items.
    pub(super) fn width(&self, level: usize) -> usize {
        if level == 0 { self.items.len() } else { self.levels[level - 1].len() }
    }

    /// The node of a level with this number.
    pub(super) fn node(&self, level: usize, at: usize) -> CoveredNode<'_> {
        if level == 0 {
            return CoveredNode { hash: &self.items[at], items: at..at + 1 };
        }
        let level = &self.levels[level - 1];
        let start = if at == 0 { 0 } else { level[at - 1].end };
        CoveredNode { hash: &level[at].hash, items: start as usize..level[at].end as usize }
    }

    /// The nodes of a level that make up a range of items; the range is that of a node of a higher level.
    pub(super) fn within(&self, level: usize, items: &Range<usize>) -> Range<usize> {
        if level == 0 {
            return items.clone();
        }
        let before = |items: usize| self.levels[level - 1].partition_point(|node| node.end as usize <= items);
        before(items.start)..before(items.end)
    }
}

/// Groups nodes by their hashes.
fn groups(nodes: impl Iterator<Item = TreeNode>) -> Vec<TreeNode> {
    let mut groups = Vec::new();
    let (mut hasher, mut count, mut end) = (ChunkHasher::new(), 0, 0);
    let mut close = |hasher: &mut ChunkHasher, end: u32| {
        groups.push(TreeNode { hash: *hasher.finish().as_bytes(), end });
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

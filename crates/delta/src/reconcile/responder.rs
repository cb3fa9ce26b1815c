//! The responder of a reconciliation: the side that has other lists.

use std::ops::Range;

use super::error::ReconcileError;
use super::item::{ITEMS_MAX, Item, Width};
use super::question::{Question, short};
use super::tree::{CoveredNode, HashTree};
use crate::Bitmap;

/// Items that the new list and one that is here have in common, in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommonRange {
    /// The range of the items in the new list.
    pub items: Range<usize>,
    /// The number of the list that is here, as they were given.
    pub list: usize,
    /// The first of them in it.
    pub at: usize,
}

/// Answers which items it has of a list that it does not know.
#[derive(Debug)]
pub struct Responder {
    index: Vec<IndexedNode>,
    width: Width,
    /// The level of the last question.
    level: usize,
    /// The number of items of the list, from the first question.
    items: Option<usize>,
    /// The known parts of the list, in its order: positions in the index, [`MISSING`] or [`OPEN`].
    parts: Vec<u32>,
}

/// A part of the list that is not known yet, nor the number of its items.
const OPEN: u32 = u32::MAX;
/// An item that is not here.
const MISSING: u32 = OPEN - 1;

/// A node of a list that is here.
#[derive(Debug, Clone, Copy)]
struct IndexedNode {
    /// The level and the short hash, as one number.
    key: u64,
    list: u32,
    at: u32,
    items: u32,
}

impl Responder {
    /// A responder that has these lists; of several occurrences of the same items the first counts. 2³² items or more
    /// of one list are left out.
    ///
    /// Takes some 26 bytes of memory for each item, and 4 for each item of the new list.
    pub fn new(lists: &[&[Item]]) -> Self {
        Self::with(lists, Width::Wide)
    }

    /// As [`Responder::new`], to be asked by [`Requester::narrow`](super::Requester::narrow).
    pub fn narrow(items: &[Item]) -> Self {
        Self::with(&[items], Width::Narrow)
    }

    fn with(lists: &[&[Item]], width: Width) -> Self {
        let mut index = Vec::new();
        for (list, items) in (0_u32..).zip(lists) {
            let tree = HashTree::of(items);
            index.reserve_exact((0..tree.height()).map(|level| tree.width(level)).sum());
            for level in 0..tree.height() {
                for node in 0..tree.width(level) {
                    let CoveredNode { hash, items } = tree.node(level, node);
                    let (Ok(at), Ok(items)) = (items.start.try_into(), items.len().try_into()) else { break };
                    index.push(IndexedNode { key: key(level, short(hash, Width::Wide)), list, at, items });
                }
            }
        }
        index.sort_unstable_by_key(|node| (node.key, node.list, node.at));
        index.dedup_by_key(|node| node.key);
        // Items beyond 2³² have no number.
        index.truncate(MISSING as usize);
        Responder { index, width, level: usize::MAX, items: None, parts: vec![OPEN] }
    }

    /// Answers a question: one bit for each node in it, as [`Bitmap`] writes them, set for a node that is not here.
    pub fn answer(&mut self, question: &[u8]) -> Result<Vec<u8>, ReconcileError> {
        let open = self.parts.iter().filter(|part| **part == OPEN).count();
        let question = Question::from_bytes(question, self.items.map(|_| open), self.width)?;
        if question.level >= self.level || open == 0 {
            return Err(ReconcileError::Question("it was answered before"));
        }
        self.level = question.level;
        self.items = self.items.or(question.items);
        let mut wanted = Bitmap::none(question.len());
        let (mut hashes, mut counts) = (question.hashes().enumerate(), question.counts.iter());
        let mut parts = Vec::with_capacity(self.parts.len() - open + question.len());
        for part in std::mem::take(&mut self.parts) {
            if part != OPEN {
                parts.push(part);
                continue;
            }
            let count = counts.next().copied().unwrap_or(0);
            for (ordinal, hash) in hashes.by_ref().take(count as usize) {
                parts.push(self.find(question.level, hash).unwrap_or_else(|| {
                    wanted.insert(ordinal);
                    if question.level == 0 { MISSING } else { OPEN }
                }));
            }
        }
        self.parts = parts;
        // An open part has an item at least.
        let least = self.parts.iter().map(|part| self.items_of(*part)).fold(0, usize::saturating_add);
        if least > self.items.unwrap_or(ITEMS_MAX) {
            return Err(ReconcileError::Question("more items than announced"));
        }
        Ok(wanted.to_bytes())
    }

    /// True if no question follows: all parts are known, but for a list without items.
    pub fn is_done(&self) -> bool {
        !self.parts.contains(&OPEN)
    }

    /// The number of items of the new list; 0 where no question was asked.
    pub fn items(&self) -> usize {
        self.items.unwrap_or(0)
    }

    /// The ranges of the new list that are here, in its order: together the items of
    /// [`Requester::finish`](super::Requester::finish). Fails where questions are missing, or the numbers of items do
    /// not add up.
    pub fn finish(self) -> Result<Vec<CommonRange>, ReconcileError> {
        let Some(announced) = self.items else { return Ok(Vec::new()) };
        let mut common: Vec<CommonRange> = Vec::new();
        let mut next: usize = 0;
        for &part in &self.parts {
            let items = next..next.saturating_add(self.items_of(part));
            next = items.end;
            match (part, self.index.get(part as usize), common.last_mut()) {
                (OPEN, ..) => return Err(ReconcileError::Question("the last one is missing")),
                (_, None, _) => {}
                (_, Some(node), Some(last)) if last.goes_on(node, items.start) => last.items.end = next,
                (_, Some(node), _) => {
                    common.push(CommonRange { items, list: node.list as usize, at: node.at as usize });
                }
            }
        }
        match next == announced {
            true => Ok(common),
            false => Err(ReconcileError::Question("another number of items than announced")),
        }
    }
}

impl Responder {
    /// The position in the index of the first node whose hash begins with `hash`.
    fn find(&self, level: usize, hash: u64) -> Option<u32> {
        let rest = 8 * (Width::Wide.bytes() - self.width.bytes());
        let least = key(level, hash << rest);
        let at = self.index.partition_point(|node| node.key < least);
        let node = self.index.get(at)?;
        (node.key >> rest == least >> rest).then_some(at as u32)
    }

    /// The least number of items of a part.
    fn items_of(&self, part: u32) -> usize {
        self.index.get(part as usize).map_or(1, |node| node.items as usize)
    }
}

impl CommonRange {
    fn goes_on(&self, node: &IndexedNode, next: usize) -> bool {
        self.items.end == next
            && self.list == node.list as usize
            && self.at + self.items.len() == node.at as usize
    }
}

/// The level above the seven bytes of a short hash.
fn key(level: usize, short: u64) -> u64 {
    (level as u64) << 56 | short
}

//! The requester of a reconciliation: the side that has the new list.

use std::ops::Range;

use super::error::ReconcileError;
use super::item::{ITEMS_MAX, Item, Width, append};
use super::question::{add, begin};
use super::tree::HashTree;
use crate::Bitmap;

/// Questions begin at the lowest level with at most this many nodes: one level higher would cost a round trip
/// more to spare at most 2 KB.
const FIRST_MAX: usize = 256;
/// Nodes of a question; where none of as many is known, the next question is about groups of items.
const HOPELESS: usize = 8;

/// Asks which items of a list the other side has.
///
/// ```
/// use dsync_delta::reconcile::{Responder, Requester};
/// let new: Vec<[u8; 16]> = (0..100_u8).map(|n| [n; 16]).collect();
/// let old = &new[20..];
/// let (mut requester, mut responder) = (Requester::new(&new), Responder::new(&[old]));
/// while let Some(question) = requester.question() {
///     requester.answer(&responder.answer(&question)?)?;
/// }
/// assert_eq!(requester.finish(), [20..100]);
/// let matches = responder.finish()?;
/// assert_eq!((matches[0].items.clone(), matches[0].list, matches[0].at), (20..100, 0, 0));
/// # Ok::<(), dsync_delta::reconcile::ReconcileError>(())
/// ```
#[derive(Debug)]
pub struct Requester<'a> {
    tree: HashTree<'a>,
    width: Width,
    /// The level of the next question, or of the one that waits for its answer.
    level: usize,
    /// There was a question already.
    begun: bool,
    /// The items that are open, in ranges that are nodes of a higher level.
    open: Vec<ItemRange>,
    /// The number of nodes in the question that waits for its answer.
    asked: Option<usize>,
    known: Vec<ItemRange>,
}

/// Items in a row, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct ItemRange {
    start: u32,
    end: u32,
}

impl ItemRange {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl<'a> Requester<'a> {
    /// A requester for these items; those beyond [`ITEMS_MAX`] count as not known.
    pub fn new(items: &'a [Item]) -> Self {
        let tree = HashTree::of(&items[..items.len().min(ITEMS_MAX)]);
        let level = (0..tree.height()).find(|level| tree.width(*level) <= FIRST_MAX).unwrap_or(0);
        Self::with(tree, level, Width::Wide)
    }

    /// As [`Requester::new`], for items that are mostly not there, or in another order: begins with the groups of
    /// items, whatever their number, and asks by narrow hashes, so that its matches have to be checked.
    pub fn narrow(items: &'a [Item]) -> Self {
        Self::with(HashTree::of(&items[..items.len().min(ITEMS_MAX)]), 1, Width::Narrow)
    }

    fn with(tree: HashTree<'a>, level: usize, width: Width) -> Self {
        // There are at most ITEMS_MAX.
        let all = ItemRange { start: 0, end: tree.items.len() as u32 };
        let open = if tree.items.is_empty() { Vec::new() } else { vec![all] };
        Requester { tree, width, level, begun: false, open, asked: None, known: Vec::new() }
    }

    /// The next question, at most 9 bytes for each item that is still open; `None` when all is known that can be.
    pub fn question(&mut self) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            return None;
        }
        let (level, width) = (self.level, self.width);
        let items = (!self.begun).then_some(self.tree.items.len());
        self.begun = true;
        let nodes = |open: &ItemRange| self.tree.within(level, &open.range());
        let mut question = begin(level, items, self.open.iter().map(|open| nodes(open).len()));
        let mut asked = 0;
        for node in self.open.iter().flat_map(nodes) {
            add(self.tree.node(level, node).hash, width, &mut question);
            asked += 1;
        }
        self.asked = Some(asked);
        Some(question)
    }

    /// Takes the answer to the last question.
    pub fn answer(&mut self, bytes: &[u8]) -> Result<(), ReconcileError> {
        let asked = self.asked.take().ok_or(ReconcileError::Unasked)?;
        let wanted = Bitmap::from_bytes(bytes, asked)?;
        let hopeless = wanted.count() == asked && asked >= HOPELESS;
        let mut ordinal = 0;
        for open in std::mem::take(&mut self.open) {
            for node in self.tree.within(self.level, &open.range()) {
                let items = self.tree.node(self.level, node).items;
                let items = ItemRange { start: items.start as u32, end: items.end as u32 };
                match (wanted.contains(ordinal), self.known.last_mut()) {
                    (true, _) => self.open.push(items),
                    (false, Some(last)) if last.end == items.start => last.end = items.end,
                    (false, _) => self.known.push(items),
                }
                ordinal += 1;
            }
        }
        match self.level {
            0 => self.open.clear(),
            level if hopeless => self.level = 1.min(level - 1),
            level => self.level = level - 1,
        }
        Ok(())
    }

    /// Ranges of the items that the other side has, in order; those that touch are one.
    pub fn finish(mut self) -> Vec<Range<usize>> {
        self.known.sort_unstable();
        let mut known = Vec::new();
        self.known.into_iter().for_each(|items| append(&mut known, items.range()));
        known
    }
}

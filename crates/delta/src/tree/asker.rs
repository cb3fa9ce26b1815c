//! The side that has the new list.

use std::ops::Range;

use super::question::{Question, short};
use super::{Item, Tree, TreeError, Width, append};
use crate::Wanted;

/// Questions begin at the lowest level with at most this many nodes: one level higher would cost a round trip
/// more to spare at most 2 KB.
const FIRST_MAX: usize = 256;
/// Where of so many nodes not even one is known, groups of groups are not worth a question any more.
const HOPELESS: usize = 8;

/// Finds out what the other side has of a list of items.
///
/// ```
/// use dsync_delta::tree::{Answerer, Asker};
/// let new: Vec<[u8; 16]> = (0..100_u8).map(|n| [n; 16]).collect();
/// let old = &new[20..];
/// let (mut asker, mut answerer) = (Asker::new(&new), Answerer::new(&[old]));
/// while let Some(question) = asker.question() {
///     asker.answer(&answerer.answer(&question)?)?;
/// }
/// assert_eq!(asker.finish(), [20..100]);
/// let matches = answerer.finish()?;
/// assert_eq!((matches[0].items.clone(), matches[0].slice, matches[0].at), (20..100, 0, 0));
/// # Ok::<(), dsync_delta::tree::TreeError>(())
/// ```
#[derive(Debug)]
pub struct Asker<'a> {
    tree: Tree<'a>,
    width: Width,
    /// The level of the next question, or of the one that waits for its answer.
    level: usize,
    /// Whether there was a question already.
    begun: bool,
    /// The items that are open, in ranges that are nodes of a higher level.
    open: Vec<Range<usize>>,
    /// The items of each node in the question that waits for its answer.
    asked: Option<Vec<Range<usize>>>,
    known: Vec<Range<usize>>,
}

impl<'a> Asker<'a> {
    /// Will ask about these items: at most [`ITEMS_MAX`](super::ITEMS_MAX), what is beyond counts as not known.
    pub fn new(items: &'a [Item]) -> Self {
        let tree = Tree::of(&items[..items.len().min(super::ITEMS_MAX)]);
        let level = (0..tree.height()).find(|level| tree.width(*level) <= FIRST_MAX).unwrap_or(0);
        Self::with(tree, level, Width::Wide)
    }

    /// As [`Asker::new`], for items that are mostly not there, or in another order: begins with the groups of
    /// items, whatever their number, and asks by narrow hashes, so that what is found has to be checked.
    pub fn low(items: &'a [Item]) -> Self {
        Self::with(Tree::of(&items[..items.len().min(super::ITEMS_MAX)]), 1, Width::Narrow)
    }

    fn with(tree: Tree<'a>, level: usize, width: Width) -> Self {
        let all = 0..tree.items.len();
        let open = if all.is_empty() { Vec::new() } else { vec![all] };
        Asker { tree, width, level, begun: false, open, asked: None, known: Vec::new() }
    }

    /// The next question, at most 9 bytes for each item that is still open; `None` when all is known that can be.
    pub fn question(&mut self) -> Option<Vec<u8>> {
        if self.open.is_empty() {
            return None;
        }
        let level = self.level;
        let (mut counts, mut hashes, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for range in &self.open {
            let nodes = self.tree.within(level, range);
            counts.push(nodes.len());
            for node in nodes {
                let (hash, items) = self.tree.node(level, node);
                hashes.push(short(hash, self.width));
                asked.push(items);
            }
        }
        self.asked = Some(asked);
        let items = (!self.begun).then_some(self.tree.items.len());
        self.begun = true;
        Some(Question { level, items, counts, hashes }.to_bytes(self.width))
    }

    /// Takes the answer to the last question.
    pub fn answer(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        let asked = self.asked.take().ok_or(TreeError::Unasked)?;
        let wanted = Wanted::from_bytes(bytes, asked.len())?;
        let hopeless = wanted.count() == asked.len() && asked.len() >= HOPELESS;
        self.open.clear();
        for (ordinal, items) in asked.into_iter().enumerate() {
            match wanted.contains(ordinal) {
                true => self.open.push(items),
                false => self.known.push(items),
            }
        }
        match self.level {
            0 => self.open.clear(),
            level if hopeless => self.level = 1.min(level - 1),
            level => self.level = level - 1,
        }
        Ok(())
    }

    /// Which items the other side has, in order, ranges that touch made one.
    pub fn finish(mut self) -> Vec<Range<usize>> {
        self.known.sort_unstable_by_key(|range| range.start);
        let mut known = Vec::new();
        self.known.into_iter().for_each(|range| append(&mut known, range));
        known
    }
}

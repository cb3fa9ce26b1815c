//! Reads an index group by group.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use super::chunks::Chunks;
use super::packed::{Block, Packed};
use super::records::View;

/// Reads groups of an index; the next one, or one nearby, costs least.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    packed: &'a Packed,
    chunks: &'a Chunks,
    /// The number of the block that was unpacked last, and the block.
    block: Option<(usize, Rc<Block>)>,
}

/// A header with the extension headers before it, or any other record by itself.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    block: Rc<Block>,
    /// The index of the group in the block.
    group: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(packed: &'a Packed, chunks: &'a Chunks) -> Self {
        Cursor { packed, chunks, block: None }
    }

    /// The group with this number.
    pub(crate) fn group(&mut self, number: usize) -> Option<Group> {
        if let Some((_, block)) = &self.block
            && let Some(group) = number.checked_sub(block.first).filter(|group| *group < block.len())
        {
            return Some(Group { block: Rc::clone(block), group });
        }
        let block = self.unpack(self.packed.block_of(number)?);
        let group = number - block.first;
        (group < block.len()).then_some(Group { block, group })
    }

    /// The group with a chunk.
    pub(crate) fn group_of(&mut self, chunk: usize) -> Option<Group> {
        let number = self.packed.block_with(chunk)?;
        let block = match &self.block {
            Some((at, block)) if *at == number => Rc::clone(block),
            _ => self.unpack(number),
        };
        // The last group that begins at or before the chunk: those before it may have none.
        let group = block.groups.partition_point(|(_, first)| *first <= chunk).checked_sub(1)?;
        (group < block.len()).then_some(Group { block, group })
    }

    fn unpack(&mut self, number: usize) -> Rc<Block> {
        let block = Rc::new(self.packed.unpack(number, self.chunks));
        self.block = Some((number, Rc::clone(&block)));
        block
    }
}

impl Block {
    /// The number of its groups.
    fn len(&self) -> usize {
        self.groups.len().saturating_sub(1)
    }
}

impl Group {
    /// Its number in the index.
    pub(crate) fn number(&self) -> usize {
        self.block.first + self.group
    }

    /// The number of its records.
    pub(crate) fn len(&self) -> usize {
        self.range().len()
    }

    /// The record with this number.
    pub(crate) fn record(&self, number: usize) -> Option<View<'_>> {
        let range = self.range();
        self.block.records.get(range.start + number).filter(|_| number < range.len())
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = View<'_>> {
        self.range().filter_map(|record| self.block.records.get(record))
    }

    /// The ordinals of its chunks.
    pub(crate) fn chunks(&self) -> Range<usize> {
        self.block.groups[self.group].1..self.block.groups[self.group + 1].1
    }

    /// The path that it is about; empty where it is about none.
    pub(crate) fn path(&self) -> Cow<'_, [u8]> {
        let mut records = self.records();
        let count = self.len();
        let said = records.by_ref().take(count.saturating_sub(1)).find_map(|view| view.path());
        said.or_else(|| Some(self.record(count.checked_sub(1)?)?.own_path())).unwrap_or_default()
    }

    fn range(&self) -> Range<usize> {
        self.block.groups[self.group].0..self.block.groups[self.group + 1].0
    }
}

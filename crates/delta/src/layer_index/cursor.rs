//! Reads an index entry by entry.

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use super::chunks::Chunks;
use super::packed::{Packed, UnpackedBlock};
use super::records::RecordView;

/// Reads entries of an index; the next one, or one nearby, costs least.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    packed: &'a Packed,
    chunks: &'a Chunks,
    /// The block that was unpacked last.
    last: Option<LastBlock>,
}

/// A block, and its number in the index.
#[derive(Debug, Clone)]
struct LastBlock {
    number: usize,
    block: Rc<UnpackedBlock>,
}

/// A header with the extension headers before it, or any other record by itself.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    block: Rc<UnpackedBlock>,
    /// The index of the entry in the block.
    entry: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(packed: &'a Packed, chunks: &'a Chunks) -> Self {
        Cursor { packed, chunks, last: None }
    }

    /// The entry with this number.
    pub(crate) fn entry(&mut self, number: usize) -> Option<Entry> {
        if let Some(LastBlock { block, .. }) = &self.last
            && let Some(entry) = number.checked_sub(block.first).filter(|entry| *entry < block.len())
        {
            return Some(Entry { block: Rc::clone(block), entry });
        }
        let block = self.unpack(self.packed.block_of(number)?);
        let entry = number - block.first;
        (entry < block.len()).then_some(Entry { block, entry })
    }

    /// The entry with a chunk.
    pub(crate) fn entry_with(&mut self, chunk: usize) -> Option<Entry> {
        let number = self.packed.block_with(chunk)?;
        let block = match &self.last {
            Some(last) if last.number == number => Rc::clone(&last.block),
            _ => self.unpack(number),
        };
        // The last entry that begins at or before the chunk: those before it may have none.
        let entry = block.bounds.partition_point(|bound| bound.chunk <= chunk).checked_sub(1)?;
        (entry < block.len()).then_some(Entry { block, entry })
    }

    fn unpack(&mut self, number: usize) -> Rc<UnpackedBlock> {
        let block = Rc::new(self.packed.unpack(number, self.chunks));
        self.last = Some(LastBlock { number, block: Rc::clone(&block) });
        block
    }
}

impl UnpackedBlock {
    /// The number of its entries.
    fn len(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }
}

impl Entry {
    /// Its number in the index.
    pub(crate) fn number(&self) -> usize {
        self.block.first + self.entry
    }

    /// The number of its records.
    pub(crate) fn len(&self) -> usize {
        self.range().len()
    }

    /// The record with this number.
    pub(crate) fn record(&self, number: usize) -> Option<RecordView<'_>> {
        let range = self.range();
        self.block.records.get(range.start + number).filter(|_| number < range.len())
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.range().filter_map(|record| self.block.records.get(record))
    }

    /// The ordinals of its chunks.
    pub(crate) fn chunks(&self) -> Range<usize> {
        self.block.bounds[self.entry].chunk..self.block.bounds[self.entry + 1].chunk
    }

    /// The path that it is about; empty where it is about none.
    pub(crate) fn path(&self) -> Cow<'_, [u8]> {
        let mut records = self.records();
        let count = self.len();
        let said = records.by_ref().take(count.saturating_sub(1)).find_map(|view| view.path());
        said.or_else(|| Some(self.record(count.checked_sub(1)?)?.own_path())).unwrap_or_default()
    }

    fn range(&self) -> Range<usize> {
        self.block.bounds[self.entry].record..self.block.bounds[self.entry + 1].record
    }
}

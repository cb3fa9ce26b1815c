//! Consecutive chunks of a file.

use std::ops::Range;

use crate::{ChunkRef, LayerIndex};

/// Consecutive chunks of one file of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRange {
    /// The number of the layer index, in the order of the argument.
    pub(super) layer: u32,
    /// The first of its chunks, and the one after the last.
    pub(super) start: u32,
    end: u32,
    /// Their bytes.
    pub(super) len: u32,
}

impl ChunkRange {
    /// Some chunks of a layer; `None` where they have 4 GiB or more.
    pub fn of(layer: usize, index: &LayerIndex, chunks: Range<usize>) -> Option<ChunkRange> {
        let len = u32::try_from(index.chunks().bytes(chunks.clone())).ok()?;
        let [layer, start, end] = [layer, chunks.start, chunks.end].map(u32::try_from);
        Some(ChunkRange { layer: layer.ok()?, start: start.ok()?, end: end.ok()?, len })
    }

    /// A chunk of `len` bytes.
    pub(super) fn one(ChunkRef { layer, chunk }: ChunkRef, len: u32) -> ChunkRange {
        ChunkRange { layer, start: chunk, end: chunk + 1, len }
    }

    /// The number of the layer index, in the order of the argument.
    pub fn layer(&self) -> usize {
        self.layer as usize
    }

    /// The ordinals of the chunks in the layer.
    pub fn chunks(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The chunks, one by one.
    pub fn chunk_refs(&self) -> impl Iterator<Item = ChunkRef> + use<> {
        let layer = self.layer;
        (self.start..self.end).map(move |chunk| ChunkRef { layer, chunk })
    }

    /// Their bytes.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u64 {
        self.len.into()
    }

    /// The same chunks, where the layer has another number.
    pub fn of_layer(self, layer: u32) -> ChunkRange {
        ChunkRange { layer, ..self }
    }

    /// Adds the next chunk, unless it is of another layer, or would make the range longer than `most` bytes. Returns
    /// whether it was added.
    pub(super) fn extend(&mut self, chunk_ref: ChunkRef, len: u32, most: u64) -> bool {
        let all = u64::from(self.len) + u64::from(len);
        let goes_on = (self.layer, self.end) == (chunk_ref.layer, chunk_ref.chunk) && all <= most;
        if goes_on && let Ok(all) = u32::try_from(all) {
            self.end += 1;
            self.len = all;
            return true;
        }
        false
    }
}

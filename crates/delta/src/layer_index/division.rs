//! Copies of a layer index with other chunks: divided ones, or parts of files alone.

use std::ops::Range;

use super::builder::Builder;
use super::index::LayerIndex;

/// The same layer with more chunks.
#[derive(Debug)]
pub(crate) struct DividedIndex {
    pub(crate) index: LayerIndex,
    /// For each former chunk the first that it became, and at the end their number.
    pub(crate) ordinals: Vec<u32>,
}

impl LayerIndex {
    /// Divides each chunk at `ends`, counted from its beginning; one without ends stays undivided. Ids are not kept.
    pub(crate) fn divided(&self, ends: &dyn Fn(usize) -> Vec<u64>) -> DividedIndex {
        let mut divided = Builder::default();
        let mut ordinals = Vec::with_capacity(self.chunks.len() + 1);
        let mut cursor = self.cursor();
        for entry in 0..self.entries() {
            let Some(entry) = cursor.entry(entry) else { break };
            let mut chunks = entry.chunks();
            for view in entry.records() {
                divided.record(view.record.kind, view.fields(), view.body());
                for ordinal in chunks.by_ref().take(view.record.chunks) {
                    ordinals.push(ordinal_of(divided.chunks()));
                    let len = self.chunks.at(ordinal).len;
                    let mut from = 0;
                    for end in ends(ordinal).into_iter().filter(|end| *end < len).chain([len]) {
                        divided.chunk(None, end - from);
                        from = end;
                    }
                }
                if view.record.padded {
                    divided.pad();
                }
            }
        }
        ordinals.push(ordinal_of(divided.chunks()));
        DividedIndex { index: divided.finish(self.digest, self.len).index, ordinals }
    }

    /// The entries for which `keep` has chunks, with chunks of these lengths in place of their own. This is no
    /// layer: the offsets of its chunks have no meaning.
    pub(crate) fn with_chunks(&self, keep: &mut dyn FnMut(Range<usize>) -> Vec<u64>) -> LayerIndex {
        let mut index = Builder::default();
        let mut cursor = self.cursor();
        for entry in 0..self.entries() {
            let Some(entry) = cursor.entry(entry) else { break };
            let chunks = keep(entry.chunks());
            if chunks.is_empty() {
                continue;
            }
            for view in entry.records() {
                index.record(view.record.kind, view.fields(), view.body());
            }
            chunks.into_iter().for_each(|len| index.chunk(None, len));
        }
        index.finish(self.digest, self.len).index
    }
}

/// Layers have fewer chunks than a 32-bit number can count: each takes 24 bytes of memory, which is limited.
fn ordinal_of(chunk: usize) -> u32 {
    u32::try_from(chunk).unwrap_or(u32::MAX)
}

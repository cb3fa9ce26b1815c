//! Stores the chunks of a layer: id, length and offset of each, in 24 bytes.

use std::ops::Range;

use crate::ChunkId;
use crate::chunking::COARSE;

/// A chunk of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The hash of its bytes; all zeros where it is not known.
    pub id: ChunkId,
    /// Its bytes, at most [`CHUNK_MAX`].
    pub len: u64,
    /// The offset of its first byte in the layer.
    pub at: u64,
}

/// The longest chunk: longer files have several.
pub const CHUNK_MAX: u64 = COARSE.max as u64;

/// Bits of the length in a packed position; the rest are the offset.
const LEN_BITS: u32 = CHUNK_MAX.ilog2() + 1;
/// The largest offset that can be stored: 32 TiB.
const OFFSET_MAX: u64 = u64::MAX >> LEN_BITS;

/// All chunks of a layer, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunks {
    /// None at all where no id is known.
    ids: Vec<ChunkId>,
    /// The offset and the length of each, packed into one number.
    positions: Vec<u64>,
}

impl Chunks {
    /// Their number.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The chunk with this ordinal.
    pub fn get(&self, ordinal: usize) -> Option<Chunk> {
        let position = *self.positions.get(ordinal)?;
        Some(Chunk { id: self.id(ordinal), len: position & ((1 << LEN_BITS) - 1), at: position >> LEN_BITS })
    }

    /// The chunk with this ordinal.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, ordinal: usize) -> Chunk {
        self.get(ordinal).unwrap_or_else(|| panic!("chunk {ordinal} of {}", self.len()))
    }

    /// Some of them, in order; ordinals beyond the last are left out.
    pub fn range(&self, ordinals: Range<usize>) -> impl Iterator<Item = Chunk> + '_ {
        ordinals.map_while(|ordinal| self.get(ordinal))
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = Chunk> + '_ {
        self.range(0..self.len())
    }

    /// Bytes in some of them.
    pub fn bytes(&self, ordinals: Range<usize>) -> u64 {
        self.range(ordinals).map(|chunk| chunk.len).sum()
    }

    /// The id of a chunk; all zeros where it is not known.
    pub(crate) fn id(&self, ordinal: usize) -> ChunkId {
        self.ids.get(ordinal).copied().unwrap_or(ChunkId::UNKNOWN)
    }

    /// Adds one at the end. Ids are known of all or of none.
    pub(super) fn push(&mut self, id: Option<ChunkId>, len: u64, at: u64) {
        debug_assert!(len <= CHUNK_MAX);
        self.ids.extend(id);
        self.positions.push(at.min(OFFSET_MAX) << LEN_BITS | len.min(CHUNK_MAX));
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.ids.len() * size_of::<ChunkId>() + self.positions.len() * size_of::<u64>()
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.ids.shrink_to_fit();
        self.positions.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_read_as_they_were_added() {
        let mut chunks = Chunks::default();
        let (id, far) = (ChunkId::of(b"x"), 1 << 44);
        chunks.push(Some(id), CHUNK_MAX, far);
        chunks.push(Some(id), 1, u64::MAX);
        assert_eq!(chunks.at(0), Chunk { id, len: CHUNK_MAX, at: far });
        assert_eq!(chunks.at(1).len, 1);
        assert_eq!(chunks.get(2), None);
        assert_eq!(chunks.bytes(0..9), CHUNK_MAX + 1);
        assert_eq!(chunks.memory(), 48);
    }
}

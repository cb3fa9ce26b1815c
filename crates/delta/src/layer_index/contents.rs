//! Stores the contents of a layer: id, length and offset of each, in 24 bytes.

use std::ops::Range;

use crate::ContentId;
use crate::chunking::COARSE;

/// A content of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The hash of its bytes; all zeros where it is not known.
    pub id: ContentId,
    /// Its bytes, at most [`CONTENT_MAX`].
    pub len: u64,
    /// The offset of its first byte in the layer.
    pub at: u64,
}

/// The longest content: longer files have several.
pub const CONTENT_MAX: u64 = COARSE.max as u64;

/// Bits of the length in a packed position; the rest are the offset.
const LEN_BITS: u32 = CONTENT_MAX.ilog2() + 1;
/// The largest offset that can be stored: 32 TiB.
const OFFSET_MAX: u64 = u64::MAX >> LEN_BITS;

/// All contents of a layer, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// None at all where no id is known.
    ids: Vec<ContentId>,
    /// The offset and the length of each, packed into one number.
    positions: Vec<u64>,
}

impl Contents {
    /// Their number.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// The content with this ordinal.
    pub fn get(&self, ordinal: usize) -> Option<Content> {
        let position = *self.positions.get(ordinal)?;
        Some(Content {
            id: self.id(ordinal),
            len: position & ((1 << LEN_BITS) - 1),
            at: position >> LEN_BITS,
        })
    }

    /// The content with this ordinal.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, ordinal: usize) -> Content {
        self.get(ordinal).unwrap_or_else(|| panic!("content {ordinal} of {}", self.len()))
    }

    /// Some of them, in order; ordinals beyond the last are left out.
    pub fn range(&self, ordinals: Range<usize>) -> impl Iterator<Item = Content> + '_ {
        ordinals.map_while(|ordinal| self.get(ordinal))
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = Content> + '_ {
        self.range(0..self.len())
    }

    /// Bytes in some of them.
    pub fn bytes(&self, ordinals: Range<usize>) -> u64 {
        self.range(ordinals).map(|content| content.len).sum()
    }

    /// The id of a content; all zeros where it is not known.
    pub(crate) fn id(&self, ordinal: usize) -> ContentId {
        self.ids.get(ordinal).copied().unwrap_or(ContentId::UNKNOWN)
    }

    /// Adds one at the end. Ids are known of all or of none.
    pub(super) fn push(&mut self, id: Option<ContentId>, len: u64, at: u64) {
        debug_assert!(len <= CONTENT_MAX);
        self.ids.extend(id);
        self.positions.push(at.min(OFFSET_MAX) << LEN_BITS | len.min(CONTENT_MAX));
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.ids.len() * size_of::<ContentId>() + self.positions.len() * size_of::<u64>()
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
    fn contents_are_read_as_they_were_added() {
        let mut contents = Contents::default();
        let (id, far) = (ContentId::of(b"x"), 1 << 44);
        contents.push(Some(id), CONTENT_MAX, far);
        contents.push(Some(id), 1, u64::MAX);
        assert_eq!(contents.at(0), Content { id, len: CONTENT_MAX, at: far });
        assert_eq!(contents.at(1).len, 1);
        assert_eq!(contents.get(2), None);
        assert_eq!(contents.bytes(0..9), CONTENT_MAX + 1);
        assert_eq!(contents.memory(), 48);
    }
}

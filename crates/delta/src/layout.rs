//! How a layer divides into verbatim bytes and file contents.

use dsync_core::DiffId;

use crate::ContentId;

/// A piece of a layer, in the order of the layer's bytes; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// Bytes that stay as they are: headers, padding, contents too small to be worth a hash.
    Verbatim {
        /// How many bytes.
        len: u64,
    },
    /// The content of a file, or a cut of something that is no tar.
    Content {
        /// The hash of its bytes.
        id: ContentId,
        /// How many bytes.
        len: u64,
    },
}

impl Segment {
    /// How many bytes of the layer it covers.
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    pub const fn len(&self) -> u64 {
        match *self {
            Segment::Verbatim { len } | Segment::Content { len, .. } => len,
        }
    }
}

/// A layer as its segments. The lengths add up to `len`; no two verbatim segments are neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// SHA-256 of the whole layer.
    pub diff_id: DiffId,
    /// Bytes in the layer.
    pub len: u64,
    /// The pieces, first to last.
    pub segments: Vec<Segment>,
}

impl Layout {
    /// The segments, each with the offset of its first byte in the layer.
    pub fn spans(&self) -> impl Iterator<Item = (u64, Segment)> + '_ {
        self.segments.iter().scan(0, |next, segment| {
            let offset = *next;
            *next += segment.len();
            Some((offset, *segment))
        })
    }

    /// The contents in order of use, repeated ones included, each with its length.
    pub fn contents(&self) -> impl Iterator<Item = (ContentId, u64)> + '_ {
        self.segments.iter().filter_map(|segment| match *segment {
            Segment::Content { id, len } => Some((id, len)),
            Segment::Verbatim { .. } => None,
        })
    }

    /// How many of the bytes are verbatim.
    pub fn verbatim_len(&self) -> u64 {
        self.len - self.contents().map(|(_, len)| len).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let content = |len| Segment::Content { id: ContentId::of(b"x"), len };
        let segments =
            vec![Segment::Verbatim { len: 2 }, content(3), content(1), Segment::Verbatim { len: 4 }];
        Layout { diff_id: DiffId::of(b""), len: 10, segments }
    }

    #[test]
    fn spans_know_where_they_begin() {
        assert_eq!(layout().spans().map(|(offset, _)| offset).collect::<Vec<_>>(), [0, 2, 5, 6]);
        assert_eq!(layout().verbatim_len(), 6);
    }
}

//! The origin of contents: the basis, or the literals.

/// How contents are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every content is a literal: the fallback when a content was mistaken for another.
    Literals,
    /// A content that is in the basis, or was encoded before, is a reference; any other is a literal.
    References,
    /// As `References`, and each literal has its id, so that the layer index can be kept.
    WithIds,
}

/// Where a content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A content of the basis.
    Basis {
        /// The number of the layer.
        layer: u16,
        /// The number of the content in it.
        content: u32,
    },
    /// A content that is encoded for the first time: literals are numbered through all layers.
    Literal(u32),
}

/// A content that is encoded for the first time. Literals are in the order of their layers and contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// The layer in which it occurs first, in the order of encoding.
    pub layer: u32,
    /// The number of the content in the layer.
    pub content: u32,
    /// Its bytes.
    pub len: u32,
    /// Its uses in all layers.
    pub uses: u32,
}

impl Literal {
    /// Its first occurrence.
    pub fn chunk_ref(&self) -> ChunkRef {
        ChunkRef { layer: self.layer, content: self.content }
    }
}

/// A reference to a content of several layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// The number of the layer.
    pub layer: u32,
    /// The number of the content in the layer.
    pub content: u32,
}

/// The number under which a content was encoded: that of a content of the basis, or with the highest bit set, that of a
/// literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used(u32);

impl Used {
    const LITERAL: u32 = 1 << 31;

    /// The content of the basis with this number.
    pub(super) fn basis(number: usize) -> Option<Used> {
        u32::try_from(number).ok().filter(|number| *number < Self::LITERAL).map(Used)
    }

    /// The literal with this number.
    pub(super) fn literal(number: usize) -> Option<Used> {
        Some(Used(Self::basis(number)?.0 | Self::LITERAL))
    }

    /// The number of the literal, where it is one.
    pub(super) fn as_literal(self) -> Option<usize> {
        (self.0 & Self::LITERAL != 0).then_some((self.0 & !Self::LITERAL) as usize)
    }

    /// The number of the content of the basis, where it is no literal.
    pub(super) fn as_basis(self) -> usize {
        self.0 as usize
    }
}

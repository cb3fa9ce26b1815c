//! Where contents come from: the basis, or the literals.

/// The encoding of contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every content is a literal: the way out when something was mistaken.
    Whole,
    /// A content that is neither in the basis nor told before is a literal.
    Known,
    /// As `Known`; a literal has its whole id. What is told so stands for itself.
    Full,
}

/// Where a content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A content of the basis.
    Basis {
        /// Which listing.
        layer: u16,
        /// Which of its contents.
        content: u32,
    },
    /// A content that is encoded for the first time: literals are numbered through all layers.
    Literal(u32),
}

/// A content that is told for the first time. Literals come in the order of their layers and contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// The layer in which it comes first, as they were told.
    pub layer: u32,
    /// Which of the layer's contents.
    pub content: u32,
    /// Its bytes.
    pub len: u32,
    /// Its uses in all layers.
    pub uses: u32,
}

impl Literal {
    /// The content in which it comes first.
    pub fn chunk_ref(&self) -> ChunkRef {
        ChunkRef { layer: self.layer, content: self.content }
    }
}

/// A content of several listings: which listing, and which of its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// The listing.
    pub layer: u32,
    /// The content.
    pub content: u32,
}

/// The number under which a content was encoded, in four bytes: of a content of the basis, or of a literal.
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

    /// The literal that it is.
    pub(super) fn as_literal(self) -> Option<usize> {
        (self.0 & Self::LITERAL != 0).then_some((self.0 & !Self::LITERAL) as usize)
    }

    /// The content of the basis that it is, where it is no literal.
    pub(super) fn as_basis(self) -> usize {
        self.0 as usize
    }
}

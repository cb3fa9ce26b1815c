//! The origin of chunks: the basis, or the literals.

/// The mode in which chunks are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every chunk is a literal: the fallback when a chunk was mistaken for another.
    Literals,
    /// A chunk that is in the basis, or was encoded before, is a reference; any other is a literal.
    References,
    /// References and literals, each literal with its id, so that the layer index can be kept.
    WithIds,
}

/// The origin of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A chunk of the basis.
    Basis {
        /// The number of the layer.
        layer: u16,
        /// The number of the chunk in it.
        chunk: u32,
    },
    /// A chunk that is encoded for the first time: literals are numbered through all layers.
    Literal(u32),
}

/// A chunk that is encoded for the first time. Literals are in the order of their layers and chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// The layer in which it occurs first, in the order of encoding.
    pub layer: u32,
    /// The number of the chunk in the layer.
    pub chunk: u32,
    /// Its bytes.
    pub len: u32,
    /// Its uses in all layers.
    pub uses: u32,
}

impl Literal {
    /// Its first occurrence.
    pub fn chunk_ref(&self) -> ChunkRef {
        ChunkRef { layer: self.layer, chunk: self.chunk }
    }
}

/// A reference to a chunk of several layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// The number of the layer.
    pub layer: u32,
    /// The number of the chunk in the layer.
    pub chunk: u32,
}

/// The number under which a chunk was encoded: that of a chunk of the basis, or with the highest bit set, that of a
/// literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChunkNumber(u32);

impl ChunkNumber {
    const LITERAL: u32 = 1 << 31;

    /// The chunk of the basis with this number.
    pub(super) fn basis(number: usize) -> Option<ChunkNumber> {
        u32::try_from(number).ok().filter(|number| *number < Self::LITERAL).map(ChunkNumber)
    }

    /// The literal with this number.
    pub(super) fn literal(number: usize) -> Option<ChunkNumber> {
        Some(ChunkNumber(Self::basis(number)?.0 | Self::LITERAL))
    }

    /// The number of the literal, where it is one.
    pub(super) fn as_literal(self) -> Option<usize> {
        (self.0 & Self::LITERAL != 0).then_some((self.0 & !Self::LITERAL) as usize)
    }

    /// The number of the chunk of the basis, where it is no literal.
    pub(super) fn as_basis(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkNumber;

    #[test]
    fn a_chunk_of_the_basis_is_never_taken_for_a_literal() {
        let last = (1 << 31) - 1;
        for number in [0, last] {
            let (basis, literal) =
                (ChunkNumber::basis(number).unwrap(), ChunkNumber::literal(number).unwrap());
            assert_eq!(
                (basis.as_literal(), basis.as_basis(), literal.as_literal()),
                (None, number, Some(number))
            );
        }
        assert_eq!((ChunkNumber::basis(last + 1), ChunkNumber::literal(last + 1)), (None, None));
    }
}

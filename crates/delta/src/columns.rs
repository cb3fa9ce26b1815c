//! Layers in columns: what a layer is made of, told to somebody who knows other layers.
//!
//! Each field of the records has a column of its own, and each value is told against the same field of the
//! record that is most like it: the one with the same path in the basis, or else the last of its kind. So a
//! rebuilt layer is a run of zeros in most columns. The format is in `docs/columns.md`.

mod decode;
mod encode;
mod reference;
mod stream;

pub use decode::{ColumnsError, Decoder, Limits, Recipe};
pub use encode::Encoder;

/// How contents are told.
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
        layer: usize,
        /// Which of its contents.
        content: usize,
    },
    /// What is told for the first time: literals are numbered through all layers.
    Literal(usize),
}

/// A content that is told for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// The layer in which it comes first, as they were told.
    pub layer: usize,
    /// Which of the layer's contents.
    pub content: usize,
    /// Its bytes.
    pub len: u64,
    /// How often the layers use it.
    pub uses: u64,
}

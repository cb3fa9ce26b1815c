//! The releases of klauspost's encoder that differ in their output.

/// Releases that differ in their output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// klauspost 1.15.11 to 1.18.0: the head of a block has codes for all of the alphabet.
    Full,
    /// klauspost from 1.18.2 and Go from 1.27: only for what is used.
    Exact,
}

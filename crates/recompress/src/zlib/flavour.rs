//! The programs of the family that differ in their output.

/// Programs that differ in their output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// zlib with its usual memory (`memLevel` 8).
    Zlib,
    /// zlib with all memory (`memLevel` 9).
    ZlibLarge,
    /// GNU gzip.
    Gnu,
}

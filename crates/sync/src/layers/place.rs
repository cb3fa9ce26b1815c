//! The places of chunks: a layer, and the number of a chunk of it.

use dsync_core::Digest;

/// A chunk of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The digest of the layer's bytes.
    pub(crate) layer: Digest,
    /// The number of the chunk in the layer.
    pub(crate) chunk: usize,
}

/// Some bytes of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

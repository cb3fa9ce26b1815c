//! Where chunks lie: in which layer, and which of its chunks.

use dsync_core::Digest;

/// A chunk of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The digest of the layer's bytes.
    pub(crate) layer: Digest,
    /// Which of the layer's chunks.
    pub(crate) chunk: usize,
}

/// Some bytes of a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

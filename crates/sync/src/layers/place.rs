//! Where contents lie: in which layer, and which of its contents.

use dsync_core::Digest;

/// A content of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    /// The digest of the layer's bytes.
    pub(crate) layer: Digest,
    /// Which of the layer's contents.
    pub(crate) content: usize,
}

/// Some bytes of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

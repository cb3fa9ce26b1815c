//! Where contents lie: in which layer, and which of its contents.

use dsync_core::Digest;

/// A content: the digest of the layer's bytes, and which of the layer's contents.
pub(crate) type Place = (Digest, usize);

/// Some bytes of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

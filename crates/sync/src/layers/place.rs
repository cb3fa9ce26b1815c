//! Where contents lie: in which layer, and which of its contents.

use dsync_core::DiffId;

/// A content: the layer, and which of the layer's contents.
pub(crate) type Place = (DiffId, usize);

/// Some bytes of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

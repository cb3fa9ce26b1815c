//! References to blobs, as manifests and indexes have them (OCI image specification, "Content Descriptors").

use dsync_core::{DiffId, Digest};
use serde_json::Value;

/// A blob, as a manifest or an index names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlobRef {
    /// The digest of the bytes as they are stored.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl BlobRef {
    /// Reads a descriptor.
    pub(crate) fn parse(descriptor: &Value) -> Option<Self> {
        let digest = descriptor.get("digest")?.as_str()?.parse().ok()?;
        Some(Self { digest, size: descriptor.get("size")?.as_u64()? })
    }

    /// True if this is the layer itself and no compressed form of it.
    pub(crate) fn is_plain(&self, id: &DiffId) -> bool {
        self.digest == id.digest()
    }
}

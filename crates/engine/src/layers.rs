//! Reads layers of a package out of the blobs of a store.

use std::collections::HashSet;
use std::io::Read;

use dsync_core::DiffId;

use crate::archive::decoded;
use crate::blob::BlobRef;
use crate::package::Package;
use crate::store::{LayerSink, StoreError};
use crate::watched::WatchedReader;

/// Blobs of a store, by their digests.
pub(crate) trait Blobs {
    /// The stored bytes.
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError>;

    /// For people: what is broken when a blob is.
    fn broken(&self, reason: String) -> StoreError;
}

/// Gives the wanted layers of a package to the sink: by their diff ids uncompressed, by the digest of what is stored as
/// they are.
pub(crate) fn export(
    package: &Package,
    blobs: &dyn Blobs,
    wanted: &HashSet<DiffId>,
    sink: &mut dyn LayerSink,
) -> Result<(), StoreError> {
    let mut missing = wanted.clone();
    for layer in package.layers() {
        let raw = DiffId::from_bytes(*layer.blob.digest.as_bytes());
        let passed_on =
            |source| StoreError::Io { what: format!("the layer {raw} cannot be passed on"), source };
        if missing.remove(&raw) {
            sink.layer(Some(raw), &mut *blobs.open(&layer.blob)?).map_err(passed_on)?;
        }
        if let Some(id) = layer.diff_id.filter(|id| missing.remove(id)) {
            let unreadable = |error| blobs.broken(format!("the blob {raw} cannot be decompressed: {error}"));
            let mut plain = WatchedReader::new(
                decoded(blobs.open(&layer.blob)?).map_err(|error| unreadable(error.to_string()))?,
            );
            let taken = sink.layer(Some(id), &mut plain);
            if let Some(error) = plain.failure() {
                return Err(unreadable(error.to_string()));
            }
            taken.map_err(passed_on)?;
        }
    }
    match missing.iter().next() {
        Some(id) => Err(blobs.broken(format!("the image {} has no layer {id}", package.root()))),
        None => Ok(()),
    }
}

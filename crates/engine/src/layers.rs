//! Reads layers of a package out of the blobs of a store.

use std::collections::HashSet;
use std::io::Read;

use dsync_core::LayerKey;

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

/// Gives the wanted layers of a package to the sink, tars uncompressed and blobs as they are stored.
pub(crate) fn export(
    package: &Package,
    blobs: &dyn Blobs,
    wanted: &HashSet<LayerKey>,
    sink: &mut dyn LayerSink,
) -> Result<(), StoreError> {
    let mut missing = wanted.clone();
    for layer in package.layers() {
        let digest = layer.blob.digest;
        let passed_on =
            |source| StoreError::Io { what: format!("the layer {digest} cannot be passed on"), source };
        let blob = LayerKey::Blob(digest);
        if missing.remove(&blob) {
            sink.layer(Some(blob), &mut *blobs.open(&layer.blob)?).map_err(passed_on)?;
        }
        if let Some(tar) = layer.diff_id.map(LayerKey::Tar).filter(|tar| missing.remove(tar)) {
            let unreadable =
                |error| blobs.broken(format!("the blob {digest} cannot be decompressed: {error}"));
            let mut plain = WatchedReader::new(
                decoded(blobs.open(&layer.blob)?).map_err(|error| unreadable(error.to_string()))?,
            );
            let taken = sink.layer(Some(tar), &mut plain);
            if let Some(error) = plain.failure() {
                return Err(unreadable(error.to_string()));
            }
            taken.map_err(passed_on)?;
        }
    }
    match missing.iter().next() {
        Some(key) => Err(blobs.broken(format!("the image {} has no layer {key}", package.root()))),
        None => Ok(()),
    }
}

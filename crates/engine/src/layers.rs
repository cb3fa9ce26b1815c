//! Reads layers out of the blobs of a store that names images by manifests.

use std::collections::HashSet;
use std::io::{self, Read};

use dsync_core::LayerKey;

use crate::archive::decoded;
use crate::blob::BlobRef;
use crate::package::{Package, PackedLayer};
use crate::store::{LayerSink, StoreError};
use crate::watched::WatchedReader;

/// Blobs of a store, by their digests.
pub(crate) trait Blobs {
    /// The stored bytes.
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError>;

    /// The error for a blob that is broken, with the reason.
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
            give(layer, tar, blobs, sink)?;
        }
    }
    match missing.iter().next() {
        Some(key) => Err(blobs.broken(format!("the image {} has no layer {key}", package.root()))),
        None => Ok(()),
    }
}

/// Gives the tar of a layer to the sink. An uncompressed blob may begin like a compressed one.
fn give(
    layer: &PackedLayer,
    tar: LayerKey,
    blobs: &dyn Blobs,
    sink: &mut dyn LayerSink,
) -> Result<(), StoreError> {
    let digest = layer.blob.digest;
    let passed_on =
        |source| StoreError::Io { what: format!("the layer {digest} cannot be passed on"), source };
    let mut stored = blobs.open(&layer.blob)?;
    if layer.is_plain() {
        return sink.layer(Some(tar), &mut *stored).map_err(passed_on);
    }
    let unreadable =
        |error: io::Error| blobs.broken(format!("the blob {digest} cannot be decompressed: {error}"));
    let mut plain = WatchedReader::new(decoded(stored).map_err(unreadable)?);
    let taken = sink.layer(Some(tar), &mut plain);
    match plain.failure() {
        Some(error) => Err(unreadable(error)),
        None => taken.map_err(passed_on),
    }
}

//! Saved archives, whatever they are packed in and whichever of the two forms they have.

mod store;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use dsync_core::Inventory;

use crate::archive::{ArchiveIndex, MANIFEST_JSON, ReadError, Tar, begins_archive};
use crate::oci::OciStore;
use crate::store::{Store, StoreError};
use store::ArchiveStore;

/// The images of a file that `save` wrote. `name` is the archive, for people; one that has to be unpacked goes to a
/// temporary file in this folder.
///
/// An archive that is an OCI image layout is read as one, also where it has the older `manifest.json` beside it
/// (Docker from 25 on): only there are all platforms, attestations, and what the image's ID is the digest of.
pub(crate) fn open(path: &Path, name: String, folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    let tar = Tar::open(path, &name, folder)?;
    let unread = |error| unread(&name, error);
    check_begin(&tar, &name)?;
    let contents = Arc::new(ArchiveIndex::read(tar).map_err(unread)?);
    let has_manifest = contents.has(MANIFEST_JSON);
    let is_layout = contents.has("index.json") && (contents.has("oci-layout") || !has_manifest);
    if !has_manifest && !is_layout {
        let reason = "is no archive of images: it has neither a manifest.json nor an index.json. `docker save` and \
            `podman save` write such archives, `docker export` does not";
        return Err(StoreError::Unsupported { what: name, reason: reason.into() });
    }
    if is_layout {
        let store = OciStore::archived(name.clone(), Arc::clone(&contents))?;
        // A layout that is not whole need not matter to who wrote the manifest beside it.
        let is_whole = |inventory: Inventory| !inventory.images.is_empty() && inventory.unreadable.is_empty();
        if !has_manifest || store.list().is_ok_and(is_whole) {
            return Ok(Box::new(store));
        }
    }
    Ok(Box::new(ArchiveStore::new(name, contents)?))
}

/// Checks that a file is a tar archive at all: else it would be reported as damaged.
fn check_begin(tar: &Tar, name: &str) -> Result<(), StoreError> {
    let mut block = Vec::new();
    let read = tar.whole().take(512).read_to_end(&mut block);
    read.map_err(|error| unread(name, ReadError::Source(error)))?;
    let reason = match &block[..] {
        [] => "is empty",
        block if begins_archive(block) => return Ok(()),
        _ => "is no tar archive, nor one in gzip or zstd",
    };
    Err(StoreError::Unsupported { what: name.into(), reason: reason.into() })
}

fn unread(name: &str, error: ReadError) -> StoreError {
    match error {
        ReadError::Source(source) => StoreError::Io { what: format!("cannot read {name}"), source },
        ReadError::Broken(reason) => StoreError::Broken { what: name.into(), reason },
        ReadError::Sink(source) => StoreError::Io { what: format!("{name} cannot be passed on"), source },
    }
}

#[cfg(test)]
mod tests;

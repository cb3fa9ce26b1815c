//! A manifest or an index inside the index of an image, by its own digest: `docker pull NAME@DIGEST` takes one, too.

use dsync_core::{Image, ImageId, Platform};
use serde_json::Value;

use crate::blob::BlobRef;
use crate::package::{Package, PackageError, is_attestation, platform, total_size};
use crate::store::{Nested, StoreError};

/// The places at which indexes name a digest.
#[derive(Debug, Default)]
pub(crate) struct Places {
    within: Vec<ImageId>,
    /// The first entry for it.
    entry: Option<Value>,
}

impl Places {
    /// Adds an image, with the entry for the digest in its index.
    pub(crate) fn add(&mut self, id: ImageId, entry: Value) {
        if !self.within.contains(&id) {
            self.within.push(id);
        }
        self.entry.get_or_insert(entry);
    }

    /// The document, unless it is an attestation.
    pub(crate) fn blob(&self) -> Option<BlobRef> {
        self.entry.as_ref().filter(|entry| !is_attestation(entry)).and_then(BlobRef::parse)
    }
}

/// Collects what a document names; each store does that in its own way.
type Collect<'a> = &'a mut dyn FnMut(&BlobRef) -> Result<Package, PackageError<StoreError>>;

/// The document at these places, and the image for the platform that it makes.
pub(crate) fn nested(
    places: Places,
    preferred: &Platform,
    collect: Collect<'_>,
) -> Result<Option<Nested>, StoreError> {
    let Places { within, entry: Some(entry) } = places else { return Ok(None) };
    let image = match BlobRef::parse(&entry) {
        _ if is_attestation(&entry) => Err("an attestation of it, and no image".into()),
        None => Err("of no valid size".into()),
        Some(blob) => match collect(&blob) {
            Ok(package) => package.check(),
            Err(PackageError::Source(error)) => return Err(error),
            Err(PackageError::Broken(reason)) => Err(reason),
        }
        .map_err(|reason| missing(&entry, &reason))
        .and_then(|package| image(blob, &package, preferred)),
    };
    Ok(Some(Nested { within, image }))
}

fn missing(entry: &Value, reason: &str) -> String {
    let what = platform(entry).map_or_else(String::new, |platform| format!(" for {platform}"));
    format!("its manifest{what}, which is not to be had there: {reason}")
}

fn image(blob: BlobRef, package: &Package, preferred: &Platform) -> Result<Image, String> {
    let (config, layers) = package.image(preferred).ok_or_else(|| {
        let platforms = package.platforms().join(", ");
        format!("an index in it without an image for {preferred}, only for {platforms}")
    })?;
    Ok(Image::unnamed(ImageId::from(blob.digest), config, total_size(&layers)))
}

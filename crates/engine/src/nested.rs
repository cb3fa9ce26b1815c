//! A manifest or an index inside the index of an image, by its own digest: `docker pull NAME@DIGEST` takes one, too.

use dsync_core::{Image, ImageId, Platform};
use serde_json::Value;

use crate::blob::BlobRef;
use crate::package::{Documents, Package, PackageError, is_attestation, platform, total_size};
use crate::store::Nested;

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

/// The document at these places, and the image for the platform that it makes.
pub(crate) fn nested<D: Documents>(
    places: Places,
    preferred: &Platform,
    from: &mut D,
) -> Result<Option<Nested>, D::Error> {
    let Places { within, entry: Some(entry) } = places else { return Ok(None) };
    let made = if is_attestation(&entry) {
        Err("an attestation of it, and no image".into())
    } else {
        image(&entry, preferred, from)?
    };
    Ok(Some(Nested { within, image: made }))
}

fn image<D: Documents>(
    entry: &Value,
    preferred: &Platform,
    from: &mut D,
) -> Result<Result<Image, String>, D::Error> {
    let what = match platform(entry) {
        Some(platform) => format!("its manifest for {platform}"),
        None => "a manifest of it".to_owned(),
    };
    let Some(blob) = BlobRef::parse(entry) else { return Ok(Err(format!("{what}, of no valid size"))) };
    let collected = Package::collect(&blob, None, from);
    let checked = match collected {
        Ok(package) => package.check(),
        Err(PackageError::Source(error)) => return Err(error),
        Err(PackageError::Broken(reason)) => Err(reason),
    };
    Ok(checked.map_err(|reason| format!("{what}, which is not to be had there: {reason}")).and_then(
        |package| {
            let (config, layers) = package.image(preferred).ok_or_else(|| {
                format!(
                    "an index in it without an image for {preferred}, only for {}",
                    package.platforms().join(", ")
                )
            })?;
            Ok(Image::unnamed(ImageId::from(blob.digest), config, total_size(&layers)))
        },
    ))
}

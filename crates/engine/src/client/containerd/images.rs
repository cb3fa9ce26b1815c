//! The images of a content store, by their documents: whatever reads its blobs.

use std::collections::HashMap;
use std::io::Read as _;

use dsync_core::{Digest, Image, ImageId, Platform};

use crate::blob::BlobRef;
use crate::layers::Blobs;
use crate::nested::{Places, nested};
use crate::package::{DocumentSource, LARGEST_DOCUMENT, Package, PackageError, total_size};
use crate::referrers::{self, Candidate, Referrer, ReferrerTag};
use crate::store::{Nested, StoreError};

/// The blobs of a content store, and which there are.
pub(crate) trait Content: Blobs {
    /// The length of a document, if it is there.
    fn size(&self, digest: &Digest) -> Option<u64>;

    /// True if a blob is there, in this size as far as that can be seen.
    fn has(&self, blob: &BlobRef) -> bool;
}

/// The image with this ID, without names; `None` for an artifact that is none; or the reason why there is none for this
/// platform.
pub(crate) fn image(
    content: &dyn Content,
    id: &ImageId,
    platform: &Platform,
) -> Result<Option<Image>, String> {
    let package = package(content, id, None).map_err(|error| match error {
        StoreError::Broken { reason, .. } => reason,
        other => other.to_string(),
    })?;
    match package.image(platform) {
        Some((config, layers)) => Ok(Some(Image::unnamed(*id, config, total_size(&layers)))),
        None if package.is_artifact() => Ok(None),
        None => Err(package.flaws().first().cloned().unwrap_or_else(|| {
            let platforms = package.platforms().join(", ");
            format!("it has no image for {platform}, only for {platforms}: --platform chooses one")
        })),
    }
}

/// All that names an image.
pub(crate) fn package(
    content: &dyn Content,
    id: &ImageId,
    platform: Option<&Platform>,
) -> Result<Package, StoreError> {
    let digest = id.digest();
    let size = content.size(&digest).ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })?;
    Package::collect(&BlobRef { digest, size }, platform, &mut Whole(content)).map_err(|error| match error {
        PackageError::Source(error) => error,
        PackageError::Broken(reason) => content.broken(format!("{id}: {reason}")),
    })
}

/// The document with this digest that the index of one of these images names.
pub(crate) fn find_nested(
    content: &dyn Content,
    digest: &Digest,
    images: &[ImageId],
    platform: &Platform,
) -> Result<Option<Nested>, StoreError> {
    let mut places = Places::default();
    for id in images {
        if let Some(entry) = package(content, id, None).ok().and_then(|package| package.entry_of(digest)) {
            places.add(*id, entry);
        }
    }
    nested(places, platform, &mut |root| Package::collect(root, None, &mut Whole(content)))
}

/// The blobs of layers that these images have, with their sizes: the engine keeps them as long as the images.
pub(crate) fn held(content: &dyn Content, images: &[Image]) -> HashMap<Digest, u64> {
    // An image that cannot be read has nothing that could be relied on.
    let packages = images.iter().filter_map(|image| package(content, &image.id, None).ok());
    packages
        .flat_map(|package| package.layers().iter().map(|l| (l.blob.digest, l.blob.size)).collect::<Vec<_>>())
        .collect()
}

/// The artifacts among these records, each a name and what it names, that refer to an image.
pub(crate) fn referrers<'a>(
    content: &dyn Content,
    package: &Package,
    records: impl Iterator<Item = (&'a str, ImageId)>,
) -> Result<Vec<Referrer>, StoreError> {
    let candidate = |(name, id): (&str, ImageId)| {
        let (digest, tag) = (id.digest(), ReferrerTag::in_name(name));
        Some(Candidate { root: BlobRef { digest, size: content.size(&digest)? }, tag })
    };
    referrers::find(package, records.filter_map(candidate).collect(), &mut Whole(content))
}

struct Whole<'a>(&'a dyn Content);

impl DocumentSource for Whole<'_> {
    type Error = StoreError;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        let Self(content) = self;
        if content.size(&blob.digest) != Some(blob.size) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = content.open(blob)?.take(LARGEST_DOCUMENT).read_to_end(&mut bytes);
        read.map_err(|source| StoreError::Io { what: format!("{} cannot be read", blob.digest), source })?;
        match Digest::of(&bytes) == blob.digest {
            true => Ok(Some(bytes)),
            false => Err(content.broken(format!("the blob {} has another digest", blob.digest))),
        }
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(blobs.iter().all(|blob| self.0.has(blob)))
    }
}

//! Resolves the entries of an index to the images for one platform.

use dsync_core::{Digest, Image, ImageId, ImageRef, Platform, Unreadable};
use serde_json::Value;

use super::index::name;
use super::layout::Layout;
use crate::blob::BlobRef;
use crate::nested::Places;
use crate::package::{DocumentSource, Package, is_attestation, total_size};
use crate::store::StoreError;

/// One image of a layout.
#[derive(Debug, Clone)]
pub(super) struct LayoutImage {
    pub(super) image: Image,
    /// The layers as they are stored, one for each diff id.
    pub(super) layers: Vec<BlobRef>,
    /// The digest of its config.
    pub(super) config: Digest,
    /// The document that the entry names.
    pub(super) root: BlobRef,
    /// The entry of `index.json` in which it was first seen; none where only the index of another image names it.
    pub(super) entry: Option<usize>,
}

/// The images of a layout, and those that cannot be read.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) images: Vec<LayoutImage>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// All images. Entries of the same image are one, with the names of all; an artifact that is no image, as a signature
/// or a chart, is passed over.
pub(super) fn resolve(layout: &Layout) -> Result<Resolved, StoreError> {
    let platform = &layout.platform;
    let mut images: Vec<LayoutImage> = Vec::new();
    let mut unreadable: Vec<Unreadable> = Vec::new();
    for (at, entry) in layout.index()?.entries().iter().enumerate() {
        let mut found = match resolve_entry(layout, entry, at) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(reason) => {
                let id = BlobRef::parse(entry).map(|blob| ImageId::from(blob.digest));
                match unreadable.iter_mut().find(|other| other.id.is_some() && other.id == id) {
                    Some(same) => same.names.extend(name(entry)),
                    None => {
                        unreadable.push(Unreadable { id, names: name(entry).into_iter().collect(), reason })
                    }
                }
                continue;
            }
        };
        if let Some(name) = name(entry) {
            claim(&mut images, &mut found, name, platform);
        }
        match images.iter_mut().find(|image| image.image.id == found.image.id) {
            Some(same) => same.image.names.extend(found.image.names),
            None => images.push(found),
        }
    }
    for found in &mut images {
        found.image.names.sort_unstable();
        found.image.names.dedup();
    }
    Ok(Resolved { images, unreadable })
}

/// One name means one image: where several platforms share it, the preferred one has it, else the first.
fn claim(images: &mut [LayoutImage], found: &mut LayoutImage, name: ImageRef, preferred: &Platform) {
    let owner = images.iter_mut().find(|other| other.image.is_named(&name));
    if let Some(owner) = owner {
        if owner.image.platform.satisfies(preferred) || !found.image.platform.satisfies(preferred) {
            return;
        }
        owner.image.names.retain(|other| *other != name);
    }
    found.image.names.push(name);
}

/// The image that an entry of the index stands for; `None` where it is no image, or none for this platform. An error is
/// the reason why the image cannot be read.
fn resolve_entry(layout: &Layout, descriptor: &Value, entry: usize) -> Result<Option<LayoutImage>, String> {
    // Attestations of an image may stand in the index of the layout itself.
    if is_attestation(descriptor) {
        return Ok(None);
    }
    let blob = BlobRef::parse(descriptor).ok_or("its entry in index.json has no valid digest and size")?;
    let package =
        Package::collect(&blob, None, &mut LayoutDocuments(layout)).map_err(|error| error.to_string())?;
    let Some(found) = LayoutImage::of(&package, blob, Some(entry), &layout.platform) else {
        return match (package.flaws().first(), package.platforms()) {
            (Some(flaw), _) => Err(flaw.clone()),
            (None, platforms) if platforms.is_empty() || layout.is_chosen => Ok(None),
            (None, platforms) => Err(format!(
                "it has no image for {}, only for {}: --platform chooses one",
                layout.platform,
                platforms.join(", ")
            )),
        };
    };
    Ok(Some(found))
}

impl LayoutImage {
    /// The image of a package for a platform, if there is one.
    fn of(
        package: &Package,
        root: BlobRef,
        entry: Option<usize>,
        platform: &Platform,
    ) -> Option<LayoutImage> {
        let (config, layers) = package.image(platform)?;
        Some(LayoutImage {
            image: Image::unnamed(ImageId::from(root.digest), config, total_size(&layers)),
            layers: layers.into_iter().map(|layer| layer.blob).collect(),
            config: config.digest,
            root,
            entry,
        })
    }
}

/// The places at which indexes of images name a digest.
pub(super) fn places(layout: &Layout, digest: &Digest) -> Result<Places, StoreError> {
    let mut places = Places::default();
    for entry in layout.index()?.entries().iter().filter(|entry| !is_attestation(entry)) {
        let Some(root) = BlobRef::parse(entry) else { continue };
        // An image that cannot be read is listed as such, and names nothing.
        let Ok(package) = Package::collect(&root, None, &mut LayoutDocuments(layout)) else { continue };
        if let Some(entry) = package.entry_of(digest) {
            places.add(ImageId::from(root.digest), entry);
        }
    }
    Ok(places)
}

/// The image of a document that the index of another image names.
pub(super) fn resolve_nested(layout: &Layout, id: &ImageId) -> Result<Option<LayoutImage>, StoreError> {
    let Some(root) = places(layout, &id.digest())?.blob() else { return Ok(None) };
    let package = Package::collect(&root, None, &mut LayoutDocuments(layout));
    Ok(package.ok().and_then(|package| LayoutImage::of(&package, root, None, &layout.platform)))
}

/// The documents of a layout, whatever is there of the layers.
struct LayoutDocuments<'a>(&'a Layout);

impl DocumentSource for LayoutDocuments<'_> {
    type Error = StoreError;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        if self.0.has(blob) { self.0.document(&blob.digest).map(Some) } else { Ok(None) }
    }

    fn has(&mut self, _: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(true)
    }
}

/// The same, of what is there in whole.
pub(super) struct Whole<'a>(pub(super) &'a Layout);

impl DocumentSource for Whole<'_> {
    type Error = StoreError;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        LayoutDocuments(self.0).document(blob)
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(blobs.iter().all(|blob| self.0.has(blob)))
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

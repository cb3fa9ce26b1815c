//! Images that are meant by the digest of a document inside an index: the manifest of one platform, mostly.
//!
//! Builders and compose files pin `NAME@DIGEST` by either. A store lists the image of an index once, by the index, so a
//! document inside is looked for only where a digest is no image's that is listed.

use dsync_core::{Image, ImageId, Inventory, Platform, Unreadable};
use dsync_engine::{Nested, Store, StoreError};

use super::select::Selector;
use crate::failure::EndpointError;

/// An image by its own digest, which the index of another image names.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    /// The image: without names, unless it is listed by itself as well.
    pub(crate) image: Image,
    /// The images whose index names it; a name of theirs is no contradiction to the digest.
    within: Vec<ImageId>,
}

impl Pinned {
    /// The image that a selector means by a digest which no image of the store goes by, or which is in the index of the
    /// image that has the name beside it.
    ///
    /// # Errors
    ///
    /// The digest is known, and not that of an image which is to be had.
    pub(crate) fn find(
        store: &dyn Store,
        selector: &Selector,
        inventory: &Inventory,
        platform: Option<&Platform>,
    ) -> Result<Option<Pinned>, EndpointError> {
        let Some(digest) = selector.full_digest() else { return Ok(None) };
        let Inventory { images, unreadable } = inventory;
        let listed = images.iter().find(|image| selector.selects(image));
        let is_listed = listed.is_some()
            || unreadable.iter().any(|image| image.id.is_some_and(|id| id.digest() == digest));
        // The name may be that of an index around the image, which is listed by itself as well.
        let is_elsewhere = images.iter().any(|image| selector.is_contradicted_by(image))
            || unreadable.iter().any(|image| selector.selects_unreadable(image));
        if is_listed && !is_elsewhere {
            return Ok(None);
        }
        let Some(Nested { within, image }) = store.nested(&digest)? else { return Ok(None) };
        if is_listed {
            return Ok(listed.map(|image| Pinned { image: image.clone(), within }));
        }
        let whole = within.first().map(|id| called(inventory, id)).unwrap_or_default();
        let refused = |reason: &str| {
            EndpointError::NoDigest(format!("{digest} is in the index of {whole}: it is {reason}"))
        };
        let image = image.map_err(|reason| refused(&reason))?;
        match platform {
            Some(wanted) if !image.platform.satisfies(wanted) => {
                Err(refused(&format!("its image for {}, and --platform asks for {wanted}", image.platform)))
            }
            _ => Ok(Some(Pinned { image, within })),
        }
    }

    /// True if this image is in the index of that one.
    pub(crate) fn is_within(&self, other: &Image) -> bool {
        self.within.contains(&other.id)
    }

    /// True if this image is in the index of one that cannot be read.
    pub(crate) fn is_within_unreadable(&self, other: &Unreadable) -> bool {
        other.id.is_some_and(|id| self.within.contains(&id))
    }
}

/// The images of a store, and those with these IDs that only the index of another one names.
pub(crate) fn with_nested<'a>(
    store: &dyn Store,
    ids: impl IntoIterator<Item = &'a ImageId>,
) -> Result<Vec<Image>, StoreError> {
    let mut held = store.list()?.images;
    for id in ids {
        if held.iter().all(|image| image.id != *id)
            && let Some(Nested { image: Ok(image), .. }) = store.nested(&id.digest())?
        {
            held.push(image);
        }
    }
    Ok(held)
}

/// The name of an image with its ID, or the ID alone.
fn called(inventory: &Inventory, id: &ImageId) -> String {
    let Inventory { images, unreadable } = inventory;
    let listed = images.iter().filter(|image| image.id == *id).flat_map(|image| &image.names);
    let mut names =
        listed.chain(unreadable.iter().filter(|image| image.id == Some(*id)).flat_map(|image| &image.names));
    names.next().map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

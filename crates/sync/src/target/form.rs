//! The form in which an image is made at the target: by its content, out of a package, or with the source's ID, between
//! stores that name images by manifests.
//!
//! Such an ID is made of documents, which go over as they are, and the blobs that they list. A blob is mostly a
//! compressed layer, and crosses as any layer: uncompressed, against what the target has. The source finds the encoder
//! that made it, and the target runs it again ([`recompress`](super::recompress)). Where that cannot be, the blob crosses as it is.

use std::collections::{HashMap, HashSet};

use dsync_core::{Digest, Image, ImageId, LayerKey};
use dsync_engine::{BlobRef, Import, ImportIdentity, ImportSize, Package, Store, StoreError};
use dsync_proto::{self as wire, LayerOutcome, LayerState};
use dsync_recompress::Recipe;

use super::job::AsContent;
use super::plan::Plan;
use super::recompress::{CompressedLayer, RecompressingImport};
use crate::conversation::documents;
use crate::conversation::layer_keys;
use crate::failure::EndpointError;
use crate::inventory::survey::Held;

/// The documents of an image that keeps its ID at its source.
pub(super) enum Documents {
    /// The image is made of them here, too.
    Exact(Package),
    /// The store does not name images by manifests: one image of them is made by its content.
    Unpacked(Package, Box<dyn AsContent>),
}

impl Documents {
    /// The ID that the store will show, if it is that of the source.
    pub(super) fn id(&self) -> Option<ImageId> {
        match self {
            Self::Exact(package) => Some(documents::id(package)),
            Self::Unpacked(..) => None,
        }
    }
}

/// The way in which an image is made.
pub(crate) enum Form {
    /// Of its config and its layers.
    Content,
    /// Of the source's documents and blobs.
    Exact(StoredImage),
    /// Of the layers among these blobs, by its content.
    Unpacked(StoredImage, Box<dyn AsContent>),
}

/// The documents of an image, and how its layers are stored at its source.
pub(crate) struct StoredImage {
    package: Package,
    /// Of layers that are compressed: the blob, and what makes it.
    blobs: HashMap<LayerKey, CompressedLayer>,
}

impl Form {
    /// Takes what the source says of the layers that are missing, and of those that are built of what is here. Those
    /// that cross as they are stored go by another key from here on, and are missing.
    pub(super) fn new(
        documents: Option<Documents>,
        stored: &[wire::Stored],
        keys: &mut [LayerKey],
        plan: &mut Plan<'_>,
    ) -> Result<Self, EndpointError> {
        Ok(match documents {
            None => Self::Content,
            Some(Documents::Exact(package)) => Self::Exact(StoredImage::new(package, stored, keys, plan)?),
            Some(Documents::Unpacked(package, content)) => {
                Self::Unpacked(StoredImage::new(package, stored, keys, plan)?, content)
            }
        })
    }

    /// True where the config crosses by itself, and not among the documents.
    pub(crate) fn has_own_config(&self) -> bool {
        matches!(self, Self::Content)
    }

    /// Begins to write the image, which has this config.
    pub(crate) fn begin<'a>(
        &'a self,
        store: &'a dyn Store,
        config: Digest,
    ) -> Result<Box<dyn Import + 'a>, StoreError> {
        Ok(match self {
            Self::Content => store.import(ImportIdentity::Content(config))?,
            Self::Exact(StoredImage { package, blobs }) => {
                Box::new(RecompressingImport { import: store.import(ImportIdentity::Exact(package))?, blobs })
            }
            Self::Unpacked(StoredImage { package, .. }, content) => {
                content.begin(package, store.import(ImportIdentity::Content(config))?)
            }
        })
    }

    /// The config that the store is given: none where it is among the documents, and `own` where it crossed by itself.
    pub(crate) fn config<'a>(&'a self, own: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Content => own,
            Self::Exact(_) => b"",
            Self::Unpacked(_, content) => content.config(),
        }
    }

    /// The size of what the store is given of layers with these sizes: of each the blob, where that is kept.
    pub(super) fn size(
        &self,
        stack: &[LayerKey],
        states: &[LayerState],
        of: impl Fn(&LayerKey) -> ImportSize,
    ) -> ImportSize {
        let mut seen = HashSet::new();
        let given = stack.iter().zip(states).filter(|(_, state)| **state != LayerState::Shared);
        let mut total = ImportSize::default();
        for (key, _) in given.filter(|(key, _)| seen.insert(**key)) {
            let layer = of(key);
            let blob = match self {
                Self::Exact(StoredImage { blobs, .. }) => blobs.get(key).map(|layer| layer.layer.blob.size),
                Self::Content | Self::Unpacked(..) => None,
            };
            total.given = total.given.saturating_add(blob.unwrap_or(layer.given));
            // The files are not known of a blob that crosses as it is stored.
            if matches!(key, LayerKey::Tar(_)) {
                total.contents = total.contents.saturating_add(layer.contents);
            }
        }
        total
    }

    /// The bytes of these layers that are compressed again.
    pub(crate) fn packed_again(&self, keys: &[LayerKey], layers: &[LayerOutcome]) -> u64 {
        let (Self::Exact(stored) | Self::Unpacked(stored, _)) = self else { return 0 };
        let layers = keys.iter().zip(layers).filter(|(key, _)| stored.blobs.contains_key(key));
        layers.map(|(_, layer)| layer.len).sum()
    }
}

impl StoredImage {
    fn new(
        package: Package,
        stored: &[wire::Stored],
        keys: &mut [LayerKey],
        plan: &mut Plan<'_>,
    ) -> Result<Self, EndpointError> {
        let Plan { states, missing, described, .. } = plan;
        if stored.len() != missing.len() + described.len() {
            return Err(EndpointError::Protocol("the source did not say how each layer is stored".into()));
        }
        let mut blobs = HashMap::new();
        for (key, stored) in missing.iter().chain(&*described).zip(stored) {
            let layer = keys.iter().position(|other| other == key).map(|at| package.layers()[at]);
            match (stored, layer) {
                (wire::Stored::Compressed(recipe), Some(layer)) => {
                    let recipe = Recipe::from_bytes(recipe)
                        .map_err(|error| EndpointError::Protocol(format!("the source sent {error}")))?;
                    blobs.insert(*key, CompressedLayer { layer, recipe });
                }
                (wire::Stored::Plain, Some(layer)) if layer.is_plain() => {}
                (wire::Stored::Opaque, Some(_)) => {}
                _ => {
                    return Err(EndpointError::Broken(format!(
                        "layer {key} is not stored as the source says"
                    )));
                }
            }
        }
        layer_keys::assign(keys, &package, missing, described, stored);
        for (state, key) in states.iter_mut().zip(&*keys) {
            if missing.contains(key) {
                *state = LayerState::Missing;
            }
        }
        Ok(StoredImage { package, blobs })
    }
}

/// Of each layer of a package what has to be done for it.
pub(crate) fn states(
    store: &dyn Store,
    held: &[Image],
    package: &Package,
) -> Result<Vec<LayerState>, EndpointError> {
    let blobs: Vec<BlobRef> = package.layers().iter().map(|layer| layer.blob).collect();
    let there = store.has(&blobs)?;
    let held = Held::of(store, held);
    let state = |(there, key): (bool, &LayerKey)| held.state(there, key);
    Ok(there.into_iter().zip(&package.layer_keys()).map(state).collect())
}

#[cfg(test)]
mod tests;

//! An image that is made with the source's ID, between stores that name images by manifests.
//!
//! What such an ID is made of are documents, which go over as they are, and the blobs that they list. A blob is mostly a
//! compressed layer, and crosses as any layer: uncompressed, against what the target has. The source finds the encoder
//! that made it, and the target runs it again ([`repack`](super::repack)). Where that cannot be, the blob crosses as it is.

use std::collections::HashMap;

use dsync_core::{Digest, Image, ImageId, LayerKey};
use dsync_engine::{BlobRef, Identity, Import, Package, PackedLayer, Store, StoreError};
use dsync_proto::{LayerOutcome, LayerState, Stored};
use dsync_recompress::Recipe;

use super::job::AsContent;
use super::repack::Packing;
use super::want::Plan;
use crate::conversation::documents;
use crate::conversation::stored::settle;
use crate::failure::EndpointError;
use crate::inventory::survey::Held;

/// How an image is made that is to have the source's ID.
pub(crate) struct Exact {
    pub(crate) package: Package,
    /// Of layers that are compressed: the blob, and what makes it.
    blobs: HashMap<LayerKey, (PackedLayer, Recipe)>,
    /// What is made instead, in a store that does not name images by manifests.
    content: Option<Box<dyn AsContent>>,
}

/// The documents of an image that keeps its ID; in a store that does not name images by manifests only its content.
pub(super) struct Documents {
    pub(super) package: Package,
    pub(super) content: Option<Box<dyn AsContent>>,
}

impl Documents {
    /// The ID that the store will show, if it is that of the source.
    pub(super) fn id(&self) -> Option<ImageId> {
        self.content.is_none().then(|| documents::id(&self.package))
    }
}

impl Exact {
    /// Takes what the source says of the layers that are missing, and of those that are built of what is here. Those
    /// that cross as they are stored go by another name from here on, and are missing.
    pub(crate) fn new(
        Documents { package, content }: Documents,
        stored: &[Stored],
        stack: &mut [LayerKey],
        plan: &mut Plan<'_>,
    ) -> Result<Exact, EndpointError> {
        let Plan { states, missing, described: local, .. } = plan;
        let asked = missing.len();
        if stored.len() != asked + local.len() {
            return Err(EndpointError::Protocol("the source did not say how each layer is stored".into()));
        }
        let mut blobs = HashMap::new();
        for (key, stored) in missing.iter().chain(&*local).zip(stored) {
            let layer = stack.iter().position(|other| other == key).map(|at| package.layers()[at]);
            match (stored, layer) {
                (Stored::Compressed(recipe), Some(layer)) => {
                    let recipe = Recipe::from_bytes(recipe)
                        .map_err(|error| EndpointError::Protocol(format!("the source sent {error}")))?;
                    blobs.insert(*key, (layer, recipe));
                }
                (Stored::Plain, Some(layer)) if layer.is_plain() => {}
                (Stored::Opaque, Some(_)) => {}
                _ => {
                    return Err(EndpointError::Broken(format!(
                        "layer {key} is not stored as the source says"
                    )));
                }
            }
        }
        settle(stack, &package, missing, local, (asked, stored));
        for (state, key) in states.iter_mut().zip(&*stack) {
            if missing.contains(key) {
                *state = LayerState::Missing;
            }
        }
        Ok(Exact { package, blobs, content })
    }

    /// How many bytes of these layers are compressed again.
    pub(crate) fn packed_again(&self, stack: &[LayerKey], layers: &[LayerOutcome]) -> u64 {
        let layers = stack.iter().zip(layers).filter(|(key, _)| self.blobs.contains_key(key));
        layers.map(|(_, layer)| layer.len).sum()
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
    Ok(there.into_iter().zip(&package.stack()).map(state).collect())
}

/// Begins to write an image with this config.
pub(crate) fn begin<'a>(
    store: &'a dyn Store,
    exact: Option<&'a Exact>,
    config: Digest,
) -> Result<Box<dyn Import + 'a>, StoreError> {
    Ok(match exact {
        Some(Exact { content: Some(content), package, .. }) => {
            content.begin(package, store.import(Identity::Content(config))?)
        }
        Some(Exact { package, blobs, .. }) => {
            Box::new(Packing { import: store.import(Identity::Exact(package))?, blobs })
        }
        None => store.import(Identity::Content(config))?,
    })
}

/// The config that is given to the store: none where it is among the documents.
pub(crate) fn config<'a>(exact: Option<&'a Exact>, config: &'a [u8]) -> &'a [u8] {
    match exact {
        Some(Exact { content: Some(content), .. }) => content.config(),
        Some(_) => b"",
        None => config,
    }
}

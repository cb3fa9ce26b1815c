//! The layers of the target's basis that the source knows.

use std::collections::HashSet;
use std::sync::Arc;

use dsync_core::{Digest, Image};
use dsync_proto::{Known, LayerProof, ShortId};

use crate::failure::EndpointError;
use crate::layers::{ChunkMap, Layers};

/// What the source has of the target's basis.
pub(super) struct Basis<'a> {
    layers: Vec<(Option<Digest>, Known)>,
    /// The images through which the layers are read.
    pub(super) images: Vec<&'a Image>,
}

impl<'a> Basis<'a> {
    /// Finds the layers that a target named in the store, or in what is remembered.
    pub(super) fn find(
        own: &mut Layers<'_>,
        held: &'a [Image],
        image: &Image,
        named: &[ShortId],
    ) -> Result<Basis<'a>, EndpointError> {
        let mut images: Vec<&Image> = Vec::new();
        let mut layers = Vec::new();
        let mut seen = HashSet::new();
        for short in named {
            // A target has one try to prove a layer. Two of its layers that begin alike are as good as none.
            if !seen.insert(short) {
                layers.push((None, Known::No));
                continue;
            }
            let is_it = |digest: &Digest| digest.as_bytes().starts_with(short);
            let there = held.iter().find_map(|held| {
                Some((held, held.diff_ids.iter().map(|id| id.digest()).find(|digest| is_it(digest))?))
            });
            let known = match there {
                Some((holder, digest)) => {
                    if !images.iter().any(|image| image.id == holder.id) {
                        images.push(holder);
                    }
                    (Some(digest), Known::Bytes)
                }
                None => match own.recall_short(short) {
                    Some(digest) => (Some(digest), Known::Index),
                    None => (None, Known::No),
                },
            };
            layers.push(known);
        }
        let digests: Vec<Digest> = layers.iter().filter_map(|(digest, _)| *digest).collect();
        for holder in &images {
            let named = holder.tars().filter(|tar| digests.contains(&tar.digest()));
            own.learn(&holder.id, named, &|key| !image.has_tar(key))?;
        }
        // What could not be read is not known.
        for (id, known) in &mut layers {
            let listed = id.as_ref().is_some_and(|id| own.listing(id).is_some());
            if !listed {
                (*id, *known) = (None, Known::No);
            }
        }
        Ok(Basis { layers, images })
    }

    /// Takes it that the layers are not known of which the target has not proven that it has them. So it cannot find out by
    /// guesses which layers are in other images than the one that it is given.
    pub(super) fn check(
        &mut self,
        own: &Layers<'_>,
        proofs: &[LayerProof],
        key: &[u8; 16],
    ) -> Result<(), EndpointError> {
        if proofs.len() != self.layers.len() {
            return Err(EndpointError::Protocol("the target proves other layers than it named".into()));
        }
        for ((id, known), proof) in self.layers.iter_mut().zip(proofs) {
            let is_proven =
                |digest: &Digest| own.listing(digest).is_some_and(|listing| listing.proof(key) == *proof);
            if !id.as_ref().is_some_and(is_proven) {
                (*id, *known) = (None, Known::No);
            }
        }
        Ok(())
    }

    /// Whether the target has layers of which nothing is known here.
    pub(super) fn has_unknown(&self) -> bool {
        self.layers.iter().any(|(_, known)| *known == Known::No)
    }

    /// Whether the bytes of all layers can be read here.
    pub(super) fn is_readable(&self) -> bool {
        self.layers.iter().all(|(_, known)| *known == Known::Bytes)
    }

    /// What is known of each layer.
    pub(super) fn known(&self) -> Vec<Known> {
        self.layers.iter().map(|(_, known)| *known).collect()
    }

    /// The known layers.
    pub(super) fn shelves(&self, own: &Layers<'_>) -> Vec<ChunkMap> {
        let layers = self.layers.iter().filter_map(|(id, known)| Some((own.listing(id.as_ref()?)?, known)));
        layers.map(|(listing, known)| ChunkMap::layer(Arc::clone(listing), *known == Known::Bytes)).collect()
    }
}

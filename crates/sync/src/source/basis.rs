//! The layers of the target's basis that the source knows.

use std::collections::HashSet;
use std::sync::Arc;

use dsync_core::{Digest, Image};
use dsync_proto::{Known, PossessionProof, ShortId};

use crate::failure::EndpointError;
use crate::layers::{AtSource, ChunkMap, Layers};

/// The layers that the target named as its basis, with what the source knows of each.
pub(super) struct NamedBasis<'a> {
    layers: Vec<BasisLayer>,
    /// The images through which the layers are read.
    pub(super) images: Vec<&'a Image>,
}

/// A layer of the target's basis.
struct BasisLayer {
    /// Absent where nothing is known of it here.
    digest: Option<Digest>,
    known: Known,
}

impl BasisLayer {
    const UNKNOWN: Self = Self { digest: None, known: Known::No };
}

impl<'a> NamedBasis<'a> {
    /// Finds the layers that a target named in the store, or in what is remembered.
    pub(super) fn find(
        own: &mut Layers<'_>,
        held: &'a [Image],
        image: &Image,
        named: &[ShortId],
    ) -> Result<NamedBasis<'a>, EndpointError> {
        let mut images: Vec<&Image> = Vec::new();
        let mut layers = Vec::new();
        let mut seen = HashSet::new();
        for short in named {
            // A target has one try to prove a layer. Two of its layers that begin alike are as good as none.
            if !seen.insert(short) {
                layers.push(BasisLayer::UNKNOWN);
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
                    BasisLayer { digest: Some(digest), known: Known::Bytes }
                }
                None => match own.recall_short(short) {
                    Some(digest) => BasisLayer { digest: Some(digest), known: Known::Index },
                    None => BasisLayer::UNKNOWN,
                },
            };
            layers.push(known);
        }
        let digests: Vec<Digest> = layers.iter().filter_map(|layer| layer.digest).collect();
        for holder in &images {
            let named = holder.tars().filter(|tar| digests.contains(&tar.digest()));
            own.learn(&holder.id, named, &|key| !image.has_tar(key))?;
        }
        // A layer that cannot be read is not known.
        for layer in &mut layers {
            if layer.digest.is_none_or(|digest| own.index(&digest).is_none()) {
                *layer = BasisLayer::UNKNOWN;
            }
        }
        Ok(NamedBasis { layers, images })
    }

    /// Treats as unknown every layer whose possession the target did not prove. So it cannot find out by
    /// guesses which layers are in other images than the one that it is given.
    pub(super) fn check(
        &mut self,
        own: &Layers<'_>,
        proofs: &[PossessionProof],
        key: &[u8; 16],
    ) -> Result<(), EndpointError> {
        if proofs.len() != self.layers.len() {
            return Err(EndpointError::Protocol("the target proves other layers than it named".into()));
        }
        for (layer, proof) in self.layers.iter_mut().zip(proofs) {
            let is_proven = |digest: Digest| {
                own.index(&digest).is_some_and(|index| index.possession_proof(key) == *proof)
            };
            if !layer.digest.is_some_and(is_proven) {
                *layer = BasisLayer::UNKNOWN;
            }
        }
        Ok(())
    }

    /// True if the target has layers of which nothing is known here.
    pub(super) fn has_unknown(&self) -> bool {
        self.layers.iter().any(|layer| layer.known == Known::No)
    }

    /// True if all layers are known here but the last ones, of this number.
    pub(super) fn knows_all_but(&self, last: usize) -> bool {
        let first = self.layers.len().saturating_sub(last);
        self.layers[..first].iter().all(|layer| layer.known != Known::No)
    }

    /// True if the chunks of all layers can be read here.
    pub(super) fn has_all_chunks(&self) -> bool {
        self.layers.iter().all(|layer| layer.known == Known::Bytes)
    }

    /// The knowledge of each layer.
    pub(super) fn known(&self) -> Vec<Known> {
        self.layers.iter().map(|layer| layer.known).collect()
    }

    /// The known layers.
    pub(super) fn chunk_maps(&self, own: &Layers<'_>) -> Vec<ChunkMap> {
        let layers = self.layers.iter().filter_map(|layer| {
            let (index, at_source) = (own.index(&layer.digest?)?, AtSource::of(layer.known)?);
            Some(ChunkMap::layer(Arc::clone(index), at_source))
        });
        layers.collect()
    }
}

#[cfg(test)]
mod tests;

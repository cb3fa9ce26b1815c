//! What a source offers of an image: what its layers are made of, and which of it is here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::{DiffId, Image, LayerKey};
use dsync_delta::batching::{self, Batch};
use dsync_delta::fine_chunks::ByteRange;
use dsync_delta::header_delta::{Assembly, Literal, Origin};
use dsync_delta::{ChunkRef, Copied, LayerIndex};
use dsync_proto::{Known, LayerOutcome, LayerState, Offer};

use crate::conversation::headers::Headers;
use crate::conversation::parts::{self, Candidates, Found, Parted, stretches_of};
use crate::conversation::reconcile;
use crate::failure::EndpointError;
use crate::layers::memory::Memory;
use crate::layers::{ChunkMap, Layers, Place, Slice, readable};
use crate::link::Link;

/// What both sides know of the target's basis.
pub(crate) struct Basis {
    /// The layers that the source knows, and what both agreed on.
    pub(crate) shelves: Vec<ChunkMap>,
    /// The layers that the source cannot read.
    hidden: Vec<Arc<LayerIndex>>,
    /// The layers that it does not know.
    unknown: Vec<Arc<LayerIndex>>,
}

impl Basis {
    /// The named layers that are here, by what the source knows of each.
    pub(super) fn of(offer: &Offer, own: &Layers<'_>, named: &[DiffId]) -> Result<Basis, EndpointError> {
        let mut basis = Basis { shelves: Vec::new(), hidden: Vec::new(), unknown: Vec::new() };
        for (diff_id, known) in named.iter().zip(&offer.basis) {
            let Some(listing) = own.listing(&diff_id.digest()) else {
                match known {
                    Known::No => continue,
                    _ => return Err(EndpointError::Basis(format!("layer {diff_id} cannot be read"))),
                }
            };
            match known {
                Known::No => basis.unknown.push(Arc::clone(listing)),
                _ => basis.shelves.push(ChunkMap::layer(Arc::clone(listing), *known == Known::Bytes)),
            }
            if *known != Known::Bytes {
                basis.hidden.push(Arc::clone(listing));
            }
        }
        Ok(basis)
    }

    /// Answers what the source asks about the layers that it does not know.
    pub(super) fn reconcile(&mut self, link: &mut Link, memory: Memory) -> Result<(), EndpointError> {
        let agreed = reconcile::answer_for(link, &self.unknown, &self.shelves, memory)?;
        self.shelves.push(agreed);
        Ok(())
    }
}

/// What a source offered.
pub(crate) struct Offered {
    pub(crate) config: Vec<u8>,
    pub(crate) basis: Vec<ChunkMap>,
    recipes: Vec<Assembly>,
    /// The literals, as they are sent.
    pub(crate) literals: Vec<Literal>,
    hidden: Vec<Arc<LayerIndex>>,
}

impl Offered {
    pub(crate) fn new(headers: Headers, basis: Basis) -> Self {
        let Headers { config, layers: recipes, literals } = headers;
        Offered { config, basis: basis.shelves, recipes, literals, hidden: basis.hidden }
    }

    fn new_layers(&self) -> Vec<&LayerIndex> {
        self.recipes.iter().map(|recipe| &recipe.index).collect()
    }

    /// Tells the source of which literals parts may be here, and which are.
    pub(crate) fn candidates(
        &self,
        link: &mut Link,
        own: &mut Layers<'_>,
        images: &[&Image],
        memory: u64,
    ) -> Result<Candidates, EndpointError> {
        let new = self.new_layers();
        let layers = (&new[..], &self.literals[..]);
        let basis = (&self.hidden[..], &readable(&self.basis)[..]);
        parts::answer_for(link, own, images, layers, basis, memory)
    }

    /// Divides the literals that are sent in part.
    pub(crate) fn divide(&mut self, found: &Found) {
        let Found { stretches, slices } = found;
        let origin = |layer: usize, content: usize| self.recipes[layer].origins[content];
        let literal = |layer: usize, content: usize| match origin(layer, content) {
            Origin::Literal(literal) => Some(literal as usize),
            Origin::Basis { .. } => None,
        };
        let slices = |layer: usize, part: Copied| -> Vec<Slice> {
            match part {
                Copied::Range { literal, range: stretch } => {
                    slices.get(&(literal, stretch)).cloned().unwrap_or_default()
                }
                Copied::Undivided(content) => match origin(layer, content) {
                    Origin::Basis { layer, content } => {
                        self.basis[usize::from(layer)].of(content as usize).collect()
                    }
                    Origin::Literal(_) => Vec::new(),
                },
            }
        };
        let new = self.new_layers();
        let Parted { shared, divided, .. } = parts::part(&new, &self.literals, &literal, stretches, &slices);

        // Where each stretch is in what is shared, and which literal each of the others is from now on.
        let mut known: HashMap<(usize, usize), Origin> = HashMap::new();
        for (layer, parts) in (self.basis.len()..).zip(&divided.parts) {
            for (content, part) in (0..).zip(parts) {
                if let (Copied::Range { literal, range: stretch }, Ok(layer)) = (*part, u16::try_from(layer))
                {
                    known.entry((literal, stretch)).or_insert(Origin::Basis { layer, content });
                }
            }
        }
        let mut literals = Vec::new();
        // Of each literal the first of those it becomes.
        let mut firsts = Vec::with_capacity(self.literals.len());
        for (number, literal) in self.literals.iter().enumerate() {
            firsts.push(literals.len() as u32);
            let first = divided.ordinals[literal.layer as usize][literal.content as usize];
            match stretches_of(stretches, number) {
                [] => literals.push(Literal { content: first, ..*literal }),
                stretches => {
                    let unknown = (first..).zip(stretches).filter(|(_, stretch)| !stretch.known);
                    literals.extend(unknown.map(|(content, ByteRange { bytes, .. })| {
                        // Within a content.
                        let len = (bytes.end - bytes.start) as u32;
                        Literal { content, len, ..*literal }
                    }));
                }
            }
        }
        for (layer, (recipe, listing)) in self.recipes.iter_mut().zip(divided.layers).enumerate() {
            let old = std::mem::take(&mut recipe.origins);
            recipe.origins.reserve_exact(listing.contents().len());
            for (content, origin) in old.into_iter().enumerate() {
                let count = divided.ordinals[layer][content + 1] - divided.ordinals[layer][content];
                let Origin::Literal(literal) = origin else {
                    recipe.origins.extend((0..count).map(|_| origin));
                    continue;
                };
                let (literal, mut next) = (literal as usize, firsts[literal as usize]);
                recipe.origins.extend((0..count as usize).map(|stretch| {
                    known.get(&(literal, stretch)).copied().unwrap_or_else(|| {
                        next += 1;
                        Origin::Literal(next - 1)
                    })
                }));
            }
            recipe.index = listing;
        }
        self.literals = literals;
        self.basis.extend(shared);
    }

    /// A layer that is built of what was offered.
    pub(crate) fn layer(&self, key: &LayerKey) -> Option<&Assembly> {
        self.recipes.iter().find(|recipe| recipe.index.digest == key.digest())
    }

    /// The contents of the basis that the layers are made of.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let origins = self.recipes.iter().flat_map(|recipe| &recipe.origins);
        let of_basis = origins.filter_map(|origin| match *origin {
            Origin::Basis { layer, content } => Some((usize::from(layer), content as usize)),
            Origin::Literal(_) => None,
        });
        of_basis.flat_map(|(layer, content)| self.basis[layer].of(content)).map(|slice| slice.place)
    }

    /// The batches that the source forms.
    pub(crate) fn batches(&self, limit: u32) -> Vec<Batch> {
        let sent: Vec<ChunkRef> = self.literals.iter().map(Literal::chunk_ref).collect();
        batching::form_batches(&self.new_layers(), &sent, &readable(&self.basis), limit.into())
    }

    /// What becomes of each layer of the image.
    pub(crate) fn summary(
        &self,
        stack: &[LayerKey],
        states: &[LayerState],
        own: &Layers<'_>,
    ) -> Vec<LayerOutcome> {
        let mut seen: HashSet<LayerKey> = HashSet::new();
        let layer = |(key, &state): (&LayerKey, &LayerState)| {
            let unseen = seen.insert(*key);
            match (state, self.layer(key), own.kept(&key.digest())) {
                (LayerState::Missing, Some(Assembly { index: listing, origins }), _) if unseen => {
                    let contents = listing.contents().iter().zip(origins);
                    let here = contents.filter(|(_, origin)| matches!(origin, Origin::Basis { .. }));
                    let reused = here.map(|(content, _)| content.len).sum();
                    LayerOutcome { state, len: listing.len, reused }
                }
                (LayerState::Local, _, Some(len)) if unseen => LayerOutcome { state, len, reused: len },
                _ => LayerOutcome { state, len: 0, reused: 0 },
            }
        };
        stack.iter().zip(states).map(layer).collect()
    }
}

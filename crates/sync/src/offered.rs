//! What a source offers of an image: what its layers are made of, and which of it is here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::{DiffId, Image};
use dsync_delta::columns::{Decoder, Limits, Literal, Origin, Recipe};
use dsync_delta::gather::{self, Batch, Spot};
use dsync_delta::{Listing, Part};
use dsync_proto::{Known, Layer, LayerState, Offer};

use crate::batches::Arriving;
use crate::failure::EndpointError;
use crate::layers::{Layers, Place, Shelf, Slice, listings, readable};
use crate::link::Link;
use crate::negotiate::{self, Candidates, Found, Parted};
use crate::source::mode;

/// The most that a source may claim: more is refused before it costs anything.
pub(crate) const LIMITS: Limits = Limits { len: 1 << 44, entries: 1 << 22, verbatim: 1 << 30 };

/// What both sides know of the target's basis.
pub(crate) struct Basis {
    /// The layers that the source knows, and what both agreed on.
    pub(crate) shelves: Vec<Shelf>,
    /// The layers that the source cannot read.
    hidden: Vec<Arc<Listing>>,
}

impl Basis {
    /// Takes the offer for a basis of these layers; where the source asks what is in them, it is told.
    pub(crate) fn agree(
        link: &mut Link,
        offer: &Offer,
        own: &Layers<'_>,
        named: &[DiffId],
    ) -> Result<Basis, EndpointError> {
        let mut basis = Basis { shelves: Vec::new(), hidden: Vec::new() };
        let mut unknown = Vec::new();
        for (diff_id, known) in named.iter().zip(&offer.basis) {
            let Some(listing) = own.listing(diff_id) else {
                match known {
                    Known::No => continue,
                    _ => return Err(EndpointError::Basis(format!("layer {diff_id} cannot be read"))),
                }
            };
            match known {
                Known::No => unknown.push(Arc::clone(listing)),
                _ => basis.shelves.push(Shelf::layer(Arc::clone(listing), *known == Known::Bytes)),
            }
            if *known != Known::Bytes {
                basis.hidden.push(Arc::clone(listing));
            }
        }
        if offer.asks() {
            basis.shelves.push(negotiate::answer_for(link, &unknown)?);
        }
        Ok(basis)
    }
}

/// What a source offered.
pub(crate) struct Offered {
    pub(crate) config: Vec<u8>,
    pub(crate) basis: Vec<Shelf>,
    recipes: Vec<Recipe>,
    pub(crate) literals: Vec<Literal>,
    /// The literals, as they are sent.
    sent: Vec<Spot>,
    hidden: Vec<Arc<Listing>>,
}

impl Offered {
    /// Reads what was told of the missing layers.
    pub(crate) fn read(
        told: &[u8],
        basis: Basis,
        missing: &[DiffId],
        whole: bool,
    ) -> Result<Offered, EndpointError> {
        let (config, mut input) = take_config(told)?;
        let (recipes, literals) = {
            let listed = listings(&basis.shelves);
            let mut decoder = Decoder::new(&listed, mode(whole), LIMITS);
            let mut recipes = Vec::new();
            for diff_id in missing {
                recipes.push(next_layer(&mut decoder, &mut input, diff_id)?);
            }
            (recipes, decoder.literals().to_vec())
        };
        let sent = literals.iter().map(|literal| (literal.layer, literal.content)).collect();
        Ok(Offered { config, basis: basis.shelves, recipes, literals, sent, hidden: basis.hidden })
    }

    fn new_layers(&self) -> Vec<&Listing> {
        self.recipes.iter().map(|recipe| &recipe.listing).collect()
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
        negotiate::answer_for_parts(link, own, images, layers, basis, memory)
    }

    /// Divides the literals that are sent in part.
    pub(crate) fn divide(&mut self, found: &Found) {
        let Found { stretches, slices } = found;
        let origin = |layer: usize, content: usize| self.recipes[layer].origins[content];
        let literal = |layer: usize, content: usize| match origin(layer, content) {
            Origin::Literal(literal) => Some(literal),
            Origin::Basis { .. } => None,
        };
        let slices = |layer: usize, part: Part| -> Vec<Slice> {
            match part {
                Part::Stretch { literal, stretch } => {
                    slices.get(&(literal, stretch)).cloned().unwrap_or_default()
                }
                Part::Whole(content) => match origin(layer, content) {
                    Origin::Basis { layer, content } => self.basis[layer].of(content),
                    Origin::Literal(_) => Vec::new(),
                },
            }
        };
        let new = self.new_layers();
        let Parted { shared, divided, sent } =
            negotiate::part(&new, &self.literals, &literal, stretches, &slices);

        // Where each stretch is in what is shared, and which literal each of the others is from now on.
        let mut origins: HashMap<(usize, usize), Origin> = HashMap::new();
        for (layer, parts) in divided.parts.iter().enumerate() {
            for (content, part) in parts.iter().enumerate() {
                if let Part::Stretch { literal, stretch } = *part {
                    let layer = self.basis.len() + layer;
                    origins.entry((literal, stretch)).or_insert(Origin::Basis { layer, content });
                }
            }
        }
        let mut literals = Vec::new();
        for (number, (literal, stretches)) in self.literals.iter().zip(stretches).enumerate() {
            let first = divided.ordinals[literal.layer][literal.content];
            for stretch in 0..stretches.len().max(1) {
                if stretches.get(stretch).is_some_and(|stretch| stretch.known) {
                    continue;
                }
                let len = stretches.get(stretch).map_or(literal.len, |s| s.bytes.end - s.bytes.start);
                origins.insert((number, stretch), Origin::Literal(literals.len()));
                literals.push(Literal { content: first + stretch, len, ..*literal });
            }
        }
        for (layer, (recipe, listing)) in self.recipes.iter_mut().zip(divided.layers).enumerate() {
            let ordinals = &divided.ordinals[layer];
            let old = std::mem::take(&mut recipe.origins);
            for (content, origin) in old.into_iter().enumerate() {
                let count = ordinals[content + 1] - ordinals[content];
                recipe.origins.extend((0..count).map(|stretch| match origin {
                    Origin::Literal(literal) => origins[&(literal, stretch)],
                    Origin::Basis { .. } => origin,
                }));
            }
            recipe.listing = listing;
        }
        (self.literals, self.sent) = (literals, sent);
        self.basis.extend(shared);
    }

    /// A layer that is built of what was offered.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Option<&Recipe> {
        self.recipes.iter().find(|recipe| recipe.listing.diff_id == *diff_id)
    }

    /// The contents of the basis that the layers are made of.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let origins = self.recipes.iter().flat_map(|recipe| &recipe.origins);
        origins
            .flat_map(|origin| match *origin {
                Origin::Basis { layer, content } => self.basis[layer].of(content),
                Origin::Literal(_) => Vec::new(),
            })
            .map(|slice| slice.place)
    }

    /// The batches that the source forms.
    pub(crate) fn batches(&self, limit: u32) -> Vec<Batch> {
        gather::batches(&self.new_layers(), &self.sent, &readable(&self.basis), limit.into())
    }

    /// The literals of the batches.
    pub(crate) fn arriving(&self, batches: &[Batch]) -> Vec<Arriving> {
        let spots = self.literals.iter().map(|literal| (literal.layer, literal.content));
        arriving(batches, spots.zip(0..), &self.literals)
    }

    /// What becomes of each layer of the image.
    pub(crate) fn summary(&self, image: &Image, states: &[LayerState], own: &Layers<'_>) -> Vec<Layer> {
        let mut seen: HashSet<DiffId> = HashSet::new();
        let layer = |(diff_id, &state): (&DiffId, &LayerState)| {
            let unseen = seen.insert(*diff_id);
            match (state, self.layer(diff_id), own.listing(diff_id)) {
                (LayerState::Missing, Some(Recipe { listing, origins }), _) if unseen => {
                    let contents = listing.contents().iter().zip(origins);
                    let here = contents.filter(|(_, origin)| matches!(origin, Origin::Basis { .. }));
                    let reused = here.map(|(content, _)| content.len).sum();
                    Layer { state, len: listing.len, reused }
                }
                (LayerState::Local, _, Some(listing)) if unseen => {
                    Layer { state, len: listing.len, reused: listing.len }
                }
                _ => Layer { state, len: 0, reused: 0 },
            }
        };
        image.diff_ids.iter().zip(states).map(layer).collect()
    }
}

/// Reads a layer, which must be this one.
pub(crate) fn next_layer(
    decoder: &mut Decoder<'_>,
    input: &mut &[u8],
    diff_id: &DiffId,
) -> Result<Recipe, EndpointError> {
    let recipe = decoder.layer(input)?;
    let got = recipe.listing.diff_id;
    match got == *diff_id {
        true => Ok(recipe),
        false => Err(EndpointError::Protocol(format!("the source offers layer {got} instead of {diff_id}"))),
    }
}

/// The literals of batches, by where each is.
pub(crate) fn arriving(
    batches: &[Batch],
    spots: impl Iterator<Item = (Spot, usize)>,
    literals: &[Literal],
) -> Vec<Arriving> {
    let ordinals: HashMap<Spot, usize> = spots.collect();
    let of = |batch: &Batch| {
        let spots = batch.new.iter().flat_map(|run| run.contents.clone().map(|content| (run.layer, content)));
        let ordinals = spots.filter_map(|spot| ordinals.get(&spot));
        ordinals.map(|&ordinal| (ordinal, literals[ordinal].len)).collect()
    };
    batches.iter().map(|batch| Arriving { batch: batch.clone(), literals: of(batch) }).collect()
}

fn take_config(told: &[u8]) -> Result<(Vec<u8>, &[u8]), EndpointError> {
    let short = || EndpointError::Protocol("the source's offer ends early".into());
    let (len, rest) = told.split_first_chunk().ok_or_else(short)?;
    let len = usize::try_from(u32::from_le_bytes(*len)).map_err(|_| short())?;
    let (config, rest) = rest.split_at_checked(len).ok_or_else(short)?;
    Ok((config.to_vec(), rest))
}

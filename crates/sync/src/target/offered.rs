//! The headers that arrived: how each layer is put together, of chunks that are here and of those that are sent.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::{Digest, Image, LayerKey};
use dsync_delta::batching::{self, Batch};
use dsync_delta::fine_chunks::ByteRange;
use dsync_delta::header_delta::{Assembly, Literal, Origin};
use dsync_delta::{ChunkRef, Copied, Divided, LayerIndex};
use dsync_engine::ImportSize;
use dsync_proto::{Known, LayerOutcome, LayerState, Offer};

use crate::conversation::headers::Headers;
use crate::conversation::parts::{
    self, BasisView, DividedLayers, FoundParts, LiteralRange, LiteralRanges, NewLayers, PartMatches,
    ranges_of,
};
use crate::conversation::reconcile;
use crate::failure::EndpointError;
use crate::layers::memory::Memory;
use crate::layers::{AtSource, ChunkMap, Layers, Place, Slice, readable};
use crate::link::Link;
use crate::partial::{BasisKind, PartialWriter};

/// The bytes of a layer, and those of the files in it.
pub(super) fn size_of(index: &LayerIndex) -> ImportSize {
    ImportSize { given: index.len, contents: index.chunks().iter().map(|chunk| chunk.len).sum() }
}

/// The part of the target's basis that both sides know.
pub(crate) struct SharedBasis {
    /// The layers that the source knows, and what both agreed on.
    pub(crate) chunk_maps: Vec<ChunkMap>,
    /// The layers that the source cannot read.
    hidden: Vec<Arc<LayerIndex>>,
    /// The layers that it does not know.
    unknown: Vec<Arc<LayerIndex>>,
}

impl SharedBasis {
    /// The named layers that are here, by what the source knows of each.
    pub(super) fn of(
        offer: &Offer,
        own: &Layers<'_>,
        named: &[Digest],
    ) -> Result<SharedBasis, EndpointError> {
        let mut basis = SharedBasis { chunk_maps: Vec::new(), hidden: Vec::new(), unknown: Vec::new() };
        for (digest, known) in named.iter().zip(&offer.basis) {
            let Some(index) = own.index(digest) else {
                match known {
                    Known::No => continue,
                    _ => return Err(EndpointError::UnusableBasis(format!("layer {digest} cannot be read"))),
                }
            };
            match AtSource::of(*known) {
                None => basis.unknown.push(Arc::clone(index)),
                Some(at_source) => basis.chunk_maps.push(ChunkMap::layer(Arc::clone(index), at_source)),
            }
            if *known != Known::Bytes {
                basis.hidden.push(Arc::clone(index));
            }
        }
        Ok(basis)
    }

    /// Answers what the source asks about the layers that it does not know.
    pub(super) fn reconcile(&mut self, link: &mut Link, memory: Memory) -> Result<(), EndpointError> {
        let agreed = reconcile::answer_for(link, &self.unknown, &self.chunk_maps, memory)?;
        self.chunk_maps.push(agreed);
        Ok(())
    }
}

/// The layers to build, and the basis that they are built on.
pub(crate) struct Offered {
    pub(crate) config: Vec<u8>,
    pub(crate) basis: Vec<ChunkMap>,
    assemblies: Vec<Assembly>,
    /// The literals, as they are sent.
    pub(crate) literals: Vec<Literal>,
    hidden: Vec<Arc<LayerIndex>>,
}

impl Offered {
    pub(crate) fn new(headers: Headers, basis: SharedBasis) -> Self {
        let Headers { config, layers: assemblies, literals } = headers;
        Offered { config, basis: basis.chunk_maps, assemblies, literals, hidden: basis.hidden }
    }

    pub(super) fn new_layers(&self) -> Vec<&LayerIndex> {
        self.assemblies.iter().map(|assembly| &*assembly.index).collect()
    }

    /// The memory that the indexes of the new layers take, and of what both sides found to share.
    pub(super) fn taken(&self) -> u64 {
        let new: u64 = self.new_layers().into_iter().map(Memory::new_layer).sum();
        let agreed = self.basis.iter().filter(|chunk_map| !chunk_map.is_layer());
        new + agreed.map(|chunk_map| Memory::basis_layer(&chunk_map.index)).sum::<u64>()
    }

    /// Tells the source of which literals parts may be here, and which are.
    pub(crate) fn find_parts(
        &self,
        link: &mut Link,
        own: &mut Layers<'_>,
        images: &[&Image],
        memory: u64,
    ) -> Result<PartMatches, EndpointError> {
        let new = self.new_layers();
        let new_layers = NewLayers { new: &new, literals: &self.literals };
        let basis = BasisView { hidden: &self.hidden, readable: &readable(&self.basis) };
        parts::answer_for(link, own, images, new_layers, basis, memory)
    }

    /// Divides the literals that are sent in part.
    pub(crate) fn divide(&mut self, found: &FoundParts) {
        let FoundParts { ranges, slices } = found;
        let origin = |layer: usize, chunk: usize| self.assemblies[layer].origins[chunk];
        let literal = |layer: usize, chunk: usize| match origin(layer, chunk) {
            Origin::Literal(literal) => Some(literal as usize),
            Origin::Basis { .. } => None,
        };
        let slices = |layer: usize, part: Copied| -> Vec<Slice> {
            match part {
                Copied::Range { literal, range } => {
                    slices.get(&LiteralRange { literal, range }).cloned().unwrap_or_default()
                }
                Copied::Undivided(chunk) => match origin(layer, chunk) {
                    Origin::Basis { layer, chunk } => {
                        self.basis[usize::from(layer)].of(chunk as usize).collect()
                    }
                    Origin::Literal(_) => Vec::new(),
                },
            }
        };
        let DividedLayers { shared, divided, .. } =
            parts::divide_literals(&self.new_layers(), &self.literals, &literal, ranges, &slices);
        let known = known_ranges(&divided, self.basis.len());
        let (literals, firsts) = divided_literals(&self.literals, &divided, ranges);
        for (layer, (assembly, index)) in self.assemblies.iter_mut().zip(divided.layers).enumerate() {
            let ordinals = &divided.ordinals[layer];
            let old = std::mem::take(&mut assembly.origins);
            assembly.origins = divided_origins(&old, ordinals, &known, &firsts, index.chunks().len());
            assembly.index = Arc::new(index);
        }
        self.literals = literals;
        self.basis.extend(shared);
    }

    /// A layer that is built of what was offered.
    pub(crate) fn layer(&self, key: &LayerKey) -> Option<&Assembly> {
        self.assemblies.iter().find(|assembly| assembly.index.digest == key.digest())
    }

    /// The bytes of a layer that the store is given.
    pub(super) fn size(&self, key: &LayerKey, own: &Layers<'_>) -> ImportSize {
        match self.layer(key) {
            Some(Assembly { index, .. }) => size_of(index),
            // It may be one that is no tar, so nothing is said of its files.
            None => ImportSize { given: own.spooled(&key.digest()).unwrap_or(0), contents: 0 },
        }
    }

    /// The chunks of the basis that the layers are made of.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let origins = self.assemblies.iter().flat_map(|assembly| &assembly.origins);
        let of_basis = origins.filter_map(|origin| match *origin {
            Origin::Basis { layer, chunk } => Some((usize::from(layer), chunk as usize)),
            Origin::Literal(_) => None,
        });
        of_basis.flat_map(|(layer, chunk)| self.basis[layer].of(chunk)).map(|slice| slice.place)
    }

    /// The batches that the source forms.
    pub(crate) fn batches(&self, limit: u32) -> Vec<Batch> {
        let sent: Vec<ChunkRef> = self.literals.iter().map(Literal::chunk_ref).collect();
        batching::form_batches(&self.new_layers(), &sent, &readable(&self.basis), limit.into())
    }

    /// Has literals written as they arrive, by the numbers of their layers in the image.
    pub(super) fn add_layers_to(
        &self,
        partial_writer: &mut PartialWriter,
        keys: &[LayerKey],
        basis: BasisKind,
    ) {
        for Assembly { index, .. } in &self.assemblies {
            let number = keys.iter().position(|key| key.digest() == index.digest);
            partial_writer.add_layer(number.unwrap_or(keys.len()), index, basis);
        }
    }

    /// The outcome of each layer of the image.
    pub(crate) fn summary(
        &self,
        keys: &[LayerKey],
        states: &[LayerState],
        own: &Layers<'_>,
    ) -> Vec<LayerOutcome> {
        let mut seen: HashSet<LayerKey> = HashSet::new();
        let layer = |(key, &state): (&LayerKey, &LayerState)| {
            let unseen = seen.insert(*key);
            match (state, self.layer(key), own.spooled(&key.digest())) {
                (LayerState::Missing, Some(Assembly { index, origins }), _) if unseen => {
                    let chunks = index.chunks().iter().zip(origins);
                    let here = chunks.filter(|(_, origin)| matches!(origin, Origin::Basis { .. }));
                    let reused = here.map(|(chunk, _)| chunk.len).sum();
                    LayerOutcome { state, len: index.len, reused }
                }
                (LayerState::Local, _, Some(len)) if unseen => LayerOutcome { state, len, reused: len },
                _ => LayerOutcome { state, len: 0, reused: 0 },
            }
        };
        keys.iter().zip(states).map(layer).collect()
    }
}

/// The places of ranges of literals that are here.
type KnownRanges = HashMap<LiteralRange, Origin>;

/// The place of each known range in the shared layers, which come after `before` layers of the basis.
fn known_ranges(divided: &Divided, before: usize) -> KnownRanges {
    let mut known = KnownRanges::new();
    for (layer, parts) in (before..).zip(&divided.parts) {
        for (chunk, part) in (0..).zip(parts) {
            if let (Copied::Range { literal, range }, Ok(layer)) = (*part, u16::try_from(layer)) {
                known.entry(LiteralRange { literal, range }).or_insert(Origin::Basis { layer, chunk });
            }
        }
    }
    known
}

/// The literals of divided layers, and for each literal before it was divided the first of those that it becomes.
fn divided_literals(
    literals: &[Literal],
    divided: &Divided,
    ranges: &LiteralRanges,
) -> (Vec<Literal>, Vec<u32>) {
    let (mut sent, mut firsts) = (Vec::new(), Vec::with_capacity(literals.len()));
    for (number, literal) in literals.iter().enumerate() {
        firsts.push(sent.len() as u32);
        let first = divided.ordinals[literal.layer as usize][literal.chunk as usize];
        match ranges_of(ranges, number) {
            [] => sent.push(Literal { chunk: first, ..*literal }),
            ranges => {
                let unknown = (first..).zip(ranges).filter(|(_, range)| !range.known);
                sent.extend(unknown.map(|(chunk, ByteRange { bytes, .. })| {
                    // Within a chunk.
                    let len = (bytes.end - bytes.start) as u32;
                    Literal { chunk, len, ..*literal }
                }));
            }
        }
    }
    (sent, firsts)
}

/// The origins of the `count` chunks of a divided layer, by those of the layer before.
fn divided_origins(
    origins: &[Origin],
    ordinals: &[u32],
    known: &KnownRanges,
    firsts: &[u32],
    count: usize,
) -> Vec<Origin> {
    let mut divided = Vec::with_capacity(count);
    for (origin, ends) in origins.iter().zip(ordinals.windows(2)) {
        let count = (ends[1] - ends[0]) as usize;
        let Origin::Literal(literal) = *origin else {
            divided.extend((0..count).map(|_| *origin));
            continue;
        };
        let (literal, mut next) = (literal as usize, firsts[literal as usize]);
        divided.extend((0..count).map(|range| {
            known.get(&LiteralRange { literal, range }).copied().unwrap_or_else(|| {
                next += 1;
                Origin::Literal(next - 1)
            })
        }));
    }
    divided
}

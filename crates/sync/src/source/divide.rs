//! Divides literals of which the target has parts: only the rest of them is sent.

use std::sync::Arc;

use dsync_delta::header_delta::Literal;
use dsync_delta::{ChunkRef, Copied, Divided, LayerIndex};

use crate::conversation::parts::{self, DividedLayers, LiteralRanges};
use crate::layers::{AtSource, ChunkMap, Place, Slice, Slices};

/// The new layers as they are sent from here on, and which of their chunks are sent.
pub(super) struct SentChunks {
    pub(super) layers: Vec<ChunkMap>,
    pub(super) chunk_refs: Vec<ChunkRef>,
}

/// Divides the literals of new layers by the ranges that the target has, which become more of the basis.
pub(super) fn divide(
    new: &[Arc<LayerIndex>],
    literals: &[Literal],
    ranges: &LiteralRanges,
    basis: &mut Vec<ChunkMap>,
) -> SentChunks {
    if ranges.is_empty() {
        let chunk_refs = literals.iter().map(Literal::chunk_ref).collect();
        let layers = new.iter().map(|index| ChunkMap::layer(Arc::clone(index), AtSource::Chunks)).collect();
        return SentChunks { layers, chunk_refs };
    }
    let new: Vec<&LayerIndex> = new.iter().map(|index| &**index).collect();
    let DividedLayers { shared, divided, sent } = divide_literals(&new, literals, ranges);
    basis.extend(shared);
    SentChunks { layers: divided_layers(&new, divided), chunk_refs: sent }
}

/// Divides the literals: what is no literal, or a range of one that is known, lies in the new layers themselves.
fn divide_literals(new: &[&LayerIndex], literals: &[Literal], ranges: &LiteralRanges) -> DividedLayers {
    // A chunk is a literal wherever it is: those that are divided are found by what they are.
    let key = |chunk_ref: ChunkRef| {
        let chunk = new[chunk_ref.layer as usize].chunks().at(chunk_ref.chunk as usize);
        (chunk.id, chunk.len)
    };
    let mut numbers: Vec<u32> = (0..literals.len() as u32).collect();
    let of = |number: u32| key(literals[number as usize].chunk_ref());
    numbers.sort_unstable_by_key(|number| of(*number));
    let literal = |layer: usize, ordinal: usize| {
        let key = key(ChunkRef { layer: layer as u32, chunk: ordinal as u32 });
        let at = numbers.binary_search_by_key(&key, |number| of(*number)).ok()?;
        Some(numbers[at] as usize)
    };
    let slices = |layer: usize, part: Copied| match part {
        Copied::Undivided(ordinal) => {
            let len = new[layer].chunks().at(ordinal).len;
            vec![Slice { place: Place { layer: new[layer].digest, chunk: ordinal }, from: 0, len }]
        }
        Copied::Range { literal, range } => {
            let (bytes, literal) = (&ranges[&literal][range].bytes, &literals[literal]);
            let place = Place { layer: new[literal.layer as usize].digest, chunk: literal.chunk as usize };
            vec![Slice { place, from: bytes.start, len: bytes.end - bytes.start }]
        }
    };
    parts::divide_literals(new, literals, &literal, ranges, &slices)
}

/// The new layers with chunks divided, which lie in the layers as they were.
fn divided_layers(new: &[&LayerIndex], divided: Divided) -> Vec<ChunkMap> {
    let layers = divided.layers.into_iter().zip(divided.ordinals).zip(new);
    let chunk_map = |((parted, ordinals), layer): ((LayerIndex, Vec<u32>), &&LayerIndex)| {
        let mut slices = Slices::with_capacity(parted.chunks().len());
        for (ordinal, ends) in ordinals.windows(2).enumerate() {
            let mut from = 0;
            for chunk in parted.chunks().range(ends[0] as usize..ends[1] as usize) {
                slices.push([Slice {
                    place: Place { layer: layer.digest, chunk: ordinal },
                    from,
                    len: chunk.len,
                }]);
                from += chunk.len;
            }
        }
        ChunkMap::slices(parted, slices, AtSource::Chunks)
    };
    layers.map(chunk_map).collect()
}

#[cfg(test)]
mod tests;

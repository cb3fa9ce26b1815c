//! Divides literals of which the target has parts: only the rest of them is sent.

use std::sync::Arc;

use dsync_delta::header_delta::Literal;
use dsync_delta::{ChunkRef, Copied, Divided, LayerIndex};

use crate::conversation::parts::{self, Parted, Stretches};
use crate::layers::{ChunkMap, Slice, Slices};

/// The new layers as they are sent from here on, and which of their contents are sent.
pub(super) struct Sent {
    pub(super) layers: Vec<ChunkMap>,
    pub(super) spots: Vec<ChunkRef>,
}

/// Divides the literals of new layers by the stretches that the target has, which become more of the basis.
pub(super) fn divide(
    new: &[Arc<LayerIndex>],
    literals: &[Literal],
    stretches: &Stretches,
    basis: &mut Vec<ChunkMap>,
) -> Sent {
    if stretches.is_empty() {
        let spots = literals.iter().map(Literal::chunk_ref).collect();
        let layers = new.iter().map(|listing| ChunkMap::layer(Arc::clone(listing), true)).collect();
        return Sent { layers, spots };
    }
    let new: Vec<&LayerIndex> = new.iter().map(|listing| &**listing).collect();
    let Parted { shared, divided, sent } = part(&new, literals, stretches);
    basis.extend(shared);
    Sent { layers: divided_layers(&new, divided), spots: sent }
}

/// Divides the literals: what is no literal, or a stretch of one that is known, lies in the new layers themselves.
fn part(new: &[&LayerIndex], literals: &[Literal], stretches: &Stretches) -> Parted {
    // A content is a literal wherever it is: those that are divided are found by what they are.
    let key = |spot: ChunkRef| {
        let content = new[spot.layer as usize].contents().at(spot.content as usize);
        (content.id, content.len)
    };
    let mut numbers: Vec<u32> = (0..literals.len() as u32).collect();
    let of = |number: u32| key(literals[number as usize].chunk_ref());
    numbers.sort_unstable_by_key(|number| of(*number));
    let literal = |layer: usize, ordinal: usize| {
        let key = key(ChunkRef { layer: layer as u32, content: ordinal as u32 });
        let at = numbers.binary_search_by_key(&key, |number| of(*number)).ok()?;
        Some(numbers[at] as usize)
    };
    let slices = |layer: usize, part: Copied| match part {
        Copied::Undivided(ordinal) => {
            let len = new[layer].contents().at(ordinal).len;
            vec![Slice { place: (new[layer].digest, ordinal), from: 0, len }]
        }
        Copied::Range { literal, range: stretch } => {
            let (bytes, literal) = (&stretches[&literal][stretch].bytes, &literals[literal]);
            let place = (new[literal.layer as usize].digest, literal.content as usize);
            vec![Slice { place, from: bytes.start, len: bytes.end - bytes.start }]
        }
    };
    parts::part(new, literals, &literal, stretches, &slices)
}

/// The new layers with contents divided, which lie in the layers as they were.
fn divided_layers(new: &[&LayerIndex], divided: Divided) -> Vec<ChunkMap> {
    let layers = divided.layers.into_iter().zip(divided.ordinals).zip(new);
    let shelf = |((parted, ordinals), layer): ((LayerIndex, Vec<u32>), &&LayerIndex)| {
        let mut slices = Slices::default();
        for (ordinal, ends) in ordinals.windows(2).enumerate() {
            let mut from = 0;
            for content in parted.contents().range(ends[0] as usize..ends[1] as usize) {
                slices.push([Slice { place: (layer.digest, ordinal), from, len: content.len }]);
                from += content.len;
            }
        }
        ChunkMap::slices(parted, slices, true)
    };
    layers.map(shelf).collect()
}

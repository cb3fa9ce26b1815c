//! Reconciles what a source is about to send with what a target has, where the source does not know the target's layers
//! itself: `docs/negotiation.md`.
//!
//! Both agree on entries, and on chunks of the entries that are new. What they agree on is an index at both ends, and
//! serves as any layer of the basis.

use std::ops::Range;
use std::sync::Arc;

use dsync_delta::layer_index::{Entries, Selection};
use dsync_delta::reconcile::{CommonRange, Item, Requester, Responder};
use dsync_delta::{ChunkId, ChunkRef, LayerIndex};

use super::Step;
use super::question::{answer, ask};
use crate::failure::EndpointError;
use crate::layers::memory::Memory;
use crate::layers::{AtSource, ChunkMap, Place, Slice, Slices};
use crate::link::Link;

/// The entries of the new layers that a source asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// All.
    All,
    /// Those with chunks that no known layer of the basis has: the unknown layers are parts of the new ones.
    News,
}

/// The source's half: the entries and chunks of these layers that the target has, besides what is known of it. The new
/// layers' own chunks stand for the target's.
pub(crate) fn ask_for(
    link: &mut Link,
    asks: Asks,
    new: &[Arc<LayerIndex>],
    known: &[ChunkMap],
    memory: Memory,
) -> Result<ChunkMap, EndpointError> {
    let mut agreed = Agreed::beside(known, memory);
    let mut entries: Vec<Entries<'_>> = new.iter().map(|index| Entries::of(index)).collect();
    let seen = Seen::of(known.iter().map(|chunk_map| &*chunk_map.index), &agreed, new);
    let has_news = |(layer, entry): (u32, u32), entries: &mut Entries<'_>| {
        let chunks = entries.chunks(entry as usize);
        new[layer as usize].chunks().range(chunks).any(|chunk| !seen.has(&chunk.id))
    };
    // The entries that are asked about. Layers have fewer than a 32-bit number can count.
    let (mut ids, mut asked): (Vec<Item>, Vec<(u32, u32)>) = (Vec::new(), Vec::new());
    for (layer, entries) in (0..).zip(&mut entries) {
        let before = ids.len();
        entries.ids(&mut ids);
        let mut all = (0..entries.len() as u32).map(|entry| (layer, entry));
        match asks {
            Asks::All => asked.extend(all),
            Asks::News => {
                let mut at = before;
                for entry in all.by_ref().filter(|entry| has_news(*entry, entries)) {
                    ids[at] = ids[before + entry.1 as usize];
                    asked.push(entry);
                    at += 1;
                }
                ids.truncate(at);
            }
        }
    }
    let found = ask(link, Step::Reconcile, Requester::new(&ids))?;
    drop(ids);
    let (mut open, mut next) = (Vec::new(), 0);
    for range in found {
        open.extend_from_slice(&asked[next..range.start]);
        next = range.end;
        for &(layer, entry) in &asked[range] {
            let (layer, entry) = (layer as usize, entry as usize);
            agreed.add(&mut entries[layer], &new[layer], entry..entry + 1);
        }
    }
    open.extend_from_slice(&asked[next..]);
    drop(asked);

    let seen = Seen::of(known.iter().map(|chunk_map| &*chunk_map.index), &agreed, new);
    // All chunks of an entry or none: in the order in which the target may have them too.
    let (mut items, mut places): (Vec<Item>, Vec<ChunkRef>) = (Vec::new(), Vec::new());
    for (layer, entry) in open {
        let (index, chunks) = (&new[layer as usize], entries[layer as usize].chunks(entry as usize));
        if index.chunks().range(chunks.clone()).any(|chunk| !seen.has(&chunk.id)) {
            items.extend(index.chunks().range(chunks.clone()).map(|chunk| *chunk.id.as_bytes()));
            places.extend(chunks.map(|chunk| ChunkRef { layer, chunk: chunk as u32 }));
        }
    }
    drop((seen, entries));
    agreed.begin_loose();
    for range in ask(link, Step::Reconcile, Requester::new(&items))? {
        for ChunkRef { layer, chunk } in &places[range] {
            agreed.add_loose(&new[*layer as usize], *chunk as usize);
        }
    }
    Ok(agreed.finish())
}

/// Contents that need not be asked about, by the first halves of their ids: a mistake costs bytes only.
struct Seen(Vec<u64>);

impl Seen {
    fn of<'a>(known: impl Iterator<Item = &'a LayerIndex>, agreed: &Agreed, new: &[Arc<LayerIndex>]) -> Self {
        let known = known.flat_map(|index| index.chunks().iter()).map(|chunk| chunk.id);
        let agreed = agreed.slices.places().filter_map(|place| {
            let index = new.iter().find(|index| index.digest == place.layer)?;
            Some(index.chunks().get(place.chunk)?.id)
        });
        let mut seen: Vec<u64> = known.chain(agreed).map(|id| half(&id)).collect();
        seen.sort_unstable();
        seen.dedup();
        Seen(seen)
    }

    fn has(&self, id: &ChunkId) -> bool {
        self.0.binary_search(&half(id)).is_ok()
    }
}

fn half(id: &ChunkId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// The target's half: what it has in these layers, besides what the source knows of it.
pub(crate) fn answer_for(
    link: &mut Link,
    old: &[Arc<LayerIndex>],
    known: &[ChunkMap],
    memory: Memory,
) -> Result<ChunkMap, EndpointError> {
    let mut agreed = Agreed::beside(known, memory);
    let mut entries: Vec<Entries<'_>> = old.iter().map(|index| Entries::of(index)).collect();
    let common = {
        let ids = entries.iter_mut().map(|entries| {
            let mut ids = Vec::with_capacity(entries.len());
            entries.ids(&mut ids);
            ids
        });
        answer_with(link, ids.collect())?
    };
    for CommonRange { items, list, at } in common {
        agreed.add(&mut entries[list], &old[list], at..at + items.len());
    }
    drop(entries);
    let chunks = |index: &Arc<LayerIndex>| index.chunks().iter().map(|c| *c.id.as_bytes()).collect();
    agreed.begin_loose();
    for CommonRange { items, list, at } in answer_with(link, old.iter().map(chunks).collect())? {
        (at..at + items.len()).for_each(|ordinal| agreed.add_loose(&old[list], ordinal));
    }
    Ok(agreed.finish())
}

fn answer_with(link: &mut Link, lists: Vec<Vec<Item>>) -> Result<Vec<CommonRange>, EndpointError> {
    let slices: Vec<&[Item]> = lists.iter().map(Vec::as_slice).collect();
    let mut responder = Responder::new(&slices);
    drop(slices);
    drop(lists);
    answer(link, Step::Reconcile, &mut responder)?;
    Ok(responder.finish()?)
}

/// The entries and chunks that both sides have, as one index: entries, then single chunks.
///
/// Both sides stop at the same one when it takes all memory that the basis may have.
struct Agreed {
    selection: Selection,
    slices: Slices,
    /// Entries and single chunks until now.
    count: u64,
    room: u64,
}

/// Bytes of memory for an entry besides its own: where its chunk lies, and the tables of an encoder.
const ENTRY: u64 = 40;

impl Agreed {
    /// Nothing yet, beside what is known of the basis otherwise.
    fn beside(known: &[ChunkMap], memory: Memory) -> Self {
        let taken: u64 = known.iter().map(|chunk_map| Memory::basis_layer(&chunk_map.index)).sum();
        let room = memory.share().saturating_sub(taken);
        Agreed { selection: Selection::new(), slices: Slices::default(), count: 0, room }
    }

    /// True if there is room for one more, which counts from here on.
    fn has_room(&mut self) -> bool {
        self.count += 1;
        self.selection.memory() as u64 + self.count * ENTRY <= self.room
    }

    fn add(&mut self, from: &mut Entries<'_>, index: &LayerIndex, entries: Range<usize>) {
        for entry in entries {
            if !self.has_room() {
                break;
            }
            let chunks = self.selection.add(from, entry..entry + 1);
            chunks.for_each(|ordinal| self.slices.push([whole_chunk(index, ordinal)]));
        }
    }

    fn begin_loose(&mut self) {
        self.selection.begin_loose();
    }

    fn add_loose(&mut self, index: &LayerIndex, ordinal: usize) {
        if self.has_room() {
            self.selection.add_loose(index.chunks().at(ordinal));
            self.slices.push([whole_chunk(index, ordinal)]);
        }
    }

    fn finish(self) -> ChunkMap {
        ChunkMap::slices(self.selection.finish(), self.slices, AtSource::Index)
    }
}

fn whole_chunk(index: &LayerIndex, ordinal: usize) -> Slice {
    let len = index.chunks().at(ordinal).len;
    Slice { place: Place { layer: index.digest, chunk: ordinal }, from: 0, len }
}

#[cfg(test)]
mod tests;

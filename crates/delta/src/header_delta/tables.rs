//! Tables of the paths and chunks of a basis, in few bytes for each, for the encoder.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::basis::NumberedBasis;
use crate::ChunkId;
use crate::layer_index::Chunk;
use crate::path_hash::path_hash;

/// The entries of a basis by the hashes of their paths. Two paths with one hash count as one: an entry that is encoded
/// against the wrong one is still right.
#[derive(Debug)]
pub(super) struct PathTable(Vec<[u32; 3]>);

impl PathTable {
    pub(super) fn of(basis: &mut NumberedBasis<'_>) -> Self {
        let mut paths = Vec::new();
        for number in 0..basis.entries {
            let Some(basis_entry) = basis.entry(number) else { break };
            let path = basis_entry.entry.path();
            if let (false, Ok(number)) = (path.is_empty(), u32::try_from(number)) {
                let [high, low] = halves(path_hash(&path));
                paths.push([high, low, number]);
            }
        }
        paths.sort_unstable();
        paths.shrink_to_fit();
        PathTable(paths)
    }

    /// The entries with this path, in their order.
    pub(super) fn get(&self, path: u64) -> impl DoubleEndedIterator<Item = usize> + Clone + '_ {
        let key = halves(path);
        let first = self.0.partition_point(|[high, low, _]| [*high, *low] < key);
        let count = self.0[first..].partition_point(|[high, low, _]| [*high, *low] == key);
        self.0[first..first + count].iter().map(|[_, _, number]| *number as usize)
    }
}

fn halves(hash: u64) -> [u32; 2] {
    [(hash >> 32) as u32, hash as u32]
}

/// Equal in two chunks that are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ChunkKey {
    id: ChunkId,
    len: u64,
}

impl ChunkKey {
    /// The key of no chunk.
    pub(super) const NOTHING: ChunkKey = ChunkKey { id: ChunkId::UNKNOWN, len: 0 };

    pub(super) fn of(chunk: &Chunk) -> ChunkKey {
        ChunkKey { id: chunk.id, len: chunk.len }
    }
}

/// A hash table of chunks, with four bytes for each, and at most as many again that are free.
#[derive(Debug, Default)]
pub(super) struct ChunkTable {
    /// One more than a number; 0 is free. Their count is a power of two.
    slots: Vec<u32>,
    used: usize,
    seed: RandomState,
}

impl ChunkTable {
    /// The slot of a chunk, which may be free. `is_it` is true for a number of the chunk.
    fn slot(&self, key: &ChunkKey, is_it: impl Fn(usize) -> bool) -> usize {
        // The lower bits of the hash of a hash, with a seed: nobody can aim many chunks at one slot.
        let mut at = self.seed.hash_one(key) as usize & (self.slots.len() - 1);
        while self.slots[at] != 0 && !is_it(self.slots[at] as usize - 1) {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// The number that is kept for a chunk. `key_of` is the key of the chunk with a number.
    pub(super) fn get(&self, key: &ChunkKey, key_of: impl Fn(usize) -> ChunkKey) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slot(key, |number| key_of(number) == *key);
        (self.slots[slot] as usize).checked_sub(1)
    }

    /// Keeps a number for a chunk, unless one is kept already.
    pub(super) fn insert(&mut self, number: usize, key: &ChunkKey, key_of: impl Fn(usize) -> ChunkKey) {
        let slot = self.slot_with_room(key, key_of);
        if self.slots[slot] == 0 {
            self.fill(slot, number);
        }
    }

    /// Keeps a number for a chunk, in place of the one before.
    pub(super) fn replace(&mut self, number: usize, key: &ChunkKey, key_of: impl Fn(usize) -> ChunkKey) {
        let slot = self.slot_with_room(key, key_of);
        self.fill(slot, number);
    }

    /// The slot of a chunk, in a table that has room for one more.
    fn slot_with_room(&mut self, key: &ChunkKey, key_of: impl Fn(usize) -> ChunkKey) -> usize {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow(&key_of);
        }
        self.slot(key, |number| key_of(number) == *key)
    }

    fn fill(&mut self, slot: usize, number: usize) {
        let Ok(kept) = u32::try_from(number + 1) else { return };
        self.used += usize::from(self.slots[slot] == 0);
        self.slots[slot] = kept;
    }

    fn grow(&mut self, key_of: &impl Fn(usize) -> ChunkKey) {
        let slots = vec![0; (self.slots.len() * 2).max(1 << 10)];
        for kept in std::mem::replace(&mut self.slots, slots).into_iter().filter(|kept| *kept != 0) {
            let slot = self.slot(&key_of(kept as usize - 1), |_| false);
            self.slots[slot] = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_chunks() {
        let key =
            |number: usize| ChunkKey { id: ChunkId::of(&(number / 2).to_le_bytes()), len: number as u64 / 2 };
        let mut table = ChunkTable::default();
        assert_eq!(table.get(&key(0), key), None);
        for number in 0..10_000 {
            match number % 3 {
                0 => table.replace(number, &key(number), key),
                _ => table.insert(number, &key(number), key),
            }
        }
        for number in (0..10_000).step_by(2) {
            let last = if (number + 1) % 3 == 0 { number + 1 } else { number };
            assert_eq!(table.get(&key(number), key), Some(last));
        }
        assert_eq!(table.get(&key(10_000), key), None);
        assert!(table.slots.len() <= 4 * 5000);
    }
}

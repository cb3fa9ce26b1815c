//! Index of the paths and chunks of a basis, in few bytes for each, for the encoder.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use super::basis::Basis;
use crate::ChunkId;
use crate::path_hash::path_hash;

/// The groups of a basis by the hashes of their paths. Two paths with one hash count as one: a group that is encoded
/// against the wrong one is still right.
#[derive(Debug)]
pub(super) struct Paths(Vec<[u32; 3]>);

impl Paths {
    pub(super) fn of(basis: &mut Basis<'_>) -> Self {
        let mut paths = Vec::new();
        for number in 0..basis.groups {
            let Some(matched) = basis.group(number) else { break };
            let path = matched.group.path();
            if let (false, Ok(number)) = (path.is_empty(), u32::try_from(number)) {
                let [high, low] = halves(path_hash(&path));
                paths.push([high, low, number]);
            }
        }
        paths.sort_unstable();
        paths.shrink_to_fit();
        Paths(paths)
    }

    /// The groups with this path, in their order.
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

/// A hash table of chunks by id and length, with four bytes for each, and at most as many again that are free.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// One more than a number; 0 is free. Their count is a power of two.
    slots: Vec<u32>,
    used: usize,
    seed: RandomState,
}

impl Index {
    /// The slot of a chunk, which may be free. `is_it` is true for a number of the chunk.
    fn slot(&self, key: &(ChunkId, u64), is_it: impl Fn(usize) -> bool) -> usize {
        // The lower bits of the hash of a hash, with a seed: nobody can aim many chunks at one slot.
        let mut at = self.seed.hash_one(key) as usize & (self.slots.len() - 1);
        while self.slots[at] != 0 && !is_it(self.slots[at] as usize - 1) {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// The number that is kept for a chunk. `key_of` is the chunk with a number.
    pub(super) fn get(
        &self,
        key: &(ChunkId, u64),
        key_of: impl Fn(usize) -> (ChunkId, u64),
    ) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slot(key, |number| key_of(number) == *key);
        (self.slots[slot] as usize).checked_sub(1)
    }

    /// Keeps a number for a chunk: another than before, where there was one and it `replaces` that.
    pub(super) fn insert(
        &mut self,
        (number, key): (usize, &(ChunkId, u64)),
        replaces: bool,
        key_of: impl Fn(usize) -> (ChunkId, u64),
    ) {
        if self.used * 4 >= self.slots.len() * 3 {
            self.grow(&key_of);
        }
        let Ok(kept) = u32::try_from(number + 1) else { return };
        let slot = self.slot(key, |number| key_of(number) == *key);
        if self.slots[slot] == 0 {
            self.used += 1;
        } else if !replaces {
            return;
        }
        self.slots[slot] = kept;
    }

    fn grow(&mut self, key_of: &impl Fn(usize) -> (ChunkId, u64)) {
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
        let key = |number: usize| (ChunkId::of(&(number / 2).to_le_bytes()), number as u64 / 2);
        let mut index = Index::default();
        assert_eq!(index.get(&key(0), key), None);
        for number in 0..10_000 {
            index.insert((number, &key(number)), number % 3 == 0, key);
        }
        for number in (0..10_000).step_by(2) {
            let last = if (number + 1) % 3 == 0 { number + 1 } else { number };
            assert_eq!(index.get(&key(number), key), Some(last));
        }
        assert_eq!(index.get(&key(10_000), key), None);
        assert!(index.slots.len() <= 4 * 5000);
    }
}

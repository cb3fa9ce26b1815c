//! The shares of `--memory` that the parts of a sync have: docs/limits.md.
//!
//! Most of it are indexes, and the tables that are made of them; coding takes what these leave.

use dsync_delta::{LayerIndex, Scanner};

/// Bytes of memory that an end is to get along with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory(pub(crate) u64);

/// The share of all memory that the layers which are sent may take, and the basis: this many sixteenths each.
const SHARE: u64 = 7;
/// The bytes in an encoder's tables for a chunk of a new layer: where it came last, as what, and as a literal.
const NEW: u64 = 28;
/// The bytes in them for an entry and a chunk of the basis: where its path is, and where the chunk.
const BASIS: u64 = 20;
/// The bytes that batches take for a chunk that is sent, beside its old version.
const BATCHED: u64 = 40;
/// Indexes that take no more than this in all leave coding all memory: what is not counted by itself has more.
const FREE: u64 = 32 << 20;

impl Memory {
    /// The memory that the layers which are sent may take, or those of the basis.
    pub(crate) fn share(self) -> u64 {
        self.0 / 16 * SHARE
    }

    /// The memory that the tables of partial transfers take while they are read: before the basis, in its share.
    pub(crate) fn pieces(self) -> u64 {
        self.share() / 2
    }

    /// The memory that the index of a layer takes that is sent, its tables included.
    pub(crate) fn new_layer(index: &LayerIndex) -> u64 {
        index.memory() as u64 + index.chunks().len() as u64 * NEW
    }

    /// The same of a layer of the basis.
    pub(crate) fn basis_layer(index: &LayerIndex) -> u64 {
        index.memory() as u64 + (index.groups().max(index.chunks().len())) as u64 * BASIS
    }

    /// True if the index that a scanner makes is about to take more than this.
    pub(crate) fn is_near(self, scanner: &Scanner, left: u64) -> bool {
        scanner.memory() as u64 + scanner.chunks() as u64 * NEW > left / 16 * 15
    }

    /// The memory that is left for coding, beside indexes and batches of this many chunks.
    pub(crate) fn for_coding(self, indexes: u64, chunks: usize) -> u64 {
        let taken = indexes.saturating_add((chunks as u64).saturating_mul(BATCHED));
        self.0.saturating_sub(taken.saturating_sub(FREE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_indexes_leave_all_for_coding_and_large_ones_what_they_do_not_take() {
        let memory = Memory(256 << 20);
        assert_eq!(memory.share(), 112 << 20);
        assert_eq!(memory.for_coding(30 << 20, 1000), 256 << 20);
        assert_eq!(memory.for_coding(132 << 20, 0), 156 << 20);
        assert_eq!(memory.for_coding(1 << 40, 0), 0);
    }
}

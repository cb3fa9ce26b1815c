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
/// The bytes for a chunk of a layer that is divided: its number, and its origin or the chunk that it is a part of.
const DIVIDED: u64 = 28;
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
        index.memory() as u64 + (index.entries().max(index.chunks().len())) as u64 * BASIS
    }

    /// The memory that new layers take once more while chunks of them are divided.
    pub(crate) fn divided<'a>(layers: impl IntoIterator<Item = &'a LayerIndex>) -> u64 {
        let layers = layers.into_iter();
        layers.map(|index| index.memory() as u64 + index.chunks().len() as u64 * DIVIDED).sum()
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
    use dsync_delta::divide;

    use super::*;

    #[test]
    fn small_indexes_leave_all_for_coding_and_large_ones_what_they_do_not_take() {
        let memory = Memory(256 << 20);
        assert_eq!(memory.share(), 112 << 20);
        assert_eq!(memory.for_coding(30 << 20, 1000), 256 << 20);
        assert_eq!(memory.for_coding(132 << 20, 0), 156 << 20);
        assert_eq!(memory.for_coding(1 << 40, 0), 0);
    }

    #[test]
    fn an_index_is_near_its_limit_at_fifteen_sixteenths_of_it_with_its_chunks_beside() {
        let mut scanner = Scanner::new();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1000);
        tar.append_data(&mut header, "a", &[7; 1000][..]).unwrap();
        scanner.push(&tar.into_inner().unwrap());
        let (chunks, memory) = (scanner.chunks() as u64, scanner.memory() as u64);
        assert!(chunks > 0);
        let limit = (memory + chunks * NEW).div_ceil(15) * 16;
        assert!(!Memory(0).is_near(&scanner, limit));
        assert!(Memory(0).is_near(&scanner, limit - 16));
    }

    #[test]
    fn layers_that_are_divided_take_no_more_than_is_counted() {
        let mut tar = tar::Builder::new(Vec::new());
        for number in 0..5000_u32 {
            let mut header = tar::Header::new_gnu();
            header.set_size(200);
            tar.append_data(&mut header, format!("d/{number}"), &number.to_le_bytes().repeat(50)[..])
                .unwrap();
        }
        let mut scanner = Scanner::new();
        scanner.push(&tar.into_inner().unwrap());
        let index = scanner.finish();
        let divided = divide(&[&index], &|_, _| None, &|_| &[]);
        let numbers = size_of::<u32>() * divided.ordinals[0].len();
        // Beside it the source has where each chunk is in the layer as it was: a row of slices.
        let taken = divided.layers[0].memory() + numbers + 20 * index.chunks().len();
        let counted = usize::try_from(Memory::divided([&index])).unwrap();
        assert!(taken <= counted && counted < 2 * taken, "{taken} bytes, and {counted} are counted");
    }

    #[test]
    fn a_layer_of_the_basis_takes_its_index_and_a_table_of_its_entries_or_chunks() {
        let mut tar = tar::Builder::new(Vec::new());
        for number in 0..100 {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            tar.append_data(&mut header, format!("d/{number}"), &[][..]).unwrap();
        }
        let mut scanner = Scanner::new();
        scanner.push(&tar.into_inner().unwrap());
        let index = scanner.finish();
        // There are no chunks.
        let entries = index.entries() as u64;
        assert!(entries > 100 && index.chunks().is_empty());
        assert_eq!(Memory::basis_layer(&index), index.memory() as u64 + entries * BASIS);
    }
}

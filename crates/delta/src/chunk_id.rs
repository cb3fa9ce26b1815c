//! Identifies a chunk by its hash, whatever the path of its file.

use std::fmt;

/// The first 16 bytes of the BLAKE3 hash of a chunk.
///
/// BLAKE3 is an extendable-output function, so a prefix is a hash in its own right. The id finds chunks;
/// what proves a layer is its diff id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId([u8; 16]);

impl ChunkId {
    /// Stands for an id that is not known.
    pub const UNKNOWN: ChunkId = ChunkId([0; 16]);

    /// The id of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::truncated(&blake3::hash(bytes))
    }

    /// The value of an id that was computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn truncated(hash: &blake3::Hash) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        Self(id)
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Computes a [`ChunkId`] from bytes that arrive in parts.
#[derive(Debug, Clone, Default)]
pub struct ChunkHasher(blake3::Hasher);

impl ChunkHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the chunk.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The id of all bytes so far; the hasher begins anew and can be used for the next chunk.
    pub fn finish(&mut self) -> ChunkId {
        let id = ChunkId::truncated(&self.0.finalize());
        self.0.reset();
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_the_first_half_of_blake3() {
        // BLAKE3 of nothing, from its published test vectors: af1349b9f5f9a1a6a0404dea36dcc949 9bcb25c9…
        let id = ChunkId::of(b"");
        assert_eq!(format!("{id:?}"), "ChunkId(af1349b9f5f9a1a6a0404dea36dcc949)");
        assert_eq!(ChunkId::from_bytes(*id.as_bytes()), id);
    }

    #[test]
    fn parts_give_the_same_id_and_the_hasher_starts_over() {
        let bytes: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
        let mut hasher = ChunkHasher::new();
        for _ in 0..2 {
            for part in bytes.chunks(77) {
                hasher.update(part);
            }
            assert_eq!(hasher.finish(), ChunkId::of(&bytes));
        }
    }
}

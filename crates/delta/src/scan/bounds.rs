//! Lengths by which the scanner decides; they are part of the protocol.

/// File data shorter than this stays verbatim: the hash of a chunk would cost as much as it saves.
pub const CHUNK_MIN: u64 = 64;
pub use crate::layer_index::VERBATIM_MAX;

//! Lengths by which the scanner decides; they are part of the protocol.

/// A chunk shorter than this stays verbatim: its hash would cost as much as it saves.
pub const CHUNK_MIN: u64 = 64;
/// A longer chunk, and all that is no tar, is divided by [`chunking`](crate::chunking) into several chunks.
pub const SINGLE_CHUNK_MAX: u64 = 256 << 10;
/// The body of an extension header, or a range of zeros, is verbatim up to this many bytes; a longer one makes no sense in
/// a tar and is opaque.
pub const VERBATIM_MAX: u64 = 1 << 20;

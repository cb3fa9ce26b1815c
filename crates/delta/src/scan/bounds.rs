//! Lengths by which the scanner decides; they are part of the protocol.

/// File data shorter than this stays verbatim: the hash of a chunk would cost as much as it saves.
pub const CHUNK_MIN: u64 = 64;
/// The body of an extension header, or a range of zeros, is verbatim up to this many bytes; a longer one makes no sense
/// in a tar and is opaque.
pub const VERBATIM_MAX: u64 = 1 << 20;

//! Lengths by which the scanner decides; they are part of the protocol.

/// A content shorter than this stays verbatim: its hash would cost as much as it saves.
pub const CONTENT_MIN: u64 = 64;
/// A content that is longer, and all that is no tar, is cut by [`cut`](crate::cut) into pieces, which are contents of
/// their own and neighbours.
pub const WHOLE_MAX: u64 = 256 << 10;
/// An extension header's body, or a run of zeros, is verbatim up to this many bytes; what is longer has
/// stopped making sense as part of a tar and is opaque.
pub const VERBATIM_MAX: u64 = 1 << 20;

//! Parts that all deflate encoders share: the alphabet of RFC 1951, tokens, a sink of bits.

pub(crate) mod alphabet;
pub(crate) mod bits;
pub(crate) mod codes;
pub(crate) mod guide;
pub(crate) mod lengths;
pub(crate) mod package;
pub(crate) mod reader;
pub(crate) mod runs;
pub(crate) mod shortcut;
pub(crate) mod token;

use crate::checkpoint::Mark;

/// An encoder of one raw deflate stream, or of one zstd frame. It may keep bytes back until it is finished, and it writes nothing that
/// is only known where no further byte follows: all it wrote stands before the code of the last byte it was given.
pub(crate) trait StreamEncoder: Send {
    /// Takes the next plain bytes.
    fn write(&mut self, plain: &[u8]);

    /// Takes the end of the stream. Nothing is written after it.
    fn finish(&mut self);

    /// The output since the buffer was last cleared; the caller clears it.
    fn output(&mut self) -> &mut Vec<u8>;

    /// True if the guide shows that the plain bytes are others.
    fn is_wrong(&mut self) -> bool {
        false
    }

    /// The ends of blocks since this was last called at which the encoder could be resumed, if it can be.
    fn marks(&mut self) -> Vec<Mark> {
        Vec::new()
    }
}

/// The first eight bytes, the first of them lowest; what is missing is 0.
#[inline]
pub(crate) fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
#[path = "deflate/optimal_tests.rs"]
pub(crate) mod optimal;
#[cfg(test)]
#[path = "deflate_tests.rs"]
mod tests;

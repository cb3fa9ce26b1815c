//! A literal or a match, in 32 bits.

use super::alphabet::FARTHEST;

/// A byte, or a match of 3 to 258 bytes at a distance of 1 to 32768.
///
/// The upper half is the byte, or the length less 3, and from 256 on for a match; the lower half the distance less 1,
/// or [`FARTHEST`] where there is none. So both can be counted and written without asking which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u32);

/// Bytes and lengths.
pub(crate) const FIRSTS: usize = 512;
const MATCH: u32 = 256 << 16;

impl Token {
    #[inline]
    pub(crate) fn literal(byte: u8) -> Self {
        Self(u32::from(byte) << 16 | FARTHEST as u32)
    }

    /// `length` is at least 3, `distance` at least 1; both within the limits of the format.
    #[inline]
    pub(crate) fn matched(length: usize, distance: usize) -> Self {
        Self(MATCH | ((length - 3) as u32 & 0xff) << 16 | (distance - 1) as u32 & 0x7fff)
    }

    /// The byte, or 256 more than the length less 3.
    #[inline]
    pub(crate) fn first(self) -> usize {
        (self.0 >> 16) as usize % FIRSTS
    }

    /// The byte, if this is one.
    #[inline]
    pub(crate) fn byte(self) -> Option<u8> {
        u8::try_from(self.first()).ok()
    }

    /// The number of its plain bytes.
    #[inline]
    pub(crate) fn len(self) -> usize {
        if self.byte().is_some() { 1 } else { usize::from(self.length()) + 3 }
    }

    /// The length of a match less 3.
    #[inline]
    pub(crate) fn length(self) -> u8 {
        self.first() as u8
    }

    /// The distance of a match less 1, or [`FARTHEST`].
    #[inline]
    pub(crate) fn distance(self) -> u16 {
        self.0 as u16
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;

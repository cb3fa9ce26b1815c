//! A literal or a match, in 32 bits.

/// A byte, or a match of 3 to 258 bytes at a distance of 1 to 32768.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u32);

const MATCH: u32 = 1 << 31;

impl Token {
    #[inline]
    pub(crate) fn literal(byte: u8) -> Self {
        Self(byte.into())
    }

    /// `length` is at least 3, `distance` at least 1; both within the limits of the format.
    #[inline]
    pub(crate) fn matched(length: usize, distance: usize) -> Self {
        Self(MATCH | ((length - 3) as u32 & 0xff) << 16 | (distance - 1) as u32 & 0x7fff)
    }

    /// The byte, if this is one.
    #[inline]
    pub(crate) fn byte(self) -> Option<u8> {
        (self.0 < MATCH).then_some(self.0 as u8)
    }

    /// How many bytes it stands for.
    #[inline]
    pub(crate) fn len(self) -> usize {
        if self.0 < MATCH { 1 } else { usize::from(self.length()) + 3 }
    }

    /// The length of a match less 3.
    #[inline]
    pub(crate) fn length(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The distance of a match less 1.
    #[inline]
    pub(crate) fn distance(self) -> u16 {
        self.0 as u16 & 0x7fff
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_keep_what_they_are_made_of() {
        assert_eq!(Token::literal(255).byte(), Some(255));
        for (length, distance) in [(3, 1), (258, 32768), (17, 4096)] {
            let token = Token::matched(length, distance);
            assert_eq!(token.byte(), None);
            assert_eq!(usize::from(token.length()) + 3, length);
            assert_eq!(usize::from(token.distance()) + 1, distance);
        }
    }
}

//! Symbols, and the state that they leave behind.

/// The symbols that were coded last, as a context for the next: LZMA's twelve states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SymbolState(u8);

impl SymbolState {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const COUNT: usize = 12;

    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    pub(super) fn is_after_literal(self) -> bool {
        self.0 < 7
    }

    pub(super) fn literal(self) -> Self {
        Self(match self.0 {
            0..=3 => 0,
            4..=9 => self.0 - 3,
            _ => self.0 - 6,
        })
    }

    pub(super) fn matched(self) -> Self {
        Self(if self.is_after_literal() { 7 } else { 10 })
    }

    pub(super) fn repeated(self) -> Self {
        Self(if self.is_after_literal() { 8 } else { 11 })
    }

    pub(super) fn short(self) -> Self {
        Self(if self.is_after_literal() { 9 } else { 11 })
    }
}

/// A symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal,
    /// One byte at the last distance.
    Short,
    /// A match at one of the last four distances.
    Repeat {
        which: usize,
        len: usize,
    },
    /// A match at a new distance, which is one more than `back`.
    Match {
        back: u32,
        len: usize,
    },
}

impl Symbol {
    /// Its length in bytes.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Literal | Self::Short => 1,
            Self::Repeat { len, .. } | Self::Match { len, .. } => len,
        }
    }
}

/// Puts a distance before the others; it was the one numbered `which`, or is new.
pub(super) fn remember(backs: &mut [u32; 4], which: usize, back: u32) {
    backs.copy_within(0..which, 1);
    backs[0] = back;
}

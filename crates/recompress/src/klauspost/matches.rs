//! What the levels have in common: a match, and how it grows.

use super::history::common;
use super::tokens::Tokens;
use crate::deflate::alphabet::LONGEST;

/// A match, with places in the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Match {
    pub(super) at: i32,
    pub(super) before: i32,
    pub(super) length: i32,
}

impl Match {
    /// The match at two places where four bytes are the same, as long as it is.
    #[inline]
    pub(super) fn whole(history: &[u8], at: i32, before: i32) -> Self {
        Self { at, before, length: 4 + common(history, at + 4, before + 4, usize::MAX) }
    }

    /// The same, but not longer than the format allows.
    #[inline]
    pub(super) fn limited(history: &[u8], at: i32, before: i32) -> Self {
        Self { at, before, length: 4 + common(history, at + 4, before + 4, LONGEST - 4) }
    }

    pub(super) fn distance(self) -> i32 {
        self.at - self.before
    }

    /// Grows towards what was emitted.
    fn grown_back(mut self, history: &[u8], emitted: i32) -> Self {
        while self.before > 0
            && self.at > emitted
            && history.get(self.before as usize - 1) == history.get(self.at as usize - 1)
        {
            self.at -= 1;
            self.before -= 1;
            self.length += 1;
        }
        self
    }

    /// Grows back, and becomes tokens with the bytes before it. Returns what it became.
    pub(super) fn emit(self, history: &[u8], emitted: i32, tokens: &mut Tokens) -> Self {
        let grown = self.grown_back(history, emitted);
        tokens.literals(history.get(emitted as usize..grown.at as usize).unwrap_or_default());
        tokens.matched(grown.length as usize, grown.distance() as usize);
        grown
    }

    /// Where it ends.
    pub(super) fn end(self) -> i32 {
        self.at + self.length
    }
}

/// The bytes after the last match; a block without matches has no tokens.
pub(super) fn emit_rest(history: &[u8], emitted: i32, tokens: &mut Tokens) {
    if !tokens.list.is_empty() {
        tokens.literals(history.get(emitted as usize..).unwrap_or_default());
    }
}

//! Matches of all levels: extending them in both directions, emitting them.

use super::history::HistoryView;
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
    pub(super) fn whole(history: HistoryView<'_>, at: i32, before: i32) -> Self {
        Self { at, before, length: 4 + history.common(at + 4, before + 4, i32::MAX) }
    }

    /// The same, but not longer than the format allows.
    #[inline]
    pub(super) fn limited(history: HistoryView<'_>, at: i32, before: i32) -> Self {
        Self { at, before, length: 4 + history.common(at + 4, before + 4, LONGEST as i32 - 4) }
    }

    pub(super) fn distance(self) -> i32 {
        self.at - self.before
    }

    /// Grows towards what was emitted.
    #[inline]
    fn grown_back(self, history: HistoryView<'_>, emitted: i32) -> Self {
        let more = history.common_before(self.at, self.before, (self.at - emitted).min(self.before));
        Self { at: self.at - more, before: self.before - more, length: self.length + more }
    }

    /// Grows back, and becomes tokens with the bytes before it. Returns what it became.
    #[inline]
    pub(super) fn emit(self, history: HistoryView<'_>, emitted: i32, tokens: &mut Tokens) -> Self {
        let grown = self.grown_back(history, emitted);
        tokens.literals(history, emitted, grown.at);
        tokens.matched(grown.length as usize, grown.distance() as usize);
        grown
    }

    /// The place after its last byte.
    pub(super) fn end(self) -> i32 {
        self.at + self.length
    }
}

/// The bytes after the last match; a block without matches has no tokens.
pub(super) fn emit_rest(history: HistoryView<'_>, emitted: i32, tokens: &mut Tokens) {
    if !tokens.list.is_empty() {
        tokens.literals(history, emitted, history.len);
    }
}

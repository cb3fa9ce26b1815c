//! The search for matches through one block, as far as the finders of the levels below `best` have it alike.

use super::block::FoundSequences;
use super::finder::HistoryBlock;
use super::history::{History, load32, load64, same, same_before};
use super::sequences::{SHORTEST, Sequence};

/// The progress of a search through a block. A step that returns `None` has come to the end of what is searched.
pub(super) struct BlockSearch<'a> {
    pub(super) plain: &'a [u8],
    /// The place of the first byte of `plain`.
    pub(super) first: u32,
    pub(super) window: u32,
    /// The end of what is searched.
    pub(super) limit: usize,
    pub(super) at: usize,
    /// The first of the literals that belong to no sequence yet.
    pub(super) emitted: usize,
    /// The distance of the last match.
    pub(super) near: usize,
    /// The eight bytes at `at`.
    pub(super) word: u64,
    pub(super) found: &'a mut FoundSequences,
}

/// A match that was emitted.
pub(super) struct Emitted {
    /// Its first byte.
    pub(super) begin: usize,
    /// The distance of the match before it.
    pub(super) far: usize,
}

impl<'a> BlockSearch<'a> {
    /// A search at the start of a block, whose last `margin` bytes are not searched.
    pub(super) fn new(
        plain: &'a [u8],
        block: HistoryBlock,
        history: &History,
        margin: usize,
        found: &'a mut FoundSequences,
    ) -> Self {
        let HistoryBlock { start, .. } = block;
        let (first, window, limit) = (history.first, history.window, plain.len() - margin);
        let word = load64(plain, start);
        Self { plain, first, window, limit, at: start, emitted: start, near: 0, word, found }
    }

    /// The place of the current byte.
    #[inline]
    pub(super) fn place(&self) -> u32 {
        self.first + self.at as u32
    }

    /// True if there are so many sequences that the last distance may be used again.
    #[inline]
    pub(super) fn may_repeat(&self) -> bool {
        self.found.sequences.len() > 2
    }

    /// Goes on without a match, the farther the longer there was none: by `least` bytes and one for each 2^`shift` literals.
    #[inline]
    pub(super) fn skip(&mut self, least: usize, shift: u32) -> Option<()> {
        self.at += least + ((self.at - self.emitted) >> shift);
        self.load()
    }

    /// Goes on behind a match.
    #[inline]
    pub(super) fn go_on(&mut self) -> Option<()> {
        self.emitted = self.at;
        self.load()
    }

    #[inline]
    fn load(&mut self) -> Option<()> {
        if self.at >= self.limit {
            return None;
        }
        self.word = load64(self.plain, self.at);
        Some(())
    }

    /// True if four bytes that begin `ahead` of here are there at the last distance, too.
    #[inline]
    pub(super) fn repeats_ahead(&self, ahead: usize) -> bool {
        let at = self.at + ahead;
        at >= self.near && load32(self.plain, at - self.near) == (self.word >> (8 * ahead)) as u32
    }

    /// Emits the match at the last distance that begins `ahead` of here, or before.
    #[inline]
    pub(super) fn emit_repeat(&mut self, ahead: usize) {
        let at = self.at + ahead;
        let from = at - self.near;
        let length = 4 + same(self.plain, at + 4, from + 4);
        let least = self.at.saturating_sub(self.window as usize);
        let before = same_before(self.plain, at, from, at - 1 - self.emitted, least);
        self.found.repeat(&self.plain[self.emitted..at - before], length + before);
        self.at = at + length;
    }

    /// The length of the match of two positions of which four bytes are known to be equal.
    #[inline]
    pub(super) fn length(&self, at: usize, from: usize) -> usize {
        4 + same(self.plain, at + 4, from + 4)
    }

    /// Emits a match, and the equal bytes before it.
    #[inline]
    pub(super) fn emit(&mut self, at: usize, from: usize, length: usize) -> Emitted {
        let far = std::mem::replace(&mut self.near, at - from);
        let least = at.saturating_sub(self.window as usize);
        let before = same_before(self.plain, at, from, at - self.emitted, least);
        self.found.matched(&self.plain[self.emitted..at - before], self.near, length + before);
        self.at = at + length;
        Emitted { begin: at - before, far }
    }

    /// True if four bytes from here on are there at the distance before the last one, too.
    #[inline]
    pub(super) fn repeats_far(&self, far: usize) -> bool {
        load32(self.plain, self.at - far) == self.word as u32
    }

    /// Emits the match at the distance before the last one, which becomes the last.
    #[inline]
    pub(super) fn emit_far(&mut self, far: &mut usize) {
        let length = self.length(self.at, self.at - *far);
        self.found.sequences.push(Sequence { literals: 0, length: length as u32 - SHORTEST, offset: 1 });
        self.at += length;
        std::mem::swap(&mut self.near, far);
    }

    /// Ends the block: what belongs to no sequence follows the last one.
    pub(super) fn finish(self) {
        self.found.literals.extend_from_slice(&self.plain[self.emitted..]);
    }
}

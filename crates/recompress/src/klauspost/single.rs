//! Levels 1 and 2: one table of places by five bytes. That of level 2 is larger, and more places are remembered.
//!
//! A port of `level1.go` and `level2.go`.

use super::finder::Finder;
use super::history::{History, HistoryBlock, HistoryView, REACH, hash};
use super::matches::{Match, emit_rest};
use super::tokens::Tokens;

/// The size of the tables, as powers of two.
const LEVEL_1: u32 = 15;
const LEVEL_2: u32 = 17;

pub(super) type Level1 = Single<LEVEL_1>;
pub(super) type Level2 = Single<LEVEL_2>;

pub(super) struct Single<const BITS: u32> {
    history: History,
    table: Vec<i32>,
}

impl<const BITS: u32> Single<BITS> {
    pub(super) fn new() -> Self {
        Self { history: History::new(), table: vec![0; 1 << BITS] }
    }
}

/// The table while a block is encoded, whose history begins at `first`.
struct BlockTable<'a, const BITS: u32> {
    first: i32,
    table: &'a mut [i32],
}

impl<const BITS: u32> BlockTable<'_, BITS> {
    const IS_DENSE: bool = BITS == LEVEL_2;

    /// Remembers a place, and says which was remembered for its bytes.
    #[inline]
    fn see(&mut self, bytes: u64, at: i32) -> i32 {
        let place = at + self.first;
        std::mem::replace(&mut self.table[hash::<5, BITS>(bytes)], place) - self.first
    }

    /// The next place where four bytes were seen within reach, where they were, and the place that would have been
    /// next. Looks at two places in three, and at fewer the longer nothing was found.
    fn next_match(
        &mut self,
        history: HistoryView<'_>,
        from: i32,
        emitted: i32,
        limit: i32,
    ) -> Option<((i32, i32), i32)> {
        let mut at = from;
        let mut bytes = history.bytes(at);
        loop {
            let mut next = at + 2 + ((at - emitted) >> 5);
            if next > limit {
                return None;
            }
            let ahead = history.bytes(next);
            let before = self.see(bytes, at);
            if at - before < REACH && bytes as u32 == history.four(before) {
                self.see(ahead, next);
                return Some(((at, before), next));
            }
            bytes = ahead;
            at = next;
            next += 1;
            let before = self.see(bytes, at);
            if at - before < REACH && bytes as u32 == history.four(before) {
                if !Self::IS_DENSE {
                    // The place after this one is remembered for the bytes of this one.
                    self.see(bytes, next);
                }
                return Some(((at, before), next));
            }
            bytes >>= 8;
            at = next;
        }
    }

    /// Emits a match, and those that follow it at once. Says where to look on, unless the block is at its end.
    fn matches(
        &mut self,
        history: HistoryView<'_>,
        (mut at, mut before): (i32, i32),
        next: i32,
        limit: i32,
        emitted: &mut i32,
        tokens: &mut Tokens,
    ) -> Option<i32> {
        loop {
            let found = Match::whole(history, at, before).emit(history, *emitted, tokens);
            *emitted = found.end();
            at = found.end();
            if next >= at {
                at = next + 1;
            }
            if at >= limit {
                if at + found.length + 8 < history.len {
                    self.see(history.bytes(at), at);
                }
                return None;
            }
            if Self::IS_DENSE {
                self.remember(history, at - found.length, at);
            }
            let bytes = history.bytes(at - 2);
            self.see(bytes, at - 2);
            if Self::IS_DENSE {
                self.see(bytes >> 8, at - 1);
            }
            before = self.see(bytes >> 16, at);
            if at - before > REACH || (bytes >> 16) as u32 != history.four(before) {
                return Some(at + 1);
            }
        }
    }

    /// Remembers three places in seven of a match.
    fn remember(&mut self, history: HistoryView<'_>, start: i32, end: i32) {
        let mut at = start + 2;
        while at < end - 5 {
            let bytes = history.bytes(at);
            self.see(bytes, at);
            self.see(bytes >> 16, at + 2);
            self.see(bytes >> 32, at + 4);
            at += 7;
        }
    }
}

impl<const BITS: u32> Finder for Single<BITS> {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut i32)) {
        self.table.iter_mut().for_each(change);
    }

    fn block(&mut self, block: HistoryBlock, tokens: &mut Tokens) {
        let history = self.history.view();
        let places = &mut BlockTable::<BITS> { first: self.history.first, table: &mut self.table };
        let mut emitted = block.start;
        let mut from = block.start;
        while let Some((found, next)) = places.next_match(history, from, emitted, block.limit) {
            let Some(at) = places.matches(history, found, next, block.limit, &mut emitted, tokens) else {
                break;
            };
            from = at;
        }
        emit_rest(history, emitted, tokens);
    }
}

//! Level 3: the last two places of five bytes.
//!
//! A port of `level3.go`.

use super::finder::Finder;
use super::history::{History, HistoryBlock, HistoryView, REACH, hash};
use super::matches::{Match, emit_rest};
use super::pairs::PlacePair;
use super::tokens::Tokens;

const BITS: u32 = 16;
/// The greatest distance at which a match begins.
const NEAR: i32 = REACH - 4;

pub(super) struct Level3 {
    history: History,
    table: Box<[PlacePair; 1 << BITS]>,
}

impl Level3 {
    pub(super) fn new() -> Self {
        Self { history: History::new(), table: Box::new([PlacePair::default(); 1 << BITS]) }
    }
}

/// The table while a block is encoded, whose history begins at `first`.
struct BlockTable<'a> {
    first: i32,
    table: &'a mut [PlacePair; 1 << BITS],
}

impl BlockTable<'_> {
    /// Remembers a place, and says which were remembered for its bytes.
    #[inline]
    fn see(&mut self, bytes: u64, at: i32) -> PlacePair {
        let pair = &mut self.table[hash::<5, BITS>(bytes)];
        let before = *pair;
        *pair = PlacePair { last: at + self.first, older: before.last };
        PlacePair { last: before.last - self.first, older: before.older - self.first }
    }

    /// The next place where four bytes were seen within reach, where they were, and the place that would have been
    /// next.
    fn next_match(
        &mut self,
        history: HistoryView<'_>,
        from: i32,
        emitted: i32,
        limit: i32,
    ) -> Option<((i32, i32), i32)> {
        let mut next = from;
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 7);
            if next > limit {
                return None;
            }
            let bytes = history.bytes(at);
            let seen = self.see(bytes, at);
            if seen.last < at - NEAR {
                continue;
            }
            let is_same = |before: i32| bytes as u32 == history.four(before);
            if is_same(seen.last) {
                let is_older = seen.older >= at - NEAR && is_same(seen.older) && {
                    let length = |before: i32| history.common(at + 4, before + 4, i32::MAX);
                    length(seen.older) > length(seen.last)
                };
                return Some(((at, if is_older { seen.older } else { seen.last }), next));
            }
            if seen.older > at - NEAR && is_same(seen.older) {
                return Some(((at, seen.older), next));
            }
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
                // The end of what was repeated, not of the match.
                let place = found.before + found.length;
                if place > 0 && place + 8 < history.len {
                    self.see(history.bytes(place), place);
                }
                return None;
            }
            let mut within = at - found.length + 2;
            while within < at - 5 {
                self.see(history.bytes(within), within);
                within += 6;
            }
            let bytes = history.bytes(at - 2);
            self.see(bytes, at - 2);
            self.see(bytes >> 8, at - 1);
            let seen = self.see(bytes >> 16, at);
            let is_same = |before: i32| (bytes >> 16) as u32 == history.four(before);
            before = if seen.last <= at - NEAR {
                return Some(at + 1);
            } else if is_same(seen.last) {
                seen.last
            } else if seen.older > at - NEAR && is_same(seen.older) {
                seen.older
            } else {
                return Some(at + 1);
            };
        }
    }
}

impl Finder for Level3 {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut i32)) {
        for pair in self.table.iter_mut() {
            change(&mut pair.last);
            change(&mut pair.older);
        }
    }

    fn block(&mut self, block: HistoryBlock, tokens: &mut Tokens) {
        let history = self.history.view();
        let places = &mut BlockTable { first: self.history.first, table: &mut self.table };
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

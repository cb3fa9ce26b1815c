//! Level 6, the default of Go from 1.27 on: as level 5, but the last distance is tried, too, and more places are
//! remembered.

use super::Finder;
use super::history::{Block, History, REACH, bytes_at, common, four_at};
use super::level5::{longer_of, whole};
use super::matches::{Match, emit_rest};
use super::pairs::Tables;
use super::tokens::Tokens;

/// How many bytes at its start the match at the end may lack.
const LACKING: i32 = 2;

pub(super) struct Level6 {
    tables: Tables,
}

impl Level6 {
    pub(super) fn new() -> Self {
        Self { tables: Tables::new() }
    }

    /// The next match, and the place that would have been next.
    fn next_match(
        &mut self,
        history: &[u8],
        from: i32,
        emitted: i32,
        limit: i32,
        distance: i32,
    ) -> Option<(Match, i32)> {
        let mut next = from;
        let mut bytes = bytes_at(history, from);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 7);
            if next > limit {
                return None;
            }
            let (short, long) = (self.tables.short(bytes), self.tables.long(bytes));
            let ahead = bytes_at(history, next);
            self.tables.put(bytes, at);
            let is_match = |before: i32| at - before < REACH && bytes as u32 == four_at(history, before);
            if at - long.last < REACH && is_match(long.last) {
                self.tables.put(ahead, next);
                return Some((longer_of(history, at, long.last, long.older, bytes), next));
            }
            if at - long.last < REACH && is_match(long.older) {
                self.tables.put(ahead, next);
                return Some((Match::whole(history, at, long.older), next));
            }
            if is_match(short) {
                let found = Match::limited(history, at, short);
                let found = self.better_of_next(history, found, bytes, next, distance);
                return Some((whole(history, found), next));
            }
            bytes = ahead;
        }
    }

    /// A longer match than this one at the last distance, one byte later, or at the next place. Remembers the latter.
    fn better_of_next(
        &mut self,
        history: &[u8],
        found: Match,
        bytes: u64,
        next: i32,
        distance: i32,
    ) -> Match {
        let ahead = bytes_at(history, next);
        let long = self.tables.long(ahead);
        self.tables.put(ahead, next);
        let repeated = found.at - distance + 1;
        if four_at(history, repeated) == (bytes >> 8) as u32 {
            let again = Match::limited(history, found.at + 1, repeated);
            if again.length > found.length {
                return again;
            }
        }
        let mut best = found;
        if next - long.last < REACH {
            for before in [long.last, long.older] {
                if next - before < REACH && four_at(history, before) == ahead as u32 {
                    let other = Match::limited(history, next, before);
                    if other.length > best.length {
                        best = other;
                    }
                }
            }
        }
        best
    }

    /// A match that begins a little later and ends after this one, if there is one.
    fn better_at_end(&self, history: &[u8], found: Match, limit: i32) -> Match {
        let end = found.end();
        if end >= limit {
            return found;
        }
        let at = found.at + LACKING;
        let long = self.tables.long(bytes_at(history, end));
        let mut best = found;
        for place in [long.last, long.older] {
            // The second is looked for from where the best of the first has its end.
            let before = place - best.length + LACKING;
            if at - before >= REACH {
                break;
            }
            if at > before && before >= 0 {
                let length = common(history, at, before, usize::MAX);
                if length > best.length {
                    best = Match { at, before, length };
                }
            }
        }
        best
    }

    /// Remembers places of a match.
    fn remember(&mut self, history: &[u8], start: i32, end: i32) {
        let mut at = start;
        while at < end - 1 {
            let bytes = bytes_at(history, at);
            self.tables.put(bytes, at);
            self.tables.put_long(bytes >> 8, at + 1);
            at += 2;
        }
    }

    /// Remembers places up to the end of the block.
    fn remember_rest(&mut self, history: &[u8], start: i32) {
        let mut at = start;
        while at < history.len() as i32 - 8 {
            self.tables.put(bytes_at(history, at), at);
            at += 2;
        }
    }
}

impl Finder for Level6 {
    fn history(&mut self) -> &mut History {
        &mut self.tables.history
    }

    fn places(&mut self, change: &dyn Fn(&mut i32)) {
        self.tables.places(change);
    }

    fn block(&mut self, history: &[u8], block: Block, tokens: &mut Tokens) {
        let mut emitted = block.start;
        let mut from = block.start;
        let mut distance = 1;
        while let Some((found, next)) = self.next_match(history, from, emitted, block.limit, distance) {
            let found = self.better_at_end(history, found, block.limit).emit(history, emitted, tokens);
            distance = found.distance();
            emitted = found.end();
            from = if next >= emitted { next + 1 } else { emitted };
            if from >= block.limit {
                self.remember_rest(history, next + 1);
                break;
            }
            self.remember(history, next + 1, from);
        }
        emit_rest(history, emitted, tokens);
    }
}

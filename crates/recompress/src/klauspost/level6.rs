//! Level 6, the default of Go from 1.27 on: as level 5, but the last distance is tried, too, and more places are
//! remembered.
//!
//! A port of `level6.go`.

use super::finder::Finder;
use super::history::{History, HistoryBlock, HistoryView, REACH};
use super::level5::{longer_of, whole};
use super::matches::{Match, emit_rest};
use super::pairs::{BlockTables, Tables};
use super::tokens::Tokens;

/// Bytes at its start that the match at the end may lack.
const LACKING: i32 = 2;

pub(super) struct Level6 {
    history: History,
    tables: Tables,
}

impl Level6 {
    pub(super) fn new() -> Self {
        Self { history: History::new(), tables: Tables::new() }
    }

    /// The next match, and the place that would have been next.
    fn next_match(
        history: HistoryView<'_>,
        places: &mut BlockTables<'_>,
        from: i32,
        emitted: i32,
        limit: i32,
        distance: i32,
    ) -> Option<(Match, i32)> {
        let mut next = from;
        let mut bytes = history.bytes(from);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 7);
            if next > limit {
                return None;
            }
            let (short, long) = (places.short(bytes), places.long(bytes));
            let ahead = history.bytes(next);
            places.put(bytes, at);
            let is_match = |before: i32| at - before < REACH && bytes as u32 == history.four(before);
            if at - long.last < REACH && is_match(long.last) {
                places.put(ahead, next);
                return Some((longer_of(history, at, long.last, long.older, bytes), next));
            }
            if at - long.last < REACH && is_match(long.older) {
                places.put(ahead, next);
                return Some((Match::whole(history, at, long.older), next));
            }
            if is_match(short) {
                let found = Match::limited(history, at, short);
                let found = Self::better_of_next(history, places, found, bytes, next, distance);
                return Some((whole(history, found), next));
            }
            bytes = ahead;
        }
    }

    /// A longer match than this one at the last distance, one byte later, or at the next place. Remembers the latter.
    fn better_of_next(
        history: HistoryView<'_>,
        places: &mut BlockTables<'_>,
        found: Match,
        bytes: u64,
        next: i32,
        distance: i32,
    ) -> Match {
        let ahead = history.bytes(next);
        let long = places.long(ahead);
        places.put(ahead, next);
        let repeated = found.at - distance + 1;
        if history.four(repeated) == (bytes >> 8) as u32 {
            let again = Match::limited(history, found.at + 1, repeated);
            if again.length > found.length {
                return again;
            }
        }
        let mut best = found;
        if next - long.last < REACH {
            for before in [long.last, long.older] {
                if next - before < REACH && history.four(before) == ahead as u32 {
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
    fn better_at_end(history: HistoryView<'_>, places: &BlockTables<'_>, found: Match, limit: i32) -> Match {
        let end = found.end();
        if end >= limit {
            return found;
        }
        let at = found.at + LACKING;
        let long = places.long(history.bytes(end));
        let mut best = found;
        for place in [long.last, long.older] {
            // The second is looked for from where the best of the first has its end.
            let before = place - best.length + LACKING;
            if at - before >= REACH {
                break;
            }
            if at > before && before >= 0 {
                let length = history.common(at, before, i32::MAX);
                if length > best.length {
                    best = Match { at, before, length };
                }
            }
        }
        best
    }

    /// Remembers places of a match.
    fn remember(history: HistoryView<'_>, places: &mut BlockTables<'_>, start: i32, end: i32) {
        let mut at = start;
        while at < end - 1 {
            let bytes = history.bytes(at);
            places.put(bytes, at);
            places.put_long(bytes >> 8, at + 1);
            at += 2;
        }
    }

    /// Remembers places up to the end of the block.
    fn remember_rest(history: HistoryView<'_>, places: &mut BlockTables<'_>, start: i32) {
        let mut at = start;
        while at < history.len - 8 {
            places.put(history.bytes(at), at);
            at += 2;
        }
    }
}

impl Finder for Level6 {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut i32)) {
        self.tables.change(change);
    }

    fn block(&mut self, block: HistoryBlock, tokens: &mut Tokens) {
        let history = self.history.view();
        let places = &mut self.tables.after(self.history.first);
        let mut emitted = block.start;
        let mut from = block.start;
        let mut distance = 1;
        while let Some((found, next)) =
            Self::next_match(history, places, from, emitted, block.limit, distance)
        {
            let found =
                Self::better_at_end(history, places, found, block.limit).emit(history, emitted, tokens);
            distance = found.distance();
            emitted = found.end();
            from = if next >= emitted { next + 1 } else { emitted };
            if from >= block.limit {
                Self::remember_rest(history, places, next + 1);
                break;
            }
            Self::remember(history, places, next + 1, from);
        }
        emit_rest(history, emitted, tokens);
    }
}

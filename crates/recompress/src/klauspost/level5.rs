//! Level 5, the default of klauspost's encoder: tables for four and seven bytes, and a look at the end of each match
//! for one that goes on.
//!
//! A port of `level5.go`.

use super::finder::Finder;
use super::history::{History, HistoryBlock, HistoryView, REACH};
use super::matches::{Match, emit_rest};
use super::pairs::{BlockTables, Tables};
use super::tokens::Tokens;
use crate::deflate::alphabet::LONGEST;

/// Matches from this length on are not compared with one at their end.
const GOOD: i32 = 30;
/// Bytes at its start that the match at the end may lack.
const LACKING: i32 = 2;

pub(super) struct Level5 {
    history: History,
    tables: Tables,
}

impl Level5 {
    pub(super) fn new() -> Self {
        Self { history: History::new(), tables: Tables::new() }
    }

    /// The next match, and the place that would have been next. Fewer places are looked at the longer nothing was
    /// found.
    fn next_match(
        history: HistoryView<'_>,
        places: &mut BlockTables<'_>,
        from: i32,
        emitted: i32,
        limit: i32,
    ) -> Option<(Match, i32)> {
        let mut next = from;
        let mut bytes = history.bytes(from);
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 6);
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
                let long = places.long(ahead);
                places.put(ahead, next);
                let is_next = |before: i32| next - before < REACH && ahead as u32 == history.four(before);
                let longer = |before: i32| {
                    let other = Match::limited(history, next, before);
                    (other.length > found.length).then_some(other)
                };
                let mut better = None;
                if next - long.last < REACH {
                    better = is_next(long.last).then(|| longer(long.last)).flatten();
                    better = better.or_else(|| is_next(long.older).then(|| longer(long.older)).flatten());
                }
                return Some((whole(history, better.unwrap_or(found)), next));
            }
            bytes = ahead;
        }
    }

    /// A match that begins a little later and ends after this one, if there is one.
    fn better_at_end(history: HistoryView<'_>, places: &BlockTables<'_>, found: Match, limit: i32) -> Match {
        let end = found.end();
        if found.length >= GOOD || end >= limit {
            return found;
        }
        let at = found.at + LACKING;
        let before = places.long(history.bytes(end)).last - found.length + LACKING;
        if before < 0 || at - before >= REACH || at <= before {
            return found;
        }
        let length = history.common(at, before, i32::MAX);
        if length > found.length { Match { at, before, length } } else { found }
    }

    /// Remembers every third place of a match, and the one before its end.
    fn remember(history: HistoryView<'_>, places: &mut BlockTables<'_>, start: i32, end: i32) {
        let mut at = start + 1;
        if at < end - 1 {
            let bytes = history.bytes(at);
            places.put(bytes, at);
            places.put_long(bytes >> 8, at + 1);
            places.put_short(bytes >> 16, at + 2);
            at += 4;
            while at < end - 1 {
                let bytes = history.bytes(at);
                places.put_long(bytes, at);
                places.put_short(bytes >> 8, at + 1);
                at += 3;
            }
        }
        places.put(history.bytes(end - 1), end - 1);
    }
}

/// The longer of a match and an older one, which may not be one.
pub(super) fn longer_of(history: HistoryView<'_>, at: i32, last: i32, older: i32, bytes: u64) -> Match {
    if at - older >= REACH || bytes as u32 != history.four(older) {
        return Match::whole(history, at, last);
    }
    let (last, older) = (Match::limited(history, at, last), Match::limited(history, at, older));
    whole(history, if older.length > last.length { older } else { last })
}

/// A match whose length was limited, as long as it is.
pub(super) fn whole(history: HistoryView<'_>, found: Match) -> Match {
    if found.length != LONGEST as i32 {
        return found;
    }
    let more = history.common(found.end(), found.before + found.length, i32::MAX);
    Match { length: found.length + more, ..found }
}

impl Finder for Level5 {
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
        while let Some((found, next)) = Self::next_match(history, places, from, emitted, block.limit) {
            let found =
                Self::better_at_end(history, places, found, block.limit).emit(history, emitted, tokens);
            emitted = found.end();
            from = if next >= emitted { next + 1 } else { emitted };
            if from >= block.limit {
                break;
            }
            Self::remember(history, places, from - found.length, from);
        }
        emit_rest(history, emitted, tokens);
    }
}

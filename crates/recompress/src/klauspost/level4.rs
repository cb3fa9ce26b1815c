//! Level 4: the last place of four bytes, and of seven.
//!
//! A port of `level4.go`.

use super::finder::Finder;
use super::history::{History, HistoryBlock, HistoryView, REACH};
use super::matches::{Match, emit_rest};
use super::pairs::{BlockTables, Tables};
use super::release::Release;
use super::tokens::Tokens;

pub(super) struct Level4 {
    /// The last two places of seven bytes, of which only the later one is used.
    history: History,
    tables: Tables,
    release: Release,
}

impl Level4 {
    pub(super) fn new(release: Release) -> Self {
        Self { history: History::new(), tables: Tables::new(), release }
    }

    /// The next place where four bytes were seen within reach, where they were, and the place that would have been
    /// next.
    fn next_match(
        release: Release,
        history: HistoryView<'_>,
        places: &mut BlockTables<'_>,
        from: i32,
        emitted: i32,
        limit: i32,
    ) -> Option<((i32, i32), i32)> {
        let mut next = from;
        loop {
            let at = next;
            next = at + 1 + ((at - emitted) >> 6);
            if next > limit {
                return None;
            }
            let bytes = history.bytes(at);
            let (short, long) = (places.short(bytes), places.long(bytes).last);
            places.put(bytes, at);
            let is_match = |before: i32| at - before < REACH && bytes as u32 == history.four(before);
            if is_match(long) {
                return Some(((at, long), next));
            }
            if is_match(short) {
                return Some((Self::better_at_next(release, history, places, (at, short), next), next));
            }
        }
    }

    /// The match at the next place, if that is longer.
    fn better_at_next(
        release: Release,
        history: HistoryView<'_>,
        places: &BlockTables<'_>,
        found: (i32, i32),
        next: i32,
    ) -> (i32, i32) {
        let ahead = history.bytes(next);
        let before = places.long(ahead).last;
        if next - before >= REACH || ahead as u32 != history.four(before) {
            return found;
        }
        // From 2025 on the distance is taken for the place, which was no more than a slip.
        let compared = if release == Release::Full { before } else { next - before };
        let length = |at: i32, before: i32| history.common(at + 4, before + 4, i32::MAX);
        if length(next, compared) > length(found.0, found.1) { (next, before) } else { found }
    }

    /// Remembers every third place of a match, and the one before its end.
    fn remember(history: HistoryView<'_>, places: &mut BlockTables<'_>, start: i32, end: i32) {
        let mut at = start;
        while at < end - 1 {
            let bytes = history.bytes(at);
            places.put_long(bytes, at);
            places.put(bytes >> 8, at + 1);
            at += 3;
        }
        places.put(history.bytes(end - 1), end - 1);
    }
}

impl Finder for Level4 {
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
        while let Some(((at, before), next)) =
            Self::next_match(self.release, history, places, from, emitted, block.limit)
        {
            emitted = Match::whole(history, at, before).emit(history, emitted, tokens).end();
            from = if next >= emitted { next + 1 } else { emitted };
            if from >= block.limit {
                if from + 8 < history.len {
                    places.put(history.bytes(from), from);
                }
                break;
            }
            Self::remember(history, places, next, from);
        }
        emit_rest(history, emitted, tokens);
    }
}

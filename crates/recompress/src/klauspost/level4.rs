//! Level 4: the last place of four bytes, and of seven.

use super::history::{Block, History, REACH, bytes_at, common, four_at};
use super::matches::{Match, emit_rest};
use super::pairs::Tables;
use super::tokens::Tokens;
use super::{Finder, Release};

pub(super) struct Level4 {
    /// Of the last two places of seven bytes only the later one is used.
    tables: Tables,
    release: Release,
}

impl Level4 {
    pub(super) fn new(release: Release) -> Self {
        Self { tables: Tables::new(), release }
    }

    /// The next place where four bytes were seen within reach, where they were, and the place that would have been
    /// next.
    fn next_match(
        &mut self,
        history: &[u8],
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
            let bytes = bytes_at(history, at);
            let (short, long) = (self.tables.short(bytes), self.tables.long(bytes).last);
            self.tables.put(bytes, at);
            let is_match = |before: i32| at - before < REACH && bytes as u32 == four_at(history, before);
            if is_match(long) {
                return Some(((at, long), next));
            }
            if is_match(short) {
                return Some((self.better_at_next(history, (at, short), next), next));
            }
        }
    }

    /// The match at the next place, if that is longer.
    fn better_at_next(&self, history: &[u8], found: (i32, i32), next: i32) -> (i32, i32) {
        let ahead = bytes_at(history, next);
        let before = self.tables.long(ahead).last;
        if next - before >= REACH || ahead as u32 != four_at(history, before) {
            return found;
        }
        // From 2025 on the distance is taken for the place, which was no more than a slip.
        let compared = if self.release == Release::Full { before } else { next - before };
        let length = |at: i32, before: i32| common(history, at + 4, before + 4, usize::MAX);
        if length(next, compared) > length(found.0, found.1) { (next, before) } else { found }
    }

    /// Remembers every third place of a match, and the one before its end.
    fn remember(&mut self, history: &[u8], start: i32, end: i32) {
        let mut at = start;
        while at < end - 1 {
            let bytes = bytes_at(history, at);
            self.tables.put_long(bytes, at);
            self.tables.put(bytes >> 8, at + 1);
            at += 3;
        }
        self.tables.put(bytes_at(history, end - 1), end - 1);
    }
}

impl Finder for Level4 {
    fn history(&mut self) -> &mut History {
        &mut self.tables.history
    }

    fn places(&mut self, change: &dyn Fn(&mut i32)) {
        self.tables.places(change);
    }

    fn block(&mut self, history: &[u8], block: Block, tokens: &mut Tokens) {
        let mut emitted = block.start;
        let mut from = block.start;
        while let Some(((at, before), next)) = self.next_match(history, from, emitted, block.limit) {
            emitted = Match::whole(history, at, before).emit(history, emitted, tokens).end();
            from = if next >= emitted { next + 1 } else { emitted };
            if from >= block.limit {
                if ((from + 8) as usize) < history.len() {
                    self.tables.put(bytes_at(history, from), from);
                }
                break;
            }
            self.remember(history, next, from);
        }
        emit_rest(history, emitted, tokens);
    }
}

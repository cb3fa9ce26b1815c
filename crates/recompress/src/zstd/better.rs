//! The level `better`: a table by five bytes, and one by eight, which keeps two places of each hash.
//!
//! A port of klauspost's `zstd/enc_better.go`.

use super::block::FoundSequences;
use super::finder::{Finder, HashEntry, HistoryBlock, PlacePair};
use super::history::{History, hash, load32, load64, same};
use super::parameters::Generation;
use super::search::{BlockSearch, Emitted};

const BITS: u32 = 13;
const LONG_BITS: u32 = 19;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 10;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 16;
/// Bytes at the start of a match that may differ where it is searched from its end.
const SKIPPED: usize = 3;

pub(super) struct Better {
    generation: Generation,
    history: History,
    tables: Tables,
}

struct Tables {
    short: Box<[HashEntry]>,
    long: Box<[PlacePair]>,
}

/// A match that was found.
#[derive(Clone, Copy)]
struct Match {
    at: usize,
    from: usize,
    length: usize,
}

impl Better {
    pub(super) fn new(generation: Generation, window: u32) -> Self {
        Self {
            generation,
            history: History::new(window),
            tables: Tables {
                short: vec![HashEntry::default(); 1 << BITS].into(),
                long: vec![PlacePair::default(); 1 << LONG_BITS].into(),
            },
        }
    }
}

impl Tables {
    #[inline]
    fn long(&self, word: u64) -> PlacePair {
        self.long[hash::<8, LONG_BITS>(word)]
    }

    /// Remembers a place by eight bytes, and says what was there.
    #[inline]
    fn keep_long(&mut self, word: u64, place: u32) -> PlacePair {
        let slot = &mut self.long[hash::<8, LONG_BITS>(word)];
        let old = *slot;
        *slot = PlacePair { place, before: old.place };
        old
    }

    /// Remembers a place by five bytes, and says what was there.
    #[inline]
    fn keep_short(&mut self, word: u64, place: u32) -> HashEntry {
        std::mem::replace(&mut self.short[hash::<5, BITS>(word)], HashEntry { value: word as u32, place })
    }

    /// Remembers every other place of a match by eight bytes, and those after them by five.
    fn keep_all(&mut self, plain: &[u8], first: u32, from: usize, to: usize) {
        for at in (from..to.saturating_sub(1)).step_by(2) {
            let (word, place) = (load64(plain, at), first + at as u32);
            self.keep_long(word, place);
            self.keep_short(word >> 8, place + 1);
        }
    }
}

/// Looks for matches of eight bytes.
struct LongMatches<'a> {
    plain: &'a [u8],
    first: u32,
    window: u32,
}

impl<'a> LongMatches<'a> {
    fn of(search: &BlockSearch<'a>) -> Self {
        Self { plain: search.plain, first: search.first, window: search.window }
    }

    /// The match with a place that was remembered for eight bytes at `at`, if it is near enough to `seen_from`.
    #[inline]
    fn at(&self, word: u64, at: usize, seen_from: usize, place: u32) -> Option<Match> {
        if (self.first + seen_from as u32).wrapping_sub(place) >= self.window {
            return None;
        }
        let from = place.checked_sub(self.first)? as usize;
        (load64(self.plain, from) == word).then(|| Match {
            at,
            from,
            length: 8 + same(self.plain, at + 8, from + 8),
        })
    }

    /// The match from `at` on that goes on at a remembered place where the found one ends, if it is longer.
    fn by_end(&self, found: Match, at: usize, place: u32) -> Option<Match> {
        let from = (place as usize + SKIPPED).checked_sub(self.first as usize + found.length)?;
        if from >= at
            || at - from >= self.window as usize
            || load32(self.plain, from) != load32(self.plain, at)
        {
            return None;
        }
        let length = 4 + same(self.plain, at + 4, from + 4);
        (length > found.length).then_some(Match { at, from, length })
    }
}

impl Finder for Better {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut u32)) {
        self.tables.short.iter_mut().for_each(|entry| change(&mut entry.place));
        self.tables.long.iter_mut().for_each(|pair| pair.change(change));
    }

    fn block(&mut self, plain: &[u8], block: HistoryBlock, found: &mut FoundSequences) {
        if self.generation >= Generation::V1_18 && found.all_same(&plain[block.start..]) {
            return;
        }
        if plain.len() - block.start < SMALLEST {
            found.literals.extend_from_slice(&plain[block.start..]);
            return;
        }
        let mut search = BlockSearch::new(plain, block, &self.history, MARGIN, found);
        while self.tables.next_sequences(&mut search, self.generation).is_some() {}
        search.finish();
    }
}

impl Tables {
    /// Finds the next match and those that follow it at once. `None` at the end of the block.
    #[inline]
    fn next_sequences(&mut self, search: &mut BlockSearch<'_>, generation: Generation) -> Option<()> {
        let may_repeat = search.may_repeat();
        let mut best = self.next_match(search, may_repeat)?;
        let seen = search.at + 1;
        let long_matches = LongMatches::of(search);
        if best.at + best.length < search.limit {
            let long = self.long(load64(search.plain, best.at + best.length));
            // The second is looked for with the length of the first, but from the same place.
            let from = best.at + SKIPPED;
            for place in [long.place, long.before] {
                best = long_matches.by_end(best, from, place).unwrap_or(best);
            }
        }
        let Emitted { begin, mut far } = search.emit(best.at, best.from, best.length);
        search.go_on()?;
        let from = if generation >= Generation::V1_18 { seen } else { begin + 1 };
        self.keep_all(search.plain, search.first, from, search.at);
        while may_repeat && search.repeats_far(far) {
            let place = search.place();
            self.keep_long(search.word, place);
            self.keep_short(search.word, place);
            search.emit_far(&mut far);
            search.go_on()?;
        }
        Some(())
    }

    /// Goes on to the next match with a new distance; the search stays where it was found.
    #[inline]
    fn next_match(&mut self, search: &mut BlockSearch<'_>, may_repeat: bool) -> Option<Match> {
        loop {
            let (at, word, place) = (search.at, search.word, search.place());
            let long = self.keep_long(word, place);
            let short = self.keep_short(word, place);
            if may_repeat && search.repeats_ahead(1) {
                search.emit_repeat(1);
                search.go_on()?;
                self.keep_all(search.plain, search.first, at + 1, search.at);
                continue;
            }
            let long_matches = LongMatches::of(search);
            let [longer, before] =
                [long.place, long.before].map(|place| long_matches.at(word, at, at, place));
            if let Some(longer) = longer {
                return Some(before.filter(|before| before.length > longer.length).unwrap_or(longer));
            }
            if before.is_some() {
                return before;
            }
            if place - short.place < search.window && word as u32 == short.value {
                let from = (short.place - search.first) as usize;
                let best = Match { at, from, length: search.length(at, from) };
                // Perhaps the next place has a longer one.
                let next = load64(search.plain, at + 1);
                let long = self.keep_long(next, place + 1);
                let mut longer = [long.place, long.before]
                    .into_iter()
                    .filter_map(|place| long_matches.at(next, at + 1, at, place));
                return Some(longer.find(|found| found.length > best.length).unwrap_or(best));
            }
            search.skip(1, 8)?;
        }
    }
}

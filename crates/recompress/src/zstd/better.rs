//! The level `better`: a table by five bytes, and one by eight, which keeps two places of each hash.
//!
//! A port of klauspost's `zstd/enc_better.go`.

use super::block::Found;
use super::finder::{Block, Entry, Finder, Pair};
use super::history::{History, hash, load32, load64, same, same_before};
use super::parameters::Generation;
use super::sequences::{SHORTEST, Sequence};

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
    short: Box<[Entry]>,
    long: Box<[Pair]>,
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
                short: vec![Entry::default(); 1 << BITS].into(),
                long: vec![Pair::default(); 1 << LONG_BITS].into(),
            },
        }
    }
}

impl Tables {
    #[inline]
    fn long(&self, word: u64) -> Pair {
        self.long[hash::<8, LONG_BITS>(word)]
    }

    /// Remembers a place by eight bytes, and says what was there.
    #[inline]
    fn keep_long(&mut self, word: u64, place: u32) -> Pair {
        let slot = &mut self.long[hash::<8, LONG_BITS>(word)];
        let old = *slot;
        *slot = Pair { place, before: old.place };
        old
    }

    /// Remembers a place by five bytes, and says what was there.
    #[inline]
    fn keep_short(&mut self, word: u64, place: u32) -> Entry {
        std::mem::replace(&mut self.short[hash::<5, BITS>(word)], Entry { value: word as u32, place })
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
struct Search<'a> {
    plain: &'a [u8],
    first: u32,
    window: u32,
}

impl Search<'_> {
    /// The match with a place that was remembered for eight bytes at `at`, if it is near enough to `seen_from`.
    #[inline]
    fn long(&self, word: u64, at: usize, seen_from: usize, place: u32) -> Option<Match> {
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

    fn block(&mut self, plain: &[u8], block: Block, found: &mut Found) {
        let start = block.start;
        if self.generation >= Generation::V1_18 && found.all_same(&plain[start..]) {
            return;
        }
        if plain.len() - start < SMALLEST {
            found.literals.extend_from_slice(&plain[start..]);
            return;
        }
        let (first, window) = (self.history.first, self.history.window);
        let search = Search { plain, first, window };
        let tables = &mut self.tables;
        let limit = plain.len() - MARGIN;
        let (mut at, mut emitted) = (start, start);
        let mut near = 0;
        let mut word = load64(plain, at);
        'block: loop {
            let may_repeat = found.sequences.len() > 2;
            let mut best;
            let seen;
            loop {
                let place = first + at as u32;
                let long = tables.keep_long(word, place);
                let short = tables.keep_short(word, place);
                if may_repeat && at + 1 >= near && load32(plain, at + 1 - near) == (word >> 8) as u32 {
                    let repeated = at + 1 - near;
                    let length = 4 + same(plain, at + 5, repeated + 4);
                    let least = at.saturating_sub(window as usize);
                    let before = same_before(plain, at + 1, repeated, at - emitted, least);
                    found.repeat(&plain[emitted..at + 1 - before], length + before);
                    let from = at + 1;
                    at += length + 1;
                    emitted = at;
                    if at >= limit {
                        break 'block;
                    }
                    tables.keep_all(plain, first, from, at);
                    word = load64(plain, at);
                    continue;
                }
                let (longer, long_before) =
                    (search.long(word, at, at, long.place), search.long(word, at, at, long.before));
                if let Some(longer) = longer {
                    best = long_before.filter(|before| before.length > longer.length).unwrap_or(longer);
                    seen = at + 1;
                    break;
                }
                if let Some(before) = long_before {
                    best = before;
                    seen = at + 1;
                    break;
                }
                if place - short.place < window && word as u32 == short.value {
                    let from = (short.place - first) as usize;
                    best = Match { at, from, length: 4 + same(plain, at + 4, from + 4) };
                    // Perhaps the next place has a longer one.
                    let next = load64(plain, at + 1);
                    let long = tables.keep_long(next, place + 1);
                    let is_longer = |found: &Match| found.length > best.length;
                    let longer = search.long(next, at + 1, at, long.place).filter(is_longer);
                    let longer =
                        longer.or_else(|| search.long(next, at + 1, at, long.before).filter(is_longer));
                    best = longer.unwrap_or(best);
                    seen = at + 1;
                    break;
                }
                at += 1 + ((at - emitted) >> 8);
                if at >= limit {
                    break 'block;
                }
                word = load64(plain, at);
            }
            if best.at + best.length < limit {
                let long = tables.long(load64(plain, best.at + best.length));
                // The second is looked for with the length of the first, but from the same place.
                let from = best.at + SKIPPED;
                for place in [long.place, long.before] {
                    best = search.by_end(best, from, place).unwrap_or(best);
                }
            }
            let mut far = near;
            near = best.at - best.from;
            let least = best.at.saturating_sub(window as usize);
            let before = same_before(plain, best.at, best.from, best.at - emitted, least);
            found.matched(&plain[emitted..best.at - before], near, best.length + before);
            let begin = best.at - before;
            at = best.at + best.length;
            emitted = at;
            if at >= limit {
                break;
            }
            let from = if self.generation >= Generation::V1_18 { seen } else { begin + 1 };
            tables.keep_all(plain, first, from, at);
            word = load64(plain, at);
            while may_repeat && load32(plain, at - far) == word as u32 {
                let length = 4 + same(plain, at + 4, at - far + 4);
                let place = first + at as u32;
                tables.keep_long(word, place);
                tables.keep_short(word, place);
                found.sequences.push(Sequence { literals: 0, length: length as u32 - SHORTEST, offset: 1 });
                at += length;
                emitted = at;
                std::mem::swap(&mut near, &mut far);
                if at >= limit {
                    break 'block;
                }
                word = load64(plain, at);
            }
        }
        found.literals.extend_from_slice(&plain[emitted..]);
    }
}

//! The level `best`: two tables of two places each, and prices of matches. As it is from klauspost/compress 1.17.8 on.
//!
//! A port of klauspost's `zstd/enc_best.go`.

use super::block::FoundSequences;
use super::entropy;
use super::finder::{Finder, HistoryBlock, PlacePair};
use super::history::{History, hash, load32, load64, same, same_before};
use super::sequences::MatchPrices;

const BITS: u32 = 18;
const LONG_BITS: u32 = 22;
/// Bytes at the end of a block that are not searched.
const MARGIN: usize = 12;
/// Blocks with fewer bytes have no matches.
const SMALLEST: usize = 16;
/// No better match is looked for than one of so many bytes.
const GOOD_ENOUGH: usize = 250;
/// Bytes at the start of a match that may differ where it is searched from its end.
const SKIPPED: usize = 2;
/// The price of what is no match.
const DEAREST: i32 = 131_074 * 8;

pub(super) struct Best {
    history: History,
    tables: Tables,
    prices: MatchPrices,
}

struct Tables {
    short: Box<[PlacePair]>,
    long: Box<[PlacePair]>,
}

impl Best {
    pub(super) fn new(window: u32) -> Self {
        Self {
            history: History::new(window),
            tables: Tables {
                short: vec![PlacePair::default(); 1 << BITS].into(),
                long: vec![PlacePair::default(); 1 << LONG_BITS].into(),
            },
            prices: MatchPrices::new(),
        }
    }
}

impl Tables {
    #[inline]
    fn short(&self, word: u64) -> PlacePair {
        self.short[hash::<4, BITS>(word)]
    }

    #[inline]
    fn long(&self, word: u64) -> PlacePair {
        self.long[hash::<8, LONG_BITS>(word)]
    }

    #[inline]
    fn keep(&mut self, word: u64, place: u32) {
        let (short, long) =
            (&mut self.short[hash::<4, BITS>(word)], &mut self.long[hash::<8, LONG_BITS>(word)]);
        *short = PlacePair { place, before: short.place };
        *long = PlacePair { place, before: long.place };
    }

    fn keep_all(&mut self, plain: &[u8], first: u32, from: usize, to: usize) {
        for at in from..to {
            self.keep(load64(plain, at), first + at as u32);
        }
    }
}

/// The way in which the distance of a match is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distance {
    /// Nothing was found.
    None,
    /// As the places say.
    New,
    /// One of the last three distances, counted as the format does. Straight after a match it is another one.
    Again { number: u32, is_straight: bool },
}

/// The best match so far, and its price: fewer bits than its literals take are below zero.
#[derive(Clone, Copy)]
struct Match {
    at: usize,
    from: usize,
    length: usize,
    distance: Distance,
    price: i32,
}

/// The progress of a search through a block.
struct Search<'a> {
    plain: &'a [u8],
    /// The place of the first byte of `plain`.
    first: u32,
    window: usize,
    /// The end of what is searched.
    limit: usize,
    /// The first of the literals that belong to no sequence yet.
    emitted: usize,
    /// The last three distances, the last one first.
    distances: [usize; 3],
    bits_per_byte: i32,
    prices: &'a MatchPrices,
}

impl Search<'_> {
    fn place(&self, best: &mut Match, place: u32, at: usize) {
        if let Some(from) = place.checked_sub(self.first) {
            self.improve(best, from as usize, at, Distance::New);
        }
    }

    fn pair(&self, best: &mut Match, pair: PlacePair, at: usize) {
        self.place(best, pair.place, at);
        self.place(best, pair.before, at);
    }

    fn again(&self, best: &mut Match, distance: usize, at: usize, number: Distance) {
        if let Some(from) = at.checked_sub(distance) {
            self.improve(best, from, at, number);
        }
    }

    /// Takes a match if it seems better.
    fn improve(&self, best: &mut Match, from: usize, at: usize, distance: Distance) {
        if at <= from || at - from >= self.window || load32(self.plain, from) != load32(self.plain, at) {
            return;
        }
        if best.length > 16 {
            let Some(left) = self.plain.len().checked_sub(best.at + best.length).filter(|left| *left > 0)
            else {
                return;
            };
            // Four bytes near the end of the best so far have to match, too.
            let check = (best.at + best.length) as i64 - at as i64 - 8;
            if left > 2 && check > 4 {
                let check = check as usize;
                if load32(self.plain, from + check) != load32(self.plain, at + check) {
                    return;
                }
            }
        }
        let length = 4 + same(self.plain, at + 4, from + 4);
        let before = match best.distance {
            Distance::None | Distance::New => {
                let least = at.saturating_sub(self.window);
                same_before(self.plain, at, from, at - self.emitted, least)
            }
            Distance::Again { .. } => 0,
        };
        let (at, from, length) = (at - before, from - before, length + before);
        let offset = match distance {
            Distance::Again { number, .. } => number,
            Distance::None | Distance::New => (at - from) as u32 + 3,
        };
        let price = self.prices.of(offset, length as u32) - ((length as i32 * self.bits_per_byte) >> 10);
        let found = match price {
            1.. => Match { at, from, length: 0, distance, price: DEAREST },
            _ => Match { at, from, length, distance, price },
        };
        let moved = ((found.at as i32 - best.at as i32) * self.bits_per_byte) >> 10;
        if best.price >= DEAREST || found.price - best.price + moved < 0 {
            *best = found;
        }
    }
}

impl Finder for Best {
    fn history(&mut self) -> &mut History {
        &mut self.history
    }

    fn places(&mut self, change: &dyn Fn(&mut u32)) {
        self.tables.short.iter_mut().chain(&mut self.tables.long).for_each(|pair| pair.change(change));
    }

    fn block(&mut self, plain: &[u8], block: HistoryBlock, found: &mut FoundSequences) {
        let start = block.start;
        let own = &plain[start..];
        if found.all_same(own) {
            return;
        }
        if own.len() < SMALLEST {
            found.literals.extend_from_slice(own);
            return;
        }
        let bits_per_byte = ((entropy::bits(own) * 1024 / own.len() as u64) as i32).max(1024);
        let mut search = Search {
            plain,
            first: self.history.first,
            window: self.history.window as usize,
            limit: plain.len() - MARGIN,
            emitted: start,
            distances: [0; 3],
            bits_per_byte,
            prices: &self.prices,
        };
        let mut at = start;
        while let Some(next) = search.next_sequence(&mut self.tables, at, found) {
            at = next;
        }
        found.literals.extend_from_slice(&plain[search.emitted..]);
    }
}

impl Search<'_> {
    /// Looks for a match at a position, and emits it. Returns the position to go on from; `None` at the end of what is
    /// searched.
    fn next_sequence(&mut self, tables: &mut Tables, at: usize, found: &mut FoundSequences) -> Option<usize> {
        let word = load64(self.plain, at);
        let mut best = Match { at, from: 0, length: 0, distance: Distance::None, price: DEAREST };
        self.pair(&mut best, tables.long(word), at);
        self.pair(&mut best, tables.short(word), at);
        if found.sequences.len() > 2 && best.length < GOOD_ENOUGH {
            self.repeats(&mut best, at);
        }
        tables.keep(word, self.first + at as u32);
        if best.length < GOOD_ENOUGH {
            if best.length < 4 {
                let next = at + 1 + ((at - self.emitted) >> 9);
                return (next < self.limit).then_some(next);
            }
            self.ahead(&mut best, tables, word, at);
        }
        let to = self.emit(&best, found);
        tables.keep_all(self.plain, self.first, at + 1, to);
        (self.emitted < self.limit).then_some(self.emitted)
    }

    /// Tries the last three distances.
    fn repeats(&self, best: &mut Match, at: usize) {
        let [near, far, farthest] = self.distances;
        if at == self.emitted {
            let straight = |number| Distance::Again { number, is_straight: true };
            self.again(best, far, at, straight(1));
            self.again(best, farthest, at, straight(2));
            if near > 1 {
                self.again(best, near - 1, at, straight(3));
            }
        }
        for next in [at + 1, at + 3] {
            // The second only if a new distance is the best of all until then.
            let is_asked = match best.distance {
                Distance::Again { .. } => false,
                Distance::None => next == at + 1,
                Distance::New => true,
            };
            if is_asked {
                for (number, distance) in (1..).zip(self.distances) {
                    self.again(best, distance, next, Distance::Again { number, is_straight: false });
                }
            }
        }
    }

    /// Tries the matches of the next two positions, and those that go on where the best one ends.
    fn ahead(&self, best: &mut Match, tables: &Tables, word: u64, at: usize) {
        let (next, after) = (load64(self.plain, at + 1), load64(self.plain, at + 2));
        let (long, long_after) = (tables.long(next), tables.long(after));
        self.place(best, tables.short(word >> 8).place, at + 1);
        self.pair(best, long, at + 1);
        self.pair(best, long_after, at + 2);
        let end = best.at + best.length;
        if best.at + SKIPPED > at && end < self.limit {
            let pair = tables.long(load64(self.plain, end));
            let by_end = |best: &Match, place: u32| {
                (place as usize + SKIPPED).checked_sub(self.first as usize + best.length)
            };
            if let Some(from) = by_end(best, pair.place) {
                let from_at = best.at + SKIPPED;
                self.improve(best, from, from_at, Distance::New);
                if let Some(from) = by_end(best, pair.before) {
                    let from_at = best.at + SKIPPED;
                    self.improve(best, from, from_at, Distance::New);
                }
            }
        }
    }

    /// Emits a match. Returns the end of the places in it that are remembered.
    fn emit(&mut self, best: &Match, found: &mut FoundSequences) -> usize {
        let literals = &self.plain[self.emitted..best.at];
        self.emitted = best.at + best.length;
        let [near, far, farthest] = self.distances;
        match best.distance {
            Distance::Again { number, is_straight } => {
                found.sequence(literals, best.length, number);
                self.distances = match (number, is_straight) {
                    (2, false) | (1, true) => [far, near, farthest],
                    (3, false) | (2, true) => [farthest, near, far],
                    (3, true) => [near - 1, near, far],
                    _ => self.distances,
                };
                self.emitted.min(self.limit + 4)
            }
            Distance::None | Distance::New => {
                found.matched(literals, best.at - best.from, best.length);
                self.distances = [best.at - best.from, near, far];
                self.emitted.min(self.limit - 4)
            }
        }
    }
}

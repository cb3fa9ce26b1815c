//! Levels 2 to 9: chains of places with the same hash, searched greedily (2 and 3) or lazily.
//!
//! A port of `deflate.go`.

use dsync_core::common_prefix;

use super::block::BlockWriter;
use crate::checkpoint::{Checkpoint, Mark, history};
use crate::deflate::StreamEncoder;
use crate::deflate::alphabet::LONGEST;
use crate::deflate::bits::Sink;
use crate::deflate::shortcut::{AT_ONCE, MirroredWindow, SearchParameters, Shortcut};
use crate::deflate::token::Token;

/// The reach of matches, in bytes; the window is twice as large.
const REACH: usize = 1 << 15;
const WINDOW: usize = 2 * REACH;
/// The shortest match that is looked for.
const SHORTEST: usize = 4;
/// Matches of four bytes are not worth more than this distance.
const TOO_FAR: usize = 4096;
const HASH_BITS: u32 = 17;
const HASHES: usize = 1 << HASH_BITS;
/// The most tokens of a block.
const TOKENS: usize = 1 << 14;
/// Places are counted from the start of the stream, and anew before they pass this.
const MOST: i32 = 1 << 24;
/// Lookahead that a search needs, except at the end of the stream.
const AHEAD: usize = SHORTEST + LONGEST;

/// The search parameters of a level.
#[derive(Clone, Copy)]
struct Tuning {
    /// The length from which on no better match is looked for one byte later; 0 where none ever is.
    lazy: usize,
    /// The length from which on the search ends.
    nice: usize,
    /// Places that are looked at.
    chain: usize,
    /// Places within greedy matches up to this length are remembered.
    remembered: usize,
}

impl Tuning {
    /// Levels 2 to 9; any other is taken for the nearest.
    fn of(level: u8) -> Self {
        let (lazy, nice, chain, remembered) = match level {
            0..=2 => (0, 16, 8, 5),
            3 => (0, 32, 32, 6),
            4 => (4, 16, 16, 0),
            5 => (16, 32, 32, 0),
            6 => (16, 128, 128, 0),
            7 => (32, 128, 256, 0),
            8 => (128, 258, 1024, 0),
            _ => (258, 258, 4096, 0),
        };
        Self { lazy, nice, chain, remembered }
    }
}

/// The encoder of levels 2 to 9. Uses 800 KiB, and 900 KiB more in lazy levels.
pub(crate) struct Chained {
    tuning: Tuning,
    blocks: BlockWriter,
    window: Box<MirroredWindow>,
    /// Plain bytes that have left the window.
    base: u64,
    /// The end of the input in the window, and the next byte.
    end: usize,
    index: usize,
    /// The index of the block's first byte; none once that has left the window.
    block: Option<usize>,
    tokens: Vec<Token>,
    /// The last place of each hash, and the place before each place with the same hash. Places are as `offset` says.
    heads: Box<[u32; HASHES]>,
    previous: Box<[u32; REACH]>,
    /// The first place that is not remembered, in lazy levels.
    next: usize,
    /// None in greedy levels.
    shortcut: Option<Shortcut<5>>,
    /// The place of the window's first byte.
    offset: i32,
    /// The place that was found for the last hash.
    head: i32,
    /// The position from which on too few bytes are left for a hash.
    no_hash: usize,
    /// The match before this byte.
    length: usize,
    distance: usize,
    /// The byte before this one has no token yet.
    is_waiting: bool,
    marks: Vec<Mark>,
}

impl Chained {
    pub(crate) fn new(level: u8) -> Self {
        let tuning = Tuning::of(level);
        Self {
            tuning,
            blocks: BlockWriter::new(),
            window: Box::new([0; 2 * WINDOW]),
            base: 0,
            end: 0,
            index: 0,
            block: Some(0),
            tokens: Vec::with_capacity(TOKENS),
            heads: Box::new([0; HASHES]),
            previous: Box::new([0; REACH]),
            next: 0,
            shortcut: (tuning.lazy > 0).then(Shortcut::new),
            offset: 1,
            head: -1,
            no_hash: 0,
            length: SHORTEST - 1,
            distance: 0,
            is_waiting: false,
            marks: Vec::new(),
        }
    }

    /// An encoder that goes on at a checkpoint. `plain` begins so many bytes before that as [`history`] says.
    pub(crate) fn resume(level: u8, from: Checkpoint, mut plain: &[u8]) -> Self {
        let mut encoder = Self::new(level);
        encoder.fill(&mut plain);
        let start = history(from.plain).min(encoder.end);
        encoder.base = from.plain - start as u64;
        encoder.block = Some(start);
        encoder.is_waiting = from.is_waiting && start < encoder.end;
        encoder.index = start + usize::from(encoder.is_waiting);
        encoder.blocks.sink = Sink::after(from.bits);
        encoder.write(plain);
        encoder
    }

    /// Makes room and takes what fits.
    fn fill(&mut self, plain: &mut &[u8]) {
        if self.index >= WINDOW - AHEAD {
            self.window.copy_within(REACH..WINDOW, 0);
            self.base += REACH as u64;
            self.index -= REACH;
            self.end -= REACH;
            self.block = self.block.and_then(|block| block.checked_sub(REACH));
            self.offset += REACH as i32;
            self.next = self.next.saturating_sub(REACH);
            if let Some(shortcut) = &mut self.shortcut {
                shortcut.slide();
            }
            if self.offset > MOST {
                self.count_anew();
            }
        }
        let (head, rest) = plain.split_at(plain.len().min(WINDOW - self.end));
        self.window[self.end..self.end + head.len()].copy_from_slice(head);
        self.end += head.len();
        *plain = rest;
    }

    fn count_anew(&mut self) {
        let less = self.offset - 1;
        self.offset = 1;
        self.head -= less;
        for place in self.previous.iter_mut().chain(self.heads.iter_mut()) {
            *place = place.saturating_sub(less as u32);
        }
    }

    /// Encodes what is in the window, or as much as can be decided before the end is known.
    fn step(&mut self, at_end: bool) {
        if self.end - self.index < AHEAD && !at_end {
            return;
        }
        self.no_hash = (self.end + 1).saturating_sub(SHORTEST);
        loop {
            let ahead = self.end - self.index;
            if ahead < AHEAD && !at_end {
                return;
            }
            if ahead == 0 {
                return self.last();
            }
            if self.index < self.no_hash {
                self.head = self.remember_to(self.index) as i32;
            }
            if self.tuning.lazy == 0 {
                self.greedy(ahead);
            } else {
                self.lazy(ahead);
            }
        }
    }

    fn last(&mut self) {
        if self.is_waiting {
            self.tokens.push(Token::literal(self.window[self.index - 1]));
            self.is_waiting = false;
        }
        if !self.tokens.is_empty() {
            self.write_block(self.index);
        }
    }

    /// Remembers a place, and in lazy levels all before it, and says which was the last with its hash.
    #[inline]
    fn remember_to(&mut self, index: usize) -> u32 {
        if self.tuning.lazy == 0 {
            self.remember(index);
        } else if self.next <= index {
            self.remember_ahead(index);
        }
        self.previous[index % REACH]
    }

    /// Remembers this place and those after it, and all before it.
    fn remember_ahead(&mut self, index: usize) {
        let end = (index + AT_ONCE).min(self.end.saturating_sub(AHEAD));
        for at in self.next..end.max(index + 1) {
            self.remember(at);
        }
        self.next = end.max(index + 1);
        if let Some(shortcut) = self.shortcut.as_mut().filter(|_| index < end) {
            shortcut.remember(&self.window, end);
        }
    }

    /// Makes a place the last of its hash, and the one that was that the one before it. Four bytes are there.
    #[inline]
    fn remember(&mut self, index: usize) {
        let bytes = self
            .window
            .get(index..index + 4)
            .and_then(|bytes| bytes.first_chunk())
            .map_or(0, |four: &[u8; 4]| u32::from_be_bytes(*four));
        let hash = (bytes.wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize % HASHES;
        let before = self.heads[hash];
        self.previous[index % REACH] = before;
        self.heads[hash] = (index as i32 + self.offset) as u32;
        if let Some(shortcut) = &mut self.shortcut {
            shortcut.number(index, usize::try_from(before as i32 - self.offset).ok());
        }
    }

    /// The start of the chain, as an index into the window, if it is within reach.
    fn chain_start(&self) -> Option<usize> {
        let start = usize::try_from(self.head - self.offset).ok()?;
        (start >= self.index.saturating_sub(REACH)).then_some(start)
    }

    /// The longest match for this byte of those that are looked at: its length and distance.
    fn find(&self, start: usize, ahead: usize) -> Option<(usize, usize)> {
        let here = self.index;
        let most = ahead.min(LONGEST);
        let nice = self.tuning.nice.min(most);
        let mut tries = self.tuning.chain;
        let mut best = SHORTEST - 1;
        let window = &*self.window;
        let ours = &window[here..here + most];
        let byte_at = |at: usize| window[at % WINDOW];
        let mut found = None;
        // The byte at which a match must agree to be longer than the best.
        let mut wanted = byte_at(here + best);
        // As places, which are above 0.
        let offset = self.offset.unsigned_abs() as usize;
        let farthest = (here + offset).saturating_sub(REACH);
        let least = farthest.max(offset);
        let mut place = start + offset;
        while tries > 0 {
            let at = place - offset;
            if byte_at(at + best) == wanted {
                let length = common_prefix(&window[at % WINDOW..], ours, most);
                let distance = here - at;
                if length > best && (length > SHORTEST || distance <= TOO_FAR) {
                    best = length;
                    found = Some((length, distance));
                    if length >= nice {
                        break;
                    }
                    wanted = byte_at(here + length);
                }
            }
            // Bytes before the farthest position have been overwritten.
            let next = self.previous[at % REACH] as usize;
            if place == farthest || next < least || next >= place {
                break;
            }
            place = next;
            tries -= 1;
        }
        found
    }

    /// As [`Self::find`], sooner where that is possible, and only for matches that are longer than `best`.
    #[inline]
    fn find_best(&self, start: usize, ahead: usize, best: usize) -> Option<(usize, usize)> {
        let here = self.index;
        let Some(shortcut) = self.shortcut.as_ref().filter(|_| ahead > AHEAD) else {
            return self.find(start, ahead);
        };
        let least = here.saturating_sub(REACH);
        let search = SearchParameters { here, best, least, tries: self.tuning.chain, nice: self.tuning.nice };
        if let Some((length, at)) = shortcut.find(&self.window, search) {
            return Some((length, here - at));
        }
        if best < SHORTEST { self.find_shortest(start) } else { None }
    }

    /// A match of four bytes, if there is one that is worth it.
    fn find_shortest(&self, start: usize) -> Option<(usize, usize)> {
        let here = self.index;
        let four_at = |at: usize| self.window.get(at..at + SHORTEST);
        let offset = self.offset.unsigned_abs() as usize;
        let mut at = start;
        for _ in 0..self.tuning.chain {
            if here - at > TOO_FAR {
                break;
            }
            if four_at(at) == four_at(here) {
                return Some((SHORTEST, here - at));
            }
            at = (self.previous[at % REACH] as usize).checked_sub(offset)?;
        }
        None
    }

    /// Takes a match or a literal at this byte.
    fn greedy(&mut self, ahead: usize) {
        let found = match self.chain_start() {
            Some(start) if ahead >= SHORTEST => self.find(start, ahead),
            _ => None,
        };
        let Some((length, distance)) = found else {
            self.tokens.push(Token::literal(self.window[self.index]));
            self.index += 1;
            self.write_full_block(self.index);
            return;
        };
        self.tokens.push(Token::matched(length, distance));
        if length <= self.tuning.remembered {
            for index in self.index + 1..(self.index + length).min(self.no_hash) {
                self.remember(index);
            }
        }
        self.index += length;
        self.write_full_block(self.index);
    }

    /// Takes the match of the byte before if there is none better here; else that byte is a literal.
    fn lazy(&mut self, ahead: usize) {
        let (length, distance) = (self.length, self.distance);
        (self.length, self.distance) = (SHORTEST - 1, 0);
        if let Some(start) = self.chain_start()
            && ahead > length
            && length < self.tuning.lazy
            && let Some(found) = self.find_best(start, ahead, length)
        {
            (self.length, self.distance) = found;
        }
        if length >= SHORTEST && self.length <= length {
            self.tokens.push(Token::matched(length, distance));
            self.index += length - 1;
            self.is_waiting = false;
            self.length = SHORTEST - 1;
            if self.write_full_block(self.index) {
                self.mark(false);
            }
            return;
        }
        if self.is_waiting {
            self.tokens.push(Token::literal(self.window[self.index - 1]));
            if self.write_full_block(self.index) && self.length < SHORTEST {
                self.mark(true);
            }
        }
        self.index += 1;
        self.is_waiting = true;
    }

    /// Writes the block if it is full, and says whether it is.
    fn write_full_block(&mut self, end: usize) -> bool {
        let is_full = self.tokens.len() == TOKENS;
        if is_full {
            self.write_block(end);
        }
        is_full
    }

    /// Marks a block that ended before this byte.
    fn mark(&mut self, is_waiting: bool) {
        let plain = self.base + self.index as u64;
        self.marks.push(Mark { plain, is_waiting, bits: self.blocks.sink.bits() });
    }

    /// Writes the tokens, which end before `end`.
    fn write_block(&mut self, end: usize) {
        let plain = self.block.and_then(|block| self.window.get(block..end));
        self.blocks.smallest(&self.tokens, plain);
        self.block = Some(end);
        self.tokens.clear();
    }
}

impl StreamEncoder for Chained {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            self.step(false);
            self.fill(&mut plain);
        }
    }

    fn finish(&mut self) {
        self.step(true);
        self.blocks.finish();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks.sink.bytes
    }

    fn marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;

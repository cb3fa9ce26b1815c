//! The window, chains of places with the same hash of three bytes, and the search for matches.
//!
//! A port of zlib's `deflate.c`. Input is taken to come in pieces that fill the window, as programs give it.

use dsync_core::common_prefix;

use super::block::BlockWriter;
use super::flavour::Flavour;
use crate::checkpoint::{Checkpoint, Mark, history};
use crate::deflate::StreamEncoder;
use crate::deflate::alphabet::LONGEST;
use crate::deflate::bits::Sink;
use crate::deflate::guide::Guide;
use crate::deflate::shortcut::{AT_ONCE, MirroredWindow, SearchParameters, Shortcut};
use crate::deflate::token::Token;

const SIZE: usize = 1 << 15;
const WINDOW: usize = 2 * SIZE;
const SHORTEST: usize = 3;
/// Lookahead that a search needs, except at the end of the stream.
const AHEAD: usize = LONGEST + SHORTEST + 1;
/// The farthest match.
const FAR: usize = SIZE - AHEAD;
/// Matches of three bytes are not worth more than this distance.
const TOO_FAR: usize = 4096;

/// Bytes before a position that are not yet lost where positions are remembered ahead.
const _: () = assert!(AT_ONCE <= AHEAD);

/// The search parameters of a level.
#[derive(Clone, Copy)]
struct Tuning {
    /// The length from which on a better match is looked for in a quarter of the chain.
    good: usize,
    /// The length from which on none is looked for one byte later. In greedy levels: places within longer matches are
    /// not remembered.
    lazy: usize,
    /// The length from which on the search ends.
    nice: usize,
    /// Places that are looked at.
    chain: usize,
    is_greedy: bool,
}

impl Tuning {
    /// Levels 1 to 9; any other is taken for the nearest.
    fn of(level: u8) -> Self {
        let (good, lazy, nice, chain) = match level {
            0 | 1 => (4, 4, 8, 4),
            2 => (4, 5, 16, 8),
            3 => (4, 6, 32, 32),
            4 => (4, 4, 16, 16),
            5 => (8, 16, 32, 32),
            6 => (8, 16, 128, 128),
            7 => (8, 32, 128, 256),
            8 => (32, 128, 258, 1024),
            _ => (32, 258, 258, 4096),
        };
        Self { good, lazy, nice, chain, is_greedy: level < 4 }
    }
}

/// The encoder of levels 1 to 9. Uses 300 KiB, and 900 KiB more in lazy levels.
pub(crate) struct Deflate {
    flavour: Flavour,
    level: u8,
    tuning: Tuning,
    pub(super) blocks: BlockWriter,
    /// Bytes after the end are what was there before, or 0.
    window: Box<MirroredWindow>,
    /// Plain bytes that have left the window.
    base: u64,
    /// The end of the input in the window, and the next byte.
    end: usize,
    index: usize,
    /// The index of the block's first byte; below 0 once that has left the window.
    block: isize,
    /// The last place of each hash, and the place before each; 0 for none.
    heads: Vec<u16>,
    previous: Box<[u16; SIZE]>,
    hash_shift: u32,
    /// The first place that is not remembered, but for those that greedy levels leave out.
    next: usize,
    /// None in greedy levels.
    shortcut: Option<Shortcut<4>>,
    /// The last match that was found, and where.
    length: usize,
    start: usize,
    /// The byte before this one has no token yet.
    is_waiting: bool,
    /// The end was seen, which matters to GNU gzip.
    is_ended: bool,
    /// The stream is flushed where the window ends.
    is_flushing: bool,
    marks: Vec<Mark>,
}

impl Deflate {
    pub(crate) fn new(flavour: Flavour, level: u8) -> Self {
        let tuning = Tuning::of(level);
        let hash_bits = if flavour == Flavour::ZlibLarge { 16u32 } else { 15 };
        Self {
            flavour,
            level,
            tuning,
            blocks: BlockWriter::new(),
            window: Box::new([0; 2 * WINDOW]),
            base: 0,
            end: 0,
            index: 0,
            block: 0,
            heads: vec![0; 1 << hash_bits],
            previous: Box::new([0; SIZE]),
            hash_shift: hash_bits.div_ceil(3),
            next: 0,
            shortcut: (!tuning.is_greedy).then(Shortcut::new),
            length: SHORTEST - 1,
            start: 0,
            is_waiting: false,
            is_ended: false,
            is_flushing: false,
            marks: Vec::new(),
        }
    }

    /// An encoder that does what the guide says.
    pub(crate) fn guided(flavour: Flavour, level: u8, guide: Guide) -> Self {
        let mut encoder = Self::new(flavour, level);
        encoder.blocks.guide = Some(Box::new(guide));
        encoder
    }

    pub(crate) fn guide(&mut self) -> Option<&mut Guide> {
        self.blocks.guide.as_deref_mut()
    }

    /// An encoder that may refer to 32 KiB that were encoded elsewhere.
    pub(super) fn after(flavour: Flavour, level: u8, before: &[u8]) -> Self {
        let mut encoder = Self::new(flavour, level);
        encoder.begin_after(before);
        encoder
    }

    /// Forgets what was encoded, all of which was written, and knows 32 KiB that were encoded elsewhere.
    pub(crate) fn begin_after(&mut self, before: &[u8]) {
        let before = &before[before.len().saturating_sub(SIZE)..];
        // Places are found by their hash only.
        self.heads.fill(0);
        if let Some(shortcut) = &mut self.shortcut {
            shortcut.clear();
        }
        self.window[..before.len()].copy_from_slice(before);
        self.base = 0;
        self.end = before.len();
        self.index = before.len();
        self.block = before.len() as isize;
        self.next = 0;
        self.length = SHORTEST - 1;
        self.is_waiting = false;
        self.marks.clear();
    }

    /// An encoder that goes on at a checkpoint. `plain` begins so many bytes before that as [`history`] says.
    pub(crate) fn resume(flavour: Flavour, level: u8, from: Checkpoint, mut plain: &[u8]) -> Self {
        let mut encoder = Self::new(flavour, level);
        encoder.fill(&mut plain);
        let start = history(from.plain).min(encoder.end);
        encoder.base = from.plain - start as u64;
        encoder.block = start as isize;
        encoder.is_waiting = from.is_waiting && start < encoder.end;
        encoder.index = start + usize::from(encoder.is_waiting);
        encoder.blocks.sink = Sink::after(from.bits);
        encoder.write(plain);
        encoder
    }

    fn fill(&mut self, plain: &mut &[u8]) {
        let (head, rest) = plain.split_at(plain.len().min(WINDOW - self.end));
        self.window[self.end..self.end + head.len()].copy_from_slice(head);
        self.end += head.len();
        *plain = rest;
    }

    /// Readies the window for more input, even where there is none. GNU gzip tries that once, and then clears two bytes
    /// after the end.
    fn look_for_more(&mut self, at_end: bool) {
        if self.is_ended {
            return;
        }
        self.slide();
        if at_end && !self.is_flushing && self.flavour == Flavour::Gnu {
            self.is_ended = true;
            self.window[self.end..self.end + SHORTEST - 1].fill(0);
        }
    }

    /// Moves the upper half of the window down, once the next byte is far enough.
    fn slide(&mut self) {
        if self.index < SIZE + FAR {
            return;
        }
        self.window.copy_within(SIZE..WINDOW, 0);
        self.base += SIZE as u64;
        self.index -= SIZE;
        self.end -= SIZE;
        self.next = self.next.saturating_sub(SIZE);
        self.start = self.start.saturating_sub(SIZE);
        self.block -= SIZE as isize;
        let less = |place: &mut u16| *place = place.saturating_sub(SIZE as u16);
        self.heads.iter_mut().for_each(less);
        self.previous.iter_mut().for_each(less);
        if let Some(shortcut) = &mut self.shortcut {
            shortcut.slide();
        }
    }

    /// Encodes what is in the window, or as much as can be decided before the end is known.
    fn step(&mut self, at_end: bool) {
        loop {
            if self.end - self.index < AHEAD {
                self.look_for_more(at_end);
                if !at_end || self.end == self.index {
                    return;
                }
            }
            let ahead = self.end - self.index;
            let head = if ahead >= SHORTEST { self.remember_to(self.index) } else { 0 };
            let is_full =
                if self.tuning.is_greedy { self.greedy(head, ahead) } else { self.lazy(head, ahead) };
            if is_full {
                self.write_block(false);
                self.mark(false);
            }
        }
    }

    /// Remembers all places up to this one, and says which was the last with its hash.
    #[inline]
    fn remember_to(&mut self, index: usize) -> usize {
        if self.next <= index {
            match self.tuning.is_greedy {
                true => self.remember_before(index + 1),
                false => self.remember_ahead(index),
            }
        }
        self.previous[index % SIZE].into()
    }

    /// Remembers this place and those after it, and all before it.
    fn remember_ahead(&mut self, index: usize) {
        let end = (index + AT_ONCE).min(self.end.saturating_sub(AHEAD));
        self.remember_before(end.max(index + 1));
        if let Some(shortcut) = self.shortcut.as_mut().filter(|_| index < end) {
            shortcut.remember(&self.window, end);
        }
    }

    fn remember_before(&mut self, end: usize) {
        for at in self.next..end {
            let before = self.remember(at);
            if let Some(shortcut) = &mut self.shortcut {
                shortcut.number(at, (before != 0).then_some(before));
            }
        }
        self.next = end;
    }

    /// Makes a place the last of its hash, and says which was.
    #[inline]
    fn remember(&mut self, at: usize) -> usize {
        let byte = |offset: usize| u32::from(self.window[at + offset]);
        let hash = (byte(0) << (2 * self.hash_shift)) ^ (byte(1) << self.hash_shift) ^ byte(2);
        let hash = hash as usize & (self.heads.len() - 1);
        let before = self.heads[hash];
        self.previous[at % SIZE] = before;
        self.heads[hash] = at as u16;
        before.into()
    }

    /// As [`Self::find`], sooner where that is possible.
    #[inline]
    fn find_best(&mut self, head: usize, ahead: usize, best: usize) -> usize {
        let here = self.index;
        let limit = here.saturating_sub(FAR);
        let Some(shortcut) = self.shortcut.as_ref().filter(|_| ahead > AHEAD && head > limit) else {
            return self.find(head, ahead, best);
        };
        let tries = if best >= self.tuning.good { self.tuning.chain >> 2 } else { self.tuning.chain };
        let search = SearchParameters { here, best, least: limit + 1, tries, nice: self.tuning.nice };
        if let Some((length, start)) = shortcut.find(&self.window, search) {
            self.start = start;
            return length;
        }
        match best < SHORTEST {
            true => self.find_shortest(head, tries).unwrap_or(best),
            false => best,
        }
    }

    /// A match of three bytes, if there is one that is worth it.
    fn find_shortest(&mut self, head: usize, tries: usize) -> Option<usize> {
        let here = self.index;
        let three_at = |at: usize| self.window.get(at..at + SHORTEST);
        let mut at = head;
        for _ in 0..tries {
            if at == 0 || here - at > TOO_FAR {
                break;
            }
            if three_at(at) == three_at(here) {
                self.start = at;
                return Some(SHORTEST);
            }
            at = self.previous[at % SIZE].into();
        }
        None
    }

    /// The longest match for this byte of those that are looked at, longer than `best`. Where it is, is left in
    /// `start`.
    fn find(&mut self, head: usize, ahead: usize, mut best: usize) -> usize {
        let here = self.index;
        let limit = here.saturating_sub(FAR);
        let mut tries = if best >= self.tuning.good { self.tuning.chain >> 2 } else { self.tuning.chain };
        // GNU gzip compares beyond the end.
        let (most, nice) = match self.flavour {
            Flavour::Gnu => (LONGEST, self.tuning.nice),
            _ => (ahead.min(LONGEST), self.tuning.nice.min(ahead)),
        };
        let window = &*self.window;
        let ours = &window[here..here + LONGEST];
        // The two bytes at which a match must agree to be longer than the best.
        let two_at = |at: usize| [window[at % window.len()], window[(at + 1) % window.len()]];
        let mut wanted = two_at(here + best - 1);
        let mut at = head;
        loop {
            if two_at(at + best - 1) == wanted {
                let length = common_prefix(&window[at..], ours, most);
                if length > best {
                    self.start = at;
                    best = length;
                    if length >= nice {
                        break;
                    }
                    wanted = two_at(here + best - 1);
                }
            }
            at = self.previous[at % SIZE].into();
            tries -= 1;
            if at <= limit || tries == 0 {
                break;
            }
        }
        best.min(ahead)
    }

    /// True if a position is set, and within reach.
    fn is_near(&self, head: usize) -> bool {
        // GNU gzip looks for no matches at the very end of its window.
        let is_possible = self.flavour != Flavour::Gnu || self.index <= WINDOW - AHEAD;
        head != 0 && self.index - head <= FAR && is_possible
    }

    /// Takes a match or a literal at this byte. Whether the block is full.
    fn greedy(&mut self, head: usize, ahead: usize) -> bool {
        let length = if self.is_near(head) { self.find(head, ahead, SHORTEST - 1) } else { 0 };
        let byte = self.window[self.index];
        let would = match length {
            ..SHORTEST => Token::literal(byte),
            _ => Token::matched(length, self.index - self.start),
        };
        let length = self.blocks.take(would, byte, ahead).len();
        let is_full = self.is_full(self.index + length);
        self.index += length;
        if length > self.tuning.lazy || length > 1 && ahead - length < SHORTEST {
            // The last two were not due yet.
            self.next = self.index.min((self.end + 1).saturating_sub(SHORTEST));
        }
        is_full
    }

    /// Takes the match of the byte before if there is none better here; else that byte is a literal. Whether the
    /// block is full.
    fn lazy(&mut self, head: usize, ahead: usize) -> bool {
        let (length, start) = (self.length, self.start);
        self.length = SHORTEST - 1;
        if self.is_near(head) && length < self.tuning.lazy {
            self.length = self.find_best(head, ahead, length);
            if self.length == SHORTEST && self.index - self.start > TOO_FAR {
                self.length = SHORTEST - 1;
            }
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.index += 1;
            return false;
        }
        let before = self.index - 1;
        let byte = self.window[before];
        let is_match = length >= SHORTEST && self.length <= length;
        let would = if is_match { Token::matched(length, before - start) } else { Token::literal(byte) };
        let token = self.blocks.take(would, byte, ahead + 1);
        let is_full = self.is_full(before + token.len());
        if is_match || token != would {
            self.index = before + token.len();
            self.is_waiting = false;
            self.length = SHORTEST - 1;
            return is_full;
        }
        if is_full {
            // The block ends before this byte.
            self.write_block(false);
            if self.length < SHORTEST {
                self.mark(true);
            }
        }
        self.index += 1;
        false
    }

    /// True if the block ends after the last token, which ends here.
    fn is_full(&mut self, end: usize) -> bool {
        let would = self.is_flushing && end == self.end || self.has_enough();
        self.blocks.ends(would)
    }

    /// True if this encoder makes no longer blocks.
    fn has_enough(&self) -> bool {
        let blocks = &self.blocks;
        let count = blocks.tokens.len();
        match self.flavour {
            Flavour::Zlib => count == (1 << 14) - 1,
            Flavour::ZlibLarge => count == (1 << 15) - 1,
            Flavour::Gnu => {
                let plain = (self.index as isize - self.block) as usize;
                let is_small = || blocks.matches < count / 2 && blocks.bound() < plain / 2;
                let is_early = self.level > 2 && count.is_multiple_of(4096) && is_small();
                is_early || count == (1 << 15) - 1 || blocks.matches == 1 << 15
            }
        }
    }

    /// Encodes all that was written, as it is done where a stream is flushed.
    pub(crate) fn flush_as_guided(&mut self) {
        self.is_flushing = true;
        self.rest();
        self.is_flushing = false;
    }

    fn write_block(&mut self, is_last: bool) {
        let plain = usize::try_from(self.block).ok().and_then(|block| self.window.get(block..self.index));
        let len = (self.index as isize - self.block) as usize;
        self.blocks.write(plain, len, is_last);
        self.block = self.index as isize;
    }

    /// Marks a block that ended before this byte. Greedy levels do not remember every place, so that what they know
    /// cannot be made anew.
    fn mark(&mut self, is_waiting: bool) {
        if !self.tuning.is_greedy {
            let plain = self.base + self.index as u64;
            self.marks.push(Mark { plain, is_waiting, bits: self.blocks.sink.bits() });
        }
    }

    /// Encodes all that was written.
    fn rest(&mut self) {
        self.step(true);
        if self.is_waiting {
            let byte = self.window[self.index - 1];
            self.blocks.take(Token::literal(byte), byte, 1);
            self.is_waiting = false;
            if self.blocks.ends(self.is_flushing) {
                self.write_block(false);
            }
        }
    }

    /// Ends the block as a program that flushes does, with empty blocks after it.
    #[cfg(test)]
    pub(crate) fn end_with(&mut self, stored: usize, fixed: usize) {
        self.flush();
        (0..stored).for_each(|_| self.blocks.sink.stored(&[]));
        (0..fixed).for_each(|_| self.blocks.sink.empty());
    }

    /// Encodes all that was written, and ends the block.
    pub(super) fn flush(&mut self) {
        self.rest();
        if !self.blocks.tokens.is_empty() {
            self.write_block(false);
        }
    }
}

impl StreamEncoder for Deflate {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.end == WINDOW {
                self.step(false);
            }
            self.fill(&mut plain);
        }
    }

    fn finish(&mut self) {
        self.rest();
        self.write_block(true);
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks.sink.bytes
    }

    fn marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;

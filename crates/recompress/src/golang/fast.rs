//! Level 1: one place for each hash, and long strides where nothing repeats.
//!
//! A port of `deflatefast.go`, which Go has from Snappy.

use dsync_core::common_prefix;

use super::block::BlockWriter;
use crate::deflate::alphabet::{FARTHEST, LONGEST, STORED};
use crate::deflate::token::Token;
use crate::deflate::{StreamEncoder, word};

const HASH_BITS: u32 = 14;
const HASHES: usize = 1 << HASH_BITS;
/// Bytes at the end of a block where no match begins.
const MARGIN: usize = 15;
/// Places are counted from the start of the stream, and anew before they pass this.
const MOST: i32 = i32::MAX - 2 * STORED as i32;
const REACH: i32 = FARTHEST as i32;

/// The last place of a hash, and the four bytes there.
#[derive(Debug, Clone, Copy, Default)]
struct HashEntry {
    bytes: u32,
    place: i32,
}

/// The encoder of level 1. Uses 600 KiB.
pub(crate) struct GoFast {
    /// The block before, and this one from `start` on.
    window: Vec<u8>,
    start: usize,
    tokens: Vec<Token>,
    table: Box<[HashEntry; HASHES]>,
    /// The place of the block's first byte.
    current: i32,
    blocks: BlockWriter,
}

fn hash(bytes: u32) -> usize {
    (bytes.wrapping_mul(0x1e35_a7bd) >> (32 - HASH_BITS)) as usize % HASHES
}

impl GoFast {
    pub(crate) fn new() -> Self {
        Self {
            window: Vec::with_capacity(2 * STORED),
            start: 0,
            tokens: Vec::with_capacity(STORED),
            table: Box::new([HashEntry::default(); HASHES]),
            current: STORED as i32,
            blocks: BlockWriter::new(),
        }
    }

    /// The plain bytes of this block.
    fn plain(&self) -> &[u8] {
        &self.window[self.start..]
    }

    fn block(&mut self) {
        self.tokens.clear();
        self.find_matches();
        let plain = &self.window[self.start..];
        if self.tokens.len() > plain.len() - (plain.len() >> 4) {
            self.blocks.literals(plain);
        } else {
            self.blocks.own_codes(&self.tokens, plain);
        }
        self.window.drain(..self.start);
        self.start = self.window.len();
        self.current += self.start as i32;
    }

    /// Makes tokens of a block, which has at least 128 bytes.
    fn find_matches(&mut self) {
        if self.current >= MOST {
            self.count_anew();
        }
        let limit = self.plain().len().saturating_sub(MARGIN);
        let mut emitted = 0;
        let mut from = 0;
        while let Some((at, place)) = self.next_match(from, limit) {
            self.literals(emitted, at);
            let Some(next) = self.matches(at, place, limit, &mut emitted) else { break };
            from = next;
        }
        self.literals(emitted, self.plain().len());
    }

    /// The next four bytes that were seen within reach, where, and where before.
    fn next_match(&mut self, from: usize, limit: usize) -> Option<(usize, i32)> {
        let mut skip = 32;
        let mut next = from;
        let mut bytes = self.bytes(next) as u32;
        loop {
            let at = next;
            let stride = skip >> 5;
            next = at + stride;
            skip += stride;
            if next > limit {
                return None;
            }
            let seen = self.see(bytes, at);
            if self.is_match(seen, bytes, at) {
                return Some((at, seen.place));
            }
            bytes = self.bytes(next) as u32;
        }
    }

    /// Emits a match, and those that follow it at once. Says where to look on, unless the block is at its end.
    fn matches(&mut self, mut at: usize, mut place: i32, limit: usize, emitted: &mut usize) -> Option<usize> {
        loop {
            let distance = at as i32 - (place - self.current);
            let length = 4 + self.longer(at + 4, distance as usize);
            self.tokens.push(Token::matched(length, distance as usize));
            at += length;
            *emitted = at;
            if at >= limit {
                return None;
            }
            let bytes = self.bytes(at - 1);
            self.see(bytes as u32, at - 1);
            let bytes = (bytes >> 8) as u32;
            let seen = self.see(bytes, at);
            if !self.is_match(seen, bytes, at) {
                return Some(at + 1);
            }
            place = seen.place;
        }
    }

    fn is_match(&self, seen: HashEntry, bytes: u32, at: usize) -> bool {
        at as i32 - (seen.place - self.current) <= REACH && seen.bytes == bytes
    }

    /// Remembers bytes, and says what its hash had before.
    fn see(&mut self, bytes: u32, at: usize) -> HashEntry {
        let entry = HashEntry { bytes, place: self.current + at as i32 };
        std::mem::replace(&mut self.table[hash(bytes)], entry)
    }

    /// Eight bytes of the block.
    fn bytes(&self, at: usize) -> u64 {
        word(&self.window[self.start + at..])
    }

    /// The number of equal bytes after the first four.
    fn longer(&self, at: usize, distance: usize) -> usize {
        let at = self.start + at;
        match at.checked_sub(distance) {
            Some(before) => common_prefix(&self.window[before..], &self.window[at..], LONGEST - 4),
            None => 0,
        }
    }

    fn literals(&mut self, from: usize, to: usize) {
        let plain = &self.window[self.start + from..self.start + to];
        self.tokens.extend(plain.iter().map(|byte| Token::literal(*byte)));
    }

    fn count_anew(&mut self) {
        for entry in self.table.iter_mut() {
            entry.place = (entry.place - self.current + REACH + 1).max(0);
        }
        self.current = REACH + 1;
    }

    /// The rest at the end, which may be too short for matches.
    fn last(&mut self) {
        match self.plain().len() {
            0 => {}
            1..=16 => self.blocks.sink.stored(&self.window[self.start..]),
            17..128 => self.blocks.literals(&self.window[self.start..]),
            _ => self.block(),
        }
    }
}

impl StreamEncoder for GoFast {
    fn write(&mut self, mut plain: &[u8]) {
        while !plain.is_empty() {
            if self.plain().len() == STORED {
                self.block();
            }
            let (head, rest) = plain.split_at(plain.len().min(STORED - self.plain().len()));
            self.window.extend_from_slice(head);
            plain = rest;
        }
    }

    fn finish(&mut self) {
        self.last();
        self.blocks.finish();
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.blocks.sink.bytes
    }
}

#[cfg(test)]
#[path = "fast_tests.rs"]
mod tests;

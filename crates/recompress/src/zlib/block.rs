//! Blocks: stored, with fixed codes or with codes of their own, whichever is smallest in bytes.
//!
//! A port of the rest of zlib's `trees.c`.

use super::tree;
use crate::deflate::alphabet::{
    DISTANCE_BITS, DISTANCES, END, LENGTHS, LITERALS, STORED, distance_symbol, extra_bits, length_symbol,
};
use crate::deflate::bits::{PrefixCode, Sink, cost};
use crate::deflate::codes::BlockCodes;
use crate::deflate::guide::{BlockForm, BlockKind, Guide};
use crate::deflate::lengths::Lengths;
use crate::deflate::token::Token;

/// The tokens of a block, counted, and what becomes of them.
pub(super) struct BlockWriter {
    pub(super) sink: Sink,
    pub(super) tokens: Vec<Token>,
    pub(super) matches: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    fixed: BlockCodes,
    /// Decides what is taken, where that may be something else.
    pub(super) guide: Option<Box<Guide>>,
}

impl BlockWriter {
    pub(super) fn new() -> Self {
        let fixed = BlockCodes::fixed();
        let (literals, distances) = ([0; LITERALS], [0; DISTANCES]);
        let (sink, tokens) = (Sink::default(), Vec::new());
        Self { sink, tokens, matches: 0, literals, distances, fixed, guide: None }
    }

    /// Takes a token where the encoder would take this one. `byte` is the next one, of so many that are known.
    pub(super) fn take(&mut self, would: Token, byte: u8, ahead: usize) -> Token {
        let token = self.guide.as_mut().map_or(would, |guide| guide.token(would, byte, ahead));
        self.tokens.push(token);
        match token.byte() {
            Some(byte) => self.literals[usize::from(byte)] += 1,
            None => {
                self.matches += 1;
                self.literals[LENGTHS + length_symbol(token.length())] += 1;
                self.distances[distance_symbol(token.distance().into())] += 1;
            }
        }
        token
    }

    /// True if the block ends after the last token, by the guide or else by the encoder's own decision.
    pub(super) fn ends(&mut self, would: bool) -> bool {
        self.guide.as_mut().map_or(would, |guide| guide.ends(would))
    }

    /// An upper bound of the block's size, in bytes: eight bits for each token, five for each distance, and what
    /// follows.
    pub(super) fn bound(&self) -> usize {
        let bits = |(count, bits): (&u32, &u8)| *count as usize * (5 + usize::from(*bits));
        (self.tokens.len() * 8 + self.distances.iter().zip(&DISTANCE_BITS).map(bits).sum::<usize>()) >> 3
    }

    /// Writes the tokens. `plain` are their bytes, if they are known, and `len` how many they are.
    pub(super) fn write(&mut self, plain: Option<&[u8]>, len: usize, is_last: bool) {
        self.literals[END] = 1;
        let codes = BlockCodes {
            literals: tree::codes(&self.literals, 15),
            distances: tree::codes(&self.distances, 15),
        };
        let head = head(&codes);
        let extra = extra_bits(&self.literals, &self.distances);
        let size = |codes: &BlockCodes| {
            cost(&self.literals, &codes.literals) + cost(&self.distances, &codes.distances) + extra
        };
        let in_bytes = |bits: u64| (bits + 3 + 7) >> 3;
        let fixed = in_bytes(size(&self.fixed));
        let own = in_bytes(size(&codes) + head.size());
        let plain = plain.filter(|plain| plain.len() <= STORED);
        let would = match plain {
            Some(_) if len as u64 + 4 <= own.min(fixed) => BlockKind::Stored,
            _ if fixed <= own => BlockKind::Fixed,
            _ => BlockKind::Own,
        };
        let head_alone = || {
            let mut sink = Sink::default();
            head.write(&mut sink);
            sink
        };
        let (form, empties) = match &mut self.guide {
            Some(guide) => guide.form(would, is_last, head_alone),
            None => (BlockForm::Of(would), [0, 0]),
        };
        let last = u64::from(is_last);
        match (form, plain) {
            (BlockForm::Of(BlockKind::Stored), Some(plain)) => self.sink.stored_block(plain, is_last),
            (BlockForm::Of(BlockKind::Stored), None) => {
                self.guide.iter_mut().for_each(|guide| guide.give_up())
            }
            (BlockForm::Of(BlockKind::Fixed), _) => {
                self.sink.put(2 + last, 3);
                self.fixed.write_block(&mut self.sink, &self.tokens);
            }
            (BlockForm::Of(BlockKind::Own), _) => {
                self.sink.put(4 + last, 3);
                head.write(&mut self.sink);
                codes.write_block(&mut self.sink, &self.tokens);
            }
            (BlockForm::Given(head), _) => {
                self.sink.put(4 + last, 3);
                self.sink.put_all(&head.bytes, head.bits);
                let codes = BlockCodes { literals: head.literals, distances: head.distances };
                codes.write_block(&mut self.sink, &self.tokens);
            }
        }
        let [stored, fixed] = empties;
        (0..stored).for_each(|_| self.sink.stored(&[]));
        (0..fixed).for_each(|_| self.sink.empty());
        self.literals.fill(0);
        self.distances.fill(0);
        self.tokens.clear();
        self.matches = 0;
        if is_last {
            self.sink.align();
        }
    }
}

/// The head of a block, without the three bits for its kind. Unlike Go's, runs of the two alphabets are apart, and some
/// are cut otherwise.
fn head(codes: &BlockCodes) -> Lengths {
    let (literals, distances) = (used(&codes.literals), used(&codes.distances));
    let mut lengths = Lengths::new(literals.len(), distances.len());
    scan(&mut lengths, literals);
    scan(&mut lengths, distances);
    lengths.encode(|counts| tree::codes(counts, 7));
    lengths
}

fn used(codes: &[PrefixCode]) -> &[PrefixCode] {
    &codes[..codes.iter().rposition(|code| !code.is_none()).map_or(0, |last| last + 1)]
}

fn scan(lengths: &mut Lengths, codes: &[PrefixCode]) {
    let len = |at: usize| codes.get(at).map(|code| code.len);
    let mut before = None;
    let mut count = 0;
    let (mut most, mut least) = if len(0) == Some(0) { (138, 3) } else { (7, 4) };
    for (at, code) in codes.iter().enumerate() {
        let (current, next) = (code.len, len(at + 1));
        count += 1;
        if count < most && Some(current) == next {
            continue;
        }
        push(lengths, current, count, least, before != Some(current));
        count = 0;
        before = Some(current);
        (most, least) = match next {
            Some(0) => (138, 3),
            next if next == before => (6, 3),
            _ => (7, 4),
        };
    }
}

/// Cuts a run into symbols; one of fewer than `least` is not shortened.
fn push(lengths: &mut Lengths, len: u8, count: usize, least: usize, is_new: bool) {
    if count < least {
        for _ in 0..count {
            lengths.push(len, 0);
        }
    } else if len > 0 {
        let itself = usize::from(is_new);
        if is_new {
            lengths.push(len, 0);
        }
        lengths.push(16, count - itself - 3);
    } else if count <= 10 {
        lengths.push(17, count - 3);
    } else {
        lengths.push(18, count - 11);
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;

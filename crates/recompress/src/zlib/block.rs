//! Blocks: stored, with fixed codes or with codes of their own, whichever is smallest in bytes.
//!
//! A port of the rest of zlib's `trees.c`.

use super::tree;
use crate::deflate::alphabet::{
    DISTANCE_BITS, DISTANCES, END, LENGTHS, LITERALS, META, META_ORDER, STORED, distance_symbol, extra_bits,
    length_symbol,
};
use crate::deflate::bits::{Code, Sink, cost};
use crate::deflate::codes::Codes;
use crate::deflate::guide::{BlockKind, Form, Guide};
use crate::deflate::token::Token;

/// The tokens of a block, counted, and what becomes of them.
pub(super) struct Blocks {
    pub(super) sink: Sink,
    pub(super) tokens: Vec<Token>,
    pub(super) matches: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    fixed: Codes,
    /// Decides what is taken, where that may be something else.
    pub(super) guide: Option<Box<Guide>>,
}

impl Blocks {
    pub(super) fn new() -> Self {
        let fixed = Codes::fixed();
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
        let codes =
            Codes { literals: tree::codes(&self.literals, 15), distances: tree::codes(&self.distances, 15) };
        let head = Head::new(&codes);
        let extra = extra_bits(&self.literals, &self.distances);
        let size = |codes: &Codes| {
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
            None => (Form::Of(would), [0, 0]),
        };
        let last = u64::from(is_last);
        match (form, plain) {
            (Form::Of(BlockKind::Stored), Some(plain)) => self.sink.stored(plain, is_last),
            (Form::Of(BlockKind::Stored), None) => self.guide.iter_mut().for_each(|guide| guide.give_up()),
            (Form::Of(BlockKind::Fixed), _) => {
                self.sink.put(2 + last, 3);
                self.fixed.write_block(&mut self.sink, &self.tokens);
            }
            (Form::Of(BlockKind::Own), _) => {
                self.sink.put(4 + last, 3);
                head.write(&mut self.sink);
                codes.write_block(&mut self.sink, &self.tokens);
            }
            (Form::Given(head), _) => {
                self.sink.put(4 + last, 3);
                self.sink.put_all(&head.bytes, head.bits);
                let codes = Codes { literals: head.literals, distances: head.distances };
                codes.write_block(&mut self.sink, &self.tokens);
            }
        }
        let [stored, fixed] = empties;
        (0..stored).for_each(|_| self.sink.stored(&[], false));
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

/// Lengths of codes and runs of them. Unlike Go's, runs of the two alphabets are apart, and some are cut otherwise.
struct Head {
    symbols: Vec<(u8, u8)>,
    counts: [u32; META],
    codes: [Code; META],
    literals: usize,
    distances: usize,
}

/// Bits after each of the symbols 16, 17 and 18.
fn bits_after(symbol: u8) -> u8 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

fn used(codes: &[Code]) -> &[Code] {
    &codes[..codes.iter().rposition(|code| !code.is_none()).map_or(0, |last| last + 1)]
}

impl Head {
    fn new(codes: &Codes) -> Self {
        let (literals, distances) = (used(&codes.literals), used(&codes.distances));
        let mut head = Self {
            symbols: Vec::with_capacity(LITERALS + DISTANCES),
            counts: [0; META],
            codes: [Code::default(); META],
            literals: literals.len(),
            distances: distances.len(),
        };
        head.scan(literals);
        head.scan(distances);
        head.codes = tree::codes(&head.counts, 7);
        head
    }

    fn symbol(&mut self, symbol: u8, after: usize) {
        self.symbols.push((symbol, after as u8));
        self.counts[usize::from(symbol)] += 1;
    }

    fn scan(&mut self, codes: &[Code]) {
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
            self.run(current, count, least, before != Some(current));
            count = 0;
            before = Some(current);
            (most, least) = match next {
                Some(0) => (138, 3),
                next if next == before => (6, 3),
                _ => (7, 4),
            };
        }
    }

    fn run(&mut self, len: u8, count: usize, least: usize, is_new: bool) {
        if count < least {
            for _ in 0..count {
                self.symbol(len, 0);
            }
        } else if len > 0 {
            let told = usize::from(is_new);
            if is_new {
                self.symbol(len, 0);
            }
            self.symbol(16, count - told - 3);
        } else if count <= 10 {
            self.symbol(17, count - 3);
        } else {
            self.symbol(18, count - 11);
        }
    }

    /// The number of code lengths for code lengths that are written: at least four.
    fn told(&self) -> usize {
        let unused = META_ORDER.iter().rev().take_while(|symbol| self.codes[**symbol].is_none()).count();
        (META - unused).max(4)
    }

    /// In bits, without the three that say the kind of the block.
    fn size(&self) -> u64 {
        let after: u64 = self.symbols.iter().map(|(symbol, _)| u64::from(bits_after(*symbol))).sum();
        5 + 5 + 4 + 3 * self.told() as u64 + cost(&self.counts, &self.codes) + after
    }

    fn write(&self, sink: &mut Sink) {
        let told = self.told();
        sink.put((self.literals - LENGTHS) as u64, 5);
        sink.put((self.distances - 1) as u64, 5);
        sink.put((told - 4) as u64, 4);
        for symbol in &META_ORDER[..told] {
            sink.put(self.codes[*symbol].len.into(), 3);
        }
        for (symbol, after) in &self.symbols {
            sink.code_with(self.codes[usize::from(*symbol)], (*after).into(), bits_after(*symbol));
        }
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;

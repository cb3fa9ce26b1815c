//! Blocks whose codes may be used again by the next.
//!
//! A port of `huffman_bit_writer.go`.

use super::release::Release;
use super::tokens::estimate;
use crate::deflate::alphabet::{DISTANCES, END, LITERALS};
use crate::deflate::bits::{PrefixCode, Sink, cost};
use crate::deflate::codes::{BlockCodes, Counts};
use crate::deflate::package::make_codes;
use crate::deflate::runs::EncodedHead;
use crate::deflate::token::Token;

/// The number of tokens below which the fixed codes are tried.
const FEW: usize = 250;
/// The assumed size of the head of a block of literals before one is known, in bits.
const GUESSED_HEAD: u64 = 70 * 8;

/// Writes blocks, and chooses their kind.
pub(super) struct BlockWriter {
    pub(super) sink: Sink,
    release: Release,
    /// The gain that new codes for a block need: this power of one half of its size.
    penalty: u32,
    fixed: BlockCodes,
    codes: BlockCodes,
    /// The size in bits of the head of the block that is open; 0 if none is. It owes its end.
    open: u64,
    /// The codes are for literals only.
    is_literal: bool,
}

/// The number of codes of each alphabet in the head of a block.
struct Alphabets {
    literals: usize,
    distances: usize,
}

fn stored_size(plain: &[u8]) -> u64 {
    (plain.len() as u64 + 5) * 8
}

impl BlockWriter {
    pub(super) fn new(release: Release, penalty: u32) -> Self {
        let (fixed, codes) = (BlockCodes::fixed(), BlockCodes::none());
        Self { sink: Sink::default(), release, penalty, fixed, codes, open: 0, is_literal: false }
    }

    /// Ends the block that is open.
    fn close(&mut self) {
        if self.open > 0 {
            self.sink.code(self.codes.literals[END]);
            self.open = 0;
        }
    }

    /// A stored block of at most 65535 bytes.
    pub(super) fn stored(&mut self, plain: &[u8]) {
        self.close();
        self.sink.stored(plain);
    }

    /// Ends the stream by an empty block.
    pub(super) fn finish(&mut self) {
        self.close();
        self.sink.put(3, 3);
        self.sink.put(0, 7);
        self.sink.align();
    }

    /// Tokens with the codes of the block before, with new ones, with the fixed ones, or stored. `is_last` if the
    /// block has to end.
    pub(super) fn tokens(&mut self, tokens: &[Token], plain: &[u8], is_last: bool) {
        if self.is_literal && self.open > 0 {
            self.close();
            self.is_literal = false;
        }
        let found = Counts::of(tokens);
        if !self.can_reuse(&found) {
            self.close();
        }
        let count = tokens.len() + usize::from(is_last);
        let mut counts = found.clone();
        counts.literals[END] = u32::from(is_last || self.release == Release::Exact);
        let written = self.alphabets(&mut counts, is_last);
        let extra = counts.extra();
        let fixed = 3 + counts.cost(&self.fixed) + extra;
        if self.open > 0 {
            let reused = counts.cost(&self.codes) + extra;
            let new = self.open + estimate(&found, count);
            let new = new + u64::from(self.codes.literals[END].len) + (new >> self.penalty);
            if new < reused {
                self.close();
            }
            let size = new.min(reused);
            if count < FEW && fixed + 7 < size {
                return self.stored_or_fixed(tokens, plain, size);
            }
            if stored_size(plain) <= size {
                return self.stored(plain);
            }
        }
        if self.open == 0 {
            counts.literals[END] = 1;
            make_codes(&counts.literals, 15, &mut self.codes.literals);
            make_codes(&counts.distances, 15, &mut self.codes.distances);
            let head = EncodedHead::new(
                &self.codes.literals[..written.literals],
                &self.codes.distances[..written.distances],
            );
            let size = head.size() + counts.cost(&self.codes) + extra;
            if count < FEW {
                let fixed = 3 + counts.cost(&self.fixed) + extra;
                if fixed <= size {
                    return self.stored_or_fixed(tokens, plain, fixed);
                }
            }
            if stored_size(plain) <= size {
                return self.stored(plain);
            }
            head.write(&mut self.sink);
            self.open = head.size();
            self.is_literal = false;
        }
        self.codes.write(&mut self.sink, tokens);
        if is_last {
            self.close();
        }
    }

    /// True if the codes of the open block have all symbols.
    fn can_reuse(&self, found: &Counts) -> bool {
        let has = |counts: &[u32], codes: &[PrefixCode]| {
            counts.iter().zip(codes).all(|(count, code)| *count == 0 || !code.is_none())
        };
        has(&found.literals, &self.codes.literals) && has(&found.distances, &self.codes.distances)
    }

    /// The number of codes of each alphabet in the head of a block. One distance is there even where none is used, but
    /// not by old releases, which wrote all of the alphabet where a block could be used again.
    fn alphabets(&self, counts: &mut Counts, is_last: bool) -> Alphabets {
        if self.release == Release::Full && !is_last {
            return Alphabets { literals: LITERALS, distances: DISTANCES };
        }
        let used = |counts: &[u32]| counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        if used(&counts.distances) == 0 {
            counts.distances[0] = 1;
        }
        Alphabets { literals: used(&counts.literals), distances: used(&counts.distances) }
    }

    fn stored_or_fixed(&mut self, tokens: &[Token], plain: &[u8], size: u64) {
        if stored_size(plain) <= size {
            return self.stored(plain);
        }
        self.close();
        self.sink.put(2, 3);
        self.fixed.write_block(&mut self.sink, tokens);
    }

    /// Bytes without matches, or stored. `is_last` if the block has to end.
    pub(super) fn literals(&mut self, plain: &[u8], is_last: bool) {
        let mut counts = [0; LITERALS];
        for byte in plain {
            counts[usize::from(*byte)] += 1;
        }
        if plain.len() > 1024 && is_noise(&counts[..END], plain.len()) {
            return self.stored(plain);
        }
        counts[END] = 1;
        let mut codes = [PrefixCode::default(); LITERALS];
        make_codes(&counts, 15, &mut codes);
        let new = cost(&counts, &codes) + if self.open > 0 { self.open } else { GUESSED_HEAD };
        let new = new + (new >> self.penalty);
        if stored_size(plain) <= new {
            return self.stored(plain);
        }
        if self.open > 0 && self.literal_cost(&counts[..END]).is_none_or(|reused| new < reused) {
            self.close();
        }
        if self.open == 0 {
            self.codes.literals = codes;
            let head = EncodedHead::new(&codes[..=END], &[PrefixCode { bits: 0, len: 1 }]);
            head.write(&mut self.sink);
            self.is_literal = true;
            self.open = head.size();
        }
        for byte in plain {
            self.sink.code(self.codes.literals[usize::from(*byte)]);
        }
        if is_last {
            self.close();
            self.is_literal = false;
        }
    }

    /// The bits of bytes in the codes of the open block, if it has all of them.
    fn literal_cost(&self, counts: &[u32]) -> Option<u64> {
        let has_all =
            counts.iter().zip(&self.codes.literals).all(|(count, code)| *count == 0 || !code.is_none());
        has_all.then(|| cost(counts, &self.codes.literals))
    }
}

/// True if all bytes are about equally frequent.
fn is_noise(counts: &[u32], len: usize) -> bool {
    let mean = len as f64 / 256.0;
    let most = (len * 2) as f64;
    let mut sum = 0.0;
    for count in counts {
        let difference = f64::from(*count) - mean;
        sum += difference * difference;
        if sum >= most {
            return false;
        }
    }
    true
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;

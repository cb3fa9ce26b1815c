//! Blocks: stored, with fixed codes or with codes of their own, whichever is smallest.
//!
//! A port of `huffman_bit_writer.go`.

use crate::deflate::alphabet::{END, STORED};
use crate::deflate::bits::Sink;
use crate::deflate::codes::{BlockCodes, Counts};
use crate::deflate::package::make_codes;
use crate::deflate::runs::EncodedHead;
use crate::deflate::token::Token;

/// Counts with the symbols that always have a code: the end of the block, and one distance even if none is used.
fn completed(mut counts: Counts) -> Counts {
    counts.literals[END] = 1;
    if counts.distances.iter().all(|count| *count == 0) {
        counts.distances[0] = 1;
    }
    counts
}

fn codes(counts: &Counts) -> BlockCodes {
    let mut codes = BlockCodes::none();
    make_codes(&counts.literals, 15, &mut codes.literals);
    make_codes(&counts.distances, 15, &mut codes.distances);
    codes
}

fn head(counts: &Counts, codes: &BlockCodes) -> EncodedHead {
    EncodedHead::new(&codes.literals[..used(&counts.literals)], &codes.distances[..used(&counts.distances)])
}

fn used(counts: &[u32]) -> usize {
    counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1)
}

/// The bits of a stored block, if it may be stored.
fn stored_size(plain: Option<&[u8]>) -> Option<u64> {
    plain.filter(|plain| plain.len() <= STORED).map(|plain| (plain.len() as u64 + 5) * 8)
}

/// Writes blocks, and chooses their kind.
pub(super) struct BlockWriter {
    pub(super) sink: Sink,
    fixed: BlockCodes,
}

impl BlockWriter {
    pub(super) fn new() -> Self {
        let fixed = BlockCodes::fixed();
        Self { sink: Sink::default(), fixed }
    }

    /// The smallest block for these tokens. It may be stored only if its plain bytes are still known.
    pub(super) fn smallest(&mut self, tokens: &[Token], plain: Option<&[u8]>) {
        let counts = completed(Counts::of(tokens));
        let stored = stored_size(plain);
        // Extra bits matter only beside a stored block.
        let extra = if stored.is_some() { counts.extra() } else { 0 };
        let codes = codes(&counts);
        let head = head(&counts, &codes);
        let fixed = 3 + counts.cost(&self.fixed) + extra;
        let own = head.size() + counts.cost(&codes) + extra;
        if let (Some(plain), Some(stored)) = (plain, stored)
            && stored < fixed.min(own)
        {
            self.sink.stored(plain);
        } else if own < fixed {
            head.write(&mut self.sink);
            codes.write_block(&mut self.sink, tokens);
        } else {
            self.sink.put(2, 3);
            self.fixed.write_block(&mut self.sink, tokens);
        }
    }

    /// A block with codes of its own, or stored where they save less than a sixteenth.
    pub(super) fn own_codes(&mut self, tokens: &[Token], plain: &[u8]) {
        let counts = completed(Counts::of(tokens));
        let codes = codes(&counts);
        let head = head(&counts, &codes);
        if is_better_stored(plain, head.size() + counts.cost(&codes)) {
            self.sink.stored(plain);
            return;
        }
        head.write(&mut self.sink);
        codes.write_block(&mut self.sink, tokens);
    }

    /// A block of literals, or stored where that saves less than a sixteenth.
    pub(super) fn literals(&mut self, plain: &[u8]) {
        let mut counts = Counts::of(&[]);
        for byte in plain {
            counts.literals[usize::from(*byte)] += 1;
        }
        let counts = completed(counts);
        let codes = codes(&counts);
        let head = head(&counts, &codes);
        if is_better_stored(plain, head.size() + counts.cost(&codes)) {
            self.sink.stored(plain);
            return;
        }
        head.write(&mut self.sink);
        for byte in plain {
            self.sink.code(codes.literals[usize::from(*byte)]);
        }
        self.sink.code(codes.literals[END]);
    }

    /// An empty stored block, the last.
    pub(super) fn finish(&mut self) {
        self.sink.stored_last(&[]);
        self.sink.align();
    }
}

fn is_better_stored(plain: &[u8], size: u64) -> bool {
    stored_size(Some(plain)).is_some_and(|stored| stored < size + (size >> 4))
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;

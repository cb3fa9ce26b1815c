//! The tokens of a block, and an estimate of their size.
//!
//! A port of `token.go`.

use super::history::HistoryView;
use crate::deflate::alphabet::{END, LENGTHS, LONGEST, STORED};
use crate::deflate::codes::Counts;
use crate::deflate::token::Token;

pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
}

/// Bytes that become tokens at once.
const AT_ONCE: usize = 8;

impl Tokens {
    pub(super) fn new() -> Self {
        Self { list: Vec::with_capacity(STORED + AT_ONCE) }
    }

    /// The bytes between two places.
    #[inline]
    pub(super) fn literals(&mut self, history: HistoryView<'_>, from: i32, to: i32) {
        let end = self.list.len() + (to - from) as usize;
        for at in (from..to).step_by(AT_ONCE) {
            self.list.extend_from_slice(&history.bytes(at).to_le_bytes().map(Token::literal));
        }
        self.list.truncate(end);
    }

    /// A match of at least four bytes; one that is too long becomes several.
    #[inline]
    pub(super) fn matched(&mut self, mut length: usize, distance: usize) {
        while length > 0 {
            let part = match length {
                ..=LONGEST => length,
                // The rest must be a match, too.
                259..=261 => LONGEST - 3,
                _ => LONGEST,
            };
            length -= part;
            self.list.push(Token::matched(part, distance));
        }
    }
}

/// About how many bits the best code for so many tokens takes, but for its head. In single precision, and in this
/// order, as the original.
pub(super) fn estimate(counts: &Counts, tokens: usize) -> u64 {
    let (bytes, lengths) = (&counts.literals[..END], &counts.literals[LENGTHS..]);
    let mut shannon = 0f32;
    let total = 1.0 / tokens as f32;
    for count in bytes {
        shannon += weigh(*count, total);
    }
    // The end of the block.
    shannon += 15.0;
    for count in lengths {
        shannon += weigh(*count, total);
    }
    let matches: u32 = lengths.iter().sum();
    let total = 1.0 / matches as f32;
    for count in &counts.distances {
        shannon += weigh(*count, total);
    }
    shannon as u64 + counts.extra()
}

/// The bits of all uses of a symbol, each 1 to 15. Adding 0 for what is not used changes no sum.
fn weigh(count: u32, total: f32) -> f32 {
    if count == 0 {
        return 0.0;
    }
    let count = count as f32;
    (-log2(count * total)).clamp(1.0, 15.0) * count
}

/// About the logarithm, from the exponent and a parabola.
fn log2(value: f32) -> f32 {
    let bits = value.to_bits();
    let exponent = ((bits >> 23) & 255) as i32 - 128;
    let mantissa = f32::from_bits((bits & 0x807f_ffff) + (127 << 23));
    exponent as f32 + ((-0.344_848_43 * mantissa + 2.024_665_8) * mantissa - 0.674_877_6)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;

//! The tokens of a block, counted as they come.

use crate::deflate::alphabet::{
    DISTANCE_BITS, DISTANCES, END, LENGTH_BITS, LENGTHS, LITERALS, LONGEST, STORED, distance_symbol,
    length_symbol,
};
use crate::deflate::token::Token;

pub(super) struct Tokens {
    pub(super) list: Vec<Token>,
    /// How often each symbol is used; the end of the block is not counted.
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Tokens {
    pub(super) fn new() -> Self {
        Self { list: Vec::with_capacity(STORED), literals: [0; LITERALS], distances: [0; DISTANCES] }
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.literals.fill(0);
        self.distances.fill(0);
    }

    pub(super) fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.literals[usize::from(*byte)] += 1;
        }
        self.list.extend(bytes.iter().map(|byte| Token::literal(*byte)));
    }

    /// A match of at least four bytes; one that is too long becomes several.
    pub(super) fn matched(&mut self, mut length: usize, distance: usize) {
        let symbol = distance_symbol(distance - 1);
        while length > 0 {
            let part = match length {
                ..=LONGEST => length,
                // What is left must be a match, too.
                259..=261 => LONGEST - 3,
                _ => LONGEST,
            };
            length -= part;
            self.literals[LENGTHS + length_symbol((part - 3) as u8)] += 1;
            self.distances[symbol] += 1;
            self.list.push(Token::matched(part, distance));
        }
    }

    /// About how many bits the best code takes, but for its head. In single precision, and in this order, as the
    /// original.
    pub(super) fn estimate(&self, count: usize) -> u64 {
        let mut shannon = 0f32;
        let total = 1.0 / count as f32;
        for count in &self.literals[..END] {
            shannon += weigh(*count, total);
        }
        // The end of the block.
        shannon += 15.0;
        for count in &self.literals[LENGTHS..] {
            shannon += weigh(*count, total);
        }
        let matches: u32 = self.literals[LENGTHS..].iter().sum();
        let total = 1.0 / matches as f32;
        for count in &self.distances {
            shannon += weigh(*count, total);
        }
        let lengths = self.literals[LENGTHS..].iter().zip(&LENGTH_BITS);
        let distances = self.distances.iter().zip(&DISTANCE_BITS);
        let bits: u64 =
            lengths.chain(distances).map(|(count, bits)| u64::from(*count) * u64::from(*bits)).sum();
        shannon as u64 + bits
    }
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
mod tests {
    use super::*;

    #[test]
    fn long_matches_become_several() {
        let lengths = |length| {
            let mut tokens = Tokens::new();
            tokens.matched(length, 1);
            tokens.list.iter().map(|token| usize::from(token.length()) + 3).collect::<Vec<_>>()
        };
        assert_eq!(lengths(258), [258]);
        assert_eq!(lengths(259), [255, 4]);
        assert_eq!(lengths(261), [255, 6]);
        assert_eq!(lengths(262), [258, 4]);
        assert_eq!(lengths(600), [258, 258, 84]);
    }

    #[test]
    fn the_constants_are_those_of_the_original_in_single_precision() {
        assert_eq!(2.024_665_8_f32, 2.02466578_f64 as f32);
        assert_eq!(0.674_877_6_f32, 0.67487759_f64 as f32);
        assert_eq!(-0.344_848_43_f32, -0.34484843_f64 as f32);
    }
}

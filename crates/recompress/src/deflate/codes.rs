//! The two codes of a block, and its tokens, counted and written.

use super::alphabet::{
    DISTANCE_BASE, DISTANCE_BITS, DISTANCES, END, FARTHEST, LENGTH_BASE, LENGTH_BITS, LENGTHS, LITERALS,
    distance_symbol, extra_bits, fixed_distances, fixed_literals, length_symbol,
};
use super::bits::{PrefixCode, Sink, cost};
use super::token::{FIRSTS, Token};

/// Symbols of distances, that of none, and up to a power of two.
const SECONDS: usize = 32;

/// The frequencies of the symbols of a block.
#[derive(Clone)]
pub(crate) struct Counts {
    pub(crate) literals: [u32; LITERALS],
    pub(crate) distances: [u32; DISTANCES],
}

impl Counts {
    /// The end of the block is not counted.
    pub(crate) fn of(tokens: &[Token]) -> Self {
        let (mut firsts, mut seconds) = ([0; FIRSTS], [0; SECONDS]);
        for token in tokens {
            firsts[token.first()] += 1;
            seconds[distance_symbol(token.distance().into()) % SECONDS] += 1;
        }
        let mut counts = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };
        let (bytes, lengths) = firsts.split_at(END);
        counts.literals[..END].copy_from_slice(bytes);
        for (length, count) in (0..=u8::MAX).zip(lengths) {
            counts.literals[LENGTHS + length_symbol(length)] += count;
        }
        counts.distances.copy_from_slice(&seconds[..DISTANCES]);
        counts
    }

    /// The bits of all symbols, without those that follow them.
    pub(crate) fn cost(&self, codes: &BlockCodes) -> u64 {
        cost(&self.literals, &codes.literals) + cost(&self.distances, &codes.distances)
    }

    /// The bits that follow the symbols.
    pub(crate) fn extra(&self) -> u64 {
        extra_bits(&self.literals, &self.distances)
    }
}

/// A code for each of the two alphabets.
pub(crate) struct BlockCodes {
    pub(crate) literals: [PrefixCode; LITERALS],
    pub(crate) distances: [PrefixCode; DISTANCES],
}

/// A byte or a length as it is written: the code, and the bits after it.
#[derive(Clone, Copy, Default)]
struct First {
    bits: u32,
    len: u32,
}

/// A symbol of distances.
#[derive(Clone, Copy, Default)]
struct Second {
    code: u16,
    base: u16,
    code_len: u8,
    /// The length of the code and of the bits after it.
    len: u8,
}

impl BlockCodes {
    pub(crate) fn none() -> Self {
        Self { literals: [PrefixCode::default(); LITERALS], distances: [PrefixCode::default(); DISTANCES] }
    }

    pub(crate) fn fixed() -> Self {
        Self { literals: fixed_literals(), distances: fixed_distances() }
    }

    /// Writes tokens, and the end of the block.
    pub(crate) fn write_block(&self, sink: &mut Sink, tokens: &[Token]) {
        self.write(sink, tokens);
        sink.code(self.literals[END]);
    }

    /// Writes tokens.
    pub(crate) fn write(&self, sink: &mut Sink, tokens: &[Token]) {
        let (firsts, seconds) = (self.firsts(), self.seconds());
        for token in tokens {
            let first = firsts[token.first()];
            let second = seconds[distance_symbol(token.distance().into()) % SECONDS];
            let rest = u64::from(token.distance() - second.base);
            let bits = u64::from(second.code) | rest << second.code_len;
            sink.put(u64::from(first.bits) | bits << first.len, first.len + u32::from(second.len));
        }
    }

    fn firsts(&self) -> [First; FIRSTS] {
        std::array::from_fn(|first| {
            let Some(length) = first.checked_sub(END) else {
                let code = self.literals[first];
                return First { bits: code.bits.into(), len: code.len.into() };
            };
            let symbol = length_symbol(length as u8);
            let code = self.literals[LENGTHS + symbol];
            let rest = length as u32 - u32::from(LENGTH_BASE[symbol]);
            First {
                bits: u32::from(code.bits) | rest << code.len,
                len: u32::from(code.len) + u32::from(LENGTH_BITS[symbol]),
            }
        })
    }

    fn seconds(&self) -> [Second; SECONDS] {
        let mut seconds = [Second::default(); SECONDS];
        for (symbol, (second, code)) in seconds.iter_mut().zip(&self.distances).enumerate() {
            let len = code.len + DISTANCE_BITS[symbol];
            *second = Second { code: code.bits, base: DISTANCE_BASE[symbol], code_len: code.len, len };
        }
        seconds[DISTANCES].base = FARTHEST as u16;
        seconds
    }
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;

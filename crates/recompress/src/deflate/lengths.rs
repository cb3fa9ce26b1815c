//! The code lengths in the head of a dynamic block, cut into runs (RFC 1951, section 3.2.7).
//!
//! Encoders cut them each in its own way, so that the cutting is not here: see [`super::runs`] and zlib's blocks.

use super::alphabet::{LENGTHS, META, META_ORDER};
use super::bits::{PrefixCode, Sink, cost};

/// A symbol of the alphabet of lengths, and the number in the bits after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthRun {
    pub(crate) symbol: u8,
    pub(crate) extra: u8,
}

/// Runs of code lengths, ready to be written.
#[derive(Debug)]
pub(crate) struct Lengths {
    pub(crate) runs: Vec<LengthRun>,
    counts: [u32; META],
    codes: [PrefixCode; META],
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

impl Lengths {
    /// No runs yet, of this number of codes: at least 257 for literals and at least one for distances.
    pub(crate) fn new(literals: usize, distances: usize) -> Self {
        Self {
            runs: Vec::with_capacity(literals + distances),
            counts: [0; META],
            codes: [PrefixCode::default(); META],
            literals,
            distances,
        }
    }

    pub(crate) fn push(&mut self, symbol: u8, extra: usize) {
        self.runs.push(LengthRun { symbol, extra: extra as u8 });
        self.counts[usize::from(symbol)] += 1;
    }

    /// Makes the code for the runs, once all are there.
    pub(crate) fn encode(&mut self, make: impl FnOnce(&[u32; META]) -> [PrefixCode; META]) {
        self.codes = make(&self.counts);
    }

    /// The number of code lengths for code lengths that are written: at least four.
    pub(crate) fn of_meta(&self) -> usize {
        let unused = META_ORDER.iter().rev().take_while(|symbol| self.codes[**symbol].is_none()).count();
        (META - unused).max(4)
    }

    /// Their length in bits, without the three that say the kind of the block.
    pub(crate) fn size(&self) -> u64 {
        let after: u64 = self.runs.iter().map(|run| u64::from(bits_after(run.symbol))).sum();
        5 + 5 + 4 + 3 * self.of_meta() as u64 + cost(&self.counts, &self.codes) + after
    }

    pub(crate) fn write(&self, sink: &mut Sink) {
        let of_meta = self.of_meta();
        sink.put((self.literals - LENGTHS) as u64, 5);
        sink.put((self.distances - 1) as u64, 5);
        sink.put((of_meta - 4) as u64, 4);
        for symbol in &META_ORDER[..of_meta] {
            sink.put(self.codes[*symbol].len.into(), 3);
        }
        for LengthRun { symbol, extra } in &self.runs {
            sink.code_with(self.codes[usize::from(*symbol)], (*extra).into(), bits_after(*symbol));
        }
    }
}

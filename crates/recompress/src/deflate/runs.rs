//! Encodes the code lengths at the head of a dynamic block as Go does (RFC 1951, section 3.2.7).
//!
//! A port of `generateCodegen` and `writeDynamicHeader` of Go's `compress/flate` (see the crate's `LICENSE-GO`).

use super::alphabet::{LENGTHS, META, META_ORDER};
use super::bits::{Code, Sink, cost};
use super::package::make_codes;

/// Lengths of codes and runs of them, ready to be written.
#[derive(Debug)]
pub(crate) struct Head {
    /// Symbols of the alphabet of lengths, each with what follows it.
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

impl Head {
    /// Tells these codes: at least 257 for literals and at least one for distances.
    pub(crate) fn new(literals: &[Code], distances: &[Code]) -> Self {
        let mut head = Self {
            symbols: Vec::with_capacity(literals.len() + distances.len()),
            counts: [0; META],
            codes: [Code::default(); META],
            literals: literals.len(),
            distances: distances.len(),
        };
        let mut lens = literals.iter().chain(distances).map(|code| code.len).peekable();
        while let Some(len) = lens.next() {
            let mut run = 1;
            while lens.next_if_eq(&len).is_some() {
                run += 1;
            }
            head.run(len, run);
        }
        make_codes(&head.counts, 7, &mut head.codes);
        head
    }

    fn symbol(&mut self, symbol: u8, after: usize) {
        self.symbols.push((symbol, after as u8));
        self.counts[usize::from(symbol)] += 1;
    }

    fn run(&mut self, len: u8, mut run: usize) {
        if len > 0 {
            self.symbol(len, 0);
            run -= 1;
            while run >= 3 {
                let part = run.min(6);
                self.symbol(16, part - 3);
                run -= part;
            }
        } else {
            while run >= 11 {
                let part = run.min(138);
                self.symbol(18, part - 11);
                run -= part;
            }
            if run >= 3 {
                self.symbol(17, run - 3);
                run = 0;
            }
        }
        for _ in 0..run {
            self.symbol(len, 0);
        }
    }

    /// The number of code lengths for code lengths that are written: at least four.
    fn told(&self) -> usize {
        let unused = META_ORDER.iter().rev().take_while(|symbol| self.counts[**symbol] == 0).count();
        (META - unused).max(4)
    }

    /// In bits, with the three that say the kind of the block.
    pub(crate) fn size(&self) -> u64 {
        let after: u64 = self.symbols.iter().map(|(symbol, _)| u64::from(bits_after(*symbol))).sum();
        3 + 5 + 5 + 4 + 3 * self.told() as u64 + cost(&self.counts, &self.codes) + after
    }

    pub(crate) fn write(&self, sink: &mut Sink) {
        let told = self.told();
        sink.put(4, 3);
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
#[path = "runs_tests.rs"]
mod tests;

//! Encodes the code lengths at the head of a dynamic block as Go does (RFC 1951, section 3.2.7).
//!
//! A port of `generateCodegen` and `writeDynamicHeader` of Go's `compress/flate` (see the crate's `LICENSE-GO`).

use super::alphabet::META;
use super::bits::{PrefixCode, Sink};
use super::lengths::Lengths;
use super::package::make_codes;

/// The head of a block, with the three bits for its kind.
#[derive(Debug)]
pub(crate) struct EncodedHead(Lengths);

impl EncodedHead {
    /// The head for these codes: at least 257 for literals and at least one for distances.
    pub(crate) fn new(literals: &[PrefixCode], distances: &[PrefixCode]) -> Self {
        let mut lengths = Lengths::new(literals.len(), distances.len());
        let mut lens = literals.iter().chain(distances).map(|code| code.len).peekable();
        while let Some(len) = lens.next() {
            let mut run = 1;
            while lens.next_if_eq(&len).is_some() {
                run += 1;
            }
            push(&mut lengths, len, run);
        }
        lengths.encode(|counts| {
            let mut codes = [PrefixCode::default(); META];
            make_codes(counts, 7, &mut codes);
            codes
        });
        Self(lengths)
    }

    /// Its length in bits.
    pub(crate) fn size(&self) -> u64 {
        3 + self.0.size()
    }

    pub(crate) fn write(&self, sink: &mut Sink) {
        sink.put(4, 3);
        self.0.write(sink);
    }
}

/// Cuts a run into symbols, the longest first.
fn push(lengths: &mut Lengths, len: u8, mut run: usize) {
    if len > 0 {
        lengths.push(len, 0);
        run -= 1;
        while run >= 3 {
            let part = run.min(6);
            lengths.push(16, part - 3);
            run -= part;
        }
    } else {
        while run >= 11 {
            let part = run.min(138);
            lengths.push(18, part - 11);
            run -= part;
        }
        if run >= 3 {
            lengths.push(17, run - 3);
            run = 0;
        }
    }
    for _ in 0..run {
        lengths.push(len, 0);
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;

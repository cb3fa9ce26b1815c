//! Blocks: stored, with fixed codes or with codes of their own, whichever is smallest.

use crate::deflate::alphabet::{
    DISTANCE_BASE, DISTANCE_BITS, DISTANCES, END, LENGTH_BASE, LENGTH_BITS, LENGTHS, LITERALS, STORED,
    distance_symbol, extra_bits, fixed_distances, fixed_literals, length_symbol,
};
use crate::deflate::bits::{Code, Sink, cost};
use crate::deflate::package::make_codes;
use crate::deflate::runs::Head;
use crate::deflate::token::Token;

/// Codes for the two alphabets.
struct Codes {
    literals: [Code; LITERALS],
    distances: [Code; DISTANCES],
}

/// How often each symbol of a block is used.
struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Counts {
    fn of(tokens: &[Token]) -> Self {
        let mut counts = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };
        for token in tokens {
            match token.byte() {
                Some(byte) => counts.literals[usize::from(byte)] += 1,
                None => {
                    counts.literals[LENGTHS + length_symbol(token.length())] += 1;
                    counts.distances[distance_symbol(token.distance().into())] += 1;
                }
            }
        }
        counts.literals[END] = 1;
        counts
    }

    /// One distance is told even where none is used.
    fn tell_a_distance(&mut self) {
        if self.distances.iter().all(|count| *count == 0) {
            self.distances[0] = 1;
        }
    }

    fn codes(&self) -> Codes {
        let mut codes =
            Codes { literals: [Code::default(); LITERALS], distances: [Code::default(); DISTANCES] };
        make_codes(&self.literals, 15, &mut codes.literals);
        make_codes(&self.distances, 15, &mut codes.distances);
        codes
    }

    fn head(&self, codes: &Codes) -> Head {
        Head::new(&codes.literals[..used(&self.literals)], &codes.distances[..used(&self.distances)])
    }

    /// The bits of all symbols, without those that follow them.
    fn cost(&self, codes: &Codes) -> u64 {
        cost(&self.literals, &codes.literals) + cost(&self.distances, &codes.distances)
    }
}

fn used(counts: &[u32]) -> usize {
    counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1)
}

/// The bits of a stored block, if it may be stored.
fn stored_size(plain: Option<&[u8]>) -> Option<u64> {
    plain.filter(|plain| plain.len() <= STORED).map(|plain| (plain.len() as u64 + 5) * 8)
}

/// Writes blocks, and chooses their kind.
pub(super) struct Blocks {
    pub(super) sink: Sink,
    fixed: Codes,
}

impl Blocks {
    pub(super) fn new() -> Self {
        let fixed = Codes { literals: fixed_literals(), distances: fixed_distances() };
        Self { sink: Sink::default(), fixed }
    }

    /// The smallest block for these tokens. It may be stored only if its plain bytes are still known.
    pub(super) fn smallest(&mut self, tokens: &[Token], plain: Option<&[u8]>) {
        let mut counts = Counts::of(tokens);
        counts.tell_a_distance();
        let stored = stored_size(plain);
        // What follows the symbols matters only beside a stored block.
        let extra = if stored.is_some() { extra_bits(&counts.literals, &counts.distances) } else { 0 };
        let codes = counts.codes();
        let head = counts.head(&codes);
        let fixed = 3 + counts.cost(&self.fixed) + extra;
        let own = head.size() + counts.cost(&codes) + extra;
        if let (Some(plain), Some(stored)) = (plain, stored)
            && stored < fixed.min(own)
        {
            self.sink.stored(plain, false);
        } else if own < fixed {
            head.write(&mut self.sink);
            write_tokens(&mut self.sink, tokens, &codes);
        } else {
            self.sink.put(2, 3);
            write_tokens(&mut self.sink, tokens, &self.fixed);
        }
    }

    /// A block with codes of its own, or stored where they save less than a sixteenth.
    pub(super) fn own_codes(&mut self, tokens: &[Token], plain: &[u8]) {
        let mut counts = Counts::of(tokens);
        counts.tell_a_distance();
        let codes = counts.codes();
        let head = counts.head(&codes);
        if is_better_stored(plain, head.size() + counts.cost(&codes)) {
            self.sink.stored(plain, false);
            return;
        }
        head.write(&mut self.sink);
        write_tokens(&mut self.sink, tokens, &codes);
    }

    /// A block of literals, or stored where that saves less than a sixteenth.
    pub(super) fn literals(&mut self, plain: &[u8]) {
        let mut counts = Counts::of(&[]);
        for byte in plain {
            counts.literals[usize::from(*byte)] += 1;
        }
        counts.tell_a_distance();
        let codes = counts.codes();
        let head = counts.head(&codes);
        if is_better_stored(plain, head.size() + counts.cost(&codes)) {
            self.sink.stored(plain, false);
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
        self.sink.stored(&[], true);
        self.sink.align();
    }
}

fn is_better_stored(plain: &[u8], size: u64) -> bool {
    stored_size(Some(plain)).is_some_and(|stored| stored < size + (size >> 4))
}

fn write_tokens(sink: &mut Sink, tokens: &[Token], codes: &Codes) {
    for token in tokens {
        if let Some(byte) = token.byte() {
            sink.code(codes.literals[usize::from(byte)]);
            continue;
        }
        let length = token.length();
        let symbol = length_symbol(length);
        let rest = length - LENGTH_BASE[symbol];
        sink.code_with(codes.literals[LENGTHS + symbol], rest.into(), LENGTH_BITS[symbol]);
        let distance = token.distance();
        let symbol = distance_symbol(distance.into());
        let rest = distance - DISTANCE_BASE[symbol];
        sink.code_with(codes.distances[symbol], rest.into(), DISTANCE_BITS[symbol]);
    }
    sink.code(codes.literals[END]);
}

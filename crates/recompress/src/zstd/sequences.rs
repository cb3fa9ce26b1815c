//! Sequences of a block in codes, with new tables, those before, or those of the standard.
//!
//! RFC 8878, 3.1.1.3.2; a port of klauspost's `zstd/blockenc.go` and `seqenc.go`.

use super::bits::BitWriter;
use super::fse::{self, FseTable, high_bit};

/// The shortest match that the format has.
pub(super) const SHORTEST: u32 = 3;
/// States of a table, as a power of two.
const LOG: u32 = 8;

/// Literals, and a match after them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sequence {
    /// The number of literals.
    pub(super) literals: u32,
    /// The length of the match, less the shortest.
    pub(super) length: u32,
    /// 1 to 3 for a distance that was there before, else the distance and 3 more.
    pub(super) offset: u32,
}

/// A code for a number: where it begins for lengths that have a code of their own, and the bits that follow it.
struct Alphabet {
    /// The codes of small numbers.
    small: &'static [u8],
    /// The difference between the code of a larger number and its highest bit.
    beyond: u8,
    /// The bits of each code; none where the code is the number of bits.
    bits: &'static [u8],
}

const LITERALS: Alphabet = Alphabet {
    small: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 17, 17, 18, 18, 19, 19, 20, 20, 20, 20,
        21, 21, 21, 21, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 23, 23, 23, 23, 23, 24, 24, 24, 24, 24,
        24, 24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
    ],
    beyond: 19,
    bits: &[
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12,
        13, 14, 15, 16,
    ],
};

const OFFSETS: Alphabet = Alphabet { small: &[], beyond: 0, bits: &[] };

const LENGTHS: Alphabet = Alphabet {
    small: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27,
        28, 29, 30, 31, 32, 32, 33, 33, 34, 34, 35, 35, 36, 36, 36, 36, 37, 37, 37, 37, 38, 38, 38, 38, 38,
        38, 38, 38, 39, 39, 39, 39, 39, 39, 39, 39, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40,
        40, 40, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 42, 42, 42, 42, 42, 42, 42,
        42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42,
    ],
    beyond: 36,
    bits: &[
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1,
        1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    ],
};

/// The distributions of RFC 8878, 3.1.1.3.2.2, and their states as a power of two.
pub(super) const KNOWN_LITERALS: (&[i16], u32) = (
    &[
        4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1,
        -1, -1, -1,
    ],
    6,
);
pub(super) const KNOWN_OFFSETS: (&[i16], u32) =
    (&[1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1], 5);
pub(super) const KNOWN_LENGTHS: (&[i16], u32) = (
    &[
        1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
    ],
    6,
);

impl Alphabet {
    #[inline]
    fn code(&self, number: u32) -> u8 {
        match self.small.get(number as usize) {
            Some(code) => *code,
            None => high_bit(number) as u8 + self.beyond,
        }
    }

    #[inline]
    fn bits(&self, code: u8) -> u32 {
        u32::from(self.bits.get(usize::from(code)).copied().unwrap_or(if self.bits.is_empty() {
            code
        } else {
            0
        }))
    }
}

/// The table of one of the three numbers in a block.
#[derive(Debug)]
enum Choice {
    Known,
    Single(FseTable),
    New(FseTable),
    Before,
}

impl Choice {
    /// As the block's head says it.
    fn number(&self) -> u8 {
        match self {
            Self::Known => 0,
            Self::Single(_) => 1,
            Self::New(_) => 2,
            Self::Before => 3,
        }
    }
}

/// The coder of one of the three numbers.
struct SequenceCoder {
    alphabet: &'static Alphabet,
    known: FseTable,
    /// The table of the block before, if it can be used again.
    before: Option<FseTable>,
    /// The codes of the block, in order.
    codes: Vec<u8>,
}

/// The coder of sequences, with what it knows of the block before.
pub(super) struct Sequences {
    literals: SequenceCoder,
    offsets: SequenceCoder,
    lengths: SequenceCoder,
}

impl Sequences {
    pub(super) fn new() -> Self {
        Self {
            literals: SequenceCoder::new(&LITERALS, KNOWN_LITERALS),
            offsets: SequenceCoder::new(&OFFSETS, KNOWN_OFFSETS),
            lengths: SequenceCoder::new(&LENGTHS, KNOWN_LENGTHS),
        }
    }

    /// Writes the sequences, of which there is at least one; false where that cannot be. What was chosen counts for
    /// the next block if `is_kept` says so of the bytes.
    pub(super) fn encode(
        &mut self,
        sequences: &[Sequence],
        out: &mut Vec<u8>,
        is_kept: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        count(sequences.len(), out);
        let (Some(literals), Some(offsets), Some(lengths)) = (
            self.literals.choose(sequences.iter().map(|sequence| sequence.literals)),
            self.offsets.choose(sequences.iter().map(|sequence| sequence.offset)),
            self.lengths.choose(sequences.iter().map(|sequence| sequence.length)),
        ) else {
            return false;
        };
        out.push(literals.number() << 6 | offsets.number() << 4 | lengths.number() << 2);
        self.literals.write(&literals, out);
        self.offsets.write(&offsets, out);
        self.lengths.write(&lengths, out);
        self.stream([&literals, &offsets, &lengths], sequences, out);
        let is_kept = is_kept(out);
        if is_kept {
            self.literals.keep(literals);
            self.offsets.keep(offsets);
            self.lengths.keep(lengths);
        }
        is_kept
    }

    /// The bits of the sequences, from the last to the first.
    fn stream(&self, choices: [&Choice; 3], sequences: &[Sequence], out: &mut Vec<u8>) {
        let mut bits = BitWriter::new(out);
        let Some((last, others)) = sequences.split_last() else { return };
        let at = others.len();
        let [literals, offsets, lengths] = choices;
        let codes = (&self.literals.codes, &self.offsets.codes, &self.lengths.codes);
        let mut of_literals = self.literals.table(literals).begin(codes.0[at]);
        let mut of_offsets = self.offsets.table(offsets).begin(codes.1[at]);
        let mut of_lengths = self.lengths.table(lengths).begin(codes.2[at]);
        bits.add_low(last.literals, LITERALS.bits(codes.0[at]));
        bits.add_low(last.length, LENGTHS.bits(codes.2[at]));
        bits.flush();
        bits.add_low(last.offset, OFFSETS.bits(codes.1[at]));
        for (at, sequence) in others.iter().enumerate().rev() {
            let (literal, offset, length) = (codes.0[at], codes.1[at], codes.2[at]);
            bits.flush();
            of_offsets.encode(offset, &mut bits);
            of_lengths.encode(length, &mut bits);
            of_literals.encode(literal, &mut bits);
            let low = |number: u32, count: u32| u64::from(number) & ((1 << count) - 1);
            let widths = (OFFSETS.bits(offset), LENGTHS.bits(length), LITERALS.bits(literal));
            let extra = (low(sequence.offset, widths.0) << widths.1 | low(sequence.length, widths.1))
                << widths.2
                | low(sequence.literals, widths.2);
            bits.flush();
            bits.add_long(extra, widths.0 + widths.1 + widths.2);
        }
        of_lengths.finish(&mut bits);
        of_offsets.finish(&mut bits);
        of_literals.finish(&mut bits);
        bits.close();
    }
}

/// Writes how many sequences there are.
fn count(count: usize, out: &mut Vec<u8>) {
    match count {
        ..0x80 => out.push(count as u8),
        0x80..0x7f00 => out.extend_from_slice(&[128 + (count >> 8) as u8, count as u8]),
        _ => {
            out.push(255);
            out.extend_from_slice(&((count - 0x7f00) as u16).to_le_bytes());
        }
    }
}

impl SequenceCoder {
    fn new(alphabet: &'static Alphabet, (norm, log): (&[i16], u32)) -> Self {
        let known =
            FseTable::of_norm(norm.to_vec(), log).expect("the distributions of the format fill their states");
        Self { alphabet, known, before: None, codes: Vec::new() }
    }

    /// Codes numbers, and chooses the table.
    fn choose(&mut self, numbers: impl Iterator<Item = u32>) -> Option<Choice> {
        let alphabet = self.alphabet;
        self.codes.clear();
        self.codes.extend(numbers.map(|number| alphabet.code(number)));
        let mut counts = [0u32; 64];
        self.codes.iter().for_each(|code| counts[usize::from(*code & 63)] += 1);
        let total = self.codes.len();
        let last = counts.iter().rposition(|count| *count > 0)?;
        let counts = &counts[..=last];
        if counts[last] as usize == total {
            return Some(Choice::Single(FseTable::single(last as u8)));
        }
        let log = fse::best_log(LOG, total, counts.len(), 0);
        let new = FseTable::of(counts, total, log)?;
        let head = (((new.symbols() as u32 * log) >> 3) + 3) * 8;
        let cost = new.cost(counts).unwrap_or(u32::MAX).wrapping_add(head);
        // A new table has to be worth it.
        let cost = cost.wrapping_add(cost.wrapping_add(256) >> 4);
        let known = self.known.cost(counts).unwrap_or(u32::MAX);
        let before = self.before.as_ref().and_then(|before| before.cost(counts)).unwrap_or(u32::MAX);
        Some(if known <= before && known <= cost {
            Choice::Known
        } else if before <= cost {
            Choice::Before
        } else {
            Choice::New(new)
        })
    }

    /// Writes what the reader has to know of the table.
    fn write(&self, choice: &Choice, out: &mut Vec<u8>) {
        match choice {
            Choice::Known | Choice::Before => {}
            Choice::Single(_) => out.extend(self.codes.first()),
            Choice::New(table) => table.write(out),
        }
    }

    fn table<'a>(&'a self, choice: &'a Choice) -> &'a FseTable {
        match choice {
            Choice::Single(table) | Choice::New(table) => table,
            Choice::Before => self.before.as_ref().unwrap_or(&self.known),
            Choice::Known => &self.known,
        }
    }

    /// The tables that the next block may use again.
    fn keep(&mut self, choice: Choice) {
        match choice {
            Choice::Before => {}
            Choice::New(table) => self.before = Some(table),
            // A single code is never used again.
            Choice::Single(_) | Choice::Known => self.before = None,
        }
    }
}

/// About how many bits a match takes in the tables of the standard, without its literals.
pub(super) struct MatchPrices {
    offsets: FseTable,
    lengths: FseTable,
}

impl MatchPrices {
    pub(super) fn new() -> Self {
        let table = |(norm, log): (&[i16], u32)| {
            FseTable::of_norm(norm.to_vec(), log).expect("the distributions of the format fill their states")
        };
        Self { offsets: table(KNOWN_OFFSETS), lengths: table(KNOWN_LENGTHS) }
    }

    /// The price of a match of so many bytes, its offset as in a [`Sequence`].
    pub(super) fn of(&self, offset: u32, length: u32) -> i32 {
        let (offset, length) = (OFFSETS.code(offset), LENGTHS.code(length - SHORTEST));
        let bits = OFFSETS.bits(offset) + LENGTHS.bits(length);
        (bits + self.offsets.least_bits(offset) + self.lengths.least_bits(length)) as i32
    }
}

#[cfg(test)]
#[path = "sequences_tests.rs"]
mod tests;

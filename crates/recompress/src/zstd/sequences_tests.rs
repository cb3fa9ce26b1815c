//! The codes of lengths and offsets against the tables of RFC 8878, and sequences in all the tables that a block may
//! choose.

use super::*;
use crate::zstd::decoder;

/// Rows of RFC 8878, 3.1.1.3.2.1.1: the code, the first number, and the bits after it.
#[test]
fn codes_of_literal_lengths_are_those_of_the_standard() {
    let rows = [
        (16, 16, 1),
        (17, 18, 1),
        (18, 20, 1),
        (19, 22, 1),
        (20, 24, 2),
        (21, 28, 2),
        (22, 32, 3),
        (23, 40, 3),
        (24, 48, 4),
        (25, 64, 6),
        (26, 128, 7),
        (27, 256, 8),
        (28, 512, 9),
        (29, 1024, 10),
        (30, 2048, 11),
        (31, 4096, 12),
        (32, 8192, 13),
        (33, 16_384, 14),
        (34, 32_768, 15),
        (35, 65_536, 16),
    ];
    check(&LITERALS, 16, &rows);
}

/// The same of matches, whose lengths are counted from 3.
#[test]
fn codes_of_match_lengths_are_those_of_the_standard() {
    let rows = [
        (32, 35, 1),
        (33, 37, 1),
        (34, 39, 1),
        (35, 41, 1),
        (36, 43, 2),
        (37, 47, 2),
        (38, 51, 3),
        (39, 59, 3),
        (40, 67, 4),
        (41, 83, 4),
        (42, 99, 5),
        (43, 131, 7),
        (44, 259, 8),
        (45, 515, 9),
        (46, 1027, 10),
        (47, 2051, 11),
        (48, 4099, 12),
        (49, 8195, 13),
        (50, 16_387, 14),
        (51, 32_771, 15),
        (52, 65_539, 16),
    ];
    check(&LENGTHS, 32, &rows.map(|(code, first, bits)| (code, first - SHORTEST, bits)));
}

fn check(alphabet: &Alphabet, alone: u32, rows: &[(u8, u32, u32)]) {
    for number in 0..alone {
        assert_eq!((alphabet.code(number), alphabet.bits(number as u8)), (number as u8, 0));
    }
    for (at, (code, first, bits)) in rows.iter().enumerate() {
        let last = rows.get(at + 1).map_or(first + (1 << bits), |next| next.1) - 1;
        assert_eq!(last, first + (1 << bits) - 1, "{code}");
        assert_eq!((alphabet.code(*first), alphabet.code(last)), (*code, *code));
        assert_eq!(alphabet.bits(*code), *bits, "{code}");
        // The bits after the code are the lowest of the number itself: its first has none of them.
        assert_eq!(first & ((1 << bits) - 1), 0, "{code}");
    }
}

#[test]
fn codes_of_offsets_are_their_highest_bits() {
    for code in 0..31u8 {
        assert_eq!((OFFSETS.code(1 << code), OFFSETS.code((2u32 << code) - 1)), (code, code));
        assert_eq!(OFFSETS.bits(code), u32::from(code));
    }
}

/// RFC 8878, 3.1.1.3.2.1: one byte to 127, two to 0x7eff, and three beyond.
#[test]
fn the_number_of_sequences_has_one_to_three_bytes() {
    let bytes = |number| {
        let mut out = Vec::new();
        count(number, &mut out);
        out
    };
    assert_eq!(bytes(1), [1]);
    assert_eq!(bytes(127), [127]);
    assert_eq!(bytes(128), [128, 128]);
    assert_eq!(bytes(0x7eff), [254, 255]);
    assert_eq!(bytes(0x7f00), [255, 0, 0]);
    assert_eq!(bytes(0x7f00 + 0xffff), [255, 255, 255]);
}

/// A decoding table, by the choice of a section.
#[derive(Clone)]
enum Rows {
    Single(u8),
    FseTable(Vec<decoder::Row>, u32),
}

impl Rows {
    fn begin(&self, stream: &mut decoder::Backward<'_>) -> usize {
        match self {
            Self::Single(_) => 0,
            Self::FseTable(_, log) => stream.bits(*log) as usize,
        }
    }

    fn code(&self, state: usize) -> u8 {
        match self {
            Self::Single(code) => *code,
            Self::FseTable(rows, _) => rows[state].symbol,
        }
    }

    fn next(&self, state: usize, stream: &mut decoder::Backward<'_>) -> usize {
        match self {
            Self::Single(_) => 0,
            Self::FseTable(rows, _) => usize::from(rows[state].base) + stream.bits(rows[state].bits) as usize,
        }
    }
}

/// Reads sections of sequences, as RFC 8878, 3.1.1.3.2, has them: `before` are the tables of the block before.
fn read(section: &[u8], before: &mut [Option<Rows>; 3]) -> (Vec<[u32; 3]>, [u8; 3]) {
    let (number, used) = match section[0] {
        255 => (usize::from(u16::from_le_bytes([section[1], section[2]])) + 0x7f00, 3),
        first @ 128.. => ((usize::from(first) - 128) << 8 | usize::from(section[1]), 2),
        first => (first.into(), 1),
    };
    let modes = [section[used] >> 6, section[used] >> 4 & 3, section[used] >> 2 & 3];
    assert_eq!(section[used] & 3, 0);
    let mut rest = &section[used + 1..];
    let known = [KNOWN_LITERALS, KNOWN_OFFSETS, KNOWN_LENGTHS];
    let tables: Vec<Rows> = (0..3)
        .map(|at| match modes[at] {
            0 => Rows::FseTable(decoder::rows(known[at].0, known[at].1), known[at].1),
            1 => {
                let code = rest[0];
                rest = &rest[1..];
                Rows::Single(code)
            }
            2 => {
                let (norm, log, used) = decoder::distribution(rest);
                rest = &rest[used..];
                Rows::FseTable(decoder::rows(&norm, log), log)
            }
            _ => before[at].clone().expect("there is a table before"),
        })
        .collect();
    let mut stream = decoder::Backward::new(rest);
    let mut states: Vec<usize> = tables.iter().map(|table| table.begin(&mut stream)).collect();
    let alphabets = [&LITERALS, &OFFSETS, &LENGTHS];
    let firsts: Vec<Vec<u32>> = alphabets.map(firsts).to_vec();
    let mut sequences = Vec::new();
    for at in 0..number {
        let codes = [0, 1, 2].map(|kind| tables[kind].code(states[kind]));
        let mut values = [0; 3];
        for kind in [1, 2, 0] {
            let code = codes[kind];
            values[kind] = firsts[kind][usize::from(code)] + stream.bits(alphabets[kind].bits(code)) as u32;
        }
        sequences.push(values);
        if at + 1 < number {
            for kind in [0, 2, 1] {
                states[kind] = tables[kind].next(states[kind], &mut stream);
            }
        }
    }
    assert_eq!(stream.left(), 0);
    for (before, table) in before.iter_mut().zip(tables) {
        *before = Some(table);
    }
    (sequences, modes)
}

/// The first number of each code.
fn firsts(alphabet: &Alphabet) -> Vec<u32> {
    let mut firsts = vec![if alphabet.small.is_empty() { 1 } else { 0 }];
    let count = if alphabet.bits.is_empty() { 31 } else { alphabet.bits.len() };
    while firsts.len() < count {
        firsts.push(firsts[firsts.len() - 1] + (1 << alphabet.bits(firsts.len() as u8 - 1)));
    }
    firsts
}

fn sequence(literals: u32, offset: u32, length: u32) -> Sequence {
    Sequence { literals, length, offset }
}

fn written(coder: &mut Sequences, sequences: &[Sequence]) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(coder.encode(sequences, &mut out, |_| true));
    out
}

fn values(sequences: &[Sequence]) -> Vec<[u32; 3]> {
    sequences.iter().map(|one| [one.literals, one.offset, one.length]).collect()
}

#[test]
fn sequences_come_back_in_all_tables() {
    let few = |seed: u32| (0..9).map(move |at| sequence(at * seed % 40, 1 + at * 77 % 5000, at * seed % 90));
    let many = |number: u32, seed: u32| {
        let mix = move |at: u32| at.wrapping_mul(2_654_435_761).rotate_left(seed) >> 7;
        (0..number).map(move |at| {
            sequence(mix(at) % 3, 4 + mix(at + 1) % 60_000, if mix(at) % 5 == 0 { 70_000 } else { 2 })
        })
    };
    let mut coder = Sequences::new();
    let mut before = [None, None, None];
    let mut seen = [[0; 4]; 3];
    for sequences in [
        few(1).collect::<Vec<_>>(),
        vec![sequence(0, 4, 0)],
        vec![sequence(65_536 + 65_535, (1 << 24) + 5, 131_071)],
        many(127, 1).collect(),
        many(128, 2).collect(),
        many(2000, 3).collect(),
        many(2000, 3).collect(),
        vec![sequence(7, 1, 9); 300],
        many(2000, 4).collect(),
        few(5).collect(),
        many(0x7f00, 5).collect(),
    ] {
        let (read, modes) = read(&written(&mut coder, &sequences), &mut before);
        assert!(read == values(&sequences), "{}", sequences.len());
        modes.iter().zip(&mut seen).for_each(|(mode, seen)| seen[usize::from(*mode)] += 1);
    }
    // Each number was coded in a known table, a single code, a new table, and the one before, but that offsets of
    // these sequences never fit the one before.
    assert!(seen[0].iter().all(|times| *times > 0), "{seen:?}");
    assert!(seen[2].iter().all(|times| *times > 0), "{seen:?}");
}

#[test]
fn tables_that_were_not_kept_are_not_used_again() {
    let sequences: Vec<Sequence> =
        (0..2000u32).map(|at| sequence(at % 7 % 3, 4 + at % 13 * 1000, at * at % 11)).collect();
    let modes = |out: &[u8]| out[2];
    let mut kept = Sequences::new();
    let first = written(&mut kept, &sequences);
    let second = written(&mut kept, &sequences);
    assert_eq!((modes(&first), modes(&second)), (0b10_10_10_00, 0b11_11_11_00));
    let mut dropped = Sequences::new();
    let mut out = Vec::new();
    assert!(!dropped.encode(&sequences, &mut out, |bytes| bytes.len() < first.len()));
    assert_eq!(out, first);
    assert_eq!(written(&mut dropped, &sequences), first);
}

#[test]
fn prices_are_whole_bits_of_the_known_tables() {
    let prices = MatchPrices::new();
    // A longer match of the same code costs the same; a farther one more.
    assert_eq!(prices.of(4, 43), prices.of(4, 46));
    assert!(prices.of(4, 47) >= prices.of(4, 46));
    assert!(prices.of(1 << 20, 8) > prices.of(1 << 10, 8));
    // The nearest distance before: no bits after the code 0, which has one state of 32.
    assert_eq!(prices.of(1, 3), 4 + 5);
}

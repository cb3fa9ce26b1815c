//! Finite state entropy against the tables and the decoder of RFC 8878.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::zstd::decoder;
use crate::zstd::sequences::{KNOWN_LENGTHS, KNOWN_LITERALS, KNOWN_OFFSETS};

proptest! {
    #[test]
    fn shares_fill_the_states_and_leave_none_out(
        counts in proptest::collection::vec(prop_oneof![Just(0u32), 1..9u32, 1..20_000u32], 2..53),
    ) {
        prop_assume!(counts.iter().filter(|count| **count > 0).count() >= 2);
        let symbols = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let counts = &counts[..symbols];
        let total: u32 = counts.iter().sum();
        let log = best_log(8, total as usize, symbols, 0);
        if let Some(table) = FseTable::of(counts, total as usize, log) {
            let filled: i32 = table.norm.iter().map(|share| i32::from(share.abs())).sum();
            prop_assert_eq!(filled, 1 << log);
            prop_assert!(counts.iter().zip(&table.norm).all(|(count, share)| (*count > 0) == (*share != 0)));
            prop_assert!(table.cost(counts).is_some());
        }
    }
}

#[test]
fn a_table_without_a_symbol_has_no_price_for_it() {
    let table = FseTable::of(&[5, 0, 3], 8, 5).unwrap();
    assert!(table.cost(&[5, 0, 3]).is_some());
    assert_eq!(table.cost(&[5, 1, 3]), None);
    assert_eq!(table.cost(&[5, 0, 3, 1]), None);
}

/// Symbols, encoded with a table and decoded again.
fn decoded_again(table: &FseTable, norm: &[i16], symbols: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bits = BitWriter::new(&mut out);
    let (last, others) = symbols.split_last().unwrap();
    let mut state = table.begin(*last);
    for symbol in others.iter().rev() {
        bits.flush();
        state.encode(*symbol, &mut bits);
    }
    state.finish(&mut bits);
    bits.close();
    let rows = decoder::rows(norm, table.log);
    let mut stream = decoder::Backward::new(&out);
    let mut state = stream.bits(table.log) as usize;
    let mut decoded = Vec::new();
    for at in 0..symbols.len() {
        let row = rows[state];
        decoded.push(row.symbol);
        if at + 1 < symbols.len() {
            state = usize::from(row.base) + stream.bits(row.bits) as usize;
        }
    }
    assert_eq!(stream.left(), 0);
    decoded
}

fn counted(symbols: &[u8]) -> Vec<u32> {
    let mut counts = vec![0; usize::from(*symbols.iter().max().unwrap()) + 1];
    symbols.iter().for_each(|symbol| counts[usize::from(*symbol)] += 1);
    counts
}

/// The start of the tables of RFC 8878, appendix A: the decoder that the other tests lean on is that of the standard.
#[test]
fn the_decoder_has_the_tables_of_the_standard() {
    let literals = [
        (0, 4, 0),
        (0, 4, 16),
        (1, 5, 32),
        (3, 5, 0),
        (4, 5, 0),
        (6, 5, 0),
        (7, 5, 0),
        (9, 5, 0),
        (10, 5, 0),
        (12, 5, 0),
        (14, 6, 0),
        (16, 5, 0),
        (18, 5, 0),
        (19, 5, 0),
        (21, 5, 0),
        (22, 5, 0),
        (24, 5, 0),
        (25, 5, 32),
        (26, 5, 0),
        (27, 6, 0),
        (29, 6, 0),
        (31, 6, 0),
        (0, 4, 32),
        (1, 4, 0),
    ];
    let lengths = [
        (0, 6, 0),
        (1, 4, 0),
        (2, 5, 32),
        (3, 5, 0),
        (5, 5, 0),
        (6, 5, 0),
        (8, 5, 0),
        (10, 6, 0),
        (13, 6, 0),
        (16, 6, 0),
        (19, 6, 0),
        (22, 6, 0),
        (25, 6, 0),
        (28, 6, 0),
        (31, 6, 0),
        (33, 6, 0),
    ];
    let offsets = [
        (0, 5, 0),
        (6, 4, 0),
        (9, 5, 0),
        (15, 5, 0),
        (21, 5, 0),
        (3, 5, 0),
        (7, 4, 0),
        (12, 5, 0),
        (18, 5, 0),
        (23, 5, 0),
        (5, 5, 0),
        (8, 4, 0),
        (14, 5, 0),
        (20, 5, 0),
        (2, 5, 0),
        (7, 4, 16),
        (11, 5, 0),
        (17, 5, 0),
        (22, 5, 0),
        (4, 5, 0),
        (8, 4, 16),
        (13, 5, 0),
        (19, 5, 0),
        (1, 5, 0),
        (6, 4, 16),
        (10, 5, 0),
        (16, 5, 0),
        (28, 5, 0),
        (27, 5, 0),
        (26, 5, 0),
        (25, 5, 0),
        (24, 5, 0),
    ];
    let check = |(norm, log): (&[i16], u32), expected: &[(u8, u32, u16)]| {
        for (row, (symbol, bits, base)) in decoder::rows(norm, log).into_iter().zip(expected) {
            assert_eq!(row, decoder::Row { symbol: *symbol, bits: *bits, base: *base });
        }
    };
    check(KNOWN_LITERALS, &literals);
    check(KNOWN_LENGTHS, &lengths);
    check(KNOWN_OFFSETS, &offsets);
}

proptest! {
    #[test]
    fn symbols_come_back_through_the_decoder_of_the_standard(
        symbols in vec(prop_oneof![5 => 0..6u8, 2 => 0..30u8, 1 => 0..52u8], 2..2500),
        most in 5..9u32,
    ) {
        let counts = counted(&symbols);
        prop_assume!(counts.iter().filter(|count| **count > 0).count() > 1);
        let log = best_log(most, symbols.len(), counts.len(), 0);
        let table = FseTable::of(&counts, symbols.len(), log);
        prop_assume!(table.is_some());
        let table = table.unwrap();
        let mut written = Vec::new();
        table.write(&mut written);
        let (norm, read_log, used) = decoder::distribution(&written);
        prop_assert_eq!((&norm, read_log), (&table.norm, log));
        // The writer leaves no byte that the reader does not need, but for one.
        prop_assert!(written.len() - used <= 1, "{} {}", written.len(), used);
        prop_assert_eq!(decoded_again(&table, &norm, &symbols), symbols);
    }

    #[test]
    fn the_price_is_near_what_is_written(symbols in vec(prop_oneof![9 => 0..4u8, 1 => 0..40u8], 100..3000)) {
        let counts = counted(&symbols);
        let log = best_log(8, symbols.len(), counts.len(), 0);
        let table = FseTable::of(&counts, symbols.len(), log);
        prop_assume!(table.is_some());
        let table = table.unwrap();
        let mut out = Vec::new();
        let mut bits = BitWriter::new(&mut out);
        let mut state = table.begin(*symbols.last().unwrap());
        for symbol in symbols[..symbols.len() - 1].iter().rev() {
            bits.flush();
            state.encode(*symbol, &mut bits);
        }
        state.finish(&mut bits);
        bits.close();
        let (price, written) = (f64::from(table.cost(&counts).unwrap()), 8.0 * out.len() as f64);
        prop_assert!((price - written).abs() < 24.0 + written / 20.0, "{price} {written}");
    }
}

#[test]
fn the_known_tables_code_all_their_symbols() {
    for (norm, log) in [KNOWN_LITERALS, KNOWN_LENGTHS, KNOWN_OFFSETS] {
        let table = FseTable::of_norm(norm.to_vec(), log).unwrap();
        let symbols: Vec<u8> = (0..norm.len() as u8).chain((0..norm.len() as u8).rev()).collect();
        assert_eq!(decoded_again(&table, norm, &symbols), symbols);
    }
}

#[test]
fn a_distribution_that_does_not_fill_its_states_is_none() {
    assert!(FseTable::of_norm(vec![16, 15], 5).is_none());
    assert!(FseTable::of_norm(vec![16, 17], 5).is_none());
    assert!(FseTable::of_norm(vec![40, -8], 5).is_none());
    assert!(FseTable::of_norm(vec![-1; 33], 5).is_none());
    assert!(FseTable::of_norm(vec![-1; 32], 5).is_some());
}

/// RFC 8878, 4.1.1: an accuracy of 5 is 0 in four bits; then, of 33 possible values, 18 (a share of 17) in five bits or
/// six.
#[test]
fn a_distribution_is_written_as_the_standard_says() {
    let write = |norm: &[i16], log| {
        let mut out = Vec::new();
        FseTable::of_norm(norm.to_vec(), log).unwrap().write(&mut out);
        out
    };
    // Values 0 to 30 have five bits; a share of 16 is the value 17. Then 16 are left, so that 0 to 14 have four bits
    // and the value 17 has five, less 14: 0000, 10001, then 17 + 14 = 31 in five bits.
    assert_eq!(decoder::distribution(&write(&[16, 16], 5)), (vec![16, 16], 5, 2));
    assert_eq!(write(&[16, 16], 5)[0] & 15, 0);
    // A share of 0 is followed by two bits for how many more are 0, again and again while that is three.
    for zeros in [1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 49, 50, 51, 60] {
        let norm: Vec<i16> = [&[31][..], &vec![0; zeros], &[-1]].concat();
        let written = write(&norm, 5);
        assert_eq!(decoder::distribution(&written).0, norm, "{zeros}");
    }
}

#[test]
fn tables_are_as_large_as_their_symbols_need() {
    // Few symbols: the least. Many, of which each comes up once: as large as their number needs.
    assert_eq!(best_log(8, 5, 2, 0), 5);
    assert_eq!(best_log(8, 40, 40, 0), 6);
    assert_eq!(best_log(9, 100_000, 53, 0), 9);
    assert_eq!(best_log(6, 255, 12, 1), 5);
    assert_eq!(best_log(6, 256, 12, 1), 5);
    assert_eq!(best_log(6, 257, 12, 1), 6);
    // Up to four coded symbols: the original subtracts 2 from less than that, and takes the most.
    assert_eq!([1, 2, 3, 4].map(|coded| best_log(8, coded, 2, 0)), [8; 4]);
}

#[test]
fn a_single_symbol_needs_no_bits() {
    let table = FseTable::single(17);
    let mut out = Vec::new();
    let mut bits = BitWriter::new(&mut out);
    let mut state = table.begin(17);
    (0..9).for_each(|_| state.encode(17, &mut bits));
    state.finish(&mut bits);
    bits.close();
    assert_eq!(out, [1]);
}

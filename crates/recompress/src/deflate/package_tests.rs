//! Go's Huffman codes: as short as package-merge makes them, within the limit.

use super::*;
use crate::deflate::optimal;
use proptest::prelude::*;

fn lens(counts: &[u32], longest: usize) -> Vec<u8> {
    let mut codes = vec![PrefixCode::default(); counts.len()];
    make_codes(counts, longest, &mut codes);
    codes.iter().map(|code| code.len).collect()
}

#[test]
fn few_symbols_have_one_bit() {
    assert_eq!(lens(&[0, 0], 15), [0, 0]);
    assert_eq!(lens(&[0, 7], 15), [0, 1]);
    assert_eq!(lens(&[9, 0, 7], 15), [1, 0, 1]);
}

#[test]
fn rare_symbols_have_long_codes() {
    assert_eq!(lens(&[1, 1, 2, 4, 8], 15), [4, 4, 3, 2, 1]);
    assert_eq!(lens(&[1, 1, 2, 4, 8], 3), [3, 3, 3, 3, 1]);
}

proptest! {
    #[test]
    fn codes_fill_the_space_and_keep_the_limit(counts in proptest::collection::vec(0u32..70_000, 3..286)) {
        let used = counts.iter().filter(|count| **count > 0).count();
        prop_assume!(used > 2);
        let lens = lens(&counts, 15);
        prop_assert!(lens.iter().all(|len| *len <= 15));
        let space: u32 = lens.iter().filter(|len| **len > 0).map(|len| 1 << (15 - len)).sum();
        prop_assert_eq!(space, 1 << 15);
    }
}

proptest! {
    #[test]
    fn no_code_within_the_limit_is_shorter(
        counts in proptest::collection::vec(prop_oneof![Just(0u32), 1..4u32, 1..70_000u32], 3..286),
        longest in 9..16usize,
    ) {
        prop_assume!(counts.iter().filter(|count| **count > 0).count() > 2);
        let lens = lens(&counts, longest);
        prop_assert_eq!(optimal::cost(&counts, &lens), optimal::least_cost(&counts, longest));
    }

    #[test]
    fn codes_of_a_small_alphabet_are_optimal_at_every_limit(counts in proptest::collection::vec(1..200u32, 3..9)) {
        for longest in 3..=7 {
            let lens = lens(&counts, longest);
            prop_assert_eq!(optimal::cost(&counts, &lens), optimal::least_cost(&counts, longest));
            prop_assert_eq!(optimal::space(lens.iter().copied(), longest), 1 << longest);
        }
    }
}

#[test]
fn counts_that_grow_too_fast_meet_every_limit() {
    for symbols in [10, 16, 17, 25, 40] {
        let counts = optimal::fibonacci(symbols);
        for longest in [7, 15] {
            let lens = lens(&counts, longest);
            assert_eq!(lens.iter().max(), Some(&(longest.min(symbols - 1) as u8)), "{symbols} {longest}");
            assert_eq!(optimal::cost(&counts, &lens), optimal::least_cost(&counts, longest));
            assert_eq!(optimal::space(lens.iter().copied(), longest), 1 << longest);
        }
    }
}

/// Among symbols of one count, those that come later in the alphabet have the shorter codes: an encoder that broke
/// ties otherwise would write other bits of the same number.
#[test]
fn ties_are_broken_as_the_original_does() {
    assert_eq!(lens(&[1, 1, 1], 15), [2, 2, 1]);
    assert_eq!(lens(&[1, 1, 1, 1, 1], 15), [3, 3, 2, 2, 2]);
    assert_eq!(lens(&[5, 1, 5, 1, 5], 15), [2, 3, 2, 3, 2]);
    // A pair is taken before a leaf of the same count: codes of two bits each would be as short.
    assert_eq!(lens(&[1, 1, 2, 2], 15), [3, 3, 2, 1]);
}

#[test]
fn codes_of_one_length_are_in_the_order_of_symbols() {
    let mut codes = [PrefixCode::default(); 6];
    make_codes(&[3, 1, 0, 3, 1, 3], 15, &mut codes);
    let high = |code: PrefixCode| (code.len > 0).then(|| code.bits.reverse_bits() >> (16 - code.len));
    // Lengths 2, 3, -, 2, 3, 2.
    assert_eq!(codes.map(high), [Some(0b00), Some(0b110), None, Some(0b01), Some(0b111), Some(0b10)]);
}

#[test]
fn codes_from_before_are_taken_away() {
    let mut codes = [PrefixCode { bits: 7, len: 9 }; 4];
    make_codes(&[0, 4, 0, 0], 15, &mut codes);
    assert_eq!(codes.map(|code| code.len), [0, 1, 0, 0]);
    make_codes(&[1, 1, 2, 0], 15, &mut codes);
    assert_eq!(codes.map(|code| code.len), [2, 2, 1, 0]);
}

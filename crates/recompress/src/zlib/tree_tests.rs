//! zlib's Huffman codes: optimal where nothing is too long, within the limit elsewhere.

use super::*;
use crate::deflate::optimal;
use proptest::prelude::*;

fn lens<const N: usize>(counts: [u32; N], longest: usize) -> [u8; N] {
    codes(&counts, longest).map(|code| code.len)
}

#[test]
fn there_are_two_codes_at_least() {
    assert_eq!(lens([0, 0, 0, 0], 15), [1, 1, 0, 0]);
    assert_eq!(lens([0, 9, 0, 0], 15), [0, 1, 1, 0]);
    assert_eq!(lens([0, 0, 0, 9], 15), [1, 0, 0, 1]);
}

#[test]
fn rare_symbols_have_long_codes_within_the_limit() {
    assert_eq!(lens([1, 1, 2, 4, 8], 15), [4, 4, 3, 2, 1]);
    assert_eq!(lens([1, 1, 2, 4, 8], 3), [3, 3, 3, 3, 1]);
}

proptest! {
    #[test]
    fn codes_fill_the_space_and_keep_the_limit(counts: [u32; 19], shift in 12..32u32) {
        let lens = lens(counts.map(|count| count >> shift), 7);
        prop_assert!(lens.iter().all(|len| *len <= 7));
        let space: u32 = lens.iter().filter(|len| **len > 0).map(|len| 1 << (7 - len)).sum();
        prop_assert_eq!(space, 1 << 7);
    }
}

/// Alphabets of the sizes that zlib has: literals, distances, code lengths.
fn lens_of(counts: &[u32], longest: usize) -> Vec<u8> {
    let mut all = [0; 286];
    all[..counts.len()].copy_from_slice(counts);
    codes(&all, longest).map(|code| code.len)[..counts.len()].to_vec()
}

proptest! {
    #[test]
    fn codes_are_optimal_where_none_is_too_long(
        counts in proptest::collection::vec(prop_oneof![Just(0u32), 1..4u32, 1..13u32], 3..200),
    ) {
        prop_assume!(counts.iter().filter(|count| **count > 0).count() > 2);
        let lens = lens_of(&counts, 15);
        // A tree of sixteen floors needs 2584 uses, the eighteenth Fibonacci number, so that nothing was mended.
        prop_assert!(counts.iter().sum::<u32>() < 2584);
        prop_assert_eq!(optimal::cost(&counts, &lens), optimal::least_cost(&counts, 15));
    }

    #[test]
    fn mended_codes_fill_the_space_and_give_rarer_symbols_no_shorter_ones(
        counts in proptest::collection::vec(1..100_000u32, 17..60),
        shift in 0..16u32,
    ) {
        let counts: Vec<u32> = counts.iter().enumerate().map(|(at, count)| (count >> (at as u32 % (shift + 1))).max(1)).collect();
        let lens = lens_of(&counts, 7);
        prop_assert_eq!(optimal::space(lens.iter().copied(), 7), 1 << 7);
        for (a, a_len) in counts.iter().zip(&lens) {
            for (b, b_len) in counts.iter().zip(&lens) {
                prop_assert!(a <= b || a_len <= b_len);
            }
        }
        // zlib mends by a rule of thumb, which loses little.
        prop_assert!(optimal::cost(&counts, &lens) <= optimal::least_cost(&counts, 7) * 5 / 4);
    }
}

#[test]
fn counts_that_grow_too_fast_meet_the_limit() {
    for (symbols, longest) in [(16, 15), (17, 15), (25, 15), (8, 7), (9, 7), (19, 7)] {
        let counts = optimal::fibonacci(symbols);
        let lens = lens_of(&counts, longest);
        assert_eq!(lens.iter().max(), Some(&(longest as u8)), "{symbols} {longest}");
        assert_eq!(optimal::space(lens.iter().copied(), longest), 1 << longest, "{symbols} {longest}");
    }
}

/// As `build_tree` of zlib 1.2.13 does with equal counts: the shallower tree first, then the smaller symbol.
#[test]
fn ties_are_broken_as_the_original_does() {
    assert_eq!(lens([1, 1, 1, 0, 0], 15), [2, 1, 2, 0, 0]);
    assert_eq!(lens([1, 1, 1, 1, 1], 15).iter().map(|len| usize::from(*len)).sum::<usize>(), 12);
    assert_eq!(lens([2, 1, 1, 2, 2], 15).iter().max(), Some(&3));
}

//! Long matches in parts, and the estimate of a block's size.

use super::*;
use crate::klauspost::history::History;

#[test]
fn long_matches_become_several() {
    let lengths = |length| {
        let mut tokens = Tokens::new();
        tokens.matched(length, 1);
        tokens.list.iter().map(|token| token.first() - 253).collect::<Vec<_>>()
    };
    assert_eq!(lengths(258), [258]);
    assert_eq!(lengths(259), [255, 4]);
    assert_eq!(lengths(261), [255, 6]);
    assert_eq!(lengths(262), [258, 4]);
    assert_eq!(lengths(600), [258, 258, 84]);
}

#[test]
fn the_constants_are_those_of_the_original_in_single_precision() {
    assert_eq!(2.024_665_8_f32, 2.02466578_f64 as f32);
    assert_eq!(0.674_877_6_f32, 0.67487759_f64 as f32);
    assert_eq!(-0.344_848_43_f32, -0.34484843_f64 as f32);
}

/// The rest of a match that is too long is a match, too, of four bytes at least.
#[test]
fn parts_of_a_match_add_up_and_are_matches() {
    for length in 4..2000 {
        let mut tokens = Tokens::new();
        tokens.matched(length, 77);
        let lens: Vec<usize> = tokens.list.iter().map(|token| token.len()).collect();
        assert_eq!(lens.iter().sum::<usize>(), length);
        assert!(lens.iter().all(|len| (4..=LONGEST).contains(len)), "{length} {lens:?}");
        assert!(tokens.list.iter().all(|token| token.distance() == 76));
        assert_eq!(lens.len(), length.div_ceil(LONGEST), "{length}");
    }
}

#[test]
fn literals_are_the_bytes_between_two_places() {
    let plain: Vec<u8> = (0..100).collect();
    let mut history = History::new();
    history.append(&plain);
    for from in 0..20 {
        for to in from..from + 30 {
            let mut tokens = Tokens::new();
            tokens.matched(9, 1);
            tokens.literals(history.view(), from, to);
            let bytes: Vec<u8> = tokens.list[1..].iter().filter_map(|token| token.byte()).collect();
            assert_eq!(bytes, plain[from as usize..to as usize]);
        }
    }
}

/// The logarithm is a parabola between powers of two: within a hundredth.
#[test]
fn the_logarithm_is_near() {
    for number in 1..5000 {
        let number = number as f32 / 4096.0;
        assert!((log2(number) - number.log2()).abs() < 0.01, "{number}");
    }
}

#[test]
fn the_estimate_is_near_the_entropy_and_counts_extra_bits() {
    let mut counts = Counts::of(&[]);
    (0..16).for_each(|byte| counts.literals[byte] = 100);
    // Four bits for each of 1600 literals, and 15 for the end.
    let estimated = estimate(&counts, 1600);
    assert!(estimated.abs_diff(6400 + 15) < 70, "{estimated}");
    // A thousand lengths of one bit each, and as many distances with a bit and 13 bits after it.
    counts.literals[LENGTHS] = 1000;
    counts.distances[28] = 1000;
    let with = estimate(&counts, 2600);
    assert!(with > estimated + 1000 + 14_000 - 100, "{with}");
    // Symbols of all uses have a bit at least, and of next to none 15 at most.
    let mut counts = Counts::of(&[]);
    counts.literals[7] = 5000;
    counts.literals[8] = 1;
    assert!(estimate(&counts, 1 << 20).abs_diff(5000 * 8 + 15 + 15) < 5000, "{}", estimate(&counts, 1 << 20));
}

//! The alphabet against the tables of RFC 1951.

use super::*;

#[test]
fn symbols_begin_where_the_standard_says() {
    for (symbol, base) in LENGTH_BASE.iter().enumerate() {
        assert_eq!(length_symbol(*base), symbol);
    }
    assert_eq!(length_symbol(254), 27);
    for symbol in 0..DISTANCES {
        let base = usize::from(DISTANCE_BASE[symbol]);
        assert_eq!(distance_symbol(base), symbol);
        assert_eq!(distance_symbol(base + (1 << DISTANCE_BITS[symbol]) - 1), symbol);
    }
}

#[test]
fn fixed_codes_are_those_of_the_standard() {
    let literals = fixed_literals();
    assert_eq!(literals[END], PrefixCode { bits: 0, len: 7 });
    assert_eq!(literals[0], PrefixCode { bits: 0b0000_1100, len: 8 });
    assert_eq!(literals[255], PrefixCode { bits: 0b1_1111_1111, len: 9 });
    assert_eq!(literals[280], PrefixCode { bits: 0b0000_0011, len: 8 });
    assert_eq!(fixed_distances()[1], PrefixCode { bits: 0b1_0000, len: 5 });
}

/// Rows of the tables of RFC 1951, section 3.2.5: the code, the bits after it, the first and the last value.
#[test]
fn lengths_and_distances_are_in_the_rows_of_the_standard() {
    let lengths: [(usize, u8, usize, usize); 12] = [
        (257, 0, 3, 3),
        (264, 0, 10, 10),
        (265, 1, 11, 12),
        (268, 1, 17, 18),
        (269, 2, 19, 22),
        (272, 2, 31, 34),
        (273, 3, 35, 42),
        (277, 4, 67, 82),
        (280, 4, 115, 130),
        (281, 5, 131, 162),
        (284, 5, 227, 257),
        (285, 0, 258, 258),
    ];
    for (code, bits, first, last) in lengths {
        assert_eq!(LENGTH_BITS[code - LENGTHS], bits, "{code}");
        assert!((first..=last).all(|length| length_symbol((length - 3) as u8) + LENGTHS == code), "{code}");
    }
    let distances: [(usize, u8, usize, usize); 10] = [
        (0, 0, 1, 1),
        (3, 0, 4, 4),
        (4, 1, 5, 6),
        (9, 3, 25, 32),
        (14, 6, 129, 192),
        (16, 7, 257, 384),
        (17, 7, 385, 512),
        (20, 9, 1025, 1536),
        (28, 13, 16385, 24576),
        (29, 13, 24577, 32768),
    ];
    for (code, bits, first, last) in distances {
        assert_eq!(DISTANCE_BITS[code], bits, "{code}");
        assert!((first..=last).all(|distance| distance_symbol(distance - 1) == code), "{code}");
    }
}

/// Every value has one code, and the bits after a code reach up to the next, but for the length of 258.
#[test]
fn codes_and_the_bits_after_them_cover_every_value_once() {
    let mut next = 0u32;
    for (symbol, (base, bits)) in DISTANCE_BASE.iter().zip(DISTANCE_BITS).enumerate() {
        assert_eq!(u32::from(*base), next, "{symbol}");
        next += 1 << bits;
    }
    assert_eq!(next as usize, FARTHEST);
    let mut next = 0u32;
    for (symbol, (base, bits)) in LENGTH_BASE.iter().zip(LENGTH_BITS).enumerate().take(28) {
        assert_eq!(u32::from(*base), next, "{symbol}");
        next += 1 << bits;
    }
    // 258 has a code of its own, though the code before could say it.
    assert_eq!((next, LENGTH_BASE[28]), (256, 255));
    assert_eq!(distance_symbol(FARTHEST), DISTANCES);
}

#[test]
fn every_fixed_code_is_that_of_the_standard() {
    let codes = fixed_literals();
    for (range, first, len) in
        [(0..144, 0b0011_0000, 8), (144..256, 0b1_1001_0000, 9), (256..280, 0, 7), (280..286, 0b1100_0000, 8)]
    {
        for (code, symbol) in (first..).zip(range) {
            assert_eq!(codes[symbol], PrefixCode::from_high(code, len), "{symbol}");
        }
    }
    for (code, distance) in (0..).zip(fixed_distances()) {
        assert_eq!(distance, PrefixCode::from_high(code, 5));
    }
}

#[test]
fn extra_bits_are_those_of_all_uses() {
    let (mut literals, mut distances) = ([0; LITERALS], [0; DISTANCES]);
    literals[0] = 1000;
    literals[LENGTHS + 8] = 3;
    literals[LENGTHS + 27] = 2;
    literals[LENGTHS + 28] = 50;
    distances[29] = 4;
    distances[1] = 100;
    assert_eq!(extra_bits(&literals, &distances), 3 + 2 * 5 + 4 * 13);
}

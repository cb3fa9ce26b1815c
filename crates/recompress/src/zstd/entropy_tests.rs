//! The entropy of bytes against the logarithm of the standard library.

use super::*;
use proptest::prelude::*;

#[test]
fn powers_of_two_are_exact_and_others_near() {
    for power in 1..17 {
        assert_eq!(log2(1.0 / f64::from(1 << power)), f64::from(-power));
    }
    for count in 1..2000 {
        let number = f64::from(count) / 131_072.0;
        assert!((log2(number) - number.log2()).abs() < 1e-13, "{count}");
    }
}

#[test]
fn bytes_that_are_all_there_hold_eight_bits_each() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(bits(&all.repeat(4)), 8192);
    assert_eq!(bits(&[7; 100]), 0);
}

proptest! {
    #[test]
    fn the_entropy_is_near_that_of_the_definition(bytes in proptest::collection::vec(0..9u8, 1..3000)) {
        let count = |byte: u8| bytes.iter().filter(|other| **other == byte).count() as f64;
        let exact: f64 = (0..9)
            .map(count)
            .filter(|count| *count > 0.0)
            .map(|count| -(count / bytes.len() as f64).log2() * count)
            .sum();
        let bits = bits(&bytes) as f64;
        // Each of nine symbols is rounded up.
        prop_assert!(bits + 1e-6 >= exact && bits <= exact + 10.0, "{bits} {exact}");
    }
}

/// As Go 1.27 prints `math.Log2` of these: the last bit of a logarithm may decide on a match.
#[test]
fn logarithms_have_the_last_bit_of_the_original() {
    for (number, expected) in [
        (1.0 / 3.0, 0xbff9_5c01_a39f_bd69),
        (0.7, 0xbfe0_7762_2896_7d13),
        (1000.0 / 131_072.0, 0xc01c_2309_71c9_8ad6),
        (0.999, 0xbf57_a621_0ffb_7151),
    ] {
        assert_eq!(log2(number).to_bits(), expected, "{number}");
    }
}

/// The same of 4096 numbers, as an FNV-1a digest of their bytes.
#[test]
fn many_logarithms_have_the_last_bit_of_the_original() {
    let bytes = (1..=4096).flat_map(|count| log2(f64::from(count) / 4097.0).to_bits().to_le_bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(hash, 0x3256_cca6_7d07_d58e);
}

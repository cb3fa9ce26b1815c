//! Comparing bytes, a word at a time.

use super::*;

#[test]
fn common_stops_at_the_first_difference() {
    let a: Vec<u8> = (0..40).collect();
    for at in 0..40 {
        let mut b = a.clone();
        b[at] ^= 0x80;
        assert_eq!(common(&a, &b, 258), at);
        assert_eq!(common(&a, &b, 7), at.min(7));
    }
    assert_eq!(common(&a, &a[..13], 258), 13);
}

#[test]
fn a_word_is_little_endian_and_may_be_short() {
    assert_eq!(word(&[1, 2]), 0x0201);
    assert_eq!(word(&[1, 0, 0, 0, 0, 0, 0, 2, 9]), 0x0200_0000_0000_0001);
}

#[test]
fn common_never_passes_the_end_of_either() {
    let bytes = [9; 64];
    for a in 0..20 {
        for b in 0..20 {
            assert_eq!(common(&bytes[..a], &bytes[..b], usize::MAX), a.min(b));
            assert_eq!(common(&bytes[..a], &bytes[..b], 11), a.min(b).min(11));
        }
    }
}

#[test]
fn common_sees_a_difference_in_any_bit() {
    let a = [0u8; 24];
    for bit in 0..8 {
        for at in 0..24 {
            let mut b = a;
            b[at] = 1 << bit;
            // A further difference does not count.
            b[23] |= 0x80;
            assert_eq!(common(&a, &b, 24), at, "{bit}");
        }
    }
}

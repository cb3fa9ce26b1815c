//! The length of the common prefix of two byte strings, which match finders and front coding ask for.

/// The number of equal bytes at the start of both, at most `most`.
#[inline]
pub fn common_prefix(a: &[u8], b: &[u8], most: usize) -> usize {
    let len = a.len().min(b.len()).min(most);
    let (a, b) = (&a[..len], &b[..len]);
    let mut same = 0;
    for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return same + differing.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_counted_up_to_the_first_difference_and_the_limit() {
        let a: Vec<u8> = (0..40).collect();
        for at in 0..40 {
            let mut b = a.clone();
            b[at] ^= 0x80;
            assert_eq!(common_prefix(&a, &b, 258), at);
            assert_eq!(common_prefix(&a, &b, 7), at.min(7));
        }
        assert_eq!(common_prefix(&a, &a[..13], 258), 13);
    }

    #[test]
    fn the_end_of_neither_is_passed() {
        let bytes = [9; 64];
        for a in 0..20 {
            for b in 0..20 {
                assert_eq!(common_prefix(&bytes[..a], &bytes[..b], usize::MAX), a.min(b));
                assert_eq!(common_prefix(&bytes[..a], &bytes[..b], 11), a.min(b).min(11));
            }
        }
    }

    #[test]
    fn a_difference_in_any_bit_ends_the_prefix() {
        let a = [0u8; 24];
        for bit in 0..8 {
            for at in 0..24 {
                let mut b = a;
                b[at] = 1 << bit;
                // A further difference does not count.
                b[23] |= 0x80;
                assert_eq!(common_prefix(&a, &b, 24), at, "{bit}");
            }
        }
    }
}

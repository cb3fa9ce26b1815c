//! The backward bit stream against a plain list of bits.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::zstd::decoder::Backward;

#[test]
fn bits_fill_bytes_from_below_and_a_one_ends_them() {
    let mut out = vec![7];
    let mut bits = BitWriter::new(&mut out);
    bits.add(0b101, 3);
    bits.add_low(0xffff_fff2, 4);
    bits.close();
    assert_eq!(out, [7, 0b1001_0101]);
}

#[test]
fn long_values_pass_the_held_bits() {
    let mut out = Vec::new();
    let mut bits = BitWriter::new(&mut out);
    bits.add(1, 31);
    bits.add_long(0x1234_5678_9abc, 48);
    bits.close();
    let all: u128 = 1 | 0x1234_5678_9abc << 31 | 1 << 79;
    assert_eq!(out, all.to_le_bytes()[..10]);
}

proptest! {
    #[test]
    fn a_stream_is_read_backwards(
        start in vec(any::<u8>(), 0..4),
        parts in vec((any::<u64>(), 0..=63u32, any::<bool>()), 0..60),
    ) {
        let mut out = start.clone();
        let mut bits = BitWriter::new(&mut out);
        let parts: Vec<(u64, u32)> =
            parts.into_iter().map(|(value, count, _)| (value & ((1u64 << count) - 1), count)).collect();
        for (value, count) in &parts {
            bits.flush();
            bits.add_long(*value, *count);
        }
        bits.close();
        prop_assert_eq!(&out[..start.len()], &start[..]);
        let total: u32 = parts.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(out.len() - start.len(), total as usize / 8 + 1);
        let mut read = Backward::new(&out[start.len()..]);
        for (value, count) in parts.iter().rev() {
            prop_assert_eq!(read.bits(*count), *value);
        }
        prop_assert_eq!(read.left(), 0);
    }
}

#[test]
fn high_bits_of_low_values_are_cut() {
    for count in 0..=31 {
        let mut out = Vec::new();
        let mut bits = BitWriter::new(&mut out);
        bits.add_low(u32::MAX, count);
        bits.close();
        let mut read = Backward::new(&out);
        assert_eq!((read.left(), read.bits(count)), (count.into(), (1u64 << count) - 1));
    }
}

//! Bits against a plain list of them, and canonical codes against RFC 1951.

use super::*;
use proptest::prelude::*;

#[test]
fn bits_fill_bytes_from_the_low_end() {
    let mut sink = Sink::default();
    sink.put(0b1, 1);
    sink.put(0b10, 2);
    sink.code_with(PrefixCode { bits: 0b11, len: 2 }, 0b01, 2);
    sink.put(0x1234_5678, 32);
    sink.align();
    assert_eq!(sink.bytes, [0b0011_1101, 0x3c, 0x2b, 0x1a, 0x09]);
    sink.stored_last(&[7]);
    assert_eq!(sink.bytes[5..], [1, 1, 0, 0xfe, 0xff, 7]);
}

#[test]
fn codes_are_written_reversed() {
    assert_eq!(PrefixCode::from_high(0b110, 3), PrefixCode { bits: 0b011, len: 3 });
}

/// Bits one by one, as RFC 1951 packs them.
#[derive(Default)]
struct List(Vec<bool>);

impl List {
    fn put(&mut self, bits: u64, len: u32) {
        self.0.extend((0..len).map(|at| bits >> at & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        self.0.chunks(8).map(byte).collect()
    }
}

proptest! {
    #[test]
    fn a_sink_is_a_list_of_bits(
        first in 0..8u8,
        parts in proptest::collection::vec((any::<u64>(), 0..=56u32), 0..60),
    ) {
        let (mut sink, mut list) = (Sink::after(first), List::default());
        list.put(0, first.into());
        for (bits, len) in parts {
            let bits = bits & ((1u64 << len) - 1);
            sink.put(bits, len);
            list.put(bits, len);
            prop_assert_eq!(sink.bits(), list.0.len() as u64);
            prop_assert_eq!(sink.bits_in_byte() as usize, list.0.len() % 8);
            prop_assert_eq!(sink.bytes.len(), list.0.len() / 8);
        }
        sink.align();
        prop_assert_eq!(sink.bits() % 8, 0);
        prop_assert_eq!(sink.bytes, list.bytes());
    }

    #[test]
    fn bits_are_copied_from_bytes(
        before in 0..8u32,
        bytes in proptest::collection::vec(any::<u8>(), 1..40),
        less in 0..8u64,
    ) {
        let bits = 8 * bytes.len() as u64 - less;
        let (mut sink, mut list) = (Sink::default(), List::default());
        sink.put(0, before);
        list.put(0, before);
        for (at, byte) in bytes.iter().enumerate() {
            list.put((*byte).into(), (bits - 8 * at as u64).min(8) as u32);
        }
        // The bits of the last byte beyond the end are 0, as the reader of heads leaves them.
        let mut bytes = bytes;
        *bytes.last_mut().unwrap() &= 0xff >> less;
        sink.put_all(&bytes, bits);
        sink.align();
        prop_assert_eq!(sink.bytes, list.bytes());
    }

    #[test]
    fn canonical_codes_are_prefix_free_and_in_order(lens in proptest::collection::vec(0..16usize, 2..40)) {
        let space: u32 = lens.iter().filter(|len| **len > 0).map(|len| 1 << (15 - len)).sum();
        prop_assume!(space <= 1 << 15);
        let codes: [PrefixCode; 40] = canonical(&lens);
        let high = |code: &PrefixCode| code.bits.reverse_bits() >> (16 - code.len);
        let mut used: Vec<(u8, usize, u16)> = codes
            .iter()
            .enumerate()
            .filter(|(_, code)| !code.is_none())
            .map(|(symbol, code)| (code.len, symbol, high(code)))
            .collect();
        prop_assert_eq!(used.len(), lens.iter().filter(|len| **len > 0).count());
        used.sort_unstable();
        // Shorter codes come first, then smaller symbols: each begins where the one before ends.
        let mut end = 0u32;
        for (len, symbol, code) in used {
            prop_assert_eq!(usize::from(len), lens[symbol]);
            prop_assert_eq!(u32::from(code) << (15 - len), end);
            end += 1 << (15 - len);
        }
    }
}

/// The example of RFC 1951, section 3.2.2: lengths 3, 3, 3, 3, 3, 2, 4, 4.
#[test]
fn canonical_codes_are_those_of_the_standard() {
    let codes: [PrefixCode; 9] = canonical(&[3, 3, 3, 3, 3, 2, 4, 4]);
    let expected = [0b010, 0b011, 0b100, 0b101, 0b110, 0b00, 0b1110, 0b1111];
    for ((code, bits), len) in codes.iter().zip(expected).zip([3, 3, 3, 3, 3, 2, 4, 4]) {
        assert_eq!(*code, PrefixCode::from_high(bits, len));
    }
    assert!(codes[8].is_none());
}

#[test]
fn the_longest_stored_block_keeps_its_length() {
    let plain = vec![5; 65_535];
    let mut sink = Sink::default();
    sink.put(1, 1);
    sink.stored(&plain);
    assert_eq!((&sink.bytes[..5], sink.bytes.len()), (&[1, 0xff, 0xff, 0, 0][..], 5 + plain.len()));
    assert_eq!(sink.bits_in_byte(), 0);
}

#[test]
fn costs_are_counts_times_lengths() {
    let codes = [PrefixCode { bits: 0, len: 1 }, PrefixCode::default(), PrefixCode { bits: 1, len: 15 }];
    assert_eq!(cost(&[3, 0, u32::MAX], &codes), 3 + 15 * u64::from(u32::MAX));
}

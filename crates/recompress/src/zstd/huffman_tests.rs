//! Huffman-coded literals against the examples and the decoder of RFC 8878.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::optimal;
use crate::zstd::decoder;

proptest! {
    #[test]
    fn lengths_fill_the_space_and_keep_the_limit(
        counts in proptest::collection::vec(prop_oneof![Just(0u32), 1..9u32, 1..60_000u32], 2..257),
    ) {
        let used = counts.iter().filter(|count| **count > 0).count();
        prop_assume!(used >= 2);
        let symbols = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let total: u32 = counts.iter().sum();
        let most = best_log(total as usize, symbols);
        let (lengths, longest) = lengths(&counts[..symbols], most);
        let space: u32 = lengths.iter().filter(|length| **length > 0).map(|length| 1 << (LONGEST - u32::from(*length))).sum();
        prop_assert_eq!(space, 1 << LONGEST);
        prop_assert!(lengths.iter().all(|length| u32::from(*length) <= longest) && longest <= most);
        prop_assert_eq!(lengths.iter().filter(|length| **length > 0).count(), used);
    }
}

#[test]
fn a_code_is_used_again_where_a_new_one_saves_less() {
    let text: Vec<u8> = (0..2000u32).map(|n| b"etaoin shrdlu"[(n * n % 169 % 13) as usize]).collect();
    let mut literals = LiteralsCoder::new();
    assert_eq!(literals.encode(&text, true), CodedLiterals::New);
    literals.may_reuse = true;
    assert_eq!(literals.encode(&text[7..], true), CodedLiterals::Reused);
    assert_eq!(literals.encode(&[9; 2000], true), CodedLiterals::Same);
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(literals.encode(&all.repeat(5), true), CodedLiterals::Not);
    literals.may_reuse = false;
    assert_eq!(literals.encode(&text, true), CodedLiterals::New);
}

/// Literals as the head, the lengths of streams, and the streams say them.
fn decoded_again(coded: &[u8], codes: Option<&[Option<(u16, u32)>]>, four: bool, len: usize) -> Vec<u8> {
    let (own, used) = match codes {
        Some(_) => (Vec::new(), 0),
        None => {
            let (weights, used) = decoder::weights(coded);
            (decoder::prefix_codes(&weights), used)
        }
    };
    let codes = codes.unwrap_or(&own);
    let rest = &coded[used..];
    if !four {
        return decoder::literals(codes, rest);
    }
    let size = |at: usize| usize::from(u16::from_le_bytes([rest[2 * at], rest[2 * at + 1]]));
    let mut streams = &rest[6..];
    let mut literals = Vec::new();
    for at in 0..4 {
        let (stream, after) = streams.split_at(if at < 3 { size(at) } else { streams.len() });
        let part = decoder::literals(codes, stream);
        // RFC 8878, 3.1.1.3.1.6: each of the first three has a quarter, rounded up.
        assert!(at == 3 || part.len() == len.div_ceil(4));
        literals.extend(part);
        streams = after;
    }
    literals
}

/// RFC 8878, 4.2.1: the weights 4, 3, 2, 0, 1, the last of which, 1, is not written.
#[test]
fn the_decoder_has_the_codes_of_the_standard() {
    let codes = decoder::prefix_codes(&[4, 3, 2, 0, 1, 1]);
    let expected = [Some((1, 1)), Some((1, 2)), Some((1, 3)), None, Some((0, 4)), Some((1, 4))];
    assert_eq!(codes, expected);
    // Four bits each: 4 and 3, 2 and 0, 1 alone.
    assert_eq!(decoder::weights(&[132, 0x43, 0x20, 0x10]), (vec![4, 3, 2, 0, 1, 1], 4));
}

/// The same example, made: two literals 0 for one 1, and so on.
#[test]
fn the_example_of_the_standard_is_written() {
    let counts = [8, 4, 2, 0, 1, 1];
    let codes = HuffmanTable::of(&counts, 16);
    let made: Vec<_> = codes.codes[..6]
        .iter()
        .map(|code| (code.bits > 0).then_some((code.value, u32::from(code.bits))))
        .collect();
    assert_eq!(made, [Some((1, 1)), Some((1, 2)), Some((1, 3)), None, Some((0, 4)), Some((1, 4))]);
    let mut out = Vec::new();
    assert!(codes.write(&mut out));
    assert_eq!(out, [132, 0x43, 0x20, 0x10]);
}

proptest! {
    #[test]
    fn literals_come_back_through_the_decoder_of_the_standard(
        literals in vec(prop_oneof![9 => 0..5u8, 5 => 0..40u8, 1 => any::<u8>()], 17..3000),
        four: bool,
    ) {
        let mut coder = LiteralsCoder::new();
        if coder.encode(&literals, four) == CodedLiterals::New {
            prop_assert_eq!(decoded_again(&coder.out, None, four, literals.len()), literals);
        }
    }

    #[test]
    fn a_code_before_is_used_for_other_literals(
        literals in vec(prop_oneof![9 => 0..5u8, 5 => 0..40u8], 600..3000),
        others in vec(prop_oneof![9 => 0..5u8, 3 => 0..40u8], 600..3000),
    ) {
        let mut coder = LiteralsCoder::new();
        prop_assume!(coder.encode(&literals, true) == CodedLiterals::New);
        let codes = decoder::prefix_codes(&decoder::weights(&coder.out).0);
        coder.may_reuse = true;
        match coder.encode(&others, true) {
            CodedLiterals::Reused => prop_assert_eq!(decoded_again(&coder.out, Some(&codes), true, others.len()), others),
            CodedLiterals::New => prop_assert_eq!(decoded_again(&coder.out, None, true, others.len()), others),
            CodedLiterals::Same | CodedLiterals::Not => {}
        }
    }

    #[test]
    fn lengths_are_optimal_where_none_is_too_long(counts in vec(prop_oneof![Just(0u32), 1..50u32], 2..257)) {
        let symbols = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let counts = &counts[..symbols];
        prop_assume!(counts.iter().filter(|count| **count > 0).count() > 1);
        let (free, _) = lengths(counts, 32);
        let (limited, longest) = lengths(counts, LONGEST);
        prop_assert_eq!(optimal::cost(counts, &free), optimal::least_cost(counts, 32));
        if free.iter().all(|len| u32::from(*len) <= LONGEST) {
            prop_assert_eq!(&free, &limited);
        }
        prop_assert_eq!(optimal::space(limited.iter().copied(), longest as usize), 1 << longest);
    }
}

#[test]
fn counts_that_grow_too_fast_meet_the_limit_at_little_cost() {
    for symbols in [12, 13, 14, 18, 25] {
        let counts = optimal::fibonacci(symbols);
        let (lengths, longest) = lengths(&counts, LONGEST);
        assert_eq!(longest, LONGEST.min(symbols as u32 - 1));
        assert_eq!(optimal::space(lengths.iter().copied(), 11), 1 << 11, "{symbols}");
        let (cost, least) = (optimal::cost(&counts, &lengths), optimal::least_cost(&counts, 11));
        assert!(cost <= least + least / 50, "{symbols}: {cost} {least}");
    }
}

/// Up to 128 weights may be written as they are; with more they must be worth their states.
#[test]
fn weights_of_many_symbols_are_coded_or_nothing_is() {
    for symbols in [2usize, 3, 16, 127, 128, 129, 130, 200, 256] {
        // Each symbol twice, the first a hundred times more: a code that is worth it.
        let mut literals: Vec<u8> = (0..symbols).flat_map(|symbol| [symbol as u8; 2]).collect();
        literals.extend(vec![0; 100 * symbols]);
        let mut coder = LiteralsCoder::new();
        if coder.encode(&literals, true) == CodedLiterals::New {
            assert_eq!(decoded_again(&coder.out, None, true, literals.len()), literals, "{symbols}");
        } else {
            assert!(symbols > 128, "{symbols}");
        }
    }
}

#[test]
fn symbols_are_sorted_by_their_counts_and_then_as_they_came() {
    let sorted: Vec<(u8, u32)> =
        sorted(&[3, 9, 3, 0, 9, 1, 3]).iter().map(|node| (node.symbol, node.count)).collect();
    assert_eq!(sorted, [(1, 9), (4, 9), (0, 3), (2, 3), (6, 3), (5, 1), (3, 0)]);
}

#[test]
fn bytes_are_counted_in_pairs_and_at_the_end() {
    let counts = super::counted(&[1, 1, 2, 1, 255]);
    assert_eq!((counts[1], counts[2], counts[255], counts.iter().sum::<u32>()), (3, 1, 1, 5));
}

//! zlib's heads of blocks, read again, and its choice between shapes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::reader::{BitReader, BlockShape, DeflateReader};
use crate::inputs::{inflate, noise, text};

fn codes(literals: &[u32], distances: &[u32]) -> BlockCodes {
    let (mut of_literals, mut of_distances) = ([0; LITERALS], [0; DISTANCES]);
    of_literals[..literals.len()].copy_from_slice(literals);
    of_distances[..distances.len()].copy_from_slice(distances);
    of_literals[END] = 1;
    BlockCodes { literals: tree::codes(&of_literals, 15), distances: tree::codes(&of_distances, 15) }
}

/// The symbols of runs, and the number after each.
fn symbols(lengths: &Lengths) -> Vec<(u8, u8)> {
    lengths.runs.iter().map(|run| (run.symbol, run.extra)).collect()
}

fn written(tokens: &[Token], plain: Option<&[u8]>, len: usize, is_last: bool) -> BlockWriter {
    let mut blocks = BlockWriter::new();
    for token in tokens {
        blocks.take(*token, token.byte().unwrap_or_default(), 1);
    }
    blocks.write(plain, len, is_last);
    blocks
}

fn literals(plain: &[u8]) -> Vec<Token> {
    plain.iter().map(|byte| Token::literal(*byte)).collect()
}

proptest! {
    #[test]
    fn lengths_are_read_again(
        literals in vec(prop_oneof![2 => Just(0u32), 1 => Just(1u32), 2 => 0..9000u32], 1..=286),
        distances in vec(prop_oneof![Just(0u32), 1..9000u32], 0..=30),
    ) {
        let codes = codes(&literals, &distances);
        let head = head(&codes);
        let mut sink = Sink::default();
        head.write(&mut sink);
        let bits = sink.bits();
        prop_assert_eq!(bits, head.size());
        sink.align();
        let read = BitReader::new(&sink.bytes[..]).head().expect("the head is valid");
        prop_assert_eq!(read.bits, bits);
        prop_assert!(read.literals == codes.literals && read.distances == codes.distances);
    }
}

/// RFC 1951 lets runs go on from the literals into the distances, but zlib ends them there.
#[test]
fn runs_of_the_two_alphabets_are_apart() {
    // The code for the end is 1 bit long, and both distances are.
    let codes = codes(&[1], &[1, 1]);
    let head = head(&codes);
    assert_eq!(symbols(&head), [(1, 0), (18, 127), (18, 106), (1, 0), (1, 0), (1, 0)]);
}

#[test]
fn runs_are_cut_where_zlib_cuts_them() {
    let run = |len: u8, count: usize, least: usize, is_new: bool| {
        let mut lengths = Lengths::new(257, 1);
        push(&mut lengths, len, count, least, is_new);
        symbols(&lengths)
    };
    // Two of a length, and three after another.
    assert_eq!(run(5, 3, 4, true), [(5, 0); 3]);
    assert_eq!(run(5, 4, 4, true), [(5, 0), (16, 0)]);
    assert_eq!(run(5, 7, 4, true), [(5, 0), (16, 3)]);
    assert_eq!(run(5, 3, 3, false), [(16, 0)]);
    assert_eq!(run(0, 2, 3, true), [(0, 0); 2]);
    assert_eq!((run(0, 3, 3, true), run(0, 10, 3, true)), (vec![(17, 0)], vec![(17, 7)]));
    assert_eq!((run(0, 11, 3, true), run(0, 138, 3, true)), (vec![(18, 0)], vec![(18, 127)]));
}

/// zlib's counts of each alphabet end with the last code, and there are four lengths of lengths at least.
#[test]
fn only_codes_that_are_used_are_written() {
    let codes = codes(&[5; 256], &[0, 9, 0, 0]);
    let head = head(&codes);
    // zlib adds a distance to a single one: the next, if that is below 3.
    let mut sink = Sink::default();
    head.write(&mut sink);
    // 257 literals are 0 in five bits, three distances are 2.
    assert_eq!((sink.bytes[0] & 31, (sink.bytes[0] >> 5) | (sink.bytes[1] & 3) << 3), (0, 2));
    assert!(head.of_meta() >= 4);
}

#[test]
fn the_smallest_shape_in_bytes_is_taken() {
    let shape = |plain: &[u8], is_known: bool| {
        let blocks = written(&literals(plain), is_known.then_some(plain), plain.len(), true);
        assert_eq!(inflate(&blocks.sink.bytes), plain);
        DeflateReader::new(&blocks.sink.bytes[..]).block().expect("it is valid").shape
    };
    let noise = noise(3000, 256, 1);
    assert_eq!(
        (shape(&noise, true), shape(b"a", true), shape(b"", true)),
        (BlockShape::Stored, BlockShape::Fixed, BlockShape::Fixed)
    );
    assert!(matches!(shape(&text(3000), true), BlockShape::Own(_)));
    assert!(shape(&noise, false) != BlockShape::Stored);
}

#[test]
fn a_block_leaves_nothing_for_the_next() {
    let mut blocks = written(&literals(&text(900)), None, 900, false);
    assert_eq!((blocks.tokens.len(), blocks.matches, blocks.bound()), (0, 0, 0));
    assert!(blocks.literals.iter().chain(&blocks.distances).all(|count| *count == 0));
    for token in literals(b"xyz") {
        blocks.take(token, 0, 1);
    }
    blocks.write(Some(b"xyz"), 3, true);
    assert_eq!(inflate(&blocks.sink.bytes), [&text(900)[..], b"xyz"].concat());
}

/// As `TRUNCATE_BLOCK` of zlib 1.2.3: eight bits for each token, five for each distance, and what follows it.
#[test]
fn the_bound_counts_tokens_and_distances() {
    let mut blocks = BlockWriter::new();
    for token in [Token::literal(1), Token::matched(258, 1), Token::matched(3, 32_768)] {
        blocks.take(token, 0, 258);
    }
    assert_eq!(blocks.bound(), (3 * 8 + 5 + 5 + 13) / 8);
    assert_eq!(blocks.matches, 2);
}

//! Streams of other encoders, parsed into tokens and expanded again, and streams that are none.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::inputs::{inflated, noise, repeated_at, text};

/// A stream by flate2 at a level from 0 to 9.
fn deflated(plain: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(plain).expect("memory does not fail");
    encoder.finish().expect("memory does not fail")
}

/// The plain bytes of a stream, by the reader and again from its tokens.
fn parsed(stream: &[u8]) -> io::Result<Vec<u8>> {
    let mut reader = DeflateReader::new(stream);
    let mut plain = Vec::new();
    loop {
        let block = reader.block()?;
        let start = plain.len();
        for token in &block.tokens {
            match token.byte() {
                Some(byte) => plain.push(byte),
                None => {
                    let from = plain.len() - usize::from(token.distance()) - 1;
                    (from..from + token.len()).for_each(|at| plain.push(plain[at]));
                }
            }
        }
        match block.shape {
            BlockShape::Stored => plain.extend_from_slice(reader.plain()),
            _ => assert!(plain[start..] == *reader.plain()),
        }
        assert_eq!(block.len, plain.len() - start);
        if block.is_last {
            return Ok(plain);
        }
    }
}

/// Bits from the lowest on: pairs of a value and its width.
fn bits(parts: &[(u64, u32)]) -> Vec<u8> {
    let mut sink = Sink::default();
    parts.iter().for_each(|(value, width)| sink.put(*value, *width));
    sink.align();
    sink.bytes
}

fn kind_of(stream: &[u8]) -> io::ErrorKind {
    parsed(stream).expect_err("it is no stream").kind()
}

#[test]
fn streams_of_another_encoder_are_expanded() {
    for plain in [
        vec![],
        vec![7],
        text(70_000),
        noise(70_000, 256, 1),
        noise(90_000, 3, 2),
        vec![0; 400_000],
        repeated_at(32_768, 99),
    ] {
        for level in 0..=9 {
            let stream = deflated(&plain, level);
            assert!(parsed(&stream).expect("it is valid") == plain, "{} {level}", plain.len());
        }
    }
}

/// The bytes of a head that was read are the bits in the stream, so that they can be written again.
#[test]
fn a_head_keeps_its_bits() {
    let stream = deflated(&text(30_000), 6);
    let block = DeflateReader::new(&stream[..]).block().expect("it is valid");
    let BlockShape::Own(head) = block.shape else { panic!("it has codes of its own") };
    let mut sink = Sink::default();
    sink.put(4 | u64::from(block.is_last), 3);
    sink.put_all(&head.bytes, head.bits);
    let whole = (sink.bits() / 8) as usize;
    assert_eq!(sink.bytes[..whole], stream[..whole]);
}

#[test]
fn a_stream_that_is_cut_is_told_apart_from_a_damaged_one() {
    for plain in [text(3000), noise(500, 256, 3), vec![1; 3000]] {
        for level in [0, 1, 6] {
            let stream = deflated(&plain, level);
            for len in 0..stream.len() {
                assert_eq!(
                    kind_of(&stream[..len]),
                    io::ErrorKind::UnexpectedEof,
                    "{len} of {}",
                    stream.len()
                );
            }
        }
    }
}

#[test]
fn blocks_that_cannot_be_are_invalid() {
    let invalid = [
        ("the fourth type", bits(&[(1, 1), (3, 2)])),
        ("a length and another complement", bits(&[(1, 1), (0, 2), (0, 5), (5, 16), (5, 16)])),
        ("bits before a stored block that are not 0", bits(&[(1, 1), (0, 2), (1, 5), (0, 16), (0xffff, 16)])),
        ("287 literals", bits(&[(1, 1), (2, 2), (30, 5), (0, 5), (0, 4), (0, 64 - 8)])),
        ("31 distances", bits(&[(1, 1), (2, 2), (0, 5), (30, 5), (0, 4), (0, 64 - 8)])),
        // The fixed code has symbols 286 and 287, which stand for nothing: 11000110.
        ("a length that is none", bits(&[(1, 1), (1, 2), (0b0110_0011, 8), (0, 15)])),
        // A match of three bytes at a distance of one, with nothing before.
        ("a match before the start", bits(&[(1, 1), (1, 2), (0b100_0000, 7), (0, 5), (0, 15)])),
        // The fixed code has distances 30 and 31, which stand for nothing.
        (
            "a distance that is none",
            bits(&[(1, 1), (1, 2), (0b0000_1100, 8), (0b100_0000, 7), (0b01111, 5), (0, 15)]),
        ),
    ];
    for (name, stream) in invalid {
        assert_eq!(kind_of(&stream), io::ErrorKind::InvalidData, "{name}");
    }
}

/// The head of a block: lengths of the code for lengths, in the order of the standard, and what follows.
fn head(meta: &[(usize, u64)], rest: &[(u64, u32)]) -> Vec<u8> {
    let mut parts = vec![(0, 5), (0, 5), (15, 4)];
    let len = |symbol: usize| meta.iter().find(|(of, _)| *of == symbol).map_or(0, |(_, len)| *len);
    parts.extend(META_ORDER.map(|symbol| (len(symbol), 3)));
    parts.extend_from_slice(rest);
    parts.push((0, 40));
    bits(&parts)
}

#[test]
fn heads_that_cannot_be_are_invalid() {
    let heads = [
        ("three codes of one bit", head(&[(0, 1), (1, 1), (2, 1)], &[])),
        // 16 has the code 0.
        ("a repetition of nothing", head(&[(16, 1), (18, 1)], &[(0, 1), (0, 2)])),
        // 18 has the code 1: 138 zeros, twice.
        (
            "more lengths than were announced",
            head(&[(16, 1), (18, 1)], &[(1, 1), (127, 7), (1, 1), (127, 7)]),
        ),
        // 1 has the code 0: all 258 symbols have a code of one bit.
        (
            "lengths that do not fit beside each other",
            head(&[(1, 1), (18, 1)], &[(0, 56), (0, 56), (0, 56), (0, 56), (0, 40)]),
        ),
    ];
    for (name, bytes) in heads {
        let error = BitReader::new(&bytes[..]).head().expect_err(name);
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}");
    }
}

/// RFC 1951, section 3.2.7, allows a distance code of one code of one bit, and one of none.
#[test]
fn an_incomplete_code_is_read_as_long_as_it_is_not_missed() {
    // Lengths: 18 is 0, 0 is 10, 1 is 11.
    let mut parts = vec![(1, 1), (2, 2), (0, 5), (0, 5), (14, 4)];
    let len = |symbol| match symbol {
        0 | 1 => 2,
        18 => 1,
        _ => 0,
    };
    parts.extend(META_ORDER[..18].iter().map(|symbol| (len(*symbol), 3)));
    // 65 zeros, one for `A`, 190 zeros, one for the end, and one distance of one bit.
    parts.extend([(0, 1), (54, 7), (0b11, 2), (0, 1), (127, 7), (0, 1), (41, 7), (0b11, 2), (0b11, 2)]);
    // A, the end.
    parts.extend([(0, 1), (1, 1)]);
    assert_eq!(parsed(&bits(&parts)).expect("it is valid"), b"A");
}

#[test]
fn the_reader_stops_at_blocks_that_are_too_large() {
    // The longest matches at a distance of one: 258 bytes in 13 bits.
    let mut sink = Sink::default();
    sink.put(3, 3);
    sink.put(0b0000_1100, 8);
    (0..MOST_PLAIN / LONGEST + 2).for_each(|_| sink.put(0b0_0000_1010_0011, 13));
    sink.put(0, 7);
    sink.align();
    assert_eq!(kind_of(&sink.bytes), io::ErrorKind::InvalidData);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(mut bytes in vec(any::<u8>(), 0..400), kind in 0..3u8) {
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0xf8 | 1 | kind << 1;
        }
        if let Err(error) = parsed(&bytes) {
            let known = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            prop_assert!(known.contains(&error.kind()), "{error}");
        }
    }

    #[test]
    fn a_changed_stream_is_parsed_or_refused(
        at in any::<prop::sample::Index>(),
        bit in 0..8,
        level in 1..10u32,
    ) {
        let mut stream = deflated(&text(5000), level);
        let at = at.index(stream.len());
        stream[at] ^= 1u8 << bit;
        // The inflater takes matches before the start for zeros, the reader takes incomplete codes.
        if let (Ok(parsed), Some(plain)) = (parsed(&stream), inflated(&stream)) {
            prop_assert!(parsed == plain);
        }
    }
}

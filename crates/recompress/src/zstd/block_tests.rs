//! Blocks with sequences of every size, read by libzstd.

use std::hash::Hasher;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::inputs::{noise, text};

/// A frame of one block, with a length in its head and a checksum.
fn frame(block: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut checksum = twox_hash::XxHash64::with_seed(0);
    checksum.write(plain);
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0xa4];
    let len = (plain.len() as u32).to_le_bytes();
    [&head, &len[..], block, &(checksum.finish() as u32).to_le_bytes()].concat()
}

/// The plain bytes of sequences, and the sequences as a match finder gives them.
fn found(parts: &[(Vec<u8>, usize, usize)], rest: &[u8]) -> (Vec<u8>, FoundSequences) {
    let (mut plain, mut found) = (Vec::new(), FoundSequences::default());
    for (literals, distance, length) in parts {
        plain.extend_from_slice(literals);
        let distance = 1 + distance % plain.len();
        let from = plain.len() - distance;
        (from..from + length).for_each(|at| plain.push(plain[at]));
        found.matched(literals, distance, *length);
    }
    plain.extend_from_slice(rest);
    found.literals.extend_from_slice(rest);
    (plain, found)
}

fn blocks() -> impl Strategy<Value = (Generation, ZstdLevel)> {
    let levels = vec![ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better, ZstdLevel::Best];
    (select(Generation::ALL.to_vec()), select(levels))
}

fn written((generation, level): (Generation, ZstdLevel), plain: &[u8], found: &FoundSequences) -> Vec<u8> {
    let mut blocks = BlockWriter::new(generation, level);
    blocks.block(plain, found, true);
    blocks.out
}

fn read(block: &[u8], plain: &[u8]) -> Vec<u8> {
    zstd::bulk::decompress(&frame(block, plain), plain.len()).expect("the frame is valid")
}

proptest! {
    #[test]
    fn sequences_of_every_size_are_read_by_libzstd(
        kind in blocks(),
        parts in vec((vec(any::<u8>(), 1..60), any::<usize>(), 3..400usize), 1..300),
        rest in vec(any::<u8>(), 0..80),
    ) {
        let (plain, found) = found(&parts, &rest);
        prop_assert!(read(&written(kind, &plain, &found), &plain) == plain);
    }

    #[test]
    fn blocks_without_sequences_are_read_by_libzstd(
        kind in blocks(),
        plain in vec(prop_oneof![9 => 0..4u8, 1 => any::<u8>()], 1..3000),
    ) {
        let found = FoundSequences { literals: plain.clone(), sequences: Vec::new() };
        let block = written(kind, &plain, &found);
        prop_assert!(block.len() <= plain.len() + 3);
        prop_assert!(read(&block, &plain) == plain);
    }
}

/// Literals at the lengths at which their head grows, coded, alike, and as they are.
#[test]
fn literals_of_every_length_are_read_by_libzstd() {
    for kind in [(Generation::V1_15, ZstdLevel::Default), (Generation::V1_18, ZstdLevel::Default)] {
        for len in
            [1, 15, 16, 17, 31, 32, 33, 255, 1023, 1024, 1025, 2047, 2048, 4095, 4096, 16_383, 16_384, 60_000]
        {
            for literals in [text(len), noise(len, 256, 1), noise(len, 5, 2), vec![b'x'; len]] {
                let (plain, found) = found(&[(literals, 0, 70_000)], b"");
                let block = written(kind, &plain, &found);
                assert!(read(&block, &plain) == plain, "{kind:?} {len}");
            }
        }
    }
}

#[test]
fn matches_of_every_length_are_read_by_libzstd() {
    for length in (3..300).chain([1026, 1027, 65_538, 65_539, 131_000]) {
        let (plain, found) = found(&[(text(40), 11, length), (text(20), 30, 8)], b"end");
        let block = written((Generation::V1_18, ZstdLevel::Better), &plain, &found);
        assert!(read(&block, &plain) == plain, "{length}");
    }
}

/// RFC 8878, 3.1.1.2: the size above three bits, of which the lowest says that the block is the last.
#[test]
fn heads_are_those_of_the_standard() {
    assert_eq!(head(BlockType::Raw, 5, false), [5 << 3, 0, 0]);
    assert_eq!(head(BlockType::Same, 0x1_0000, true), [0b011, 0, 8]);
    assert_eq!(head(BlockType::Compressed, 0x1f_ffff, true), [0xfd, 0xff, 0xff]);
}

/// RFC 8878, 3.1.1.3.1.1: sizes of 5, 12 and 20 bits.
#[test]
fn heads_of_plain_literals_are_those_of_the_standard() {
    let head = |kind, len| {
        let (bytes, size) = plain_head(kind, len);
        (u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]), size)
    };
    for len in [0u32, 1, 15] {
        assert_eq!(head(LiteralsKind::Raw, len as usize), (len << 3, 1));
    }
    for len in [16u32, 2047] {
        assert_eq!(head(LiteralsKind::Same, len as usize), (1 | 1 << 2 | len << 4, 2));
    }
    for len in [2048u32, 131_072] {
        assert_eq!(head(LiteralsKind::Raw, len as usize), (3 << 2 | len << 4, 3));
    }
}

/// The same section: two sizes of 10, 14 and 18 bits; 0 for one stream, which is there for the smallest alone.
#[test]
fn heads_of_coded_literals_are_those_of_the_standard() {
    let head = |coded, len, is_single| {
        let (bytes, size) = coded_head(LiteralsKind::Compressed, coded, len, is_single);
        (u64::from_le_bytes(bytes), size)
    };
    assert_eq!(head(700, 1023, true), (2 | 1023 << 4 | 700 << 14, 3));
    assert_eq!(head(700, 1023, false), (2 | 1 << 2 | 1023 << 4 | 700 << 14, 3));
    assert_eq!(head(700, 1024, false), (2 | 2 << 2 | 1024 << 4 | 700 << 18, 4));
    assert_eq!(head(9000, 16_384, false), (2 | 3 << 2 | 16_384 << 4 | 9000 << 22, 5));
    assert_eq!(head(9000, 131_072, false), (2 | 3 << 2 | 131_072 << 4 | 9000 << 22, 5));
}

/// The generations differ in a block of one byte many times, and in a full block without matches.
#[test]
fn generations_write_the_blocks_that_tell_them_apart() {
    let same = vec![9; 1000];
    let mut found = FoundSequences::default();
    assert!(found.all_same(&same));
    let of = |generation, level| written((generation, level), &same, &found);
    assert_eq!(
        of(Generation::V1_18, ZstdLevel::Default),
        [&head(BlockType::Same, 1000, true)[..], &[9]].concat()
    );
    assert!(of(Generation::V1_16, ZstdLevel::Default).len() > 4);
    let plain = noise(ZstdLevel::Default.block(), 16, 3);
    let none = FoundSequences { literals: plain.clone(), sequences: Vec::new() };
    let len = |generation, level| written((generation, level), &plain, &none).len();
    let raw = plain.len() + 3;
    // 1.15 leaves full blocks as they are, 1.16 and later those of its faster levels.
    assert_eq!(
        (len(Generation::V1_15, ZstdLevel::Better), len(Generation::V1_16, ZstdLevel::Default)),
        (raw, raw)
    );
    assert!(len(Generation::V1_16, ZstdLevel::Better) < raw * 2 / 3);
}

#[test]
fn a_block_that_does_not_become_smaller_is_left_as_it_is() {
    let plain = noise(3000, 256, 4);
    let (plain, found) = found(&[(plain, 0, 4)], b"");
    for generation in Generation::ALL {
        let block = written((generation, ZstdLevel::Better), &plain, &found);
        assert_eq!(block, [&head(BlockType::Raw, plain.len(), true)[..], &plain].concat());
    }
}

//! klauspost's blocks: codes that are used again, and the choice between shapes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::deflate::reader::{BlockShape, DeflateReader};
use crate::inputs::{inflate, noise, text};

fn literals(plain: &[u8]) -> Vec<Token> {
    plain.iter().map(|byte| Token::literal(*byte)).collect()
}

/// Blocks of a finished stream: the shape of each that is not empty, and its plain bytes.
fn shapes(mut blocks: BlockWriter) -> Vec<(BlockShape, usize)> {
    blocks.finish();
    let mut reader = DeflateReader::new(&blocks.sink.bytes[..]);
    let mut shapes = Vec::new();
    loop {
        let block = reader.block().expect("it is valid");
        if block.len > 0 {
            shapes.push((block.shape, block.len));
        }
        if block.is_last {
            return shapes;
        }
    }
}

#[test]
fn the_codes_of_a_block_are_used_again() {
    let plain = text(9000);
    for release in [Release::Full, Release::Exact] {
        let mut blocks = BlockWriter::new(release, 7);
        (0..3).for_each(|_| blocks.tokens(&literals(&plain), &plain, false));
        // One block of the format for all three.
        let shapes = shapes(blocks);
        assert_eq!(shapes.len(), 1, "{release:?}");
        assert_eq!(shapes[0].1, 3 * plain.len());
    }
}

#[test]
fn codes_that_lack_a_symbol_are_not_used_again() {
    let (first, other) = (text(9000), [&text(5000)[..], &[200; 4000]].concat());
    let mut blocks = BlockWriter::new(Release::Exact, 7);
    blocks.tokens(&literals(&first), &first, false);
    blocks.tokens(&literals(&other), &other, false);
    assert_eq!(shapes(blocks).len(), 2);
}

#[test]
fn codes_that_are_much_worse_are_not_used_again() {
    // The same letters, the rare ones often.
    let (mut first, mut other) = (noise(9000, 64, 1), noise(9000, 64, 2));
    first.iter_mut().enumerate().filter(|(at, _)| at % 8 > 0).for_each(|(at, byte)| *byte = at as u8 % 4);
    other
        .iter_mut()
        .enumerate()
        .filter(|(at, _)| at % 8 > 0)
        .for_each(|(at, byte)| *byte = 40 + at as u8 % 4);
    let mut blocks = BlockWriter::new(Release::Exact, 7);
    blocks.tokens(&literals(&first), &first, false);
    blocks.tokens(&literals(&other), &other, false);
    assert_eq!(shapes(blocks).len(), 2);
}

#[test]
fn few_tokens_have_the_fixed_codes_and_noise_is_stored() {
    for release in [Release::Full, Release::Exact] {
        let mut blocks = BlockWriter::new(release, 7);
        let few = b"hello";
        blocks.tokens(&literals(few), few, true);
        let noise = noise(2000, 256, 3);
        blocks.tokens(&literals(&noise), &noise, true);
        blocks.literals(&noise, true);
        let kinds: Vec<BlockShape> = shapes(blocks).into_iter().map(|(shape, _)| shape).collect();
        assert_eq!(kinds, [BlockShape::Fixed, BlockShape::Stored, BlockShape::Stored], "{release:?}");
    }
}

/// All bytes about equally often: within two deviations of the mean.
#[test]
fn noise_is_told_by_its_counts() {
    let counts = |plain: &[u8]| {
        let mut counts = [0u32; 256];
        plain.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        counts
    };
    assert!(is_noise(&counts(&noise(20_000, 256, 4)), 20_000));
    assert!(!is_noise(&counts(&noise(20_000, 240, 5)), 20_000));
    assert!(!is_noise(&counts(&text(20_000)), 20_000));
    assert!(is_noise(&[4; 256], 1024));
}

#[test]
fn a_block_that_has_to_end_ends() {
    let plain = text(9000);
    let mut blocks = BlockWriter::new(Release::Exact, 7);
    blocks.tokens(&literals(&plain), &plain, true);
    assert_eq!(blocks.open, 0);
    blocks.literals(&plain, true);
    assert_eq!(blocks.open, 0);
    blocks.literals(&plain, false);
    assert!(blocks.open > 0 && blocks.is_literal);
    // Codes of literals alone are of no use for tokens.
    blocks.tokens(&literals(&plain), &plain, true);
    let lens: Vec<usize> = shapes(blocks).into_iter().map(|(_, len)| len).collect();
    assert_eq!(lens, [9000; 4]);
}

proptest! {
    #[test]
    fn blocks_one_after_the_other_are_inflated(
        parts in vec((0..3u8, any::<bool>(), vec(prop_oneof![9 => 0..30u8, 1 => any::<u8>()], 1..900)), 1..12),
        is_full: bool,
        penalty in 4..9u32,
    ) {
        let mut blocks = BlockWriter::new(if is_full { Release::Full } else { Release::Exact }, penalty);
        for (kind, is_last, plain) in &parts {
            match kind {
                0 => blocks.tokens(&literals(plain), plain, *is_last),
                1 => blocks.literals(plain, *is_last),
                _ => blocks.stored(plain),
            }
        }
        blocks.finish();
        let plain: Vec<u8> = parts.into_iter().flat_map(|(_, _, plain)| plain).collect();
        prop_assert!(inflate(&blocks.sink.bytes) == plain);
    }
}

//! pigz's blocks: their ends, what they know of the block before, and all at once against one by one.

use super::*;
use crate::CompressionMethod;
use crate::inputs::{encoded, inflate, noise, stream, text};

const SIZE: usize = TAIL;

/// The blocks of all at once, by [`pigz_block`] alone.
fn one_by_one(level: u8, plain: &[u8]) -> Vec<u8> {
    let mut blocks: Vec<&[u8]> = plain.chunks(SIZE).collect();
    if blocks.is_empty() {
        blocks.push(&[]);
    }
    let last = blocks.len() - 1;
    let before = |at: usize| if at > 0 { &plain[(at - 1) * SIZE..at * SIZE] } else { &[][..] };
    let made = blocks.iter().enumerate().map(|(at, block)| pigz_block(level, before(at), block, at == last));
    made.collect::<Vec<_>>().concat()
}

#[test]
fn blocks_are_the_same_by_themselves() {
    for len in [0, 1, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 3 * SIZE + 77] {
        for plain in [text(len), noise(len, 3, 1), noise(len, 256, 2)] {
            for level in [1, 6, 9] {
                let blocks = encoded(Pigz::new(level, SIZE), &plain);
                assert!(blocks == one_by_one(level, &plain), "{len} {level}");
                assert!(inflate(&blocks) == plain);
            }
        }
    }
}

/// The end of a block is filled up by one empty stored block where it has an odd number of bits, and by empty ones of
/// the fixed code, of ten bits each.
#[test]
fn a_block_ends_at_a_byte() {
    let mut seen = [false; 8];
    for len in 1..400 {
        let plain = text(len);
        let mut block = Deflate::new(Flavour::Zlib, 6);
        block.write(&plain);
        block.flush();
        let bits = block.blocks.sink.bits_in_byte();
        seen[bits as usize] = true;
        end_block(&mut block);
        assert_eq!(block.blocks.sink.bits_in_byte(), 0);
        block.blocks.write(Some(&[]), 0, true);
        assert_eq!(inflate(block.output()), plain, "{len}");
    }
    assert_eq!(seen, [true; 8]);
}

#[test]
fn a_block_refers_to_the_one_before_unless_it_is_the_first() {
    let noise = noise(20_000, 256, 3);
    let alone = pigz_block(6, &[], &noise, true).len();
    let after = pigz_block(6, &noise, &noise, true).len();
    assert!(alone > 20_000 && after < 400, "{alone} {after}");
    // Of more than 32 KiB the last are known.
    let tail = [&text(TAIL - 20_000)[..], &noise].concat();
    let long = [&noise[..], &tail].concat();
    assert_eq!(pigz_block(6, &long, &noise, true), pigz_block(6, &tail, &noise, true));
}

#[test]
fn chained_blocks_know_more_than_independent_ones() {
    // Far matches across the boundary are the same, but the position in the window is not.
    let plain = [text(SIZE), noise(200, 256, 1), text(SIZE)].concat();
    let (chained, apart) = (encoded(Pigz::chained(6, SIZE), &plain), encoded(Pigz::new(6, SIZE), &plain));
    assert!(inflate(&chained) == plain && inflate(&apart) == plain);
    let one = stream(CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 }, &plain[..SIZE]);
    // A single block is that of zlib, for both.
    assert_eq!(encoded(Pigz::chained(6, SIZE), &plain[..SIZE]), one);
    assert_eq!(encoded(Pigz::new(6, SIZE), &plain[..SIZE]), one);
}

#[test]
fn block_sizes_have_limits() {
    assert!(is_block(32 << 10) && is_block(16 << 20));
    assert!(!is_block((32 << 10) - 1) && !is_block((16 << 20) + 1) && !is_block(0));
}

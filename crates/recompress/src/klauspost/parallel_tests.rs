//! pgzip's blocks: their ends, what they know of the block before, and all at once against one by one.

use super::*;
use crate::inputs::{encoded, inflate, noise, text};

const SIZE: usize = 20_000;

/// The blocks of all at once, by [`pgzip_block`] alone: after a full one comes an empty one.
fn one_by_one(release: Release, level: u8, plain: &[u8]) -> Vec<u8> {
    let count = plain.len() / SIZE + 1;
    let part = |at: usize| &plain[at * SIZE..plain.len().min((at + 1) * SIZE)];
    let before = |at: usize| if at > 0 { part(at - 1) } else { &[][..] };
    let made = (0..count).map(|at| pgzip_block(release, level, before(at), part(at), at + 1 == count));
    made.collect::<Vec<_>>().concat()
}

#[test]
fn blocks_are_the_same_by_themselves() {
    for len in [0, 1, SIZE - 1, SIZE, SIZE + 1, 2 * SIZE, 3 * SIZE + 77] {
        for plain in [text(len), noise(len, 3, 1), noise(len, 256, 2)] {
            for (release, level) in [(Release::Full, 1), (Release::Exact, 5), (Release::Full, 6)] {
                let blocks = encoded(Pgzip::new(release, level, SIZE), &plain);
                assert!(blocks == one_by_one(release, level, &plain), "{len} {level}");
                assert!(inflate(&blocks) == plain);
            }
        }
    }
}

/// A flush writes an empty stored block, so that blocks begin at a byte.
#[test]
fn a_block_ends_with_an_empty_stored_one() {
    for len in 1..200 {
        let block = pgzip_block(Release::Exact, 5, &[], &text(len), false);
        assert!(block.ends_with(&[0, 0, 0xff, 0xff]), "{len}");
        // An empty last block follows.
        assert_eq!(inflate(&[&block[..], &[3, 0]].concat()), text(len));
    }
}

#[test]
fn a_block_refers_to_the_last_16_kib_before_it() {
    let noise = noise(TAIL, 256, 3);
    let alone = pgzip_block(Release::Exact, 5, &[], &noise, true).len();
    let after = pgzip_block(Release::Exact, 5, &noise, &noise, true).len();
    assert!(alone > TAIL && after < TAIL / 20, "{alone} {after}");
    let long = [&text(9000)[..], &noise].concat();
    let block = |before: &[u8]| pgzip_block(Release::Exact, 5, before, &noise, true);
    assert_eq!(block(&long), block(&noise));
    assert_ne!(block(&noise[1..]), block(&noise));
}

#[test]
fn output_leaves_with_each_write() {
    let mut encoder = Pgzip::new(Release::Exact, 5, SIZE);
    encoder.write(&text(3 * SIZE));
    // The third block is not ended before more comes.
    let two = encoder.output().len();
    assert!(two > 0);
    encoder.output().clear();
    encoder.finish();
    let all = encoded(Pgzip::new(Release::Exact, 5, SIZE), &text(3 * SIZE));
    assert_eq!(all[two..], encoder.output()[..]);
}

#[test]
fn block_sizes_have_limits() {
    assert!(is_block(16_385) && is_block(16 << 20));
    assert!(!is_block(16_384) && !is_block((16 << 20) + 1) && !is_block(0));
}

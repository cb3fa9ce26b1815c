//! Go's fastest level: its blocks, and places that are counted anew.

use super::*;
use crate::deflate::reader::{BlockShape, DeflateReader};
use crate::inputs::{encoded, inflate, noise, text, tokens};

#[test]
fn places_are_counted_anew_unnoticed() {
    let plain: Vec<u8> = (0..500_000u32).map(|at| (at.wrapping_mul(at) >> 9) as u8 & 7).collect();
    let encoded = |mut encoder: GoFast| {
        encoder.write(&plain);
        encoder.finish();
        std::mem::take(encoder.output())
    };
    let old = GoFast { current: MOST - 100_000, ..GoFast::new() };
    assert!(encoded(old) == encoded(GoFast::new()));
}

/// The lengths at the end of the input at which Go's level 1 changes: stored to 16 bytes, literals to 127.
#[test]
fn the_rest_is_stored_or_literals_or_matches() {
    let shape_of = |plain: &[u8]| {
        let stream = encoded(GoFast::new(), plain);
        assert_eq!(inflate(&stream), plain);
        let block = DeflateReader::new(&stream[..]).block().expect("it is valid");
        (block.shape == BlockShape::Stored, block.tokens.iter().any(|token| token.byte().is_none()))
    };
    for len in 0..=300 {
        let (is_stored, has_matches) = shape_of(&vec![b'a'; len]);
        assert_eq!(is_stored, len <= 16, "{len}");
        assert_eq!(has_matches, len >= 128, "{len}");
    }
    // Only an empty input is the last block alone.
    assert_eq!(encoded(GoFast::new(), &[]), [1, 0, 0, 0xff, 0xff]);
}

#[test]
fn matches_reach_all_of_the_window() {
    for (distance, is_found) in [(32_767, true), (32_768, true), (32_769, false)] {
        // The place of the repetition is remembered only where the strides through noise come by, so it is made of
        // one letter on a ground of zeros.
        let mut plain = vec![0; distance + 300];
        for at in [0, distance] {
            plain[at..at + 64].copy_from_slice(&noise(64, 256, 1));
        }
        let stream = encoded(GoFast::new(), &plain);
        assert!(inflate(&stream) == plain);
        let has = tokens(&stream)
            .iter()
            .any(|token| token.byte().is_none() && usize::from(token.distance()) + 1 == distance);
        assert!(is_found || !has, "{distance}");
    }
}

#[test]
fn lengths_around_a_block_come_back() {
    for len in
        [STORED - 1, STORED, STORED + 1, STORED + 16, STORED + 17, STORED + 128, 2 * STORED, 2 * STORED + 1]
    {
        for plain in [text(len), vec![0; len], noise(len, 256, 2), noise(len, 40, 3)] {
            assert!(inflate(&encoded(GoFast::new(), &plain)) == plain, "{len}");
        }
    }
}

/// A block refers to the one before, but to none before that.
#[test]
fn the_block_before_is_known() {
    let block = noise(STORED, 256, 4);
    let once = encoded(GoFast::new(), &block).len();
    let with =
        encoded(GoFast::new(), &[&block[..20_000], &vec![0; STORED - 20_000], &block[..20_000]].concat());
    assert!(once > STORED);
    assert!(inflate(&with).ends_with(&block[..20_000]));
}

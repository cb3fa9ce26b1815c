//! Go's chained levels: the reach of matches, and places that are counted anew.

use super::*;
use crate::checkpoint::LAST;
use crate::deflate::reader::{BlockShape, DeflateReader};
use crate::inputs::{encoded, inflate, noise, repeated_at, text, tokens};

#[test]
fn places_are_counted_anew_unnoticed() {
    let plain: Vec<u8> = (0..500_000u32).map(|at| (at.wrapping_mul(at) >> 9) as u8 & 7).collect();
    for level in [3, 6] {
        let encoded = |mut encoder: Chained| {
            encoder.write(&plain);
            encoder.finish();
            std::mem::take(encoder.output())
        };
        let old = Chained { offset: MOST - 100_000, ..Chained::new(level) };
        assert!(encoded(old) == encoded(Chained::new(level)), "{level}");
    }
}

/// The matches of a stream, as length and distance.
fn matches(stream: &[u8]) -> Vec<(usize, usize)> {
    let matches = tokens(stream).into_iter().filter(|token| token.byte().is_none());
    matches.map(|token| (token.len(), usize::from(token.distance()) + 1)).collect()
}

#[test]
fn matches_reach_all_of_the_window() {
    for level in 2..=9 {
        for (distance, is_found) in [(REACH - 1, true), (REACH, true), (REACH + 1, false)] {
            let plain = repeated_at(distance, 64);
            let stream = encoded(Chained::new(level), &plain);
            assert!(inflate(&stream) == plain);
            assert_eq!(
                matches(&stream).iter().any(|(length, at)| *at == distance && *length > 60),
                is_found,
                "{level} {distance}"
            );
        }
    }
}

/// Go has no match of three bytes; of four, none beyond 4096.
#[test]
fn the_shortest_matches_have_four_bytes_and_are_near() {
    for level in 2..=9 {
        for distance in [TOO_FAR - 1, TOO_FAR, TOO_FAR + 1] {
            let three = encoded(Chained::new(level), &repeated_at(distance, 3));
            assert!(!matches(&three).iter().any(|(_, at)| *at == distance), "{level}");
            let four = encoded(Chained::new(level), &repeated_at(distance, 4));
            assert_eq!(matches(&four).contains(&(4, distance)), distance <= TOO_FAR, "{level} {distance}");
        }
    }
}

/// Two of its bytes are held back until more are seen, and those at the very end have no hash.
#[test]
fn short_inputs_of_all_lengths_come_back() {
    for level in 2..=9 {
        for len in 0..40 {
            for plain in [vec![0; len], noise(len, 2, 1), text(len), noise(len, 256, 2)] {
                let stream = encoded(Chained::new(level), &plain);
                assert_eq!(inflate(&stream), plain, "{level} {len}");
            }
        }
    }
}

#[test]
fn lazy_levels_take_the_longer_match_one_byte_later() {
    let plain = [&b"..abcd"[..], b"-bcdefghij", b"-+", b"abcdefghij", b"!"].concat();
    // From four bytes on level 4 looks no further.
    for level in 2..=4 {
        assert_eq!(matches(&encoded(Chained::new(level), &plain))[0], (4, 16), "{level}");
    }
    for level in 5..=9 {
        assert_eq!(matches(&encoded(Chained::new(level), &plain)), [(9, 12)], "{level}");
    }
}

#[test]
fn a_block_ends_after_as_many_tokens_as_it_holds() {
    let plain = noise(60_000, 256, 3);
    for level in [4, 6, 9] {
        let mut encoder = Chained::new(level);
        encoder.write(&plain);
        encoder.finish();
        let ends: Vec<u64> = encoder.marks().iter().map(|mark| mark.plain).collect();
        assert_eq!(ends, [1 << 14, 2 << 14, 3 << 14], "{level}");
    }
}

/// A stored block needs its plain bytes: with matches it may have more of them than the window keeps.
#[test]
fn a_block_whose_start_has_left_the_window_is_coded() {
    let plain = [vec![0; 200_000], noise(20_000, 256, 5)].concat();
    for level in [2, 6] {
        let stream = encoded(Chained::new(level), &plain);
        assert!(inflate(&stream) == plain);
        let mut reader = DeflateReader::new(&stream[..]);
        let first = reader.block().expect("it is valid");
        assert!(first.shape != BlockShape::Stored && first.len > 200_000, "{level}");
    }
}

/// The encoder's state at a mark is a function of the window alone: one that begins there goes on in the same way.
#[test]
fn an_encoder_goes_on_at_every_mark() {
    let plain =
        [text(120_000), noise(60_000, 256, 7), noise(90_000, 4, 8), vec![0; 50_000], text(150_000)].concat();
    for level in 4..=9 {
        let mut encoder = Chained::new(level);
        encoder.write(&plain);
        let marks = encoder.marks();
        encoder.finish();
        let stream = std::mem::take(encoder.output());
        let is_usable = |mark: &Mark| mark.plain + LAST <= plain.len() as u64;
        assert!(marks.iter().any(is_usable));
        for mark in marks.into_iter().filter(is_usable) {
            let bits = (mark.bits % 8) as u8;
            let from = Checkpoint { plain: mark.plain, bits, is_waiting: mark.is_waiting };
            let start = mark.plain as usize - history(mark.plain);
            let mut rest = Chained::resume(level, from, &plain[start..]);
            rest.finish();
            let mut expected = stream[(mark.bits / 8) as usize..].to_vec();
            // The bits before the mark are for the segment before.
            expected[0] &= 0xff << bits;
            assert!(*rest.output() == expected, "{level} {}", mark.plain);
        }
    }
}

#[test]
fn greedy_levels_have_no_marks() {
    for level in [2, 3] {
        let mut encoder = Chained::new(level);
        encoder.write(&noise(60_000, 256, 3));
        encoder.finish();
        assert!(encoder.marks().is_empty());
    }
}

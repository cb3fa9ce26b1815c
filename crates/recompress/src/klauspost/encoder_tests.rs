//! klauspost's encoder of deflate: its blocks, its reach, and places that are counted anew.

use proptest::prelude::*;

use super::*;
use crate::deflate::reader::{BlockHead, BlockShape, DeflateReader};
use crate::inputs::{encoded, inflate, noise, text, tokens};
use crate::klauspost::history;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn places_are_counted_anew_unnoticed(seed in proptest::collection::vec(0..5u8, 1..900), level in 1..=6u8) {
        let plain: Vec<u8> = (0..400_000usize).map(|at| seed[(at + at / 7919) % seed.len()]).collect();
        let fresh = encoded(Klauspost::new(Release::Exact, level), &plain);
        let mut old = Klauspost::new(Release::Exact, level);
        old.finder.history().first = history::MOST - 150_000;
        prop_assert!(encoded(old, &plain) == fresh);
    }
}

/// The matches of a stream, as length and distance.
fn matches(stream: &[u8]) -> Vec<(usize, usize)> {
    let matches = tokens(stream).into_iter().filter(|token| token.byte().is_none());
    matches.map(|token| (token.len(), usize::from(token.distance()) + 1)).collect()
}

fn kinds() -> impl Iterator<Item = (Release, u8)> {
    (1..=6).flat_map(|level| [(Release::Full, level), (Release::Exact, level)])
}

/// The lengths at the end of the input at which the encoder changes: stored to 32 bytes, literals to 127. Those are
/// stored as long as they are not 560 bits, the guess at a head, and their codes longer.
#[test]
fn the_rest_is_stored_or_literals_or_matches() {
    for (release, level) in kinds() {
        for len in 1..=300 {
            let plain = vec![b'a'; len];
            let stream = encoded(Klauspost::new(release, level), &plain);
            assert_eq!(inflate(&stream), plain);
            let block = DeflateReader::new(&stream[..]).block().expect("it is valid");
            let is_stored = len <= TINIEST || len < TINY && (len + 5) * 8 <= (len + 561) + ((len + 561) >> 7);
            assert_eq!(block.shape == BlockShape::Stored, is_stored, "{release:?} {level} {len}");
            let has_matches = block.tokens.iter().any(|token| token.byte().is_none());
            assert_eq!(has_matches, len >= TINY, "{release:?} {level} {len}");
        }
        // Nothing but the end, in the fixed code.
        assert_eq!(encoded(Klauspost::new(release, level), &[]), [3, 0]);
    }
}

/// `maxMatchOffset` is 32768, which all but level 6 stay below, level 3 by four bytes more.
#[test]
fn no_match_is_farther_than_its_level_reaches() {
    for (release, level) in kinds() {
        let mut farthest = 0;
        for distance in 32_755..=32_770 {
            // Periods are found whatever strides a level takes.
            let plain: Vec<u8> = noise(distance, 256, 1).into_iter().cycle().take(4 * distance).collect();
            let stream = encoded(Klauspost::new(release, level), &plain);
            assert!(inflate(&stream) == plain);
            if matches(&stream).iter().any(|(length, at)| *at == distance && *length > 16) {
                farthest = distance;
            }
        }
        assert!(farthest <= 32_768, "{release:?} {level} {farthest}");
        assert!(farthest >= 32_764, "{release:?} {level} {farthest}");
    }
}

#[test]
fn lengths_around_blocks_and_the_history_come_back() {
    let edges =
        [STORED - 1, STORED, STORED + 1, STORED + 32, STORED + 33, STORED + 128, 5 * STORED, 5 * STORED + 1];
    for (release, level) in kinds() {
        for len in edges {
            for plain in [text(len), noise(len, 256, 2), noise(len, 3, 3)] {
                assert!(
                    inflate(&encoded(Klauspost::new(release, level), &plain)) == plain,
                    "{release:?} {level} {len}"
                );
            }
        }
    }
}

/// klauspost 1.15 tells all of both alphabets where a block may be used again; from 1.18.2 on only what is used.
#[test]
fn releases_differ_in_the_heads_of_blocks() {
    let plain = text(STORED + 5000);
    let head = |release| {
        let stream = encoded(Klauspost::new(release, 5), &plain);
        let BlockShape::Own(head) = DeflateReader::new(&stream[..]).block().expect("it is valid").shape
        else {
            panic!()
        };
        head
    };
    let told = |head: &BlockHead| {
        let bits = |from: u32, len: u32| {
            (u32::from(head.bytes[0]) | u32::from(head.bytes[1]) << 8) >> from & ((1 << len) - 1)
        };
        (bits(0, 5) + 257, bits(5, 5) + 1)
    };
    assert_eq!(told(&head(Release::Full)), (286, 30));
    let (literals, distances) = told(&head(Release::Exact));
    assert!(literals < 286 && distances <= 30);
}

#[test]
fn an_encoder_may_know_what_was_before() {
    for (release, level) in kinds() {
        let before = noise(20_000, 256, 4);
        let (alone, after) = (
            encoded(Klauspost::new(release, level), &before),
            encoded(Klauspost::after(release, level, &before), &before),
        );
        assert!(alone.len() > 20_000 && after.len() < 1000, "{release:?} {level} {}", after.len());
        // The first block has no bytes of its own to refer to, so that no inflater reads it alone.
        let mut both = Klauspost::new(release, level);
        both.write(&before);
        both.flush();
        let start = both.output().len();
        both.write(&before);
        both.finish();
        assert!(inflate(both.output()) == before.repeat(2) && start > 20_000);
    }
}

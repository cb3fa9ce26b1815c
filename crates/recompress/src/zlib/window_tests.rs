//! zlib's search: the reach of matches, the end of the input, windows that move, and what levels remember.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::deflate::reader::DeflateReader;
use crate::inputs::{encoded, inflate, noise, repeated_at, text, tokens};

const FLAVOURS: [Flavour; 3] = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu];

fn deflated(flavour: Flavour, level: u8, plain: &[u8]) -> Vec<u8> {
    encoded(Deflate::new(flavour, level), plain)
}

/// The matches of a stream, as length and distance.
fn matches(stream: &[u8]) -> Vec<(usize, usize)> {
    let matches = tokens(stream).into_iter().filter(|token| token.byte().is_none());
    matches.map(|token| (token.len(), usize::from(token.distance()) + 1)).collect()
}

/// `MAX_DIST` of zlib: the window less 262 bytes.
#[test]
fn matches_reach_as_far_as_the_window_less_the_lookahead() {
    for flavour in FLAVOURS {
        for level in 1..=9 {
            for (distance, is_found) in [(FAR - 1, true), (FAR, true), (FAR + 1, false), (SIZE, false)] {
                let plain = repeated_at(distance, 64);
                let stream = deflated(flavour, level, &plain);
                assert!(inflate(&stream) == plain);
                assert_eq!(
                    matches(&stream).iter().any(|(length, at)| *at == distance && *length > 60),
                    is_found,
                    "{flavour:?} {level} {distance}"
                );
            }
        }
    }
}

/// Three bytes are not worth more than 4096 of distance; greedy levels take them wherever they are.
#[test]
fn matches_of_three_bytes_are_near_in_lazy_levels() {
    for flavour in FLAVOURS {
        for level in 1..=9 {
            for distance in [TOO_FAR - 1, TOO_FAR, TOO_FAR + 1] {
                let stream = deflated(flavour, level, &repeated_at(distance, 3));
                let is_found = matches(&stream).contains(&(3, distance));
                assert_eq!(is_found, level < 4 || distance <= TOO_FAR, "{flavour:?} {level} {distance}");
            }
        }
    }
}

/// The first byte is found by none, so that two are literals.
#[test]
fn runs_are_matches_of_the_longest_kind() {
    for flavour in FLAVOURS {
        for level in 1..=9 {
            let found = matches(&deflated(flavour, level, &vec![b'a'; 2 + 3 * LONGEST]));
            assert!(
                found.iter().all(|(length, _)| *length == LONGEST) && found.len() == 3,
                "{flavour:?} {level}"
            );
            // Greedy levels remember nothing within a match that is so long.
            assert!(level < 4 || found.iter().all(|(_, distance)| *distance == 1), "{flavour:?} {level}");
        }
    }
}

/// The end of the input: no match goes beyond it, and what is too short for a hash is literals.
#[test]
fn short_inputs_of_all_lengths_come_back() {
    for flavour in FLAVOURS {
        for level in 1..=9 {
            for len in 0..40 {
                for plain in [vec![0; len], noise(len, 2, 1), text(len), noise(len, 256, 2)] {
                    let stream = deflated(flavour, level, &plain);
                    assert_eq!(inflate(&stream), plain, "{flavour:?} {level} {len}");
                }
            }
        }
    }
}

/// The first byte of the window stands for no place in the chains, so that a match with it is never found there.
#[test]
fn the_first_byte_of_the_window_is_not_found() {
    for level in 1..=9 {
        let plain = [&b"abcdefgh"[..], b"0123", b"abcdefgh", b"."].concat();
        assert_eq!(matches(&deflated(Flavour::Zlib, level, &plain)), [(7, 12)], "{level}");
    }
}

/// Lazy levels take the longer match one byte later, greedy ones the first.
#[test]
fn a_longer_match_one_byte_later_is_preferred_by_lazy_levels() {
    let plain = [&b"..abcd"[..], b"-bcdefghij", b"-+", b"abcdefghij", b"!"].concat();
    // The three bytes of `bcd` come first. From four bytes on level 4 looks no further.
    for level in 1..=4 {
        assert_eq!(matches(&deflated(Flavour::Zlib, level, &plain))[..2], [(3, 4), (4, 16)], "{level}");
    }
    for level in 5..=9 {
        assert_eq!(matches(&deflated(Flavour::Zlib, level, &plain)), [(3, 4), (9, 12)], "{level}");
    }
}

#[test]
fn a_block_has_as_many_tokens_as_the_memory_level_lets_it() {
    // Letters enough that few matches are there, and few enough that blocks are coded.
    let plain = noise(150_000, 100, 4);
    for (flavour, full) in [(Flavour::Zlib, (1 << 14) - 1), (Flavour::ZlibLarge, (1 << 15) - 1)] {
        let mut encoder = Deflate::new(flavour, 6);
        encoder.write(&plain);
        encoder.finish();
        let marks = encoder.marks();
        let mut reader = DeflateReader::new(&encoder.output()[..]);
        let (first, second) = (reader.block().expect("it is valid"), reader.block().expect("it is valid"));
        assert_eq!((first.tokens.len(), second.tokens.len()), (full, full), "{flavour:?}");
        assert!(marks.iter().all(|mark| mark.plain >= first.len as u64));
        assert!(marks.windows(2).all(|pair| pair[1].plain > pair[0].plain));
    }
}

#[test]
fn the_memory_level_changes_hashes_and_no_bytes_come_out_wrong() {
    let plain = noise(100_000, 4, 5);
    let (small, large) = (deflated(Flavour::Zlib, 1, &plain), deflated(Flavour::ZlibLarge, 1, &plain));
    assert!(small != large && inflate(&small) == plain && inflate(&large) == plain);
}

/// Bytes before a new beginning are not found, but for the 32 KiB that are given.
#[test]
fn a_new_beginning_knows_only_what_it_is_given() {
    let noise = noise(500, 256, 6);
    for level in [1, 6] {
        let mut encoder = Deflate::new(Flavour::Zlib, level);
        encoder.write(&[text(70_000), noise.clone()].concat());
        encoder.flush();
        encoder.output().clear();
        encoder.blocks.sink = Sink::default();
        encoder.begin_after(&[]);
        encoder.write(&noise);
        encoder.finish();
        assert_eq!(*encoder.output(), deflated(Flavour::Zlib, level, &noise));
        let told = encoded(Deflate::after(Flavour::Zlib, level, &noise), &noise);
        // All but the first byte, which no chain can have.
        assert!(told.len() < 30, "{}", told.len());
    }
}

/// The encoder's state at a mark is a function of the window alone: one that begins there goes on in the same way.
#[test]
fn an_encoder_goes_on_at_every_mark() {
    let plain =
        [text(120_000), noise(60_000, 256, 7), noise(90_000, 4, 8), vec![0; 50_000], text(150_000)].concat();
    for flavour in FLAVOURS {
        for level in 4..=9 {
            let mut encoder = Deflate::new(flavour, level);
            encoder.write(&plain);
            let marks = encoder.marks();
            encoder.finish();
            let stream = std::mem::take(encoder.output());
            let usable: Vec<Mark> = marks
                .into_iter()
                .filter(|mark| mark.plain + crate::checkpoint::LAST <= plain.len() as u64)
                .collect();
            assert!(!usable.is_empty());
            for mark in usable {
                let (plain_at, bits) = (mark.plain, (mark.bits % 8) as u8);
                let from = Checkpoint { plain: plain_at, bits, is_waiting: mark.is_waiting };
                let start = plain_at as usize - history(plain_at);
                let mut rest = Deflate::resume(flavour, level, from, &plain[start..]);
                rest.finish();
                let at = (mark.bits / 8) as usize;
                let mut expected = stream[at..].to_vec();
                // The bits before the mark are for the segment before.
                expected[0] &= 0xff << bits;
                assert!(*rest.output() == expected, "{flavour:?} {level} {plain_at}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn lengths_around_the_window_come_back(
        flavour in select(FLAVOURS.to_vec()),
        level in 1..=9u8,
        windows in 1..4usize,
        off in -300..300isize,
        letters in select(vec![1, 2, 5, 256]),
    ) {
        let len = (windows * SIZE).saturating_add_signed(off);
        let plain = noise(len, letters, 9);
        prop_assert!(inflate(&deflated(flavour, level, &plain)) == plain);
    }

    #[test]
    fn it_does_not_matter_in_what_parts_bytes_come(
        flavour in select(FLAVOURS.to_vec()),
        level in 1..=9u8,
        parts in vec(prop_oneof![Just(1usize), 1..300usize, 20_000..70_000usize], 1..30),
    ) {
        let plain = [noise(40_000, 5, 1), text(60_000)].concat();
        let mut encoder = Deflate::new(flavour, level);
        let (mut rest, mut made) = (&plain[..], Vec::new());
        for part in parts.into_iter().cycle() {
            let (head, after) = rest.split_at(part.min(rest.len()));
            encoder.write(head);
            made.append(encoder.output());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        encoder.finish();
        made.append(encoder.output());
        prop_assert!(made == deflated(flavour, level, &plain));
    }
}

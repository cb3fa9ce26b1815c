//! Encoders beside each other over one stream.

use super::*;
use crate::Flavour;
use crate::inputs::{noise, stream, text};

const ZLIB: CompressionMethod = CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 };
const GNU: CompressionMethod = CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 6 };
const GO: CompressionMethod = CompressionMethod::Go { level: 6 };

/// Runs a race over a whole stream in parts, the blob always ahead of the plain bytes.
fn run(methods: &[CompressionMethod], blob: &[u8], plain: &[u8], part: usize) -> Race {
    let mut race = Race::new(methods);
    race.blob(blob);
    plain.chunks(part).for_each(|part| race.plain(part));
    race
}

#[test]
fn the_encoder_of_a_stream_wins_wherever_it_stands() {
    let plain = [text(200_000), noise(90_000, 5, 1)].concat();
    for method in [ZLIB, GNU, GO] {
        let blob = stream(method, &plain);
        for order in [[ZLIB, GNU, GO], [GO, GNU, ZLIB]] {
            for part in [1 << 16, 50_000, 997] {
                let race = run(&order, &blob, &plain, part);
                assert!(!race.is_lost());
                assert_eq!(race.winner(0).map(|(winner, _)| winner), Some(method), "{method} {part}");
            }
        }
    }
}

#[test]
fn the_first_of_several_that_fit_wins() {
    // Zeros alone are the same by all levels of zlib.
    let plain = vec![0; 5000];
    let blob = stream(ZLIB, &plain);
    let methods: Vec<CompressionMethod> =
        (4..=9).rev().map(|level| CompressionMethod::Zlib { flavour: Flavour::Zlib, level }).collect();
    assert_eq!(run(&methods, &blob, &plain, 1000).winner(0).map(|(winner, _)| winner), Some(methods[0]));
}

#[test]
fn what_follows_the_stream_does_not_count() {
    let plain = text(50_000);
    let blob = [&stream(ZLIB, &plain)[..], b"checksum"].concat();
    assert!(run(&[ZLIB], &blob, &plain, 1 << 16).winner(8).is_some());
    // A byte that is missing or too many.
    for rest in [0, 7, 9, usize::MAX] {
        assert!(run(&[ZLIB], &blob, &plain, 1 << 16).winner(rest).is_none(), "{rest}");
    }
}

#[test]
fn one_byte_that_differs_is_the_end_and_the_contents_until_then_are_counted() {
    let plain = [noise(400_000, 4, 2), text(100)].concat();
    let right = stream(ZLIB, &plain);
    for at in [5, right.len() / 2, right.len() - 100] {
        let mut wrong = right.clone();
        wrong[at] ^= 4;
        let mut race = Race::new(&[ZLIB]);
        race.blob(&wrong);
        for part in plain.chunks(1 << 15) {
            race.plain(part);
            if race.is_lost() {
                break;
            }
        }
        // The encoder keeps back what fills its window, so that the end is seen later than where it is.
        let share = race.agreed() as usize * right.len() / plain.len();
        assert!(share + (1 << 14) >= at, "{at} {share}");
        assert!(race.winner(0).is_none(), "{at}");
    }
}

#[test]
fn an_encoder_that_says_more_than_the_blob_is_out() {
    let plain = noise(200_000, 256, 3);
    let blob = stream(ZLIB, &plain);
    let mut race = Race::new(&[ZLIB]);
    race.blob(&blob[..1000]);
    race.plain(&plain);
    assert!(race.is_lost());
}

#[test]
fn a_blob_is_dropped_as_far_as_all_have_passed_it() {
    let plain = noise(600_000, 256, 4);
    let blob = stream(GO, &plain);
    let mut race = Race::new(&[GO]);
    for (plain, blob) in plain.chunks(60_000).zip(blob.chunks(60_100)) {
        race.blob(blob);
        race.plain(plain);
        assert!(race.blob.len() < 200_000);
    }
    assert!(race.start > 400_000);
}

/// A pgzip of a block that is larger than all of the blob would keep back everything.
#[test]
fn an_encoder_that_keeps_back_too_much_is_out() {
    let silent = CompressionMethod::Pigz { level: 1, block: 16 << 20 };
    let mut race = Race::new(&[silent]);
    race.blob(&vec![0; MOST_BEHIND]);
    race.plain(&[0; 10]);
    assert!(!race.is_lost());
    race.blob(&[0]);
    race.plain(&[0; 10]);
    assert!(race.is_lost());
}

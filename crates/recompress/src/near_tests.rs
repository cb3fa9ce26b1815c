//! Encoders with corrections, against streams of others.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::Release;
use crate::corrections::{Corrections, Of};
use crate::inputs::{self, noise, text};

/// Words, runs and noise, from pieces of all that repeat.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 1..3000),
        vec(select(b"ab \n".to_vec()), 1..6000),
        (any::<u8>(), 1..90_000usize).prop_map(|(byte, len)| vec![byte; len]),
    ];
    (vec(piece, 1..6), vec((0..6usize, 0..900usize), 1..30)).prop_map(|(pieces, order)| {
        let cut = |(at, cut): &(usize, usize)| {
            let piece = &pieces[at % pieces.len()];
            piece[(*cut).min(piece.len())..].to_vec()
        };
        order.iter().flat_map(cut).collect()
    })
}

/// Encoders of all kinds.
fn made_by() -> Vec<CompressionMethod> {
    let flavours = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu];
    let zlib =
        flavours.map(|flavour| [1, 4, 6, 9].map(|level| CompressionMethod::Zlib { flavour, level })).concat();
    let release = Release::Exact;
    let others = [
        CompressionMethod::Pigz { level: 6, block: 40_000 },
        CompressionMethod::PigzChained { level: 2, block: 50_000 },
        CompressionMethod::Go { level: 6 },
        CompressionMethod::Go { level: 0 },
        CompressionMethod::Klauspost { release, level: 1 },
    ];
    [&zlib[..], &others].concat()
}

fn guided() -> impl Strategy<Value = (CompressionMethod, Flushes)> {
    let flavour = select(vec![Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu]);
    let flushes = select(vec![Flushes::EndBlocks, Flushes::EndInput, Flushes::Forget]);
    (flavour, 1..10i8, flushes)
        .prop_map(|(flavour, level, flushes)| (CompressionMethod::Zlib { flavour, level }, flushes))
}

fn stream(method: CompressionMethod, plain: &[u8]) -> Vec<u8> {
    let mut encoder = method.encoder();
    encoder.write(plain);
    encoder.finish();
    std::mem::take(encoder.output())
}

fn noted(method: CompressionMethod, flushes: Flushes, stream: &[u8]) -> Option<Corrections> {
    let mut watch = Watch::new(method, flushes);
    watch.run(stream).ok()?;
    watch.follower.notes().cloned()
}

fn led(method: CompressionMethod, notes: Corrections, plain: &[u8]) -> Option<Vec<u8>> {
    let mut follower = Follower::leading(method, notes).expect("zlib can be guided");
    for piece in plain.chunks(1 << 16) {
        follower.write(piece);
        if follower.is_wrong() {
            return None;
        }
    }
    follower.finish();
    (!follower.is_wrong()).then(|| std::mem::take(follower.output()))
}

#[test]
fn an_encoder_needs_no_corrections_for_its_own_stream() {
    let plain: Vec<u8> = (0..90_000u64).flat_map(|n| (n * n / 7).to_string().into_bytes()).collect();
    for method in made_by().into_iter().filter(|method| matches!(method, CompressionMethod::Zlib { .. })) {
        let stream = stream(method, &plain);
        let notes = noted(method, Flushes::EndInput, &stream).expect("it is near");
        // Two bytes for each block, which has a thousand bytes at least.
        assert!(notes.len() < stream.len() / 500, "{method}: {}", notes.len());
        assert!(led(method, notes, &plain).is_some_and(|made| made == stream), "{method}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_noted_makes_the_stream(
        plain in plain(),
        made_by in select(made_by()),
        (method, flushes) in guided(),
    ) {
        let stream = stream(made_by, &plain);
        if let Some(notes) = noted(method, flushes, &stream) {
            let notes = Corrections::from_bytes(&notes.to_bytes().unwrap()).unwrap();
            prop_assert!(led(method, notes, &plain).is_some_and(|made| made == stream));
        }
    }

    #[test]
    fn wrong_notes_make_another_stream_or_fail(
        plain in plain(),
        other in plain(),
        made_by in select(made_by()),
        (method, flushes) in guided(),
        wrong in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let stream = stream(made_by, &plain);
        if let Some(notes) = noted(method, flushes, &stream) {
            let mut bytes = zstd::bulk::decompress(&notes.to_bytes().unwrap(), 1 << 20).unwrap();
            for (at, byte) in wrong {
                let at = at.index(bytes.len());
                bytes[at] ^= byte;
            }
            if let Some(notes) = Corrections::from_bytes(&zstd::bulk::compress(&bytes, 1).unwrap()) {
                led(method, notes, &plain);
            }
            led(method, notes, &other);
        }
    }
}

fn header() -> Vec<u8> {
    inputs::header(0, 0, 3)
}

fn blob_of(stream: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(plain);
    [&header()[..], stream, &gzip::footer(crc.sum(), plain.len() as u64)].concat()
}

/// A stream by zlib's encoder that is flushed after each part: `stored` and `fixed` empty blocks follow.
fn flushed(level: u8, parts: &[&[u8]], stored: usize, fixed: usize) -> Vec<u8> {
    let mut encoder = crate::zlib::Deflate::new(Flavour::Zlib, level);
    for part in parts {
        encoder.write(part);
        encoder.end_with(stored, fixed);
    }
    encoder.finish();
    std::mem::take(encoder.output())
}

/// A recipe of `identify_near` makes the blob to the last byte, and is small.
fn check(name: &str, stream: &[u8], plain: &[u8]) {
    let blob = blob_of(stream, plain);
    let found = match identify_near(|| Ok(&blob[..])).expect("memory does not fail") {
        Identification::Identified(found) => found,
        outcome => panic!("{name}: {outcome:?}"),
    };
    assert_eq!(found.plain_len, plain.len() as u64, "{name}");
    assert!(found.recipe.corrections() > 0 && found.recipe.corrections() < blob.len() / 50, "{name}");
    let recipe = Recipe::from_bytes(&found.recipe.to_bytes()).expect("it is a recipe");
    let mut again = Vec::new();
    recreate(&recipe, plain, &mut again).expect("memory does not fail");
    assert!(again == blob, "{name}");
    // Of other bytes the recipe makes no blob, or another one.
    let mut other = plain.to_vec();
    other[plain.len() / 2] ^= 1;
    let mut wrong = Vec::new();
    assert!(recreate(&recipe, &other[..], &mut wrong).is_err() || wrong != blob, "{name}");
}

#[test]
fn streams_with_flushes_are_corrected() {
    let plain = [text(150_000), noise(20_000, 20, 1), text(60_000)].concat();
    let parts: Vec<&[u8]> = plain.chunks(40_000).collect();
    for (name, stored, fixed) in
        [("Z_SYNC_FLUSH", 1, 0), ("Z_PARTIAL_FLUSH", 0, 1), ("two", 2, 0), ("both", 1, 2)]
    {
        check(name, &flushed(6, &parts, stored, fixed), &plain);
    }
}

#[test]
fn blocks_of_a_size_that_no_candidate_has_are_corrected() {
    let plain = [text(200_000), noise(30_000, 20, 2), text(100_000)].concat();
    for (name, method) in [
        ("pigz", CompressionMethod::Pigz { level: 6, block: 70_001 }),
        ("pigz on one thread", CompressionMethod::PigzChained { level: 6, block: 50_021 }),
    ] {
        check(name, &stream(method, &plain), &plain);
    }
}

/// One token of a stream that is otherwise zlib's own: a literal in place of a match.
#[test]
fn a_single_other_token_is_corrected() {
    let plain = text(120_000);
    let method = CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 };
    let stream = stream(method, &plain);
    let mut notes = noted(method, Flushes::EndInput, &stream).expect("it is near");
    // The notes for one wrong token after 500 right ones.
    notes.put_number(Of::Tokens, 500);
    notes.put(Of::Near, 0);
    notes.put(Of::Far, 0);
    let other = led(method, notes, &plain).expect("the notes fit");
    assert!(other != stream && inputs::inflate(&other) == plain);
    check("a literal", &other, &plain);
}

#[test]
fn what_is_no_gzip_or_too_far_is_told() {
    let outcome = |blob: &[u8]| identify_near(|| Ok(blob)).expect("memory does not fail");
    assert_eq!(outcome(b"ustar"), Identification::Unknown(Reason::OtherKind));
    assert_eq!(outcome(&[0x28, 0xb5, 0x2f, 0xfd, 4, 0, 0, 0, 0]), Identification::Unknown(Reason::OtherKind));
    assert_eq!(outcome(&header()), Identification::Unknown(Reason::TooFar));
    let plain = [text(50_000), noise(50_000, 6, 3)].concat();
    for method in [
        CompressionMethod::Go { level: 6 },
        CompressionMethod::Klauspost { release: Release::Exact, level: 5 },
    ] {
        assert_eq!(
            outcome(&blob_of(&stream(method, &plain), &plain)),
            Identification::Unknown(Reason::TooFar),
            "{method}"
        );
    }
}

#[test]
fn a_blob_that_cannot_be_opened_again_is_a_failure() {
    let plain = text(80_000);
    let blob = blob_of(&flushed(6, &[&plain[..40_000], &plain[40_000..]], 1, 0), &plain);
    for fails_at in 0..4 {
        let mut opened = 0;
        let open = || {
            opened += 1;
            if opened > fails_at { Err(io::Error::other("gone")) } else { Ok(&blob[..]) }
        };
        assert_eq!(identify_near(open).expect_err("it is gone").to_string(), "gone", "{fails_at}");
    }
}

#[test]
fn a_writer_that_compares_stops_at_the_first_difference() {
    let mut same = BlobComparer { expected: BufReader::new(&b"abcdef"[..]), is_same: true };
    assert_eq!(same.write(b"abc").expect("it is the same"), 3);
    assert!(!same.is_whole().expect("memory does not fail"), "more is expected");
    let mut same = BlobComparer { expected: BufReader::new(&b"abcdef"[..]), is_same: true };
    assert_eq!(same.write(b"abcdeg").expect_err("it differs").kind(), io::ErrorKind::InvalidData);
    let mut same = BlobComparer { expected: BufReader::new(&b"abc"[..]), is_same: true };
    assert_eq!(same.write(b"abcd").expect_err("it is longer").kind(), io::ErrorKind::InvalidData);
    let mut same = BlobComparer { expected: BufReader::new(&b"abc"[..]), is_same: true };
    same.write_all(b"abc").expect("it is the same");
    assert!(same.is_whole().expect("memory does not fail"));
}

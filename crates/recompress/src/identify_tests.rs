//! Identification: the encoder of every header and method, what follows or is missing, and failures of both ends.

use super::*;
use crate::inputs::{header, noise, stream, text};
use crate::{Flavour, Generation, Release, ZstdLevel, recreate};

fn gzip_blob(method: CompressionMethod, header: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(plain);
    [header, &stream(method, plain), &gzip::footer(crc.sum(), plain.len() as u64)].concat()
}

fn found(blob: &[u8]) -> Identification {
    identify(blob, io::sink()).expect("memory does not fail")
}

/// Bytes that tell encoders apart: text, noise, few letters, runs.
fn telling() -> Vec<u8> {
    [text(90_000), noise(40_000, 256, 1), noise(90_000, 4, 2), vec![0; 30_000], text(50_000)].concat()
}

/// Every encoder is found with each header that a program of its kind writes, at every level.
#[test]
fn every_method_is_identified_under_its_headers() {
    const PGZIP: u32 = 1 << 20;
    let plain =
        [text(40_000), noise(15_000, 256, 1), noise(30_000, 4, 2), vec![0; 10_000], text(20_000)].concat();
    let extra_flags = |level: i8| match level {
        9 => 2,
        1 => 4,
        _ => 0,
    };
    let mut methods: Vec<(CompressionMethod, i8)> =
        (1..=9).map(|level| (CompressionMethod::Go { level }, level)).collect();
    for level in 1..=6 {
        for release in [Release::Full, Release::Exact] {
            methods.push((CompressionMethod::Klauspost { release, level }, level));
            methods.push((CompressionMethod::Pgzip { release, level, block: PGZIP }, level));
            methods.push((CompressionMethod::Pgzip { release, level, block: PGZIP / 4 }, level));
        }
    }
    for level in 1..=9 {
        for flavour in [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu] {
            methods.push((CompressionMethod::Zlib { flavour, level }, level));
        }
        methods.push((CompressionMethod::Pigz { level, block: 128 << 10 }, level));
        methods.push((CompressionMethod::PigzChained { level, block: 128 << 10 }, level));
    }
    for (method, level) in methods {
        let stream_of = stream(method, &plain);
        // Either system, which says only who is tried first.
        let header = header(0x0900_6e88, extra_flags(level), if level % 2 == 0 { 3 } else { 255 });
        let blob = gzip_blob(method, &header, &plain);
        let Identification::Identified(found) = found(&blob) else { panic!("{method}") };
        // Two may make the same of these bytes: pgzip of one block or another, klauspost's releases at some levels.
        assert!(stream(found.recipe.method, &plain) == stream_of, "{method} {}", found.recipe.method);
        assert_eq!((found.recipe.header(), found.plain_len), (&header[..], plain.len() as u64));
        let mut again = Vec::new();
        recreate(&found.recipe, &plain[..], &mut again).expect("memory does not fail");
        assert!(again == blob, "{method}");
    }
}

const GZIP: CompressionMethod = CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 6 };

#[test]
fn the_plain_bytes_come_out_on_the_way() {
    let plain = telling();
    for method in [
        GZIP,
        CompressionMethod::Zstd { generation: Generation::V1_18, level: ZstdLevel::Default, flushed: 8 },
    ] {
        let blob = if method.is_gzip() {
            gzip_blob(method, &header(1, 0, 3), &plain)
        } else {
            stream(method, &plain)
        };
        let mut out = Vec::new();
        let outcome = identify(&blob[..], &mut out).expect("memory does not fail");
        assert!(matches!(outcome, Identification::Identified(_)) && out == plain, "{method}");
    }
}

#[test]
fn headers_with_all_fields_are_kept() {
    let plain = text(3000);
    let mut full = header(1_700_000_000, 0, 3);
    full[3] = 0b1_1110;
    full.extend(b"\x04\0ABCDname\0comment\0\x12\x34");
    let Identification::Identified(found) = found(&gzip_blob(GZIP, &full, &plain)) else {
        panic!("it is known")
    };
    assert_eq!(found.recipe.header(), full);
}

/// gzip allows further members and zeros after the first; no recipe is for them.
#[test]
fn whatever_follows_is_told() {
    let one = gzip_blob(GZIP, &header(0, 0, 3), &text(5000));
    for more in [&one[..], &[0], &[0; 512], b"garbage"] {
        assert_eq!(found(&[&one[..], more].concat()), Identification::Unknown(Reason::Trailing));
    }
    let method =
        CompressionMethod::Zstd { generation: Generation::V1_18, level: ZstdLevel::Fastest, flushed: 0 };
    let frame = stream(method, &text(5000));
    // A skippable frame, as zstd:chunked has it.
    for more in [&frame[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0], &[0]] {
        assert_eq!(found(&[&frame[..], more].concat()), Identification::Unknown(Reason::Trailing));
    }
}

#[test]
fn every_byte_of_the_footer_counts() {
    let blob = gzip_blob(GZIP, &header(0, 0, 3), &text(5000));
    for at in blob.len() - 8..blob.len() {
        let mut wrong = blob.clone();
        wrong[at] ^= 0x10;
        assert_eq!(found(&wrong), Identification::Unknown(Reason::Damaged), "{at}");
        assert_eq!(found(&blob[..at]), Identification::Unknown(Reason::Damaged), "{at}");
    }
}

#[test]
fn starts_of_other_formats_are_told() {
    for start in
        [&b"ustar"[..], b"PK\x03\x04", b"BZh9", &[0xfd, b'7', b'z', b'X', b'Z', 0], &[0x28, 0xb5, 0x2f, 0xfe]]
    {
        assert_eq!(found(start), Identification::Unknown(Reason::OtherKind), "{start:?}");
    }
    // The start of either may yet become one.
    for start in [&[][..], &[0x1f], &[0x1f, 0x8b], &[0x28], &[0x28, 0xb5, 0x2f], &crate::zstd::MAGIC] {
        assert_eq!(found(start), Identification::Unknown(Reason::Damaged), "{start:?}");
    }
}

/// Fails after some bytes, in reading or writing.
struct Torn<'a>(&'a [u8]);

impl Read for Torn<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match self.0.read(piece)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            read => Ok(read),
        }
    }
}

impl Write for Torn<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.read(&mut vec![0; bytes.len()])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failures_of_reader_and_writer_come_back_as_they_are() {
    let method =
        CompressionMethod::Zstd { generation: Generation::V1_18, level: ZstdLevel::Fastest, flushed: 0 };
    for blob in [gzip_blob(GZIP, &header(0, 0, 3), &telling()), stream(method, &telling())] {
        for len in [0, 3, 9, 500, blob.len() - 20] {
            let error = identify(Torn(&blob[..len]), io::sink()).expect_err("it is torn");
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{len}");
        }
        let error = identify(&blob[..], Torn(&[0; 1000])).expect_err("it is torn");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_reader_that_is_interrupted_is_asked_again() {
    struct Interrupted<'a>(&'a [u8], bool);
    impl Read for Interrupted<'_> {
        fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            let len = piece.len().min(700);
            if self.1 { Err(io::ErrorKind::Interrupted.into()) } else { self.0.read(&mut piece[..len]) }
        }
    }
    let blob = gzip_blob(GZIP, &header(0, 0, 3), &telling());
    let outcome = identify(Interrupted(&blob, false), io::sink()).expect("it is asked again");
    assert!(matches!(outcome, Identification::Identified(_)));
}

/// Encoders that make the same at first: the recipe is only given where all of the blob is made.
#[test]
fn an_encoder_that_agrees_at_first_is_not_taken() {
    let plain = [vec![0; 5 << 20], text(200_000)].concat();
    // No candidate has blocks of that size, but all agree on the zeros of the start.
    let method = CompressionMethod::Pigz { level: 6, block: (5 << 20) + 77 };
    let outcome = found(&gzip_blob(method, &header(0, 0, 3), &plain));
    let Identification::Unknown(Reason::NoEncoder(agreed)) = outcome else { panic!("{outcome:?}") };
    assert!(agreed > 1 << 20, "{agreed}");
}

#[test]
fn a_frame_that_was_flushed_after_equal_bytes_is_identified() {
    let method =
        CompressionMethod::Zstd { generation: Generation::V1_18, level: ZstdLevel::Better, flushed: 8 };
    for plain in [vec![0; 8], [vec![0; 8], telling()].concat()] {
        let blob = stream(method, &plain);
        let Identification::Identified(again) = found(&blob) else { panic!("{} bytes", plain.len()) };
        assert_eq!(stream(again.recipe.method, &plain), blob);
    }
}

#[test]
fn frames_of_all_levels_and_flushes_are_identified() {
    let plain = [telling(), vec![0; 200_000], noise(130_000, 220, 9)].concat();
    for generation in Generation::ALL {
        for level in [ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better] {
            for flushed in [0, 8, 20, 31] {
                let blob = stream(CompressionMethod::Zstd { generation, level, flushed }, &plain);
                let Identification::Identified(found) = found(&blob) else {
                    panic!("{generation:?} {level} {flushed}")
                };
                let made = found.recipe.method;
                let CompressionMethod::Zstd { level: same, flushed: as_told, .. } = made else {
                    panic!("{made}")
                };
                assert_eq!((same, as_told, found.plain_len), (level, flushed, plain.len() as u64));
                assert!(stream(made, &plain) == blob && found.recipe.header().is_empty());
            }
        }
    }
}

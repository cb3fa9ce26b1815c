//! Files with streams in them, inflated and closed again.

use super::*;
use proptest::prelude::*;

const MOST: usize = 1 << 20;

fn deflate(method: CompressionMethod, plain: &[u8]) -> Vec<u8> {
    let mut encoder = method.encoder();
    encoder.write(plain);
    encoder.finish();
    std::mem::take(encoder.output())
}

fn member(method: CompressionMethod, name: &str, plain: &[u8]) -> Vec<u8> {
    let mut header = vec![0; MEMBER_LEN];
    header[..4].copy_from_slice(&MEMBER);
    header[HOW] = DEFLATED;
    header[NAME_LEN] = name.len() as u8;
    [header, name.into(), deflate(method, plain)].concat()
}

fn gzip(method: CompressionMethod, plain: &[u8]) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3][..], &deflate(method, plain), b"checksum"].concat()
}

/// Words, so that there is something to compress.
fn text(seed: u32, words: u32) -> Vec<u8> {
    let word = |number: u32| number.wrapping_mul(2_654_435_761).rotate_left(seed) % 997;
    (0..words).flat_map(|number| format!("{} ", word(number)).into_bytes()).collect()
}

#[test]
fn a_wheel_and_a_manual_page_are_inflated_and_closed() {
    for method in USUAL {
        let file = [
            member(method, "a.py", &text(1, 500)),
            b"PK\x01\x02 and a stray \x1f\x8b".to_vec(),
            member(method, "b.py", &text(2, 9000)),
            gzip(method, &text(3, 700)),
        ]
        .concat();
        let inflated_file = Inflated::of(&file, MOST).unwrap();
        assert_eq!(inflated_file.streams.len(), 3, "{method}");
        for seed in 1..=3 {
            let plain = text(seed, 500);
            assert!(inflated_file.bytes.windows(plain.len()).any(|window| window == plain), "{method}");
        }
        assert_eq!(inflated_file.bytes, inflated(&file, MOST).unwrap());
        assert_eq!(inflated_file.close().unwrap(), file, "{method}");
    }
}

#[test]
fn one_stream_by_nobody_known_keeps_a_file_closed() {
    let known = member(USUAL[0], "a.py", &text(1, 500));
    let other = member(CompressionMethod::Go { level: 2 }, "b.py", &text(2, 2000));
    let file = [known, other].concat();
    assert_eq!(Inflated::of(&file, MOST), None);
    assert!(inflated(&file, MOST).unwrap().len() > file.len());
}

#[test]
fn what_would_be_too_long_stays_closed() {
    let file = member(USUAL[0], "a", &vec![7; 100_000]);
    let len = inflated(&file, MOST).unwrap().len();
    assert!(Inflated::of(&file, len).is_some() && inflated(&file, len).is_some());
    assert!(Inflated::of(&file, len - 1).is_none() && inflated(&file, len - 1).is_none());
    // However many there are.
    let many = file.repeat(5);
    assert_eq!(inflated(&many, 5 * len - 1), None);
    assert_eq!(Inflated::of(b"PK and nothing more", MOST), None);
}

#[test]
fn an_encrypted_or_stored_member_is_none() {
    let mut file = member(USUAL[0], "a", &text(1, 500));
    file[FLAGS] = ENCRYPTED;
    assert_eq!(inflated(&file, MOST), None);
    file[FLAGS] = 0;
    file[HOW] = 0;
    assert_eq!(inflated(&file, MOST), None);
}

#[test]
fn streams_that_do_not_fit_are_an_error() {
    let file = member(USUAL[0], "a", &text(1, 500));
    let mut inflated_file = Inflated::of(&file, MOST).unwrap();
    inflated_file.streams[0].plain = u64::MAX;
    assert_eq!(inflated_file.close(), None);
}

proptest! {
    #[test]
    fn files_with_all_kinds_of_streams_come_back(
        parts in prop::collection::vec((0..USUAL.len() + 2, 0..3000_u32, 0..32_u32), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let method = USUAL[parts[0].0 % USUAL.len()];
        let part = |(kind, words, seed): &(usize, u32, u32)| match kind {
            0 => text(*seed, *words),
            1 => gzip(method, &text(*seed, *words)),
            _ => member(method, "x", &text(*seed, *words)),
        };
        let mut file: Vec<u8> = parts.iter().flat_map(part).collect();
        file.truncate(cut.index(file.len() + 1).max(file.len() / 2));
        let inflated = inflated(&file, MOST);
        if let Some(inflated_file) = Inflated::of(&file, MOST) {
            prop_assert_eq!(inflated_file.close().unwrap(), file);
            prop_assert_eq!(Some(inflated_file.bytes), inflated);
        }
    }
}

/// A zip member, with a name and an extra field of such lengths.
fn member_of(name: usize, extra: usize, stream: &[u8]) -> Vec<u8> {
    let mut header = vec![0; MEMBER_LEN];
    header[..4].copy_from_slice(&MEMBER);
    header[HOW] = DEFLATED;
    header[NAME_LEN..NAME_LEN + 2].copy_from_slice(&(name as u16).to_le_bytes());
    header[EXTRA_LEN..EXTRA_LEN + 2].copy_from_slice(&(extra as u16).to_le_bytes());
    [header, vec![b'n'; name], vec![0; extra], stream.to_vec()].concat()
}

#[test]
fn names_and_extra_fields_of_any_length_are_passed() {
    let plain = text(4, 900);
    for (name, extra) in [(0, 0), (1, 0), (0, 28), (300, 20), (4000, 0), (5, 65_535)] {
        let file = member_of(name, extra, &deflate(USUAL[0], &plain));
        let inflated = Inflated::of(&file, MOST).unwrap();
        assert_eq!(inflated.streams.len(), 1, "{name} {extra}");
        assert_eq!(inflated.streams[0].gap as usize, MEMBER_LEN + name + extra);
        assert_eq!(inflated.bytes[MEMBER_LEN + name + extra..], plain);
        assert_eq!(inflated.close().unwrap(), file);
    }
    // A name that would go beyond the file.
    let file = member_of(4, 0, &deflate(USUAL[0], &plain));
    let mut wrong = file.clone();
    wrong[NAME_LEN + 1] = 0xff;
    assert_eq!(inflated(&wrong, MOST), None);
}

/// Members whose sizes follow their streams have no sizes in front; the stream itself says where it ends.
#[test]
fn sizes_in_the_header_do_not_matter() {
    let plain = text(5, 900);
    let mut file = member(USUAL[0], "a.class", &plain);
    file[FLAGS] = 8;
    file[18..26].fill(0xee);
    file.extend(b"PK\x07\x08checksum, sizes");
    let inflated = Inflated::of(&file, MOST).unwrap();
    assert!(inflated.close().unwrap() == file);
}

#[test]
fn gzip_files_with_all_fields_are_inflated() {
    let plain = text(6, 900);
    let header =
        [&[0x1f, 0x8b, 8, 0b1_1110, 1, 2, 3, 4, 2, 3][..], b"\x02\0XYchangelog\0a comment\0\0\0"].concat();
    let file = [&header[..], &deflate(USUAL[1], &plain), &[7; 8]].concat();
    let inflated = Inflated::of(&file, MOST).unwrap();
    let Stream { gap, plain: len, .. } = inflated.streams[0];
    assert_eq!((gap as usize, len as usize), (header.len(), plain.len()));
    assert_eq!(inflated.close(), Some(file));
    assert_eq!(inflated.bytes, [&header[..], &plain, &[7; 8]].concat());
}

#[test]
fn small_streams_stay_as_they_are() {
    let stream_of =
        |len: usize| (0..).map(|words| text(7, words)).find(|plain| deflate(USUAL[0], plain).len() >= len);
    let plain = stream_of(LEAST).unwrap();
    let file = member(USUAL[0], "a", &plain);
    assert!(inflated(&file, MOST).is_some());
    let small = member(USUAL[0], "a", &plain[..20]);
    assert!(deflate(USUAL[0], &plain[..20]).len() < LEAST);
    assert_eq!(inflated(&small, MOST), None);
}

#[test]
fn a_stream_that_is_cut_or_damaged_is_none() {
    let file = member(USUAL[0], "a", &text(8, 2000));
    for len in [0, 3, MEMBER_LEN, MEMBER_LEN + 1, file.len() / 2, file.len() - 1] {
        assert_eq!(inflated(&file[..len], MOST), None, "{len}");
    }
    // A stored block whose length is not its complement's.
    let mut damaged = file.clone();
    damaged[MEMBER_LEN + 1..MEMBER_LEN + 6].copy_from_slice(&[1, 5, 0, 5, 0]);
    assert_eq!(Inflated::of(&damaged, MOST), None);
}

/// A file within a file: the outer stream is inflated, and what is in its plain bytes stays.
#[test]
fn streams_within_streams_stay() {
    let inner = member(USUAL[0], "inner", &text(9, 900));
    let outer = member(USUAL[2], "outer", &inner);
    let inflated = Inflated::of(&outer, MOST).unwrap();
    assert_eq!(inflated.streams.len(), 1);
    assert!(inflated.bytes.ends_with(&inner));
}

#[test]
fn closing_what_was_changed_is_none_or_another_file() {
    let file = [member(USUAL[0], "a", &text(1, 500)), member(USUAL[3], "b", &text(2, 500))].concat();
    let inflated = Inflated::of(&file, MOST).unwrap();
    let with = |change: fn(&mut Inflated)| {
        let mut changed = inflated.clone();
        change(&mut changed);
        changed.close()
    };
    assert_eq!(with(|file| file.streams[1].gap = u64::MAX), None);
    assert_eq!(with(|file| file.bytes.truncate(60)), None);
    assert_eq!(with(|file| file.streams[1].plain += 1), None);
    assert!(
        with(|file| file.streams[0].method = CompressionMethod::Go { level: 1 })
            .is_some_and(|other| other != file_of())
    );
    assert_eq!(inflated.close(), Some(file));
}

fn file_of() -> Vec<u8> {
    [member(USUAL[0], "a", &text(1, 500)), member(USUAL[3], "b", &text(2, 500))].concat()
}

/// The most usual encoder is tried first, and then the one that made the stream before.
#[test]
fn files_of_many_members_by_one_encoder_are_inflated() {
    for method in [USUAL[5], USUAL[6]] {
        let file: Vec<u8> = (0..12).flat_map(|seed| member(method, "x", &text(seed, 800))).collect();
        let inflated = Inflated::of(&file, MOST).unwrap();
        assert_eq!(inflated.streams.len(), 12);
        // Another may make the same of these bytes, and then makes all of them.
        assert!(inflated.streams.iter().all(|stream| stream.method == inflated.streams[0].method));
        assert_eq!(inflated.close(), Some(file));
    }
}

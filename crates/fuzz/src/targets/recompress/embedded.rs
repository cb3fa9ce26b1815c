//! Files with deflate streams in them, and what a peer says of such streams.

use dsync_recompress::{CompressionMethod, Inflated, Recipe, Stream, inflated, recreate};

use super::{method, text};
use crate::pieces::{joined, parts};
use crate::{Memory, Target};

/// A file of zip members, gzip files and other bytes is opened and closed again; any bytes and streams are closed.
pub(in crate::targets) const EMBEDDED: Target =
    Target { name: "embedded", run, memory: Memory { least: 64 << 20, factor: 4 << 10 }, seeds };

/// An opened file has no more bytes.
const MOST: usize = 1 << 20;

fn run(input: &[u8]) {
    let mut parts = parts(input, 12).into_iter();
    let told = parts.next().unwrap_or_default();
    let file: Vec<u8> = parts.flat_map(part).collect();
    let plain = inflated(&file, MOST);
    assert!(plain.as_ref().is_none_or(|plain| plain.len() <= MOST));
    if let Some(opened) = Inflated::of(&file, MOST) {
        assert!(opened.close().as_ref() == Some(&file), "a file was closed to another");
        assert_eq!(Some(&opened.bytes), plain.as_ref());
        let gaps: u64 = opened.streams.iter().map(|stream| stream.gap + stream.plain).sum();
        assert!(gaps <= opened.bytes.len() as u64);
    }

    let streams: Vec<Stream> = told.chunks_exact(6).map(stream).collect();
    let hostile = Inflated { bytes: file, streams };
    if let Some(closed) = hostile.close() {
        assert!(closed.len() <= 2 * hostile.bytes.len() + 512 * hostile.streams.len() + 64);
        assert_eq!(hostile.close(), Some(closed));
    }
}

/// The first byte says what a part is: `z` a zip member, `g` a gzip file, by an encoder; anything else stays.
fn part(part: &[u8]) -> Vec<u8> {
    let [kind @ (b'z' | b'g'), number, level, plain @ ..] = part else { return part.to_vec() };
    // Encoders of zstd come last, and make no deflate stream.
    let stream = deflate(method(*number % 8, *level), plain);
    match kind {
        b'g' => [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &stream[..], &[0; 8]].concat(),
        _ => {
            let mut header = [0; 30];
            header[..4].copy_from_slice(b"PK\x03\x04");
            header[8] = 8;
            header[26] = 1;
            [&header[..], b"x", &stream].concat()
        }
    }
}

fn deflate(method: CompressionMethod, plain: &[u8]) -> Vec<u8> {
    let header = super::header(method);
    let mut blob = Vec::new();
    let recipe = Recipe::new(method, header.clone()).expect("the header is one");
    recreate(&recipe, plain, &mut blob).expect("an encoder takes any bytes");
    let footer = if header.is_empty() { 0 } else { 8 };
    blob[header.len()..blob.len() - footer].to_vec()
}

fn stream(bytes: &[u8]) -> Stream {
    let number = |at: usize| u64::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    Stream { gap: number(0), plain: number(2), method: method(bytes[4], bytes[5]) }
}

fn seeds() -> Vec<Vec<u8>> {
    let (head, rest) = text().split_at(1200);
    let member = |number: u8, plain: &[u8]| [&[b'z', number, 5], plain].concat();
    vec![
        joined(&[&[0, 0, 9, 0, 3, 5], &member(3, head), b"PK\x01\x02 and more", &member(3, rest)]),
        joined(&[&[], b"before", &[&b"g\x05\x08"[..], rest].concat(), b"after", &member(0, head)]),
        joined(&[&[3, 0, 200, 0, 5, 8, 0, 0, 0, 255, 3, 1], &rest[..900]]),
    ]
}

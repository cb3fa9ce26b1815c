//! Bytes for tests, and decoders of another hand.

use flate2::{Decompress, FlushDecompress, Status};

use crate::CompressionMethod;
use crate::deflate::StreamEncoder;
use crate::deflate::reader::DeflateReader;
use crate::deflate::token::Token;

/// Noise over so many letters; another seed is other noise (Marsaglia's xorshift64).
pub(crate) fn noise(len: usize, letters: u64, seed: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ (seed << 32);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 11) % letters) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Numbered lines, which share much with those before.
pub(crate) fn text(len: usize) -> Vec<u8> {
    let line = |number: usize| format!("{number:05} a line of text, {}\n", number * number % 97);
    (0..).flat_map(|number| line(number).into_bytes()).take(len).collect()
}

/// Noise in which `len` bytes come again at a distance, and neither one byte before them nor one after.
pub(crate) fn repeated_at(distance: usize, len: usize) -> Vec<u8> {
    // Not from the very first byte on, which zlib never finds.
    const BEFORE: usize = 16;
    // Fewer letters than there are bytes, or the blocks are stored.
    let mut start = noise(BEFORE + distance, 120, 7);
    start[BEFORE + distance - 1] = !start[BEFORE - 1];
    let after = !start[BEFORE + len];
    [&start[..], &start[BEFORE..BEFORE + len], &[after], &noise(400, 120, 8)].concat()
}

/// All that an encoder makes of bytes.
pub(crate) fn encoded(mut encoder: impl StreamEncoder, plain: &[u8]) -> Vec<u8> {
    encoder.write(plain);
    encoder.finish();
    std::mem::take(encoder.output())
}

/// The same of a method.
pub(crate) fn stream(method: CompressionMethod, plain: &[u8]) -> Vec<u8> {
    let mut encoder = method.encoder();
    encoder.write(plain);
    encoder.finish();
    std::mem::take(encoder.output())
}

/// A whole deflate stream, inflated by flate2; none if it is damaged or does not end.
pub(crate) fn inflated(stream: &[u8]) -> Option<Vec<u8>> {
    let mut inflate = Decompress::new(false);
    let mut plain = Vec::new();
    loop {
        plain.reserve(1 << 16);
        let (used, made) = (inflate.total_in(), plain.len());
        let status =
            inflate.decompress_vec(&stream[used as usize..], &mut plain, FlushDecompress::None).ok()?;
        match status {
            Status::StreamEnd => return (inflate.total_in() == stream.len() as u64).then_some(plain),
            _ if plain.len() == made && inflate.total_in() == used => return None,
            _ => {}
        }
    }
}

/// The same of a stream that is valid.
pub(crate) fn inflate(stream: &[u8]) -> Vec<u8> {
    inflated(stream).expect("the stream is whole")
}

/// A gzip header of ten bytes with this time, effort and system.
pub(crate) fn header(mtime: u32, effort: u8, system: u8) -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0], &mtime.to_le_bytes()[..], &[effort, system]].concat()
}

/// The tokens of a whole deflate stream; stored blocks have none.
pub(crate) fn tokens(stream: &[u8]) -> Vec<Token> {
    let mut reader = DeflateReader::new(stream);
    let mut tokens = Vec::new();
    loop {
        let mut block = reader.block().expect("the stream is valid");
        tokens.append(&mut block.tokens);
        if block.is_last {
            return tokens;
        }
    }
}

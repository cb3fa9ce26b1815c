//! Deflate streams inside of files: members of zip archives (wheels, jars), files of gzip (changelogs, manual pages).
//!
//! A small change before compression changes all bytes after it. So a file whose streams all come from encoders that
//! are known here is *inflated*: its plain bytes stand where the streams stood. It is closed by running the encoders
//! again. A file that is only to be compared with needs no encoders.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use crate::gzip::{self, BlobFormat};
use crate::method::CompressionMethod;
use crate::zlib::Flavour;

/// The start of a zip member, APPNOTE.TXT 4.3.7, and what of it is looked at.
const MEMBER: [u8; 4] = *b"PK\x03\x04";
const MEMBER_LEN: usize = 30;
const FLAGS: usize = 6;
const ENCRYPTED: u8 = 1;
const HOW: usize = 8;
const DEFLATED: u8 = 8;
const NAME_LEN: usize = 26;
const EXTRA_LEN: usize = 28;

/// A stream of fewer bytes stays as it is: there is nothing to win.
const LEAST: usize = 64;
/// Bytes that are encoded at once.
const PIECE: usize = 1 << 16;
/// The encoders of streams in files, the most usual first: Python, Java and libarchive; Debian's packages; the rest.
const USUAL: [CompressionMethod; 7] = [
    CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 },
    CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 9 },
    CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 9 },
    CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 6 },
    CompressionMethod::Go { level: 6 },
    CompressionMethod::Zlib { flavour: Flavour::ZlibLarge, level: 9 },
    CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 1 },
];

/// A file with plain bytes in place of its streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inflated {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The streams that were in it, in their order.
    pub streams: Vec<Stream>,
}

/// A stream that was inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Bytes of the inflated file between the stream before and this one.
    pub gap: u64,
    /// Its plain bytes.
    pub plain: u64,
    /// The encoder that makes it of these.
    pub method: CompressionMethod,
}

/// A stream as it is in the file.
struct FoundStream {
    at: Range<usize>,
    plain: Vec<u8>,
}

impl Inflated {
    /// Inflates a file, if it has streams and all of them can be made again, and if that has at most `most` bytes.
    pub fn of(file: &[u8], most: usize) -> Option<Inflated> {
        let found = find(file, most)?;
        let mut usual = USUAL;
        let mut inflated = Inflated { bytes: Vec::new(), streams: Vec::with_capacity(found.len()) };
        let mut done = 0;
        for FoundStream { at, plain } in found {
            let method = usual.iter().position(|method| makes(*method, &plain, &file[at.clone()]))?;
            // One encoder made all streams of a file, as a rule.
            usual[..=method].rotate_right(1);
            inflated.bytes.extend_from_slice(&file[done..at.start]);
            inflated.bytes.extend_from_slice(&plain);
            let (gap, plain) = ((at.start - done) as u64, plain.len() as u64);
            inflated.streams.push(Stream { gap, plain, method: usual[0] });
            done = at.end;
        }
        inflated.bytes.extend_from_slice(&file[done..]);
        Some(inflated)
    }

    /// The file again; none if the streams do not fit into the bytes.
    pub fn close(&self) -> Option<Vec<u8>> {
        let mut rest = &self.bytes[..];
        let mut take = |len: u64| {
            let (taken, left) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            rest = left;
            Some(taken)
        };
        let mut file = Vec::new();
        for stream in &self.streams {
            file.extend_from_slice(take(stream.gap)?);
            let mut encoder = stream.method.encoder();
            encoder.write(take(stream.plain)?);
            encoder.finish();
            file.append(encoder.output());
        }
        file.extend_from_slice(rest);
        Some(file)
    }
}

/// A file with plain bytes in place of its streams, whoever made them; none if it has no streams, or if that has more
/// than `most` bytes.
pub fn inflated(file: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut done = 0;
    for FoundStream { at, plain } in find(file, most)? {
        bytes.extend_from_slice(&file[done..at.start]);
        bytes.extend_from_slice(&plain);
        done = at.end;
    }
    bytes.extend_from_slice(&file[done..]);
    Some(bytes)
}

/// The streams of a file, in their order; none where there is none, or where the file would have more than `most`
/// bytes.
fn find(file: &[u8], most: usize) -> Option<Vec<FoundStream>> {
    let mut found = Vec::new();
    let (mut at, mut len) = (0, file.len());
    while let Some(step) = file[at..].iter().position(|byte| matches!(byte, b'P' | 0x1f)) {
        at += step;
        let begin = start(&file[at..]).map(|start| at + start);
        let stream = begin.and_then(|begin| Some((begin, inflate(&file[begin..], most)?)));
        match stream {
            Some((begin, FollowedStream { used, plain })) if used >= LEAST => {
                at = begin + used;
                len = len - used + plain.len();
                if len > most {
                    return None;
                }
                found.push(FoundStream { at: begin..at, plain });
            }
            _ => at += 1,
        }
    }
    (!found.is_empty()).then_some(found)
}

/// A stream that was followed to its end.
struct FollowedStream {
    /// The bytes of the stream.
    used: usize,
    plain: Vec<u8>,
}

/// Follows a stream; none if there is none, or if it does not end after at most `most` plain bytes.
fn inflate(bytes: &[u8], most: usize) -> Option<FollowedStream> {
    let mut inflate = Decompress::new(false);
    let mut plain = Vec::new();
    while plain.len() <= most {
        let (used, made) = (inflate.total_in() as usize, plain.len());
        plain.reserve(made.clamp(1 << 12, PIECE));
        let status = inflate.decompress_vec(&bytes[used..], &mut plain, FlushDecompress::None).ok()?;
        if status == Status::StreamEnd {
            return Some(FollowedStream { used: inflate.total_in() as usize, plain });
        }
        if inflate.total_in() as usize == used && plain.len() == made {
            return None;
        }
    }
    None
}

/// The start of the deflate stream, if these are a zip member or a gzip file.
fn start(bytes: &[u8]) -> Option<usize> {
    if let BlobFormat::Header(len) = gzip::start(&bytes[..bytes.len().min(gzip::LONGEST_HEADER)]) {
        return Some(len);
    }
    let header = bytes.get(..MEMBER_LEN).filter(|header| header.starts_with(&MEMBER))?;
    if header[FLAGS] & ENCRYPTED != 0 || header[HOW..HOW + 2] != [DEFLATED, 0] {
        return None;
    }
    let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let start = MEMBER_LEN + number(NAME_LEN) + number(EXTRA_LEN);
    (start < bytes.len()).then_some(start)
}

/// True if the encoder makes this stream.
fn makes(method: CompressionMethod, plain: &[u8], stream: &[u8]) -> bool {
    let mut encoder = method.encoder();
    let mut rest = stream;
    let mut agrees = |output: &mut Vec<u8>| {
        let left = rest.strip_prefix(&output[..]);
        output.clear();
        rest = left.unwrap_or_default();
        left.is_some()
    };
    for piece in plain.chunks(PIECE) {
        encoder.write(piece);
        if !agrees(encoder.output()) {
            return false;
        }
    }
    encoder.finish();
    agrees(encoder.output()) && rest.is_empty()
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;

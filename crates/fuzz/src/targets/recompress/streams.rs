//! Deflate streams and frames of zstd that no encoder made.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{identify, text};
use crate::{Memory, Target};

/// A deflate stream of any bytes in a gzip file whose checksum is right, and a frame of zstd of any bytes.
pub(in crate::targets) const STREAMS: Target =
    Target { name: "streams", run, memory: Memory { least: 128 << 20, factor: 4 << 10 }, seeds };

/// A stream of so many plain bytes is followed.
const MOST: usize = 1 << 20;

fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind % 4 {
        0 => identify::check(rest),
        1 => identify::check(&[&[0x28, 0xb5, 0x2f, 0xfd], rest].concat()),
        _ => {
            let Some((used, plain)) = inflate(rest) else { return };
            let mut crc = Crc::new();
            crc.update(&plain);
            let system = if kind & 4 == 0 { 3 } else { 255 };
            let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, [0, 2, 4, 0][usize::from(kind >> 4) % 4], system];
            let footer = [crc.sum().to_le_bytes(), (plain.len() as u32).to_le_bytes()].concat();
            identify::check(&[&header[..], &rest[..used], &footer].concat());
        }
    }
}

/// The length of a stream, and its plain bytes.
fn inflate(stream: &[u8]) -> Option<(usize, Vec<u8>)> {
    let mut inflate = Decompress::new(false);
    let mut plain = Vec::with_capacity(MOST);
    let status = inflate.decompress_vec(stream, &mut plain, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd).then_some((inflate.total_in() as usize, plain))
}

fn seeds() -> Vec<Vec<u8>> {
    let deflated = |level: u32| {
        let mut stream = vec![2];
        let mut deflate = flate2::Compress::new(flate2::Compression::new(level), false);
        stream.reserve(16 << 10);
        deflate
            .compress_vec(text(), &mut stream, flate2::FlushCompress::Finish)
            .expect("memory does not fail");
        stream
    };
    let frame = zstd::bulk::compress(text(), 3).expect("memory does not fail");
    vec![deflated(0), deflated(1), deflated(6), deflated(9), [&[1], &frame[4..]].concat(), vec![2, 3, 0]]
}

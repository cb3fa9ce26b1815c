//! Decompresses a layer by its magic number.

use std::io::{self, BufReader, Read};

const GZIP: &[u8] = &[0x1f, 0x8b, 0x08];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// First bytes by which a compression is identified.
const MAGIC: usize = 6;

/// True if a blob that begins with these bytes is gzip (RFC 1952).
pub(crate) fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(GZIP)
}

/// True if a blob that begins with these bytes is zstd (RFC 8878). pzstd's output begins with a skippable frame.
pub(crate) fn is_zstd(start: &[u8]) -> bool {
    start.starts_with(ZSTD) || matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The uncompressed bytes of a blob. Memory stays bounded: zstd refuses windows above 128 MiB.
pub fn decoded<'a>(mut blob: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let start = peek(&mut blob)?;
    let (gzip, zstd) = (is_gzip(&start), is_zstd(&start));
    let blob = io::Cursor::new(start).chain(blob);
    Ok(if gzip {
        Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(64 << 10, blob)))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::new(blob)?)
    } else {
        Box::new(blob)
    })
}

/// The first bytes, fewer where there are no more.
pub(crate) fn peek(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(MAGIC);
    reader.take(MAGIC as u64).read_to_end(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn decode(blob: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        decoded(blob).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn each_form_becomes_the_same_bytes() {
        let plain = b"some layer".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        assert_eq!(decode(&gzip.finish().unwrap()), plain);
        assert_eq!(decode(&zstd::encode_all(&plain[..], 1).unwrap()), plain);
        assert_eq!(decode(&plain), plain);
        for short in [&b""[..], b"a", b"\x1f\x8b"] {
            assert_eq!(decode(short), short);
        }
    }

    #[test]
    fn a_cut_blob_is_an_error() {
        let whole = zstd::encode_all(&b"some layer".repeat(1000)[..], 1).unwrap();
        let mut sink = Vec::new();
        assert!(decoded(&whole[..whole.len() - 3]).unwrap().read_to_end(&mut sink).is_err());
    }
}

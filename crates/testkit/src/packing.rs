//! Layers as stores of manifests keep them: plain, or compressed by some encoder.

use std::io::{Read as _, Write as _};

use dsync_recompress::{CompressionMethod, Flavour, Generation, Recipe, Release, ZstdLevel, recreate};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// A storage format of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As it is.
    Plain,
    /// Go's gzip at this level: `docker push`, the containerd store, BuildKit.
    Go(i8),
    /// The `gzip` program at this level.
    Gnu(i8),
    /// podman, skopeo and buildah's gzip.
    Pgzip,
    /// A gzip encoder that docker-sync does not know.
    OtherGzip,
    /// podman, skopeo and buildah's zstd.
    Zstd,
    /// The `zstd` program, which docker-sync does not know.
    OtherZstd,
}

impl Packing {
    /// All of them.
    pub const ALL: [Packing; 7] = [
        Packing::Plain,
        Packing::Go(6),
        Packing::Gnu(6),
        Packing::Pgzip,
        Packing::OtherGzip,
        Packing::Zstd,
        Packing::OtherZstd,
    ];

    /// A layer, stored in this way.
    pub fn pack(self, tar: &[u8]) -> Vec<u8> {
        let method = match self {
            Packing::Plain => return tar.to_vec(),
            Packing::OtherGzip => {
                // With a comment, which no builder writes, and in two members.
                let (low, high) = tar.split_at(tar.len() / 3);
                return [gzip(low), gzip(high)].concat();
            }
            Packing::OtherZstd => return zstd::bulk::compress(tar, 3).expect("memory is enough"),
            Packing::Go(level) => CompressionMethod::Go { level },
            Packing::Gnu(level) => CompressionMethod::Zlib { flavour: Flavour::Gnu, level },
            Packing::Pgzip => CompressionMethod::Pgzip { release: Release::Full, level: 5, block: 1 << 20 },
            Packing::Zstd => CompressionMethod::Zstd {
                generation: Generation::V1_18,
                level: ZstdLevel::Default,
                flushed: 0,
            },
        };
        // No name and no time; of the unknown system that Go writes.
        const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let header = if self == Packing::Zstd { Vec::new() } else { HEADER.to_vec() };
        let recipe = Recipe::new(method, header).expect("the parameters are possible");
        let mut packed = Vec::new();
        recreate(&recipe, tar, &mut packed).expect("memory takes all that is written to it");
        packed
    }

    /// The suffix to the media type of a plain layer.
    pub(crate) const fn suffix(self, docker: bool) -> &'static str {
        match (self, docker) {
            (Packing::Plain, _) => "",
            (Packing::Zstd | Packing::OtherZstd, false) => "+zstd",
            (Packing::Zstd | Packing::OtherZstd, true) => ".zstd",
            (_, false) => "+gzip",
            (_, true) => ".gzip",
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new().comment("a test").write(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes all that is written to it");
    GzEncoder::finish(encoder).expect("memory takes all that is written to it")
}

/// The layer that is stored in these bytes, by their media type.
///
/// # Errors
///
/// A sentence, where it is damaged.
pub fn unpack(media_type: &str, stored: &[u8]) -> Result<Vec<u8>, String> {
    let mut tar = Vec::new();
    let unpacked = if media_type.ends_with("gzip") {
        MultiGzDecoder::new(stored).read_to_end(&mut tar)
    } else if media_type.ends_with("zstd") {
        zstd::Decoder::new(stored).and_then(|mut decoder| decoder.read_to_end(&mut tar))
    } else {
        return Ok(stored.to_vec());
    };
    unpacked.map(|_| tar).map_err(|error| format!("a compressed layer is damaged: {error}"))
}

/// The same where no media type says it: by the magic number.
pub(crate) fn unpack_any(stored: &[u8]) -> Result<Vec<u8>, String> {
    match stored {
        [0x1f, 0x8b, ..] => unpack("gzip", stored),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => unpack("zstd", stored),
        _ => Ok(stored.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packing_is_of_the_same_layer() {
        let tar = b"a layer, a layer, a layer".repeat(40);
        for packing in Packing::ALL {
            let packed = packing.pack(&tar);
            assert_eq!(packed == tar, packing == Packing::Plain, "{packing:?}");
            for docker in [false, true] {
                let media = packing.suffix(docker);
                assert_eq!(unpack(media, &packed), Ok(tar.clone()), "{packing:?}");
                assert_eq!(unpack(media, &packing.pack(b"")), Ok(Vec::new()), "{packing:?}");
            }
        }
        assert!(unpack("gzip", &[0x1f, 0x8b, 8]).is_err());
    }
}

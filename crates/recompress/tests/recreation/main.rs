//! Blobs of real encoders, by digest and as files, and whatever bytes: found and made again, or refused.

mod fixtures;
mod golden;
mod inputs;
mod properties;
mod sample;

use std::io::Read;

use dsync_recompress::{
    CompressionMethod, Flavour, Generation, Identification, Identified, Recipe, Release, ZstdLevel, identify,
    recreate,
};

/// A header of ten bytes: no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Every method at its usual block size, and some at others.
fn methods() -> Vec<CompressionMethod> {
    let mut methods: Vec<CompressionMethod> = (0..=9).map(|level| CompressionMethod::Go { level }).collect();
    for release in [Release::Full, Release::Exact] {
        for level in 1..=6 {
            methods.push(CompressionMethod::Klauspost { release, level });
            methods.extend([1 << 20, 200_000].map(|block| CompressionMethod::Pgzip {
                release,
                level,
                block,
            }));
        }
    }
    for level in 1..=9 {
        let flavours = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu];
        methods.extend(flavours.map(|flavour| CompressionMethod::Zlib { flavour, level }));
        methods.extend([128 << 10, 512 << 10].map(|block| CompressionMethod::Pigz { level, block }));
        methods.push(CompressionMethod::PigzChained { level, block: 128 << 10 });
    }
    for generation in [Generation::V1_15, Generation::V1_16, Generation::V1_18] {
        for level in [ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better] {
            methods.extend([0, 8].map(|flushed| CompressionMethod::Zstd { generation, level, flushed }));
        }
    }
    let (generation, level) = (Generation::V1_18, ZstdLevel::Best);
    methods.extend([0, 8].map(|flushed| CompressionMethod::Zstd { generation, level, flushed }));
    methods
}

fn is_zstd(method: CompressionMethod) -> bool {
    matches!(method, CompressionMethod::Zstd { .. })
}

fn recipe(method: CompressionMethod) -> Recipe {
    let header = if is_zstd(method) { Vec::new() } else { HEADER.to_vec() };
    Recipe::new(method, header).expect("the method is possible")
}

fn made(recipe: &Recipe, plain: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    let len = recreate(recipe, plain, &mut blob).expect("memory does not fail");
    assert_eq!(len, blob.len() as u64);
    blob
}

/// The plain bytes of a blob, by libzstd or flate2.
fn decoded(method: CompressionMethod, blob: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if is_zstd(method) {
        let mut decoder = zstd::Decoder::new(blob).expect("memory does not fail");
        decoder.read_to_end(&mut plain).expect("the frame is valid");
    } else {
        flate2::read::GzDecoder::new(blob).read_to_end(&mut plain).expect("the blob is valid");
    }
    plain
}

/// The outcome of identification, and the plain bytes.
fn found(blob: &[u8]) -> (Identification, Vec<u8>) {
    let mut plain = Vec::new();
    let outcome = identify(blob, &mut plain).expect("memory does not fail");
    (outcome, plain)
}

/// A recipe that makes the blob, and the plain bytes.
fn identified(blob: &[u8]) -> (Recipe, Vec<u8>) {
    let (outcome, plain) = found(blob);
    let Identification::Identified(Identified { recipe, plain_len }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(plain_len, plain.len() as u64);
    (recipe, plain)
}

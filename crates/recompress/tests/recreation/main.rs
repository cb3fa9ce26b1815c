//! Blobs of real encoders, by digest and as files, and whatever bytes: found and made again, or refused.

mod fixtures;
mod golden;
mod inputs;
mod properties;
mod sample;

use std::io::Read;

use dsync_recompress::{
    Effort, Flavour, Generation, Identified, Method, Outcome, Recipe, Release, identify, recreate,
};

/// A header of ten bytes: no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Every method at its usual block size, and some at others.
fn methods() -> Vec<Method> {
    let mut methods: Vec<Method> = (0..=9).map(|level| Method::Go { level }).collect();
    for release in [Release::Full, Release::Exact] {
        for level in 1..=6 {
            methods.push(Method::Klauspost { release, level });
            methods.extend([1 << 20, 200_000].map(|block| Method::Pgzip { release, level, block }));
        }
    }
    for level in 1..=9 {
        let flavours = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu];
        methods.extend(flavours.map(|flavour| Method::Zlib { flavour, level }));
        methods.extend([128 << 10, 512 << 10].map(|block| Method::Pigz { level, block }));
        methods.push(Method::PigzChained { level, block: 128 << 10 });
    }
    for generation in [Generation::V1_15, Generation::V1_16, Generation::V1_18] {
        for effort in [Effort::Fastest, Effort::Default, Effort::Better] {
            methods.extend([0, 8].map(|flushed| Method::Zstd { generation, effort, flushed }));
        }
    }
    let (generation, effort) = (Generation::V1_18, Effort::Best);
    methods.extend([0, 8].map(|flushed| Method::Zstd { generation, effort, flushed }));
    methods
}

fn is_zstd(method: Method) -> bool {
    matches!(method, Method::Zstd { .. })
}

fn recipe(method: Method) -> Recipe {
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
fn decoded(method: Method, blob: &[u8]) -> Vec<u8> {
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
fn found(blob: &[u8]) -> (Outcome, Vec<u8>) {
    let mut plain = Vec::new();
    let outcome = identify(blob, &mut plain).expect("memory does not fail");
    (outcome, plain)
}

/// A recipe that makes the blob, and the plain bytes.
fn identified(blob: &[u8]) -> (Recipe, Vec<u8>) {
    let (outcome, plain) = found(blob);
    let Outcome::Identified(Identified { recipe, plain_len }) = outcome else { panic!("{outcome:?}") };
    assert_eq!(plain_len, plain.len() as u64);
    (recipe, plain)
}

//! Streams of the sample and of the inputs, against digests of those that the original programs made. The commands are
//! in the README of the fixtures.

use std::num::NonZeroUsize;

use dsync_recompress::{CompressionMethod, Recipe, recreate_on};
use sha2::{Digest, Sha256};

use super::inputs::{Input, inputs};
use super::sample::sample;
use super::{decoded, identified, is_zstd, made, methods, recipe};

/// So much of the sample is encoded: lengths at which encoders change their ways, the end of blocks among them.
const LENGTHS: [usize; 17] = [
    0, 1, 16, 17, 32, 33, 127, 128, 2000, 65535, 65536, 131_072, 131_073, 262_144, 1_048_576, 1_048_577,
    2_500_000,
];

/// The digest of the inputs as each method encodes them, one after the other, without their gzip headers.
const DIGESTS_OF_INPUTS: &str = include_str!("inputs_digests.txt");

/// The lines of a list of digests whose method passes.
fn lines(
    list: &'static str,
    wanted: impl Fn(CompressionMethod) -> bool,
) -> Vec<(CompressionMethod, &'static str)> {
    let line = |line: &'static str| {
        let (name, digest) = line.split_once(' ').expect(line);
        let method = methods().into_iter().find(|method| method.to_string() == name).expect(name);
        wanted(method).then_some((method, digest))
    };
    let lines: Vec<_> = list.lines().filter_map(line).collect();
    assert!(!lines.is_empty());
    lines
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the lines whose method passes.
fn check(wanted: impl Fn(CompressionMethod) -> bool + Copy) {
    let sample = sample(2_500_000);
    for (method, digest) in lines(include_str!("digests.txt"), wanted) {
        let mut hash = Sha256::new();
        let recipe = recipe(method);
        let mut add = |plain: &[u8]| hash.update(&made(&recipe, plain)[recipe.header().len()..]);
        if let CompressionMethod::Zstd { flushed, .. } = method {
            LENGTHS.into_iter().filter(|len| *len > flushed as usize).for_each(|len| add(&sample[..len]));
            add(&[0; 300_000]);
        } else {
            LENGTHS.into_iter().for_each(|len| add(&sample[..len]));
        }
        assert_eq!(hex(hash), digest, "{method}");
    }
    check_inputs(wanted);
}

/// Checks the inputs: the digests, and that decoders of another hand read each blob.
fn check_inputs(wanted: impl Fn(CompressionMethod) -> bool) {
    let inputs = inputs();
    for (method, digest) in lines(DIGESTS_OF_INPUTS, wanted) {
        let mut hash = Sha256::new();
        let recipe = recipe(method);
        let least = match method {
            CompressionMethod::Zstd { flushed, .. } => flushed as usize + 1,
            _ => 0,
        };
        for Input { name, plain } in inputs.iter().filter(|input| input.plain.len() >= least) {
            let blob = made(&recipe, plain);
            assert!(decoded(method, &blob) == *plain, "{method} {name}");
            hash.update(&blob[recipe.header().len()..]);
        }
        assert_eq!(hex(hash), digest, "{method}");
    }
}

#[test]
fn no_method_is_without_a_digest() {
    let pinned = lines(DIGESTS_OF_INPUTS, |_| true);
    for method in methods() {
        let is_rare =
            matches!(method, CompressionMethod::Pigz { block, level } if block != 128 << 10 && level != 6);
        assert!(is_rare || pinned.iter().any(|(other, _)| *other == method), "{method}");
    }
    assert!(
        lines(include_str!("digests.txt"), |_| true).iter().all(|(method, _)| methods().contains(method))
    );
}

#[test]
fn go_is_as_go_1_19_made_it() {
    check(|method| matches!(method, CompressionMethod::Go { .. }));
}

#[test]
fn klauspost_is_as_its_releases_and_go_1_27_made_it() {
    check(|method| matches!(method, CompressionMethod::Klauspost { .. }));
}

#[test]
fn pgzip_is_as_its_releases_made_it() {
    check(|method| matches!(method, CompressionMethod::Pgzip { .. }));
}

#[test]
fn zlib_is_as_zlib_1_2_13_made_it() {
    check(|method| matches!(method, CompressionMethod::Zlib { level: ..=7, .. }));
}

#[test]
fn the_best_of_zlib_is_as_zlib_1_2_13_made_it() {
    check(|method| matches!(method, CompressionMethod::Zlib { level: 8.., .. }));
}

#[test]
fn pigz_is_as_pigz_2_6_made_it() {
    check(|method| matches!(method, CompressionMethod::Pigz { .. } | CompressionMethod::PigzChained { .. }));
}

#[test]
fn zstd_is_as_klauspost_made_it() {
    check(is_zstd);
}

#[test]
fn blocks_end_as_one_thread_ends_them() {
    let sample = sample(2_097_153);
    let threads = NonZeroUsize::new(3).unwrap_or(NonZeroUsize::MIN);
    for name in ["pgzip-exact5/1048576", "pigz6/131072"] {
        let method = methods().into_iter().find(|method| method.to_string() == name).expect(name);
        for len in [0, 1, 131_071, 131_072, 131_073, 1_048_576, 1_048_577, 2_097_152, 2_097_153] {
            let mut blob = Vec::new();
            recreate_on(&recipe(method), &sample[..len], &mut blob, threads).expect("memory does not fail");
            assert!(blob == made(&recipe(method), &sample[..len]), "{name} {len}");
        }
    }
}

#[test]
fn large_blobs_are_made_in_segments() {
    let sample = sample(14_000_000);
    for name in ["go6", "zlib6", "zlib-large5", "gnu6"] {
        let method = methods().into_iter().find(|method| method.to_string() == name).expect(name);
        let blob = made(&recipe(method), &sample);
        let (found, _) = identified(&blob);
        assert_eq!((found.method(), found.segments()), (method, 4), "{name}");
        let found = Recipe::from_bytes(&found.to_bytes()).expect("it is a recipe");
        for threads in [1, 2, 3] {
            let mut again = Vec::new();
            let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
            recreate_on(&found, &sample[..], &mut again, threads).expect("memory does not fail");
            assert!(again == blob, "{name} {threads}");
        }
    }
}

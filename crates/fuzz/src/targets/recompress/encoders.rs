//! The encoders, run on any bytes.

use std::num::NonZeroUsize;

use dsync_recompress::{CompressionMethod, Identification, Recipe, identify, recreate, recreate_on};

use super::{header, method, stretched, text};
use crate::reads::{Short, bounded};
use crate::{Memory, Target};

/// Encodes plain bytes in one of all ways: other people's decoders get them back, however they are read and on however
/// many threads, and what is identified is made again to the bit.
pub(in crate::targets) const ENCODERS: Target =
    Target { name: "encoders", run, memory: Memory { least: 96 << 20, factor: 1 << 10 }, seeds };

/// Plain bytes are no more.
const MOST: usize = 400 << 10;

fn run(input: &[u8]) {
    let [number, level, times, text @ ..] = input else { return };
    let method = method(*number, *level);
    let mut plain = stretched(text, *times);
    plain.truncate(MOST);
    let Ok(recipe) = Recipe::new(method, header(method)) else { return };
    let mut blob = Vec::new();
    let len = recreate(&recipe, &plain[..], &mut blob).expect("an encoder takes any bytes");
    assert_eq!(len, blob.len() as u64);
    let decoded = dsync_engine::archive::decoded(&blob[..]).and_then(|plain| bounded(plain, 1 << 30));
    assert!(decoded.expect("others decode it") == plain, "{method}: other bytes");

    let mut again = Vec::new();
    recreate(&recipe, Short(&plain[..], 1013), &mut again).expect("an encoder takes any bytes");
    assert!(again == blob, "{method}: short reads make another blob");
    again.clear();
    let threads = NonZeroUsize::new(3).expect("three are some");
    recreate_on(&recipe, &plain[..], &mut again, threads).expect("an encoder takes any bytes");
    assert!(again == blob, "{method}: threads make another blob");

    let outcome = identify(&blob[..], std::io::sink()).expect("memory does not fail");
    if let Identification::Identified(identified) = outcome {
        assert_eq!(identified.plain_len, plain.len() as u64);
        again.clear();
        recreate(&identified.recipe, &plain[..], &mut again).expect("it is of these bytes");
        assert!(again == blob, "{method} was taken for {}", identified.recipe.method());
    }
    assert_eq!(Recipe::from_bytes(&recipe.to_bytes()), Ok(recipe));
    assert_eq!(CompressionMethod::from_bytes(method.to_bytes()), Some(method));
}

fn seeds() -> Vec<Vec<u8>> {
    (0..10_u8).map(|number| [&[number, number.wrapping_mul(31), 40][..], text()].concat()).collect()
}

//! Blobs that real encoders made, and that were changed a little.

use std::io::Write as _;

use dsync_recompress::{Identification, Identified, Recipe, identify, identify_near, recreate};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{header, method, stretched, text};
use crate::pieces::exactly;
use crate::reads::{Short, bounded};
use crate::{Memory, Target};

/// A blob that is identified, exactly or nearly, is made again to the bit.
pub(in crate::targets) const IDENTIFY: Target =
    Target { name: "identify", run, memory: Memory { least: 96 << 20, factor: 1 << 10 }, seeds };

const MOST: usize = 200 << 10;

fn run(input: &[u8]) {
    let [how, text, edits] = exactly(input);
    let [number, level, times] = [0, 1, 2].map(|at| how.get(at).copied().unwrap_or_default());
    let mut plain = stretched(text, times);
    plain.truncate(MOST);
    let mut blob = blob(number, level, &plain);
    for edit in edits.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) + (usize::from(edit[2] & 3) << 16);
        let at = at % blob.len().max(1);
        match edit[2] >> 6 {
            0 => blob.truncate(blob.len() - at / 16),
            1 => blob.insert(at, edit[3]),
            _ => blob.get_mut(at).into_iter().for_each(|byte| *byte = edit[3]),
        }
    }
    check(&blob);
}

/// Identifies a blob in both ways, and makes it again.
pub(super) fn check(blob: &[u8]) {
    let mut plain = Vec::new();
    let exact = identify(blob, &mut plain).expect("memory does not fail");
    assert_eq!(identify(Short(blob, 11), std::io::sink()).expect("memory does not fail"), exact);
    if let Identification::Identified(identified) = &exact {
        assert_eq!(identified.plain_len, plain.len() as u64);
        is_made_of(blob, &plain, identified);
    }
    let near = identify_near(|| Ok(blob)).expect("memory does not fail");
    if let Identification::Identified(identified) = &near {
        let plain = dsync_engine::archive::decoded(blob).and_then(|plain| bounded(plain, 1 << 30));
        let plain = plain.expect("a blob that is identified can be decoded");
        assert_eq!(identified.plain_len, plain.len() as u64);
        is_made_of(blob, &plain, identified);
    }
}

fn is_made_of(blob: &[u8], plain: &[u8], identified: &Identified) {
    let recipe = identified.recipe.to_bytes();
    let recipe = Recipe::from_bytes(&recipe).expect("a recipe is read as it was written");
    assert_eq!(recipe, identified.recipe);
    let mut again = Vec::new();
    recreate(&recipe, plain, &mut again).expect("the recipe is of these bytes");
    assert!(again == blob, "{} makes another blob", recipe.method());
}

fn blob(number: u8, level: u8, plain: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    match number % 16 {
        14 => blob = zstd::bulk::compress(plain, i32::from(level % 19) + 1).unwrap_or_default(),
        15 => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::new(u32::from(level % 10)));
            // A flush in the middle, as of a program that writes in pieces.
            let (head, rest) = plain.split_at(plain.len() / 3);
            let written =
                gzip.write_all(head).and_then(|()| gzip.flush()).and_then(|()| gzip.write_all(rest));
            blob = written.and_then(|()| gzip.finish()).unwrap_or_default();
        }
        _ => {
            let method = method(number, level);
            if let Ok(recipe) = Recipe::new(method, header(method)) {
                recreate(&recipe, plain, &mut blob).expect("an encoder takes any bytes");
            }
        }
    }
    blob
}

fn seeds() -> Vec<Vec<u8>> {
    let seed = |number: u8| {
        let how = [number, 5, 30];
        crate::pieces::joined(&[&how, text(), &[100, 3, 0x80, 7][..(usize::from(number) % 2) * 4]])
    };
    [0, 1, 2, 3, 5, 6, 8, 14, 15].map(seed).to_vec()
}

//! Recipes of a peer, followed for a layer of any bytes.

use std::num::NonZeroUsize;

use dsync_recompress::{Recipe, recreate, recreate_on};

use super::{header, method, stretched, text};
use crate::pieces::{joined, parts};
use crate::{Memory, Target};

/// A recipe in any bytes, or one whose columns of corrections or checkpoints are any bytes in valid packing.
pub(in crate::targets) const RECIPE: Target =
    Target { name: "recipe", run, memory: Memory { least: 96 << 20, factor: 4 << 10 }, seeds };

/// Columns of corrections.
const COLUMNS: usize = 9;
const MOST: usize = 200 << 10;

fn run(input: &[u8]) {
    let parts = parts(input, 3 + COLUMNS);
    let [how, text, rest @ ..] = &parts[..] else { return };
    let [kind, number, level, times] = [0, 1, 2, 3].map(|at| how.get(at).copied().unwrap_or_default());
    let method = method(number, level);
    let (bytes, header) = (method.to_bytes(), header(method));
    let first = rest.first().copied().unwrap_or_default();
    let bytes = match kind % 4 {
        0 => first.to_vec(),
        1 => [
            &[2],
            &bytes[..],
            &((first.len() / 4) as u16).to_le_bytes(),
            &first[..first.len() / 4 * 4],
            &header,
        ]
        .concat(),
        2 => [&[1], &bytes[..], first].concat(),
        _ => {
            let packed = corrections(how.get(4) == Some(&1), rest);
            [&[3], &bytes[..], &(packed.len() as u32).to_le_bytes(), &packed, &header].concat()
        }
    };
    let Ok(recipe) = Recipe::from_bytes(&bytes) else { return };
    assert_eq!(Recipe::from_bytes(&recipe.to_bytes()).as_ref(), Ok(&recipe));
    let mut plain = stretched(text, times);
    plain.truncate(MOST);
    let most = 4 * plain.len() + (1 << 20);
    let mut made = Vec::new();
    let one = recreate(&recipe, &plain[..], &mut made).is_ok();
    assert!(made.len() <= most, "{} bytes of {}", made.len(), plain.len());
    let mut again = Vec::new();
    let threads = NonZeroUsize::new(2).expect("two are some");
    let several = recreate_on(&recipe, &plain[..], &mut again, threads).is_ok();
    assert!(again.len() <= most);
    // Wrong checkpoints show only where parts are made between them.
    if recipe.segments() == 1 {
        assert_eq!((one, &made), (several, &again), "threads make another blob");
    }
}

/// Corrections as `dsync_recompress` packs them.
fn corrections(forgets: bool, columns: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![u8::from(forgets)];
    for at in 0..COLUMNS {
        let column = columns.get(at).copied().unwrap_or_default();
        bytes.extend((column.len() as u32).to_le_bytes());
        bytes.extend(column);
    }
    zstd::bulk::compress(&bytes, 1).unwrap_or_default()
}

fn seeds() -> Vec<Vec<u8>> {
    let recipe = |number: u8| {
        let method = method(number, 5);
        [&[1][..], &method.to_bytes(), &header(method)].concat()
    };
    let mut seeds: Vec<Vec<u8>> =
        (0..10).map(|number| joined(&[&[0, number, 5, 9], text(), &recipe(number)])).collect();
    let words: Vec<u8> =
        [20_000_u32 << 4, 40_000 << 4 | 3].iter().flat_map(|word| word.to_le_bytes()).collect();
    seeds.push(joined(&[&[1, 3, 5, 60], text(), &words]));
    seeds.push(joined(&[&[1, 0, 8, 60], text(), &words]));
    let columns: [&[u8]; COLUMNS] =
        [&[5, 9], &[1, 0, 3], &[0, 0, 0], &[0, 2], &[3], &[], &[], &[], &[200, 20]];
    let all: Vec<&[u8]> = [&[3, 3, 5, 9, 0][..], text()].into_iter().chain(columns).collect();
    seeds.push(joined(&all));
    seeds
}

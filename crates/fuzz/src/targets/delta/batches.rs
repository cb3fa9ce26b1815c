//! Batches: new bytes coded by old ones, and what a peer says that they are.

use dsync_delta::batch::{Effort, Items, decode, encode};

use crate::pieces::{joined, parts};
use crate::tars::pairs;
use crate::{Memory, Target};

/// Items are decoded as they were, by each coder at each effort; and a batch of any bytes becomes the announced number of
/// bytes, or none.
pub(in crate::targets) const BATCHES: Target =
    Target { name: "batches", run, memory: Memory { least: 40 << 20, factor: 64 }, seeds };

fn run(input: &[u8]) {
    let parts = parts(input, 18);
    let Some((how, items)) = parts.split_first() else { return };
    let how = |at: usize| how.get(at).copied().unwrap_or_default();
    let (old, new) = items.split_at((usize::from(how(1)) % 8).min(items.len()));
    let (old_lens, new_lens) = (lens(old), lens(new));
    let (old, new) = (old.concat(), new.concat());
    let old = Items { bytes: &old, lens: &old_lens };
    if how(0) & 0x80 != 0 {
        return hostile(old, &new_lens, &new, usize::from(how(2)) << 8 | usize::from(how(3)));
    }
    let effort = match how(0) % 24 {
        0 => Effort::Max,
        level @ 1..=22 => Effort::Level(level.into()),
        _ => Effort::Max,
    };
    let packed = encode(old, Items { bytes: &new, lens: &new_lens }, effort).expect("memory does not fail");
    assert!(packed.len() <= new.len() + new.len() / 8 + 64, "{effort:?}: {} of {}", packed.len(), new.len());
    let decoded = decode(old, &new_lens, &packed).expect("a batch is decoded where it was encoded");
    assert!(decoded == new, "{effort:?}: other bytes");
}

/// The new bytes are a batch, which says that it has so many.
fn hostile(old: Items<'_>, lens: &[u64], packed: &[u8], len: usize) {
    let mut lens = lens.to_vec();
    let mut left = len as u64;
    for item in &mut lens {
        *item = left.min(*item * 3);
        left -= *item;
    }
    lens.iter_mut().last().into_iter().for_each(|item| *item += left);
    let len: u64 = lens.iter().sum();
    let decoded = decode(old, &lens, packed).ok();
    assert!(decoded.as_ref().is_none_or(|bytes| bytes.len() as u64 == len), "not as many bytes as announced");
    assert_eq!(decode(old, &lens, packed).ok(), decoded);
}

fn lens(items: &[&[u8]]) -> Vec<u64> {
    items.iter().map(|item| item.len() as u64).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (number, (old, new)) in pairs(9 << 10).into_iter().filter(|(old, _)| !old.is_empty()).enumerate() {
        let effort = [0, 3, 9, 19][number % 4];
        seeds.push(joined(&[&[effort, 1], &old, &new]));
        let items = (
            Items { bytes: &old, lens: &[old.len() as u64] },
            Items { bytes: &new, lens: &[new.len() as u64] },
        );
        let effort = if number % 2 == 0 { Effort::Max } else { Effort::Level(9) };
        let packed = encode(items.0, items.1, effort).expect("memory does not fail");
        seeds.push(joined(&[&[0x80, 1, (new.len() >> 8) as u8, new.len() as u8], &old, &packed]));
    }
    seeds.truncate(16);
    seeds
}

//! The cost of an executable with and without an address map, in bytes: `executable OLD NEW [LEVEL|max]...`.

use std::error::Error;
use std::fs;
use std::time::Instant;

use dsync_delta::batch::{self, Effort, Items};
use dsync_exe::Addresses;

/// Bytes of the new file that are coded at once, against half as much again of the old one.
const PIECE: usize = 6 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, efforts @ ..] = &arguments[..] else {
        return Err("executable OLD NEW [LEVEL|max]...".into());
    };
    let (old, new) = (fs::read(old)?, fs::read(new)?);
    let begun = Instant::now();
    let map = Addresses::of(&old)
        .zip(Addresses::of(&new))
        .and_then(|(old, new)| dsync_exe::map_addresses(old, new));
    let mapped = begun.elapsed();
    let begun = Instant::now();
    let mut absolute = new.clone();
    dsync_exe::make_absolute(&mut absolute);
    let (aligned, encoded) = match &map {
        Some(map) => (dsync_exe::align(&old, map), map.encode()),
        None => {
            let mut old = old.clone();
            dsync_exe::make_absolute(&mut old);
            (old, Vec::new())
        }
    };
    println!(
        "{} by {}: map {} bytes, {mapped:.1?}, align {:.1?}",
        new.len(),
        old.len(),
        encoded.len(),
        begun.elapsed()
    );
    for effort in efforts {
        let effort = match effort.as_str() {
            "max" => Effort::Max,
            level => Effort::Level(level.parse()?),
        };
        let without = cost(&old, &new, effort)?;
        let (alone, alone_absolute) = (cost(&[], &new, effort)?, cost(&[], &absolute, effort)?);
        println!("{effort:?}: {alone} by itself, {alone_absolute} with addresses");
        let (with, map) = (cost(&aligned, &absolute, effort)?, cost(&[], &encoded, effort)?);
        let all = with + map;
        let saved = 100.0 * (1.0 - all as f64 / without as f64);
        println!("{effort:?}: {without} without, {all} with ({map} for the map), {saved:.1} % less");
    }
    Ok(())
}

/// Bytes of a new file by an old one.
fn cost(old: &[u8], new: &[u8], effort: Effort) -> Result<usize> {
    let mut cost = 0;
    for from in (0..new.len()).step_by(PIECE) {
        let to = new.len().min(from + PIECE);
        let scale = |at: usize| (at as u64 * old.len() as u64 / new.len() as u64) as usize;
        let until = old.len().min(scale(to) + PIECE / 4);
        let old = &old[scale(from).saturating_sub(PIECE / 4).min(until)..until];
        let (old_len, new_len) = ([old.len() as u64], [(to - from) as u64]);
        let old = Items { bytes: old, lens: &old_len };
        cost += batch::encode(old, Items { bytes: &new[from..to], lens: &new_len }, effort)?.len();
    }
    Ok(cost)
}

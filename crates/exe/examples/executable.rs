//! What an executable costs with and without a plan: `executable OLD NEW [LEVEL|max]...`.

use std::error::Error;
use std::fs;
use std::time::Instant;

use dsync_delta::batch::{self, Effort, Items};
use dsync_exe::Addresses;

/// How long a piece of the new file is that is coded at once, in bytes; it has that much and as much again of the old one before it.
const PIECE: usize = 6 << 20;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [old, new, efforts @ ..] = &arguments[..] else {
        return Err("executable OLD NEW [LEVEL|max]...".into());
    };
    let (old, new) = (fs::read(old)?, fs::read(new)?);
    let begun = Instant::now();
    let plan = Addresses::of(&old).zip(Addresses::of(&new)).and_then(|(old, new)| dsync_exe::plan(old, new));
    let planned = begun.elapsed();
    let begun = Instant::now();
    let mut absolute = new.clone();
    dsync_exe::make_absolute(&mut absolute);
    let (aligned, told) = match &plan {
        Some(plan) => (dsync_exe::align(&old, plan), plan.encode()),
        None => {
            let mut old = old.clone();
            dsync_exe::make_absolute(&mut old);
            (old, Vec::new())
        }
    };
    println!(
        "{} by {}: plan {} bytes, {planned:.1?}, align {:.1?}",
        new.len(),
        old.len(),
        told.len(),
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
        let (with, plan) = (cost(&aligned, &absolute, effort)?, cost(&[], &told, effort)?);
        let all = with + plan;
        let saved = 100.0 * (1.0 - all as f64 / without as f64);
        println!("{effort:?}: {without} without, {all} with ({plan} for the plan), {saved:.1} % less");
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
        cost +=
            batch::encode(old, Items { bytes: &new[from..to], lens: &new_len }, &[Some(0)], effort)?.len();
    }
    Ok(cost)
}

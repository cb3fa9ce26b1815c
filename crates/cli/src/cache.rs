//! `docker-sync cache`: what the index cache of this host holds.

use std::fmt::Write as _;
use std::io;

use dsync_sync::{CACHE_LIMIT, Cache, CacheEntry};
use serde::Serialize;

use crate::args::CacheAction;
use crate::error::{Diagnosis, FAILED};
use crate::quantity::{ago, bytes, counted};

/// How many digits of a diff id are shown.
const SHORT: usize = 12;

/// Does it, and says what to print.
pub(crate) fn run(action: &CacheAction) -> Result<String, Diagnosis> {
    let cache = Cache::open().ok_or_else(|| {
        Diagnosis::new("cache", FAILED, "this host has no index cache")
            .because(["neither $XDG_CACHE_HOME nor $HOME has a docker-sync/index that is yours alone"])
            .hint("set XDG_CACHE_HOME to a directory of yours, or look who may write to it: its mode must be 0700")
    })?;
    let failed = |doing: &str, error: io::Error| {
        let place = cache.directory().display();
        Diagnosis::new("cache", FAILED, format!("cannot {doing} the index cache in {place}"))
            .because([error.to_string()])
    };
    match *action {
        CacheAction::Ls { json } => {
            let entries = cache.entries().map_err(|error| failed("read", error))?;
            Ok(if json { document(&cache, &entries) } else { table(&entries) })
        }
        CacheAction::Prune { all, max_size } => {
            let limit = if all { 0 } else { max_size.unwrap_or(CACHE_LIMIT) };
            let removed = cache.prune(limit).map_err(|error| failed("prune", error))?;
            let freed = removed.iter().map(|entry| entry.size).sum();
            let layers = counted(removed.len() as u64, "layer");
            Ok(format!("{layers} forgotten, {} freed\n", bytes(freed)))
        }
    }
}

fn age(entry: &CacheEntry) -> i64 {
    entry.used.elapsed().map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

fn table(entries: &[CacheEntry]) -> String {
    let mut text = format!("{:SHORT$}  {:>8}  LAST USED\n", "LAYER", "SIZE");
    for entry in entries {
        let name = entry.diff_id.to_string();
        let digits = name.rsplit(':').next().unwrap_or_default();
        let (size, used) = (bytes(entry.size), ago(age(entry)));
        writeln!(text, "{digits:.SHORT$}  {size:>8}  {used}").expect("a String takes everything");
    }
    let total = bytes(entries.iter().map(|entry| entry.size).sum());
    writeln!(text, "\n{}, {total}", counted(entries.len() as u64, "layer"))
        .expect("a String takes everything");
    text
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    directory: String,
    limit: u64,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Layer {
    diff_id: String,
    size: u64,
    unused_seconds: i64,
}

fn document(cache: &Cache, entries: &[CacheEntry]) -> String {
    let layer = |entry: &CacheEntry| Layer {
        diff_id: entry.diff_id.to_string(),
        size: entry.size,
        unused_seconds: age(entry),
    };
    let document = Document {
        schema: 1,
        directory: cache.directory().display().to_string(),
        limit: CACHE_LIMIT,
        layers: entries.iter().map(layer).collect(),
    };
    serde_json::to_string_pretty(&document).map_or_else(|_| String::new(), |text| text + "\n")
}

//! `docker-sync cache`: what the index cache of this host holds.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use dsync_sync::{CACHE_LIMIT, Cache, CacheEntry, CacheError, EntryKind};
use serde::Serialize;

use crate::args::CacheAction;
use crate::error::{Diagnosis, FAILED};
use crate::quantity::{ago, bytes, counted};

/// Runs an action and returns its output, for a person or for a pipe.
pub(crate) fn run(action: &CacheAction, person: bool) -> Result<String, Diagnosis> {
    let cache = Cache::locate().map_err(|error| absent(&error))?;
    match *action {
        CacheAction::Ls { json } => {
            let entries = cache.entries().map_err(|error| failed(&cache, "read", &error))?;
            let total = format!("{}, {}\n", layers(&entries), bytes(size(&entries)));
            Ok(match person {
                _ if json => document(&cache, &entries),
                true => table(&entries) + &total,
                false => plain(&entries),
            })
        }
        CacheAction::Prune { all, max_size } => {
            let limit = if all { 0 } else { max_size.unwrap_or(CACHE_LIMIT) };
            let pruned = cache.prune(limit).map_err(|error| failed(&cache, "prune", &error))?;
            let total = format!("{} forgotten, {} freed\n", layers(&pruned.layers), bytes(pruned.bytes));
            Ok(if person { table(&pruned.layers) + &total } else { total })
        }
    }
}

fn absent(error: &CacheError) -> Diagnosis {
    Diagnosis::new("cache", FAILED, "this host has no index cache")
        .because([error.to_string()])
        .because(error.source().map(ToString::to_string))
        .hint(match error {
            CacheError::Foreign(..) => {
                "make it a directory of yours with the mode 0700, or remove it: syncs do without until then"
            }
            _ => "set XDG_CACHE_HOME to a directory of yours, as an absolute path",
        })
}

fn failed(cache: &Cache, doing: &str, error: &io::Error) -> Diagnosis {
    let place = cache.directory().display();
    Diagnosis::new("cache", FAILED, format!("cannot {doing} the index cache in {place}"))
        .because([error.to_string()])
        .hint("look who owns it and whether its disk is writable; it can be removed at any time")
}

fn age(entry: &CacheEntry) -> i64 {
    entry.used.elapsed().map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

fn size(entries: &[CacheEntry]) -> u64 {
    entries.iter().map(|entry| entry.size).sum()
}

fn layers(entries: &[CacheEntry]) -> String {
    counted(entries.len() as u64, "layer")
}

/// With a line to spare below; nothing of nothing.
fn table(entries: &[CacheEntry]) -> String {
    let mut text = String::new();
    if !entries.is_empty() {
        let rows = entries.iter().map(|entry| (entry.digest.short(), bytes(entry.size), ago(age(entry))));
        let heading = ("LAYER".into(), "SIZE".into(), "LAST USED".into());
        for (layer, size, used) in std::iter::once(heading).chain(rows) {
            writeln!(text, "{layer:12}  {size:>8}  {used}").expect("a String takes everything");
        }
        text.push('\n');
    }
    text
}

/// `DIFFID  SIZE  SECONDS`, separated by tabs. As with the report, the order of the fields is promised.
fn plain(entries: &[CacheEntry]) -> String {
    entries.iter().map(|entry| format!("{}\t{}\t{}\n", entry.digest, entry.size, age(entry))).collect()
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    directory: String,
    limit: u64,
    size: u64,
    layers: Vec<Layer>,
}

#[derive(Serialize)]
struct Layer {
    diff_id: String,
    recipe: bool,
    size: u64,
    unused_seconds: i64,
}

fn document(cache: &Cache, entries: &[CacheEntry]) -> String {
    let layer = |entry: &CacheEntry| Layer {
        diff_id: entry.digest.to_string(),
        recipe: entry.kind == EntryKind::Recipe,
        size: entry.size,
        unused_seconds: age(entry),
    };
    let document = Document {
        schema: 1,
        directory: cache.directory().display().to_string(),
        limit: CACHE_LIMIT,
        size: size(entries),
        layers: entries.iter().map(layer).collect(),
    };
    serde_json::to_string_pretty(&document).map_or_else(|_| String::new(), |text| text + "\n")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use dsync_core::Digest;

    use super::*;

    #[test]
    fn a_person_sees_a_table() {
        let entry = |layer: &[u8], size: u64, hours: u64| CacheEntry {
            digest: Digest::of(layer),
            kind: EntryKind::Index,
            size,
            used: SystemTime::now() - Duration::from_secs(hours * 3600),
        };
        insta::assert_snapshot!(table(&[entry(b"a", 1_234_000, 0), entry(b"b", 800, 3)]), @"
        LAYER             SIZE  LAST USED
        ca978112ca1b    1.2 MB  just now
        3e23e8160039     800 B  3 hours ago
        ");
        assert_eq!(table(&[]), "");
    }
}

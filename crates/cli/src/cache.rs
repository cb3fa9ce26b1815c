//! `docker-sync cache`: the index cache of this host, and its partial transfers.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use dsync_sync::{
    CACHE_LIMIT, Cache, CacheEntry, CacheError, EntryKind, PARTIAL_LIMIT, PartialEntry, PartialImages,
    Partials,
};
use serde::Serialize;

use crate::args::CacheAction;
use crate::error::{Diagnosis, FAILED};
use crate::quantity::{ago, bytes, counted};

/// Runs an action and returns its output, for a person or for a pipe.
pub(crate) fn run(action: &CacheAction, person: bool) -> Result<String, Diagnosis> {
    let cache = Cache::locate().map_err(|error| absent(&error))?;
    let partials = Partials::locate().map_err(|error| absent(&error))?;
    match *action {
        CacheAction::Ls { json } => {
            let entries = cache.entries().map_err(|error| failed(cache.directory(), "read", &error))?;
            let mut partials =
                partials.entries().map_err(|error| failed(partials.directory(), "read", &error))?;
            if let Some(without_agent) = PartialImages::find(None) {
                let more = without_agent.entries();
                partials.extend(more.map_err(|error| failed(without_agent.directory(), "read", &error))?);
                partials.sort_by_key(|entry| std::cmp::Reverse(entry.written));
            }
            Ok(match person {
                _ if json => document(&cache, &entries, &partials),
                true => {
                    let total = format!("{}, {}\n", layers(&entries), bytes(size(&entries)));
                    match partials.is_empty() {
                        true => table(&entries) + &total,
                        false => {
                            table(&entries)
                                + &total
                                + "\n"
                                + &partial_table(&partials)
                                + &partial_total(&partials, "")
                        }
                    }
                }
                false => plain(&entries) + &partial_plain(&partials),
            })
        }
        CacheAction::Prune { all, max_size } => {
            let limit = |usual| if all { 0 } else { max_size.unwrap_or(usual) };
            let pruned = cache.prune(limit(CACHE_LIMIT));
            let pruned = pruned.map_err(|error| failed(cache.directory(), "prune", &error))?;
            let dropped = partials.prune(limit(PARTIAL_LIMIT));
            let mut dropped = dropped.map_err(|error| failed(partials.directory(), "prune", &error))?;
            if let Some(without_agent) = PartialImages::find(None) {
                let more = without_agent.prune(limit(PARTIAL_LIMIT));
                dropped.extend(more.map_err(|error| failed(without_agent.directory(), "prune", &error))?);
            }
            let mut total = format!("{} forgotten, {} freed\n", layers(&pruned.layers), bytes(pruned.bytes));
            if !dropped.is_empty() {
                total += &partial_total(&dropped, " forgotten");
            }
            Ok(match person {
                true => table(&pruned.layers) + &partial_table(&dropped) + &total,
                false => total,
            })
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

fn failed(directory: &Path, doing: &str, error: &io::Error) -> Diagnosis {
    let place = directory.display();
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

/// The label of a partial transfer: its first name, or else the digest of its config.
fn partial_label(partial: &PartialEntry) -> String {
    partial.names.first().cloned().unwrap_or_else(|| partial.config.short())
}

fn partial_age(partial: &PartialEntry) -> i64 {
    partial.written.elapsed().map_or(0, |age| i64::try_from(age.as_secs()).unwrap_or(i64::MAX))
}

fn partial_size(partials: &[PartialEntry]) -> u64 {
    partials.iter().map(|partial| partial.size).sum()
}

fn partial_total(partials: &[PartialEntry], done: &str) -> String {
    let count = counted(partials.len() as u64, "partial transfer");
    format!("{count}{done}, {}\n", bytes(partial_size(partials)))
}

/// With a line to spare below; nothing of nothing.
fn partial_table(partials: &[PartialEntry]) -> String {
    let mut text = String::new();
    if !partials.is_empty() {
        let row = |partial: &PartialEntry| {
            let age = if partial.in_use { "in progress".into() } else { ago(partial_age(partial)) };
            (partial_label(partial), bytes(partial.size), age)
        };
        let heading = ("PARTIAL TRANSFER".to_owned(), "SIZE".to_owned(), "BROKE OFF".to_owned());
        let rows: Vec<_> = std::iter::once(heading).chain(partials.iter().map(row)).collect();
        let width = rows.iter().map(|(image, ..)| image.chars().count()).max().unwrap_or(0);
        for (image, size, age) in rows {
            writeln!(text, "{image:width$}  {size:>8}  {age}").expect("a String takes everything");
        }
        text.push('\n');
    }
    text
}

/// `partial  CONFIG  SIZE  SECONDS  NAME`, separated by tabs.
fn partial_plain(partials: &[PartialEntry]) -> String {
    let line = |partial: &PartialEntry| {
        let name = partial.names.first().map_or("", String::as_str);
        format!("partial\t{}\t{}\t{}\t{name}\n", partial.config, partial.size, partial_age(partial))
    };
    partials.iter().map(line).collect()
}

#[derive(Serialize)]
struct Document {
    schema: u32,
    directory: String,
    limit: u64,
    size: u64,
    layers: Vec<Layer>,
    partial: Vec<Partial>,
}

#[derive(Serialize)]
struct Partial {
    config: String,
    names: Vec<String>,
    size: u64,
    unused_seconds: i64,
}

#[derive(Serialize)]
struct Layer {
    diff_id: String,
    recipe: bool,
    size: u64,
    unused_seconds: i64,
}

fn document(cache: &Cache, entries: &[CacheEntry], partials: &[PartialEntry]) -> String {
    let partial = |partial: &PartialEntry| Partial {
        config: partial.config.to_string(),
        names: partial.names.clone(),
        size: partial.size,
        unused_seconds: partial_age(partial),
    };
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
        partial: partials.iter().map(partial).collect(),
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

    #[test]
    fn partial_transfers_have_a_table_of_their_own() {
        let partial = |names: &[&str], size: u64, hours: u64| PartialEntry {
            config: Digest::of(b"a"),
            names: names.iter().map(ToString::to_string).collect(),
            size,
            written: SystemTime::now() - Duration::from_secs(hours * 3600),
            in_use: hours == 0,
        };
        let partials = [
            partial(&["shop/web:2"], 91_000_000, 1),
            partial(&[], 800, 50),
            partial(&["shop/web:3"], 200, 0),
        ];
        insta::assert_snapshot!(partial_table(&partials) + &partial_total(&partials, ""), @"
        PARTIAL TRANSFER      SIZE  BROKE OFF
        shop/web:2         91.0 MB  1 hour ago
        ca978112ca1b         800 B  2 days ago
        shop/web:3           200 B  in progress

        3 partial transfers, 91.0 MB
        ");
        assert_eq!(partial_table(&[]), "");
        let fields = partial_plain(&partials);
        assert!(
            fields.starts_with("partial\tsha256:ca978112ca1b")
                && fields.contains("\t91000000\t3600\tshop/web:2\n"),
            "{fields}"
        );
    }
}

//! Which literals are sent together, and beside which old contents.
//!
//! A batch is coded as one piece, so what is alike belongs into one batch: files of a kind, in the order of
//! their paths, each with its old version. The old version of a file is the file of the same path, else of a
//! path that differs in version numbers and hashes only, else of the same name elsewhere, else one that went from the same
//! folder and whose name begins alike.
//!
//! Source and target compute the same batches from what both know, and say nothing about them. So the result
//! must depend on the arguments only, and a change of it is a change of the protocol.

mod names;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::Listing;
use names::{Old, OldFile, kind};

/// Consecutive contents of one file of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// Which listing, as they were given.
    pub layer: usize,
    /// Ordinals of the contents in it.
    pub contents: Range<usize>,
    /// Their bytes.
    pub len: u64,
}

/// Literals that are coded together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What is sent; the layers are those of the new image that were encoded.
    pub new: Vec<Run>,
    /// What both sides have; the layers are those of the basis.
    pub old: Vec<Run>,
    /// For each run of `new` which of `old` it is a new version of.
    pub pairs: Vec<Option<usize>>,
}

impl Batch {
    /// Bytes that are sent, before coding.
    pub fn len(&self) -> u64 {
        self.new.iter().map(|run| run.len).sum()
    }

    /// Whether it sends nothing.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }
}

/// A content: which listing, and which of its contents.
pub type Spot = (usize, usize);

/// Forms batches of at most about `limit` bytes, old and new together, of the contents that are sent.
///
/// `basis` has `None` for a layer whose bytes the source has not.
pub fn batches(new: &[&Listing], sent: &[Spot], basis: &[Option<&Listing>], limit: u64) -> Vec<Batch> {
    match basis.iter().all(Option::is_none) {
        true => in_order(new, sent, std::iter::repeat(limit)),
        false => alike(new, sent, basis, limit),
    }
}

/// For each content that is sent the contents of the basis of which it may be a new version, where only the
/// target can read them: `basis` has these layers only, `readable` those that the source can read as well, which
/// come first where they have a version in as strict a sense. At most `limit` bytes, new and old together, are looked
/// at; an old content counts once, however many new ones may be versions of it.
pub fn candidates(
    new: &[&Listing],
    sent: &[Spot],
    basis: &[Option<&Listing>],
    readable: &[Option<&Listing>],
    limit: u64,
) -> Vec<Option<Run>> {
    let (old, better) = (Old::of(basis, new), Old::of(readable, new));
    let places: HashMap<Spot, usize> = sent.iter().enumerate().map(|(at, spot)| (*spot, at)).collect();
    let mut candidates = vec![None; sent.len()];
    let mut left = limit;
    let mut counted: HashSet<Spot> = HashSet::new();
    for (layer, listing) in new.iter().enumerate() {
        for file in listing.files() {
            let is_sent = |content: &usize| places.contains_key(&(layer, *content));
            if !file.contents.clone().any(|content| is_sent(&content)) {
                continue;
            }
            let Some(sense) = old.sense(&file.path, file.len) else { continue };
            if better.sense(&file.path, file.len).is_some_and(|better| better <= sense) {
                continue;
            }
            let Some((version, in_listing)) = old.version(&file.path, file.len) else { continue };
            for content in file.contents.clone().filter(is_sent) {
                let run = Run { layer, contents: content..content + 1, len: listing.contents()[content].len };
                let (path, contents) = (file.path.clone(), file.contents.clone());
                let item = Item { path, file: contents, file_len: file.len, run };
                let region = region(&item, listing, version, in_listing, limit);
                let uncounted =
                    region.contents.clone().filter(|old| !counted.contains(&(region.layer, *old)));
                let cost = uncounted.map(|old| in_listing.contents()[old].len).sum::<u64>() + item.run.len;
                if region.len > 0 && cost <= left {
                    left -= cost;
                    counted.extend(region.contents.clone().map(|old| (region.layer, old)));
                    candidates[places[&(layer, content)]] = Some(region);
                }
            }
        }
    }
    candidates
}

/// Forms batches in the order of the spots, each of at most the bytes of its limit: for a target that has nothing and
/// wants to write the layers as they arrive. There is always a next limit.
pub fn in_order(new: &[&Listing], sent: &[Spot], mut limits: impl Iterator<Item = u64>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut left = 0;
    for &(layer, content) in sent {
        let len = new[layer].contents()[content].len;
        if batches.is_empty() || len > left {
            batches.push(Batch::default());
            left = limits.next().unwrap_or(left);
        }
        left = left.saturating_sub(len);
        let Some(batch) = batches.last_mut() else { continue };
        match batch.new.last_mut() {
            Some(run) if run.layer == layer && run.contents.end == content => {
                run.contents.end += 1;
                run.len += len;
            }
            _ => {
                batch.new.push(Run { layer, contents: content..content + 1, len });
                batch.pairs.push(None);
            }
        }
    }
    batches
}

/// Forms batches that put like beside like.
fn alike(new: &[&Listing], sent: &[Spot], basis: &[Option<&Listing>], limit: u64) -> Vec<Batch> {
    let old = Old::of(basis, new);
    let sent: HashSet<Spot> = sent.iter().copied().collect();
    let mut items = Vec::new();
    for (layer, listing) in new.iter().enumerate() {
        for file in listing.files() {
            let wanted = |content| sent.contains(&(layer, content));
            for run in runs(listing, layer, file.contents.clone(), &wanted, limit / 4) {
                items.push(Item {
                    path: file.path.clone(),
                    file: file.contents.clone(),
                    file_len: file.len,
                    run,
                });
            }
        }
    }
    let place = |item: &Item<'_>| (item.run.layer, item.run.contents.start);
    items.sort_by(|a, b| (kind(&a.path), &a.path, place(a)).cmp(&(kind(&b.path), &b.path, place(b))));
    let mut batches: Vec<Batch> = Vec::new();
    let mut known: HashMap<Run, usize> = HashMap::new();
    let mut filled = limit;
    for item in items {
        let version = old.version(&item.path, item.file_len).and_then(|(file, listing)| {
            let run = region(&item, new[item.run.layer], file, listing, limit / 4);
            (run.len > 0).then_some(run)
        });
        let cost = |known: &HashMap<Run, usize>| {
            item.run.len + version.as_ref().filter(|run| !known.contains_key(run)).map_or(0, |run| run.len)
        };
        if filled + cost(&known) > limit {
            batches.push(Batch::default());
            known.clear();
            filled = 0;
        }
        filled += cost(&known);
        let Some(batch) = batches.last_mut() else { continue };
        let pair = version.map(|run| {
            *known.entry(run).or_insert_with_key(|run| {
                batch.old.push(run.clone());
                batch.old.len() - 1
            })
        });
        batch.new.push(item.run);
        batch.pairs.push(pair);
    }
    batches
}

/// A run of a file, with the file.
struct Item<'a> {
    path: Cow<'a, [u8]>,
    file: Range<usize>,
    file_len: u64,
    run: Run,
}

/// The stretches of wanted contents of a file, none longer than `most` bytes.
fn runs(
    listing: &Listing,
    layer: usize,
    file: Range<usize>,
    wanted: &dyn Fn(usize) -> bool,
    most: u64,
) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for content in file {
        if !wanted(content) {
            continue;
        }
        let len = listing.contents()[content].len;
        match runs.last_mut() {
            Some(run) if run.contents.end == content && run.len + len <= most => {
                run.contents.end += 1;
                run.len += len;
            }
            _ => runs.push(Run { layer, contents: content..content + 1, len }),
        }
    }
    runs
}

/// The part of the old file that a run is most like: all of it where it is not too long, else the same part
/// of its length, with as much again around, a quarter of `most` on either side at most.
fn region(item: &Item<'_>, new: &Listing, old: &OldFile, listing: &Listing, most: u64) -> Run {
    let whole = Run { layer: old.layer, contents: old.contents.clone(), len: old.len };
    if old.len <= most.min(item.run.len.saturating_mul(4).max(1 << 20)) || item.file_len == 0 {
        return whole;
    }
    let before: u64 =
        new.contents()[item.file.start..item.run.contents.start].iter().map(|content| content.len).sum();
    let scale = |at: u64| {
        // Lengths are below 2^44, so the product fits in 128 bits.
        u64::try_from(u128::from(at) * u128::from(old.len) / u128::from(item.file_len)).unwrap_or(old.len)
    };
    let slack = item.run.len.clamp(64 << 10, most / 4);
    let (from, to) =
        (scale(before).saturating_sub(slack), scale(before + item.run.len).saturating_add(slack));
    let (mut at, mut run) =
        (0, Run { layer: old.layer, contents: old.contents.start..old.contents.start, len: 0 });
    for content in old.contents.clone() {
        let len = listing.contents()[content].len;
        if at + len > from && at < to && run.len + len <= most + 2 * slack {
            if run.len == 0 {
                run.contents.start = content;
            }
            run.contents.end = content + 1;
            run.len += len;
        }
        at += len;
    }
    run
}

//! Plans batches: which literals are compressed together, against which old contents.
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

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::{ChunkRef, LayerIndex};
use names::{NewFiles, OldFile, Version, kind, versions};

/// Consecutive contents of one file of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Run {
    /// Which listing, as they were given.
    layer: u32,
    /// The first of the contents in it, and the one after the last.
    start: u32,
    end: u32,
    /// Their bytes.
    len: u32,
}

impl Run {
    /// Some contents of a listing; `None` where they have 4 GiB or more.
    pub fn of(layer: usize, listing: &LayerIndex, contents: Range<usize>) -> Option<Run> {
        let len = u32::try_from(listing.contents().bytes(contents.clone())).ok()?;
        let [layer, start, end] = [layer, contents.start, contents.end].map(u32::try_from);
        Some(Run { layer: layer.ok()?, start: start.ok()?, end: end.ok()?, len })
    }

    /// Which listing, as they were given.
    pub fn layer(&self) -> usize {
        self.layer as usize
    }

    /// Ordinals of the contents in it.
    pub fn contents(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The contents, one by one.
    pub fn spots(&self) -> impl Iterator<Item = ChunkRef> + use<> {
        let layer = self.layer;
        (self.start..self.end).map(move |content| ChunkRef { layer, content })
    }

    /// Their bytes.
    #[expect(clippy::len_without_is_empty, reason = "a run is never empty")]
    pub fn len(&self) -> u64 {
        self.len.into()
    }

    /// The same contents, where the listing has another number.
    pub fn of_layer(self, layer: u32) -> Run {
        Run { layer, ..self }
    }

    /// Adds the next content, unless it is of another listing, or would make it longer than `most` bytes.
    fn extend(&mut self, spot: ChunkRef, len: u32, most: u64) -> bool {
        let all = u64::from(self.len) + u64::from(len);
        let goes_on = (self.layer, self.end) == (spot.layer, spot.content) && all <= most;
        if goes_on && let Ok(all) = u32::try_from(all) {
            self.end += 1;
            self.len = all;
            return true;
        }
        false
    }
}

/// Literals that are coded together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// The literals that are sent; the layers are those of the new image that were encoded.
    pub new: Vec<Run>,
    /// Contents that both sides have; the layers are those of the basis.
    pub old: Vec<Run>,
    /// For each run of `new` which of `old` it is a new version of.
    pairs: Vec<Option<u32>>,
}

impl Batch {
    /// A run by itself, and its old version.
    pub fn alone(new: Run, old: Option<Run>) -> Batch {
        Batch { new: vec![new], pairs: vec![old.map(|_| 0)], old: old.into_iter().collect() }
    }

    /// Bytes that are sent, before coding.
    pub fn len(&self) -> u64 {
        self.new.iter().map(Run::len).sum()
    }

    /// True if it sends nothing.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// For each run of `new` which of `old` it is a new version of.
    pub fn pairs(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.pairs.iter().map(|pair| pair.map(|pair| pair as usize))
    }

    /// Adds a run that is sent, and which of `old` it is a new version of.
    pub fn push(&mut self, new: Run, pair: Option<u32>) {
        self.new.push(new);
        self.pairs.push(pair);
    }
}

/// Forms batches of at most about `limit` bytes, old and new together, of the contents that are sent, which come in
/// their order.
///
/// `basis` has `None` for a layer whose bytes the source has not.
pub fn batches(
    new: &[&LayerIndex],
    sent: &[ChunkRef],
    basis: &[Option<&LayerIndex>],
    limit: u64,
) -> Vec<Batch> {
    match basis.iter().all(Option::is_none) {
        true => in_order(new, sent.iter().copied(), std::iter::repeat(limit)),
        false => alike(new, sent, basis, limit),
    }
}

/// The most bytes that [`candidates`] looks at, and what a content counts besides its own: it is remembered.
const CANDIDATES: u64 = 1 << 31;
const CANDIDATE: u64 = 256;

/// For each content that is sent the contents of the basis of which it may be a new version, where only the
/// target can read them: `basis` has these layers only, `readable` those that the source can read as well, which
/// come first where they have a version in as strict a sense. At most `limit` bytes, new and old together, are looked
/// at; an old content counts once, however many new ones may be versions of it.
pub fn candidates(
    new: &[&LayerIndex],
    sent: &[ChunkRef],
    basis: &[Option<&LayerIndex>],
    readable: &[Option<&LayerIndex>],
    limit: u64,
) -> Vec<(usize, Run)> {
    let limit = limit.min(CANDIDATES);
    let mut candidates = Vec::new();
    let mut left = limit;
    let mut counted: HashSet<ChunkRef> = HashSet::new();
    let (mut rest, mut number) = (sent, 0);
    while let Some((files, sent)) = NewFiles::take(new, &mut rest) {
        let (old, better) = (versions(&files, basis, new), versions(&files, readable, new));
        let mut file = 0;
        for spot in sent {
            let at = number;
            number += 1;
            // The files come in the order of what is sent.
            while files.get(file).is_some_and(|(_, file)| !file.has(spot)) {
                file += 1;
            }
            let Some((_, new_file)) = files.get(file) else { break };
            let Some(Version { sense, file: version }) = old[file] else { continue };
            if better[file].is_some_and(|better| better.sense <= sense) {
                continue;
            }
            let Some(in_listing) = basis[version.layer as usize] else { continue };
            let listing = new[spot.layer as usize];
            let content = spot.content as usize;
            let Some(run) = Run::of(spot.layer as usize, listing, content..content + 1) else { continue };
            let of = (new_file.start, new_file.len);
            let Some(region) = region(&run, of, listing, (&version, in_listing), limit) else { continue };
            let uncounted = region.spots().filter(|old| !counted.contains(old));
            let bytes = |old: ChunkRef| in_listing.contents().at(old.content as usize).len + CANDIDATE;
            let cost = uncounted.map(bytes).sum::<u64>() + run.len() + CANDIDATE;
            if region.len > 0 && cost <= left {
                left -= cost;
                counted.extend(region.spots());
                candidates.push((at, region));
            }
        }
    }
    candidates
}

/// Forms batches in the order of the spots, each of at most the bytes of its limit: for a target that has nothing and
/// wants to write the layers as they arrive. There is always a next limit.
pub fn in_order(
    new: &[&LayerIndex],
    sent: impl Iterator<Item = ChunkRef>,
    mut limits: impl Iterator<Item = u64>,
) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut left = 0;
    for spot in sent {
        // A content has at most 256 KiB.
        let len = new[spot.layer as usize].contents().at(spot.content as usize).len as u32;
        if batches.is_empty() || u64::from(len) > left {
            batches.push(Batch::default());
            left = limits.next().unwrap_or(left);
        }
        left = left.saturating_sub(len.into());
        let Some(batch) = batches.last_mut() else { continue };
        if !batch.new.last_mut().is_some_and(|run| run.extend(spot, len, u64::MAX)) {
            batch.push(Run { layer: spot.layer, start: spot.content, end: spot.content + 1, len }, None);
        }
    }
    batches
}

/// Forms batches that put like beside like: of so many files at a time as are looked at together.
fn alike(new: &[&LayerIndex], sent: &[ChunkRef], basis: &[Option<&LayerIndex>], limit: u64) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = sent;
    while let Some((files, sent)) = NewFiles::take(new, &mut rest) {
        together(new, (&files, sent), basis, limit, &mut batches);
    }
    batches
}

fn together(
    new: &[&LayerIndex],
    (files, sent): (&NewFiles, &[ChunkRef]),
    basis: &[Option<&LayerIndex>],
    limit: u64,
    batches: &mut Vec<Batch>,
) {
    let mut items: Vec<(u32, Run)> = Vec::new();
    let mut file = 0;
    for spot in sent {
        while files.get(file).is_some_and(|(_, file)| !file.has(spot)) {
            file += 1;
        }
        let len = new[spot.layer as usize].contents().at(spot.content as usize).len as u32;
        let number = file as u32;
        let last = items.last_mut().filter(|(of, _)| *of == number);
        if !last.is_some_and(|(_, run)| run.extend(*spot, len, limit / 4)) {
            let run = Run { layer: spot.layer, start: spot.content, end: spot.content + 1, len };
            items.push((number, run));
        }
    }
    let path = |file: u32| files.get(file as usize).map_or(&b""[..], |(path, _)| path);
    items.sort_unstable_by(|(a, one), (b, other)| {
        let place = |run: &Run| (run.layer, run.start);
        (kind(path(*a)), path(*a), place(one)).cmp(&(kind(path(*b)), path(*b), place(other)))
    });
    let old = versions(files, basis, new);
    let mut known: HashMap<Run, u32> = HashMap::new();
    let mut filled = limit;
    for (file, run) in items {
        let version = old[file as usize].and_then(|Version { file: version, .. }| {
            let (_, file) = files.get(file as usize)?;
            let listing = basis[version.layer as usize]?;
            let region =
                region(&run, (file.start, file.len), new[run.layer()], (&version, listing), limit / 4)?;
            (region.len > 0).then_some(region)
        });
        let cost = |known: &HashMap<Run, u32>| {
            run.len() + version.as_ref().filter(|run| !known.contains_key(run)).map_or(0, Run::len)
        };
        if filled + cost(&known) > limit {
            batches.push(Batch::default());
            known.clear();
            filled = 0;
        }
        filled += cost(&known);
        let Some(batch) = batches.last_mut() else { continue };
        let pair = version.map(|run| {
            *known.entry(run).or_insert_with(|| {
                batch.old.push(run);
                (batch.old.len() - 1) as u32
            })
        });
        batch.push(run, pair);
    }
}

/// The part of the old file that a run is most like: all of it where it is not too long, else the same part
/// of its length, with as much again around, a quarter of `most` on either side at most. The new file is given by its
/// first content and its bytes.
fn region(
    run: &Run,
    (file, file_len): (u32, u64),
    new: &LayerIndex,
    (old, listing): (&OldFile, &LayerIndex),
    most: u64,
) -> Option<Run> {
    let layer = old.layer as usize;
    if old.len <= most.min(run.len().saturating_mul(4).max(1 << 20)) || file_len == 0 {
        return Run::of(layer, listing, old.contents());
    }
    let before = new.contents().bytes(file as usize..run.start as usize);
    let scale = |at: u64| {
        // Lengths are below 2^44, so the product fits in 128 bits.
        u64::try_from(u128::from(at) * u128::from(old.len) / u128::from(file_len)).unwrap_or(old.len)
    };
    let slack = run.len().clamp(64 << 10, most / 4);
    let (from, to) = (scale(before).saturating_sub(slack), scale(before + run.len()).saturating_add(slack));
    let (mut at, mut len, mut contents) = (0, 0, old.contents().start..old.contents().start);
    for content in old.contents() {
        let own = listing.contents().at(content).len;
        if at + own > from && at < to && len + own <= most + 2 * slack {
            if len == 0 {
                contents.start = content;
            }
            contents.end = content + 1;
            len += own;
        }
        at += own;
    }
    Run::of(layer, listing, contents)
}

//! Forms batches: which literals are compressed together, against which old chunks.
//!
//! The literals of a batch share one history, so like literals belong into one batch: files of a kind, in the order of
//! their paths, each with its old version. The old version of a file is the file of the same path, else of a path that
//! differs in version numbers and hashes only, else of the same name elsewhere, else one that is gone from the same
//! folder and whose name begins alike.
//!
//! Source and target form the same batches from what both know, without a message. So the result must depend on the
//! arguments only, and a change of it is a change of the protocol.

mod candidates;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::HashMap;
use std::ops::Range;

use crate::{ChunkRef, LayerIndex};
pub use candidates::{Candidate, CandidateSearch};
use versions::{NewFile, NewFiles, OldFile, OldVersion, Taken, extension, versions};

/// Consecutive chunks of one file of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkRange {
    /// The number of the layer index, in the order of the argument.
    layer: u32,
    /// The first of its chunks, and the one after the last.
    start: u32,
    end: u32,
    /// Their bytes.
    len: u32,
}

impl ChunkRange {
    /// Some chunks of a layer; `None` where they have 4 GiB or more.
    pub fn of(layer: usize, index: &LayerIndex, chunks: Range<usize>) -> Option<ChunkRange> {
        let len = u32::try_from(index.chunks().bytes(chunks.clone())).ok()?;
        let [layer, start, end] = [layer, chunks.start, chunks.end].map(u32::try_from);
        Some(ChunkRange { layer: layer.ok()?, start: start.ok()?, end: end.ok()?, len })
    }

    /// A chunk of `len` bytes.
    fn one(ChunkRef { layer, chunk }: ChunkRef, len: u32) -> ChunkRange {
        ChunkRange { layer, start: chunk, end: chunk + 1, len }
    }

    /// The number of the layer index, in the order of the argument.
    pub fn layer(&self) -> usize {
        self.layer as usize
    }

    /// The ordinals of the chunks in the layer.
    pub fn chunks(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The chunks, one by one.
    pub fn chunk_refs(&self) -> impl Iterator<Item = ChunkRef> + use<> {
        let layer = self.layer;
        (self.start..self.end).map(move |chunk| ChunkRef { layer, chunk })
    }

    /// Their bytes.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u64 {
        self.len.into()
    }

    /// The same chunks, where the layer has another number.
    pub fn of_layer(self, layer: u32) -> ChunkRange {
        ChunkRange { layer, ..self }
    }

    /// Adds the next chunk, unless it is of another layer, or would make the range longer than `most` bytes. Returns
    /// whether it was added.
    fn extend(&mut self, chunk_ref: ChunkRef, len: u32, most: u64) -> bool {
        let all = u64::from(self.len) + u64::from(len);
        let goes_on = (self.layer, self.end) == (chunk_ref.layer, chunk_ref.chunk) && all <= most;
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
    pub new: Vec<ChunkRange>,
    /// Chunks that both sides have; the layers are those of the basis.
    pub old: Vec<ChunkRange>,
    /// For each range of `new` the index in `old` of its old version.
    pairs: Vec<Option<u32>>,
}

impl Batch {
    /// A batch of one range, and its old version.
    pub fn alone(new: ChunkRange, old: Option<ChunkRange>) -> Batch {
        Batch { new: vec![new], pairs: vec![old.map(|_| 0)], old: old.into_iter().collect() }
    }

    /// Bytes that are sent, before coding.
    pub fn len(&self) -> u64 {
        self.new.iter().map(ChunkRange::len).sum()
    }

    /// True if it sends nothing.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// For each range of `new` the index in `old` of its old version.
    pub fn pairs(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.pairs.iter().map(|pair| pair.map(|pair| pair as usize))
    }

    /// Adds a range that is sent, and the index in `old` of its old version.
    pub fn push(&mut self, new: ChunkRange, pair: Option<u32>) {
        self.new.push(new);
        self.pairs.push(pair);
    }
}

/// Forms batches of at most about `limit` bytes, old and new together, of the chunks that are sent. `sent` is sorted.
///
/// `basis` has `None` for a layer whose bytes the source does not have.
pub fn form_batches(
    new: &[&LayerIndex],
    sent: &[ChunkRef],
    basis: &[Option<&LayerIndex>],
    limit: u64,
) -> Vec<Batch> {
    match basis.iter().all(Option::is_none) {
        true => form_in_order(new, sent.iter().copied(), std::iter::repeat(limit)),
        false => form_by_likeness(new, sent, basis, limit),
    }
}

/// Forms batches in the order of the chunks, each of at most the bytes of its limit, for a target that has nothing and
/// writes the layers as they arrive. `limits` never ends.
pub fn form_in_order(
    new: &[&LayerIndex],
    sent: impl Iterator<Item = ChunkRef>,
    mut limits: impl Iterator<Item = u64>,
) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut left = 0;
    for chunk_ref in sent {
        // A chunk has at most 256 KiB.
        let len = new[chunk_ref.layer as usize].chunks().at(chunk_ref.chunk as usize).len as u32;
        if batches.is_empty() || u64::from(len) > left {
            batches.push(Batch::default());
            left = limits.next().unwrap_or(left);
        }
        left = left.saturating_sub(len.into());
        let Some(batch) = batches.last_mut() else { continue };
        if !batch.new.last_mut().is_some_and(|range| range.extend(chunk_ref, len, u64::MAX)) {
            batch.push(ChunkRange::one(chunk_ref, len), None);
        }
    }
    batches
}

/// Forms batches in which like chunks are together, of as many files at a time as [`NewFiles::take`] takes.
fn form_by_likeness(
    new: &[&LayerIndex],
    sent: &[ChunkRef],
    basis: &[Option<&LayerIndex>],
    limit: u64,
) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut rest = sent;
    while let Some(taken) = NewFiles::take(new, &mut rest) {
        form_of_files(new, &taken, basis, limit, &mut batches);
    }
    batches
}

/// Forms the batches of some files.
fn form_of_files(
    new: &[&LayerIndex],
    Taken { files, sent }: &Taken<'_>,
    basis: &[Option<&LayerIndex>],
    limit: u64,
    batches: &mut Vec<Batch>,
) {
    let old = versions(files, basis, new);
    let mut known: HashMap<ChunkRange, u32> = HashMap::new();
    let mut filled = limit;
    for SentRange { file, range } in sent_ranges(new, files, sent, limit / 4) {
        let version = old[file as usize].and_then(|OldVersion { file: version, .. }| {
            let (file, new) = (files.get(file as usize)?, new[range.layer()]);
            let old_index = basis[version.layer as usize]?;
            let like = Likeness { range: &range, file, new, old: &version, old_index };
            like.old_range(limit / 4).filter(|old_range| old_range.len > 0)
        });
        let cost = |known: &HashMap<ChunkRange, u32>| {
            range.len()
                + version.as_ref().filter(|range| !known.contains_key(range)).map_or(0, ChunkRange::len)
        };
        if filled + cost(&known) > limit {
            batches.push(Batch::default());
            known.clear();
            filled = 0;
        }
        filled += cost(&known);
        let Some(batch) = batches.last_mut() else { continue };
        let pair = version.map(|range| {
            *known.entry(range).or_insert_with(|| {
                batch.old.push(range);
                (batch.old.len() - 1) as u32
            })
        });
        batch.push(range, pair);
    }
}

/// Chunks in a row of one file that are sent.
struct SentRange {
    /// The number of the file in [`NewFiles`].
    file: u32,
    range: ChunkRange,
}

/// Joins the chunks that are sent to ranges of at most `most` bytes, in the order in which they are batched: by the
/// extensions of their files, then by their paths.
fn sent_ranges(new: &[&LayerIndex], files: &NewFiles, sent: &[ChunkRef], most: u64) -> Vec<SentRange> {
    let mut ranges: Vec<SentRange> = Vec::new();
    let mut number = 0;
    for chunk_ref in sent {
        while files.get(number).is_some_and(|file| !file.has(chunk_ref)) {
            number += 1;
        }
        let len = new[chunk_ref.layer as usize].chunks().at(chunk_ref.chunk as usize).len as u32;
        let file = number as u32;
        let last = ranges.last_mut().filter(|last| last.file == file);
        if !last.is_some_and(|last| last.range.extend(*chunk_ref, len, most)) {
            ranges.push(SentRange { file, range: ChunkRange::one(*chunk_ref, len) });
        }
    }
    let path = |range: &SentRange| files.path(range.file as usize);
    let position = |sent: &SentRange| (sent.range.layer, sent.range.start);
    ranges.sort_unstable_by(|a, b| {
        (extension(path(a)), path(a), position(a)).cmp(&(extension(path(b)), path(b), position(b)))
    });
    ranges
}

/// A range of a new file, beside the old version of the file.
struct Likeness<'a> {
    range: &'a ChunkRange,
    file: &'a NewFile,
    /// The layer of the new file.
    new: &'a LayerIndex,
    old: &'a OldFile,
    /// The layer of the old file.
    old_index: &'a LayerIndex,
}

impl Likeness<'_> {
    /// The range of the old file that the new range is most like: the whole file if it is at most min(`most`, max(4 ×
    /// range, 1 MiB)), else the same relative position, widened on either side by the range's length (at least 64 KiB,
    /// at most `most` / 4).
    fn old_range(&self, most: u64) -> Option<ChunkRange> {
        let Likeness { range, file, new, old, old_index } = *self;
        let layer = old.layer as usize;
        if old.len <= most.min(range.len().saturating_mul(4).max(1 << 20)) || file.len == 0 {
            return ChunkRange::of(layer, old_index, old.chunks());
        }
        let before = new.chunks().bytes(file.start as usize..range.start as usize);
        let scale = |at: u64| {
            // Lengths are below 2^44, so the product fits in 128 bits.
            u64::try_from(u128::from(at) * u128::from(old.len) / u128::from(file.len)).unwrap_or(old.len)
        };
        let slack = range.len().max(64 << 10).min(most / 4);
        let from = scale(before).saturating_sub(slack);
        let to = scale(before + range.len()).saturating_add(slack);
        let (mut at, mut len, mut chunks) = (0, 0, old.chunks().start..old.chunks().start);
        for chunk in old.chunks() {
            let own = old_index.chunks().at(chunk).len;
            if at + own > from && at < to && len + own <= most + 2 * slack {
                if len == 0 {
                    chunks.start = chunk;
                }
                chunks.end = chunk + 1;
                len += own;
            }
            at += own;
        }
        ChunkRange::of(layer, old_index, chunks)
    }
}

//! Forms batches: which literals are compressed together, against which old chunks.
//!
//! The literals of a batch share one history, so like literals belong into one batch: files of a kind, in the order of
//! their paths, each with its old version. The old version of a file is the file of the same path, else of a path that
//! differs in hashes only, else in version numbers, too, else of the same name elsewhere, else one that is gone from the
//! same folder and whose name begins alike (docs/batch.md).
//!
//! Source and target form the same batches from what both know, without a message. So the result must depend on the
//! arguments only, and a change of it is a change of the protocol.

mod candidates;
mod chunk_range;
mod likeness;
#[cfg(test)]
mod tests;
mod versions;

use std::collections::HashMap;

use crate::{ChunkRef, LayerIndex};
pub use candidates::{Candidate, CandidateSearch};
pub use chunk_range::ChunkRange;
use likeness::Likeness;
use versions::{NewFiles, OldVersion, Taken, extension, versions};

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

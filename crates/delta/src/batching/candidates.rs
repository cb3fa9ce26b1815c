//! Finds the literals of which the target alone may have an old version.

use std::collections::HashSet;

use super::chunk_range::ChunkRange;
use super::likeness::Likeness;
use super::versions::{NewFiles, OldVersion, Taken, versions};
use crate::{ChunkRef, LayerIndex};

/// A literal that may be a new version of chunks that only the target can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The position of the literal in [`CandidateSearch::literals`].
    pub literal: usize,
    /// The old version; its layer is one of [`CandidateSearch::hidden`].
    pub old: ChunkRange,
}

/// The literals of a transfer, and the basis in which old versions of them are looked for.
#[derive(Debug, Clone, Copy)]
pub struct CandidateSearch<'a> {
    /// The layers of the new image that were encoded.
    pub new: &'a [&'a LayerIndex],
    /// The chunks of them that are literals, sorted.
    pub literals: &'a [ChunkRef],
    /// The layers of the basis that only the target can read.
    pub hidden: &'a [&'a LayerIndex],
    /// The layers of the basis, `None` for one that the source cannot read. A version in one of these takes precedence
    /// over one by a rule as strict in a hidden layer.
    pub readable: &'a [Option<&'a LayerIndex>],
    /// The most bytes that new and old chunks have together; an old chunk counts once, however many literals may be
    /// versions of it.
    pub limit: u64,
}

/// The most bytes that a search compares.
const BYTES: u64 = 1 << 31;
/// The memory for each chunk besides its bytes.
pub(super) const OVERHEAD: u64 = 256;

impl CandidateSearch<'_> {
    /// The candidates, in the order of the literals.
    pub fn find(&self) -> Vec<Candidate> {
        let CandidateSearch { new, literals, readable, .. } = *self;
        let hidden: Vec<Option<&LayerIndex>> = self.hidden.iter().map(|index| Some(*index)).collect();
        let limit = self.limit.min(BYTES);
        let mut candidates = Vec::new();
        let mut left = limit;
        let mut counted: HashSet<ChunkRef> = HashSet::new();
        let (mut rest, mut number) = (literals, 0);
        while let Some(Taken { files, sent }) = NewFiles::take(new, &mut rest) {
            let (old, better) = (versions(&files, &hidden, new), versions(&files, readable, new));
            let mut file = 0;
            for chunk_ref in sent {
                let literal = number;
                number += 1;
                // The files come in the order of the literals.
                while files.get(file).is_some_and(|file| !file.has(chunk_ref)) {
                    file += 1;
                }
                let Some(new_file) = files.get(file) else { break };
                let Some(OldVersion { rule, file: version }) = old[file] else { continue };
                if better[file].is_some_and(|better| better.rule <= rule) {
                    continue;
                }
                let old_index = self.hidden[version.layer as usize];
                let index = new[chunk_ref.layer as usize];
                let chunk = chunk_ref.chunk as usize;
                let Some(range) = ChunkRange::of(chunk_ref.layer as usize, index, chunk..chunk + 1) else {
                    continue;
                };
                let like = Likeness { range: &range, file: new_file, new: index, old: &version, old_index };
                let Some(old) = like.old_range(limit) else { continue };
                let uncounted = old.chunk_refs().filter(|old| !counted.contains(old));
                let bytes = |old: ChunkRef| old_index.chunks().at(old.chunk as usize).len + OVERHEAD;
                let cost = uncounted.map(bytes).sum::<u64>() + range.len() + OVERHEAD;
                if old.len > 0 && cost <= left {
                    left -= cost;
                    counted.extend(old.chunk_refs());
                    candidates.push(Candidate { literal, old });
                }
            }
        }
        candidates
    }
}

//! Finds the range of an old file that a range of its new version is most like.

use super::chunk_range::ChunkRange;
use super::versions::{NewFile, OldFile};
use crate::LayerIndex;

/// A range of a new file, beside the old version of the file.
pub(super) struct Likeness<'a> {
    pub(super) range: &'a ChunkRange,
    pub(super) file: &'a NewFile,
    /// The layer of the new file.
    pub(super) new: &'a LayerIndex,
    pub(super) old: &'a OldFile,
    /// The layer of the old file.
    pub(super) old_index: &'a LayerIndex,
}

impl Likeness<'_> {
    /// The range of the old file that the new range is most like: the whole file if it is at most min(`most`, max(4 ×
    /// range, 1 MiB)), else the same relative position, widened on either side by the range's length (at least 64 KiB,
    /// at most `most` / 4).
    pub(super) fn old_range(&self, most: u64) -> Option<ChunkRange> {
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

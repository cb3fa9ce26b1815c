//! Finds ranges that a changed chunk shares with an old one that only the other side has, by fine chunks.
//!
//! The source divides the chunks that it will send, the target those of which they may be new versions. The hashes of
//! the fine chunks are items of a [reconciliation](crate::reconcile), by which the source learns which fine chunks the
//! target has. The rest is sent as bytes; [`FineChunks::counts`] and [`FineChunks::lengths`] describe to the target
//! where they belong, and [`resolve`] applies that.
//!
//! The hashes are short, so a fine chunk may be mistaken for another one. [`check()`] of the known bytes of a chunk
//! finds that out, and all of the chunk is sent.

#[cfg(test)]
mod tests;

use std::ops::Range;

use dsync_core::varint;

use crate::ChunkId;
use crate::chunking::{Chunker, FINE};
use crate::reconcile::{CommonRange, ITEMS_MAX, Item, append};

/// The fine chunks of chunks. Takes 24 bytes of memory for each fine chunk.
#[derive(Debug, Clone, Default)]
pub struct FineChunks {
    items: Vec<Item>,
    /// The end of each fine chunk, in bytes, counted through all chunks.
    ends: Vec<u64>,
    /// The end of each chunk.
    chunks: Vec<ChunkEnd>,
}

/// A position at a chunk's end, counted through all chunks.
#[derive(Debug, Clone, Copy, Default)]
struct ChunkEnd {
    fine_chunks: usize,
    bytes: u64,
}

/// A range of a new chunk, as the source sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// The number of the chunk.
    pub chunk: usize,
    /// Its bytes; not empty.
    pub bytes: Range<u64>,
    /// The target has them.
    pub known: bool,
}

/// A range of a new chunk, as the target sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRange {
    /// The number of the new chunk.
    pub chunk: usize,
    /// Its bytes; not empty.
    pub bytes: Range<u64>,
    /// The same bytes in an old chunk; `None` for bytes that are sent.
    pub old: Option<OldRange>,
}

/// Counts or lengths of the other side that do not fit what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lengths of what is sent are malformed: {0}")]
pub struct LengthsError(&'static str);

impl FineChunks {
    /// The fine chunks of no chunk yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a chunk. One that would be a single fine chunk is not divided, and counts as unknown to the other side: its
    /// id was asked about before. The same holds for every chunk once there are `most` fine chunks, or [`ITEMS_MAX`].
    pub fn push(&mut self, chunk: &[u8], most: usize) {
        let (start, end) = (self.items.len(), self.len());
        let mut chunker = Chunker::new(FINE);
        let (mut at, mut rest) = (end, chunk);
        while !rest.is_empty() {
            let (fine_chunk, after) = rest.split_at(chunker.next_boundary(rest).unwrap_or(rest.len()));
            if fine_chunk.len() == chunk.len() || self.items.len() >= most.min(ITEMS_MAX) {
                self.items.truncate(start);
                self.ends.truncate(start);
                break;
            }
            self.items.push(*ChunkId::of(fine_chunk).as_bytes());
            at += fine_chunk.len() as u64;
            self.ends.push(at);
            rest = after;
        }
        self.chunks.push(ChunkEnd { fine_chunks: self.items.len(), bytes: end + chunk.len() as u64 });
    }

    /// The hash of each fine chunk, for a reconciliation.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Bytes in all chunks.
    fn len(&self) -> u64 {
        self.chunks.last().map_or(0, |end| end.bytes)
    }

    /// The beginning of a chunk, which is the end of the one before.
    fn start(&self, chunk: usize) -> ChunkEnd {
        chunk.checked_sub(1).map_or_else(ChunkEnd::default, |before| self.chunks[before])
    }

    /// Divides the chunks into ranges that the target has and ranges that it lacks. `known` are the items that
    /// [`Requester::finish`](crate::reconcile::Requester::finish) returned.
    pub fn byte_ranges(&self, known: &[Range<usize>]) -> Vec<ByteRange> {
        let mut ranges = Vec::new();
        for (chunk, &ChunkEnd { fine_chunks, bytes }) in self.chunks.iter().enumerate() {
            let ChunkEnd { fine_chunks: first, bytes: start } = self.start(chunk);
            let (mut at, mut from) = (first, start);
            let mut add = |to: u64, known| {
                if to > from {
                    ranges.push(ByteRange { chunk, bytes: from - start..to - start, known });
                    from = to;
                }
            };
            for range in &known[known.partition_point(|range| range.end <= first)..] {
                let here = range.start.max(first)..range.end.min(fine_chunks);
                // A chunk without fine chunks is unknown, even where those around it are known.
                if here.is_empty() {
                    break;
                }
                if here.start > at {
                    add(self.ends[here.start - 1], false);
                }
                add(self.ends[here.end - 1], true);
                at = here.end;
            }
            add(bytes, false);
        }
        ranges
    }

    /// The known items, without those of mistaken chunks.
    pub fn without(&self, mistaken: &dyn Fn(usize) -> bool, known: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut right = Vec::new();
        for chunk in (0..self.chunks.len()).filter(|chunk| !mistaken(*chunk)) {
            let (start, end) = (self.start(chunk).fine_chunks, self.chunks[chunk].fine_chunks);
            let first = known.partition_point(|range| range.end <= start);
            for range in known[first..].iter().take_while(|range| range.start < end) {
                append(&mut right, range.start.max(start)..range.end.min(end));
            }
        }
        right
    }

    /// Encodes the number of fine chunks of each chunk; see `docs/negotiation.md`.
    pub fn counts(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (chunk, end) in self.chunks.iter().enumerate() {
            varint::write((end.fine_chunks - self.start(chunk).fine_chunks) as u64, &mut bytes);
        }
        bytes
    }

    /// Encodes the lengths of the ranges that the target lacks, without the last of each chunk; see
    /// `docs/negotiation.md`.
    pub fn lengths(&self, known: &[Range<usize>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sent = self.byte_ranges(known);
        sent.retain(|range| !range.known);
        for pair in sent.windows(2).filter(|pair| pair[0].chunk == pair[1].chunk) {
            varint::write(pair[0].bytes.end - pair[0].bytes.start, &mut bytes);
        }
        bytes
    }

    /// The bytes of a range of fine chunks, chunk by chunk.
    fn old_ranges(&self, fine_chunks: Range<usize>) -> impl Iterator<Item = OldRange> + '_ {
        let first = self.chunks.partition_point(|end| end.fine_chunks <= fine_chunks.start);
        let own = (first..self.chunks.len())
            .take_while(move |chunk| self.start(*chunk).fine_chunks < fine_chunks.end);
        own.filter_map(move |chunk| {
            let (start, end) = (self.start(chunk), self.chunks[chunk].fine_chunks);
            let (from, to) = (fine_chunks.start.max(start.fine_chunks), fine_chunks.end.min(end));
            let at = |fine_chunk: usize| {
                if fine_chunk == start.fine_chunks { 0 } else { self.ends[fine_chunk - 1] - start.bytes }
            };
            (from < to).then(|| OldRange { chunk, bytes: at(from)..at(to) })
        })
    }
}

/// Decodes [`FineChunks::counts`] of `chunks` chunks, with `items` fine chunks in all. Returns the end of each, in fine
/// chunks.
pub fn ends(chunks: usize, items: usize, mut counts: &[u8]) -> Result<Vec<usize>, LengthsError> {
    let (mut ends, mut last) = (Vec::new(), 0_usize);
    for _ in 0..chunks {
        let count = usize::try_from(number(&mut counts)?).ok();
        let end = count.and_then(|count| count.checked_add(last)).filter(|end| *end <= items);
        last = end.ok_or(LengthsError("more fine chunks than were asked about"))?;
        ends.push(last);
    }
    match (last == items, counts.is_empty()) {
        (false, _) => Err(LengthsError("fewer fine chunks than were asked about")),
        (true, false) => Err(LengthsError("bytes are left over")),
        (true, true) => Ok(ends),
    }
}

/// A hash by which two sides check that they mean the same bytes.
pub type Check = [u8; 4];

/// The check of the known bytes of a chunk, one after the other. It is the end of their hash: the beginning is what is
/// compared of a fine chunk, which may be all of them.
pub fn check(known: &[u8]) -> Check {
    let [.., a, b, c, d] = *ChunkId::of(known).as_bytes();
    [a, b, c, d]
}

/// A range of an old chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRange {
    /// The number of the chunk.
    pub chunk: usize,
    /// Its bytes.
    pub bytes: Range<u64>,
}

impl OldRange {
    fn len(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }
}

/// The known ranges of each new chunk, in its order. The arguments are those of [`resolve`].
pub fn known_ranges(ends: &[usize], common: &[CommonRange], old: &FineChunks) -> Vec<Vec<OldRange>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let chunks = starts.zip(ends).map(|(start, end)| start..*end);
    chunks.map(|fine_chunks| ranges(fine_chunks, common, old).into_iter().flatten().collect()).collect()
}

/// Resolves new chunks, each with its length and the end of its fine chunks, into ranges of `old` and bytes that are
/// sent.
///
/// `common` are the ranges of a [`Responder`](crate::reconcile::Responder) that has the items of `old`; they do not count
/// for `mistaken` chunks, of which all bytes are sent. `lengths` are those of [`FineChunks::lengths`]. The ranges make
/// up the new chunks without gaps, in their order.
pub fn resolve(
    lens: &[u64],
    ends: &[usize],
    mistaken: &dyn Fn(usize) -> bool,
    common: &[CommonRange],
    old: &FineChunks,
    mut lengths: &[u8],
) -> Result<Vec<ResolvedRange>, LengthsError> {
    let (mut resolved, mut start) = (Vec::new(), 0);
    for (chunk, (&len, &end)) in lens.iter().zip(ends).enumerate() {
        let ranges = match (end > start, len > 0) {
            (true, _) if !mistaken(chunk) => ranges(start..end, common, old),
            (_, true) => vec![None],
            (_, false) => Vec::new(),
        };
        let known: u64 = ranges.iter().flatten().map(OldRange::len).sum();
        let mut left = len.checked_sub(known).ok_or(LengthsError("a chunk is too short"))?;
        let mut gaps = ranges.iter().filter(|range| range.is_none()).count();
        let mut at = 0;
        for old in ranges {
            let len = match &old {
                Some(old) => old.len(),
                None => {
                    gaps -= 1;
                    let len = if gaps == 0 { left } else { number(&mut lengths)? };
                    left = left.checked_sub(len).ok_or(LengthsError("a chunk is too short"))?;
                    len
                }
            };
            if len == 0 {
                return Err(LengthsError("a range without bytes"));
            }
            resolved.push(ResolvedRange { chunk, bytes: at..at + len, old });
            at += len;
        }
        if left > 0 {
            return Err(LengthsError("a chunk is too long"));
        }
        start = end;
    }
    if lengths.is_empty() { Ok(resolved) } else { Err(LengthsError("bytes are left over")) }
}

/// The ranges of a chunk with these fine chunks: those of old chunks, and `None` for each gap between them.
fn ranges(fine_chunks: Range<usize>, common: &[CommonRange], old: &FineChunks) -> Vec<Option<OldRange>> {
    let mut ranges = Vec::new();
    let mut at = fine_chunks.start;
    let first = common.partition_point(|found| found.items.end <= fine_chunks.start);
    for found in common[first..].iter().take_while(|found| found.items.start < fine_chunks.end) {
        let here = found.items.start.max(fine_chunks.start)..found.items.end.min(fine_chunks.end);
        if here.start > at {
            ranges.push(None);
        }
        let from = found.at + (here.start - found.items.start);
        ranges.extend(old.old_ranges(from..from + here.len()).map(Some));
        at = here.end;
    }
    if at < fine_chunks.end {
        ranges.push(None);
    }
    ranges
}

fn number(bytes: &mut &[u8]) -> Result<u64, LengthsError> {
    varint::take(bytes).ok_or(LengthsError("the bytes end early"))
}

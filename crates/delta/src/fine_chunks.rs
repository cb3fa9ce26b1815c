//! Finds ranges that a changed content shares with an old one that only the other side has, by fine chunks.
//!
//! The source divides the contents that it will send, the target those of which they may be new versions. The hashes of
//! the chunks are items of a [reconciliation](crate::reconcile), by which the source learns which chunks the target has.
//! The rest is sent as bytes; [`FineChunks::counts`] and [`FineChunks::lengths`] describe to the target where they belong,
//! and [`resolve`] applies that.
//!
//! The hashes are short, so a chunk may be mistaken for another one. [`check()`] of the known bytes of a content finds
//! that out, and all of the content is sent.

#[cfg(test)]
mod tests;

use std::ops::Range;

use dsync_core::varint;

use crate::ContentId;
use crate::chunking::{Chunker, FINE};
use crate::reconcile::{ITEMS_MAX, Item, Match, append};

/// The fine chunks of contents. Takes 24 bytes of memory for each chunk.
#[derive(Debug, Clone, Default)]
pub struct FineChunks {
    items: Vec<Item>,
    /// The end of each chunk, in bytes, counted through all contents.
    ends: Vec<u64>,
    /// The end of each content.
    contents: Vec<End>,
}

/// A position at a content's end, counted through all contents.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    chunks: usize,
    bytes: u64,
}

/// A range of a new content, as the source sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteRange {
    /// The number of the content.
    pub content: usize,
    /// Its bytes; not empty.
    pub bytes: Range<u64>,
    /// The target has them.
    pub known: bool,
}

/// A range of a new content, as the target sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRange {
    /// The number of the new content.
    pub content: usize,
    /// Its bytes; not empty.
    pub bytes: Range<u64>,
    /// The same bytes in an old content; `None` for bytes that are sent.
    pub old: Option<OldRange>,
}

/// Counts or lengths of the other side that do not fit what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lengths of what is sent are malformed: {0}")]
pub struct LengthsError(&'static str);

impl FineChunks {
    /// The chunks of no content yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a content. One that would be a single chunk is not divided, and counts as unknown to the other side: its id
    /// was asked about before. The same holds for every content once there are `most` chunks, or [`ITEMS_MAX`].
    pub fn push(&mut self, content: &[u8], most: usize) {
        let (start, end) = (self.items.len(), self.len());
        let mut chunker = Chunker::new(FINE);
        let (mut at, mut rest) = (end, content);
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(chunker.next_boundary(rest).unwrap_or(rest.len()));
            if chunk.len() == content.len() || self.items.len() >= most.min(ITEMS_MAX) {
                self.items.truncate(start);
                self.ends.truncate(start);
                break;
            }
            self.items.push(*ContentId::of(chunk).as_bytes());
            at += chunk.len() as u64;
            self.ends.push(at);
            rest = after;
        }
        self.contents.push(End { chunks: self.items.len(), bytes: end + content.len() as u64 });
    }

    /// The hash of each chunk, for a reconciliation.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Bytes in all contents.
    fn len(&self) -> u64 {
        self.contents.last().map_or(0, |end| end.bytes)
    }

    /// The beginning of a content, which is the end of the one before.
    fn start(&self, content: usize) -> End {
        content.checked_sub(1).map_or_else(End::default, |before| self.contents[before])
    }

    /// Divides the contents into ranges that the target has and ranges that it lacks. `known` are the items that
    /// [`Requester::finish`](crate::reconcile::Requester::finish) returned.
    pub fn byte_ranges(&self, known: &[Range<usize>]) -> Vec<ByteRange> {
        let mut ranges = Vec::new();
        for (content, &End { chunks, bytes }) in self.contents.iter().enumerate() {
            let End { chunks: first, bytes: start } = self.start(content);
            let (mut at, mut from) = (first, start);
            let mut add = |to: u64, known| {
                if to > from {
                    ranges.push(ByteRange { content, bytes: from - start..to - start, known });
                    from = to;
                }
            };
            for range in &known[known.partition_point(|range| range.end <= first)..] {
                let here = range.start.max(first)..range.end.min(chunks);
                // A content without chunks is unknown, even where those around it are known.
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

    /// The known items, without those of mistaken contents.
    pub fn without(&self, mistaken: &dyn Fn(usize) -> bool, known: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut right = Vec::new();
        for content in (0..self.contents.len()).filter(|content| !mistaken(*content)) {
            let (start, end) = (self.start(content).chunks, self.contents[content].chunks);
            let first = known.partition_point(|range| range.end <= start);
            for range in known[first..].iter().take_while(|range| range.start < end) {
                append(&mut right, range.start.max(start)..range.end.min(end));
            }
        }
        right
    }

    /// Encodes the number of chunks of each content; see `docs/negotiation.md`.
    pub fn counts(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (content, end) in self.contents.iter().enumerate() {
            varint::write((end.chunks - self.start(content).chunks) as u64, &mut bytes);
        }
        bytes
    }

    /// Encodes the lengths of the ranges that the target lacks, without the last of each content; see
    /// `docs/negotiation.md`.
    pub fn lengths(&self, known: &[Range<usize>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sent = self.byte_ranges(known);
        sent.retain(|range| !range.known);
        for pair in sent.windows(2).filter(|pair| pair[0].content == pair[1].content) {
            varint::write(pair[0].bytes.end - pair[0].bytes.start, &mut bytes);
        }
        bytes
    }

    /// The bytes of a range of chunks, content by content.
    fn old_ranges(&self, chunks: Range<usize>) -> impl Iterator<Item = OldRange> + '_ {
        let first = self.contents.partition_point(|end| end.chunks <= chunks.start);
        let own =
            (first..self.contents.len()).take_while(move |content| self.start(*content).chunks < chunks.end);
        own.filter_map(move |content| {
            let (start, end) = (self.start(content), self.contents[content].chunks);
            let (from, to) = (chunks.start.max(start.chunks), chunks.end.min(end));
            let at =
                |chunk: usize| if chunk == start.chunks { 0 } else { self.ends[chunk - 1] - start.bytes };
            (from < to).then(|| OldRange { content, bytes: at(from)..at(to) })
        })
    }
}

/// Decodes [`FineChunks::counts`] of `contents` contents, with `items` chunks in all. Returns the end of each, in chunks.
pub fn ends(contents: usize, items: usize, mut counts: &[u8]) -> Result<Vec<usize>, LengthsError> {
    let (mut ends, mut last) = (Vec::new(), 0_usize);
    for _ in 0..contents {
        let count = usize::try_from(number(&mut counts)?).ok();
        let end = count.and_then(|count| count.checked_add(last)).filter(|end| *end <= items);
        last = end.ok_or(LengthsError("more chunks than were asked about"))?;
        ends.push(last);
    }
    match (last == items, counts.is_empty()) {
        (false, _) => Err(LengthsError("fewer chunks than were asked about")),
        (true, false) => Err(LengthsError("bytes are left over")),
        (true, true) => Ok(ends),
    }
}

/// A hash by which two sides check that they mean the same bytes.
pub type Check = [u8; 4];

/// The check of the known bytes of a content, one after the other.
pub fn check(known: &[u8]) -> Check {
    let [a, b, c, d, ..] = *ContentId::of(known).as_bytes();
    [a, b, c, d]
}

/// A range of an old content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldRange {
    /// The number of the content.
    pub content: usize,
    /// Its bytes.
    pub bytes: Range<u64>,
}

impl OldRange {
    fn len(&self) -> u64 {
        self.bytes.end - self.bytes.start
    }
}

/// The known ranges of each new content, in its order. The arguments are those of [`resolve`].
pub fn known_ranges(ends: &[usize], matches: &[Match], old: &FineChunks) -> Vec<Vec<OldRange>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let contents = starts.zip(ends).map(|(start, end)| start..*end);
    contents.map(|chunks| ranges(chunks, matches, old).into_iter().flatten().collect()).collect()
}

/// Resolves new contents, each with its length and the end of its chunks, into ranges of `old` and bytes that are sent.
///
/// `matches` are those of a [`Responder`](crate::reconcile::Responder) that has the items of `old`; they do not count for
/// `mistaken` contents, of which all bytes are sent. `lengths` are those of [`FineChunks::lengths`]. The ranges make up the
/// new contents without gaps, in their order.
pub fn resolve(
    lens: &[u64],
    ends: &[usize],
    mistaken: &dyn Fn(usize) -> bool,
    matches: &[Match],
    old: &FineChunks,
    mut lengths: &[u8],
) -> Result<Vec<ResolvedRange>, LengthsError> {
    let (mut resolved, mut start) = (Vec::new(), 0);
    for (content, (&len, &end)) in lens.iter().zip(ends).enumerate() {
        let ranges = match (end > start, len > 0) {
            (true, _) if !mistaken(content) => ranges(start..end, matches, old),
            (_, true) => vec![None],
            (_, false) => Vec::new(),
        };
        let known: u64 = ranges.iter().flatten().map(OldRange::len).sum();
        let mut left = len.checked_sub(known).ok_or(LengthsError("a content is too short"))?;
        let mut gaps = ranges.iter().filter(|range| range.is_none()).count();
        let mut at = 0;
        for old in ranges {
            let len = match &old {
                Some(old) => old.len(),
                None => {
                    gaps -= 1;
                    let len = if gaps == 0 { left } else { number(&mut lengths)? };
                    left = left.checked_sub(len).ok_or(LengthsError("a content is too short"))?;
                    len
                }
            };
            if len == 0 {
                return Err(LengthsError("a range without bytes"));
            }
            resolved.push(ResolvedRange { content, bytes: at..at + len, old });
            at += len;
        }
        if left > 0 {
            return Err(LengthsError("a content is too long"));
        }
        start = end;
    }
    if lengths.is_empty() { Ok(resolved) } else { Err(LengthsError("bytes are left over")) }
}

/// The ranges of a content with these chunks: those of old contents, and `None` for each gap between them.
fn ranges(chunks: Range<usize>, matches: &[Match], old: &FineChunks) -> Vec<Option<OldRange>> {
    let mut ranges = Vec::new();
    let mut at = chunks.start;
    let first = matches.partition_point(|found| found.items.end <= chunks.start);
    for found in matches[first..].iter().take_while(|found| found.items.start < chunks.end) {
        let here = found.items.start.max(chunks.start)..found.items.end.min(chunks.end);
        if here.start > at {
            ranges.push(None);
        }
        let from = found.at + (here.start - found.items.start);
        ranges.extend(old.old_ranges(from..from + here.len()).map(Some));
        at = here.end;
    }
    if at < chunks.end {
        ranges.push(None);
    }
    ranges
}

fn number(bytes: &mut &[u8]) -> Result<u64, LengthsError> {
    varint::take(bytes).ok_or(LengthsError("the bytes end early"))
}

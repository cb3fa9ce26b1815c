//! Finds ranges that a changed content shares with an old one that only the other side has, by finer cuts.
//!
//! The source cuts the contents that it will send, the target those they may be new versions of. The hashes of
//! the cuts are items of a [tree of hashes](crate::reconcile), by which the source learns which cuts the target has. The rest
//! is sent as bytes; [`Cuts::counts`], [`Cuts::lengths`] and [`plan`] tell the target where they belong.
//!
//! The hashes are short, so a cut may be taken for another one. [`check()`] of what is known of a content finds that
//! out, and the content is sent whole.

#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{Cutter, FINE};
use crate::reconcile::{ITEMS_MAX, Item, Match, append};
use dsync_core::varint;

use crate::ContentId;

/// Contents by their fine cuts. Takes 24 bytes of memory for each cut.
#[derive(Debug, Clone, Default)]
pub struct Cuts {
    items: Vec<Item>,
    /// Where each cut ends, counted through all contents, in bytes.
    ends: Vec<u64>,
    /// Where each content ends: in cuts, and in bytes.
    contents: Vec<(usize, u64)>,
}

/// Bytes of a new content, as the source sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Which of the contents.
    pub content: usize,
    /// Which of its bytes; not empty.
    pub bytes: Range<u64>,
    /// The target has them.
    pub known: bool,
}

/// Bytes of a new content, as the target sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Which of the new contents.
    pub content: usize,
    /// Which of its bytes; not empty.
    pub bytes: Range<u64>,
    /// The old content that has the same bytes, and where they begin in it; `None` for bytes that are sent.
    pub old: Option<(usize, u64)>,
}

/// Lengths of the other side that do not fit what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lengths of what is sent are malformed: {0}")]
pub struct LengthsError(&'static str);

impl Cuts {
    /// Of no content yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a content. One that would be a single cut is not divided, and counts as one that nobody has: it is
    /// here because its id was not known. So is every one when there are `most` cuts, or too many to ask about.
    pub fn push(&mut self, content: &[u8], most: usize) {
        let (start, end) = (self.items.len(), self.len());
        let mut cutter = Cutter::new(FINE);
        let (mut at, mut rest) = (end, content);
        while !rest.is_empty() {
            let (cut, after) = rest.split_at(cutter.find(rest).unwrap_or(rest.len()));
            if cut.len() == content.len() || self.items.len() >= most.min(ITEMS_MAX) {
                self.items.truncate(start);
                self.ends.truncate(start);
                break;
            }
            self.items.push(*ContentId::of(cut).as_bytes());
            at += cut.len() as u64;
            self.ends.push(at);
            rest = after;
        }
        self.contents.push((self.items.len(), end + content.len() as u64));
    }

    /// The hash of each cut, to be asked about or to answer with.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Bytes in all contents.
    fn len(&self) -> u64 {
        self.contents.last().map_or(0, |(_, end)| *end)
    }

    /// Where a content begins: in cuts, and in bytes.
    fn start(&self, content: usize) -> (usize, u64) {
        content.checked_sub(1).map_or((0, 0), |before| self.contents[before])
    }

    /// Divides the contents into what the target has and what it lacks, in their order. `known` are the items
    /// that [`Requester::finish`](crate::reconcile::Requester::finish) names.
    pub fn stretches(&self, known: &[Range<usize>]) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        for (content, &(cuts, bytes)) in self.contents.iter().enumerate() {
            let (first, start) = self.start(content);
            let (mut at, mut from) = (first, start);
            let mut add = |to: u64, known| {
                if to > from {
                    stretches.push(Stretch { content, bytes: from - start..to - start, known });
                    from = to;
                }
            };
            for range in &known[known.partition_point(|range| range.end <= first)..] {
                let here = range.start.max(first)..range.end.min(cuts);
                // Also of a content without cuts nothing is known, even where what is around it is.
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
        stretches
    }

    /// Of the items that are known those of contents that are not mistaken.
    pub fn without(&self, mistaken: &dyn Fn(usize) -> bool, known: &[Range<usize>]) -> Vec<Range<usize>> {
        let mut right = Vec::new();
        for content in (0..self.contents.len()).filter(|content| !mistaken(*content)) {
            let (start, end) = (self.start(content).0, self.contents[content].0);
            let first = known.partition_point(|range| range.end <= start);
            for range in known[first..].iter().take_while(|range| range.start < end) {
                append(&mut right, range.start.max(start)..range.end.min(end));
            }
        }
        right
    }

    /// Encodes the number of cuts of each content; see `docs/negotiation.md`.
    pub fn counts(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (content, &(end, _)) in self.contents.iter().enumerate() {
            varint::write((end - self.start(content).0) as u64, &mut bytes);
        }
        bytes
    }

    /// Encodes the lengths that the target needs besides the counts and the bytes that it lacks; see `docs/negotiation.md`.
    pub fn lengths(&self, known: &[Range<usize>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut sent = self.stretches(known);
        sent.retain(|stretch| !stretch.known);
        for pair in sent.windows(2).filter(|pair| pair[0].content == pair[1].content) {
            varint::write(pair[0].bytes.end - pair[0].bytes.start, &mut bytes);
        }
        bytes
    }

    /// A run of cuts as bytes of contents.
    fn bytes(&self, cuts: Range<usize>) -> impl Iterator<Item = (usize, Range<u64>)> + '_ {
        let first = self.contents.partition_point(|(end, _)| *end <= cuts.start);
        let own = (first..self.contents.len()).take_while(move |content| self.start(*content).0 < cuts.end);
        own.filter_map(move |content| {
            let ((start, offset), (end, _)) = (self.start(content), self.contents[content]);
            let (from, to) = (cuts.start.max(start), cuts.end.min(end));
            let at = |cut: usize| if cut == start { 0 } else { self.ends[cut - 1] - offset };
            (from < to).then(|| (content, at(from)..at(to)))
        })
    }
}

/// Reads what [`Cuts::counts`] wrote of so many contents, with so many cuts in all: where the cuts of each end.
pub fn ends(contents: usize, items: usize, mut counts: &[u8]) -> Result<Vec<usize>, LengthsError> {
    let (mut ends, mut last) = (Vec::new(), 0_usize);
    for _ in 0..contents {
        let count = usize::try_from(number(&mut counts)?).ok();
        let end = count.and_then(|count| count.checked_add(last)).filter(|end| *end <= items);
        last = end.ok_or(LengthsError("more cuts than there were"))?;
        ends.push(last);
    }
    match (last == items, counts.is_empty()) {
        (false, _) => Err(LengthsError("fewer cuts than there were")),
        (true, false) => Err(LengthsError("bytes are left over")),
        (true, true) => Ok(ends),
    }
}

/// A check that two sides mean the same bytes.
pub type Check = [u8; 4];

/// The check of what is known of a content: all its known bytes, one after the other.
pub fn check(known: &[u8]) -> Check {
    let [a, b, c, d, ..] = *ContentId::of(known).as_bytes();
    [a, b, c, d]
}

/// Bytes of an old content: which one, and which of its bytes.
pub type OldBytes = (usize, Range<u64>);

/// The known ranges of each new content, in its order, where the cuts of each end here. The other arguments are those
/// of [`plan`].
pub fn found(ends: &[usize], matches: &[Match], old: &Cuts) -> Vec<Vec<OldBytes>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let cuts = starts.zip(ends).map(|(start, end)| start..*end);
    cuts.map(|cuts| runs(cuts, matches, old).into_iter().flatten().collect()).collect()
}

/// Puts new contents together, of which each has a length and its cuts an end: out of `old`, by what was found in
/// it, and bytes that are sent.
///
/// `matches` are what [`Responder`](crate::reconcile::Responder) came to with the items of `old` as its only slice; what
/// they say of `mistaken` contents does not count, which are sent whole. The pieces come in the order of the new contents, which they make up without gaps.
pub fn plan(
    lens: &[u64],
    ends: &[usize],
    mistaken: &dyn Fn(usize) -> bool,
    (matches, old): (&[Match], &Cuts),
    mut lengths: &[u8],
) -> Result<Vec<Piece>, LengthsError> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    for (content, (&len, &end)) in lens.iter().zip(ends).enumerate() {
        let runs = match (end > start, len > 0) {
            (true, _) if !mistaken(content) => runs(start..end, matches, old),
            (_, true) => vec![None],
            (_, false) => Vec::new(),
        };
        let known: u64 = runs.iter().flatten().map(|(_, bytes)| bytes.end - bytes.start).sum();
        let mut left = len.checked_sub(known).ok_or(LengthsError("a content is too short"))?;
        let mut gaps = runs.iter().filter(|run| run.is_none()).count();
        let mut at = 0;
        for run in runs {
            let (len, old) = match run {
                Some((old, bytes)) => (bytes.end - bytes.start, Some((old, bytes.start))),
                None => {
                    gaps -= 1;
                    let len = if gaps == 0 { left } else { number(&mut lengths)? };
                    left = left.checked_sub(len).ok_or(LengthsError("a content is too short"))?;
                    (len, None)
                }
            };
            if len == 0 {
                return Err(LengthsError("nothing is sent"));
            }
            pieces.push(Piece { content, bytes: at..at + len, old });
            at += len;
        }
        if left > 0 {
            return Err(LengthsError("a content is too long"));
        }
        start = end;
    }
    if lengths.is_empty() { Ok(pieces) } else { Err(LengthsError("bytes are left over")) }
}

/// The parts of a content with these cuts: bytes of old contents, and `None` for those between.
fn runs(cuts: Range<usize>, matches: &[Match], old: &Cuts) -> Vec<Option<OldBytes>> {
    let mut runs = Vec::new();
    let mut at = cuts.start;
    let first = matches.partition_point(|found| found.items.end <= cuts.start);
    for found in matches[first..].iter().take_while(|found| found.items.start < cuts.end) {
        let here = found.items.start.max(cuts.start)..found.items.end.min(cuts.end);
        if here.start > at {
            runs.push(None);
        }
        let from = found.at + (here.start - found.items.start);
        runs.extend(old.bytes(from..from + here.len()).map(Some));
        at = here.end;
    }
    if at < cuts.end {
        runs.push(None);
    }
    runs
}

fn number(bytes: &mut &[u8]) -> Result<u64, LengthsError> {
    varint::take(bytes).ok_or(LengthsError("it ends early"))
}

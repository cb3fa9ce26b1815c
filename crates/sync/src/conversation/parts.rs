//! Parts of literals that a target has: fine chunks of chunks that are to be sent, and of which the target has what may be
//! an old version (`docs/negotiation.md`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::Image;
use dsync_delta::batching::{Candidate, CandidateSearch};
use dsync_delta::fine_chunks::{ByteRange, Check, FineChunks, OldRange, check, ends, known_ranges, resolve};
use dsync_delta::header_delta::Literal;
use dsync_delta::reconcile::{CommonRange, Requester, Responder};
use dsync_delta::{Bitmap, ChunkRef, Copied, Divided, LayerIndex, divide};
use dsync_proto::Peer;

use super::Step;
use super::question::{answer, ask, await_question};
use crate::failure::EndpointError;
use crate::layers::{AtSource, ChunkMap, Layers, Place, Slice, Slices};
use crate::link::Link;

/// The ranges of literals, by the number of each; none of one that is sent whole.
pub(crate) type LiteralRanges = HashMap<usize, Vec<ByteRange>>;

/// The ranges of one.
pub(crate) fn ranges_of(ranges: &LiteralRanges, literal: usize) -> &[ByteRange] {
    ranges.get(&literal).map_or(&[], Vec::as_slice)
}

/// The literals that are sent in part.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The ranges of literals that are not sent whole.
    pub(crate) ranges: LiteralRanges,
    /// The bytes by which the target knows them too: of which of the chunks that were asked about it has not what it
    /// seemed, a bit for each, and the lengths. Empty where nothing was asked.
    pub(crate) encoded: Vec<u8>,
}

/// Bytes of memory for a fine chunk: its hash, its place, and what is asked about it.
const FINE_CHUNK: u64 = 64;

/// The source's half: which parts of literals the target has. `load` gives the bytes of one. Fine chunks are made as far as
/// `memory` goes.
pub(crate) fn ask_for(
    link: &mut Link,
    literals: &[Literal],
    load: &dyn Fn(&Literal, &mut Vec<u8>) -> std::io::Result<()>,
    memory: u64,
) -> Result<Parts, EndpointError> {
    let candidates = match link.expect_peer().map_err(EndpointError::io(Step::Parts.awaited()))? {
        Peer::Candidates { bitmap } => Bitmap::from_bytes(&bitmap, literals.len())?,
        _ => return Err(Step::Parts.unexpected()),
    };
    let asked: Vec<usize> = (0..literals.len()).filter(|literal| candidates.contains(*literal)).collect();
    if asked.is_empty() {
        return Ok(Parts::default());
    }
    let read = |literal: usize| {
        let mut bytes = Vec::new();
        load(&literals[literal], &mut bytes).map_err(EndpointError::io("cannot read a chunk"))?;
        Ok::<_, EndpointError>(bytes)
    };
    let most = usize::try_from(memory / FINE_CHUNK).unwrap_or(usize::MAX);
    let mut fine_chunks = FineChunks::new();
    for literal in &asked {
        fine_chunks.push(&read(*literal)?, most);
    }
    link.send_peer(&Peer::Question { question: fine_chunks.counts() })
        .map_err(EndpointError::io(Step::Parts.awaited()))?;
    let known = ask(link, Step::Parts, Requester::narrow(fine_chunks.items()))?;
    let checks = await_checks(link, asked.len())?;

    let mut mistaken = Bitmap::none(asked.len());
    for seeming in fine_chunks.byte_ranges(&known).chunk_by(|one, next| one.chunk == next.chunk) {
        let chunk = seeming[0].chunk;
        if seeming.iter().any(|range| range.known)
            && check(&known_of(&read(asked[chunk])?, seeming)) != checks[chunk]
        {
            mistaken.insert(chunk);
        }
    }
    let known = fine_chunks.without(&|chunk| mistaken.contains(chunk), &known);
    let mut ranges = LiteralRanges::new();
    for range in fine_chunks.byte_ranges(&known) {
        ranges.entry(asked[range.chunk]).or_default().push(range);
    }
    Ok(Parts { ranges, encoded: [mistaken.to_bytes(), fine_chunks.lengths(&known)].concat() })
}

/// The known bytes of a chunk, one after the other.
fn known_of(chunk: &[u8], ranges: &[ByteRange]) -> Vec<u8> {
    let known = ranges.iter().filter(|range| range.known);
    // Ranges are within the chunk, whose length fits in memory.
    known.flat_map(|range| &chunk[range.bytes.start as usize..range.bytes.end as usize]).copied().collect()
}

/// The checks of chunks, by their number.
fn await_checks(link: &mut Link, chunks: usize) -> Result<Vec<Check>, EndpointError> {
    let checks = match link.expect_peer().map_err(EndpointError::io(Step::Parts.awaited()))? {
        Peer::Answer { answer } => answer,
        _ => return Err(Step::Parts.unexpected()),
    };
    match checks.as_chunks() {
        (checks, []) if checks.len() == chunks => Ok(checks.to_vec()),
        _ => Err(Step::Parts.unexpected()),
    }
}

/// The parts of literals that the target has.
#[derive(Default)]
pub(crate) struct PartMatches {
    /// The literals that were asked about.
    asked: Vec<AskedLiteral>,
    /// The chunks in which parts of them were looked for.
    places: Vec<Place>,
    fine_chunks: FineChunks,
    /// The end of each literal that was asked about, in fine chunks.
    ends: Vec<usize>,
    common: Vec<CommonRange>,
}

/// A literal that was asked about.
struct AskedLiteral {
    /// Its number among all literals.
    literal: usize,
    len: u64,
}

/// A range of a literal, by the numbers of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct LiteralRange {
    pub(crate) literal: usize,
    pub(crate) range: usize,
}

/// Parts of literals, and where those are that the target has.
pub(crate) struct FoundParts {
    /// The ranges of literals that are not sent whole.
    pub(crate) ranges: LiteralRanges,
    /// By the literal and the range what each is made of that is known.
    pub(crate) slices: HashMap<LiteralRange, Vec<Slice>>,
}

/// The literals that a target looks for.
#[derive(Clone, Copy)]
pub(crate) struct NewLayers<'a> {
    pub(crate) new: &'a [&'a LayerIndex],
    pub(crate) literals: &'a [Literal],
}

/// The basis of a target, in which it looks.
#[derive(Clone, Copy)]
pub(crate) struct BasisView<'a> {
    /// The layers that the source cannot read.
    pub(crate) hidden: &'a [Arc<LayerIndex>],
    /// All that both know, where the source can read it.
    pub(crate) readable: &'a [Option<&'a LayerIndex>],
}

/// Bytes that are looked at for a byte of memory.
const BYTES_LOOKED_AT: u64 = 3;

/// The target's half: names the literals of which it may have parts, and says which it has. A byte that is looked at takes
/// about a third of one of `memory`.
pub(crate) fn answer_for(
    link: &mut Link,
    own: &mut Layers<'_>,
    images: &[&Image],
    NewLayers { new, literals }: NewLayers<'_>,
    BasisView { hidden, readable }: BasisView<'_>,
    memory: u64,
) -> Result<PartMatches, EndpointError> {
    let chunk_refs: Vec<ChunkRef> = literals.iter().map(Literal::chunk_ref).collect();
    let indexes: Vec<&LayerIndex> = hidden.iter().map(|index| &**index).collect();
    let search = CandidateSearch { new, literals: &chunk_refs, hidden: &indexes, readable, limit: memory };
    let (mut bitmap, mut found) = (Bitmap::none(literals.len()), PartMatches::default());
    let mut seen: HashSet<Place> = HashSet::new();
    for Candidate { literal, old } in search.find() {
        bitmap.insert(literal);
        found.asked.push(AskedLiteral { literal, len: literals[literal].len.into() });
        let places = old.chunks().map(|chunk| Place { layer: hidden[old.layer()].digest, chunk });
        found.places.extend(places.filter(|place| seen.insert(*place)));
    }
    drop(seen);
    // An old version and the ranges of an earlier transfer make a new version together.
    let mut left = memory.saturating_mul(BYTES_LOOKED_AT).saturating_sub(own.bytes(&found.places));
    for layer in hidden.iter().filter(|_| !found.asked.is_empty()) {
        let ranges = own.ranges_of_partial(&layer.digest, left);
        left = left.saturating_sub(own.bytes(&ranges));
        found.places.extend(ranges);
    }
    link.send_peer(&Peer::Candidates { bitmap: bitmap.to_bytes() })
        .map_err(EndpointError::io(Step::Parts.awaited()))?;
    if found.asked.is_empty() {
        return Ok(found);
    }
    own.fetch(images, found.places.iter().copied())?;
    for place in &found.places {
        let mut bytes = Vec::new();
        own.copy_chunk(*place, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        found.fine_chunks.push(&bytes, usize::MAX);
    }
    let counts = await_question(link, Step::Parts)?;
    let mut responder = Responder::narrow(found.fine_chunks.items());
    answer(link, Step::Parts, &mut responder)?;
    let items = responder.items();
    found.common = responder.finish()?;
    found.ends = ends(found.asked.len(), items, &counts)?;
    let mut checks = Vec::with_capacity(size_of::<Check>() * found.asked.len());
    for known in known_ranges(&found.ends, &found.common, &found.fine_chunks) {
        let mut bytes = Vec::new();
        for OldRange { chunk, bytes: here } in known {
            let slice = Slice { place: found.places[chunk], from: here.start, len: here.end - here.start };
            own.copy(slice, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        }
        checks.extend(check(&bytes));
    }
    link.send_peer(&Peer::Answer { answer: checks }).map_err(EndpointError::io(Step::Parts.awaited()))?;
    Ok(found)
}

impl PartMatches {
    /// True if nothing was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// With what the source told of them, the parts of so many literals.
    pub(crate) fn parts(&self, encoded: &[u8]) -> Result<FoundParts, EndpointError> {
        let short = || EndpointError::Protocol("the source says too little of what it sends in part".into());
        let (mistaken, lengths) = encoded.split_at_checked(self.asked.len().div_ceil(8)).ok_or_else(short)?;
        let mistaken = Bitmap::from_bytes(mistaken, self.asked.len())?;
        let lens: Vec<u64> = self.asked.iter().map(|asked| asked.len).collect();
        let mut found = FoundParts { ranges: LiteralRanges::new(), slices: HashMap::new() };
        let is_mistaken = |chunk| mistaken.contains(chunk);
        for piece in resolve(&lens, &self.ends, &is_mistaken, &self.common, &self.fine_chunks, lengths)? {
            let literal = self.asked[piece.chunk].literal;
            let ranges = found.ranges.entry(literal).or_default();
            let is_known = piece.old.is_some();
            match ranges.last_mut() {
                Some(last) if last.known && is_known => last.bytes.end = piece.bytes.end,
                _ => {
                    ranges.push(ByteRange { chunk: piece.chunk, bytes: piece.bytes.clone(), known: is_known })
                }
            }
            if let Some(OldRange { chunk, bytes: from }) = piece.old {
                let slice = Slice { place: self.places[chunk], from: from.start, len: from.end - from.start };
                found
                    .slices
                    .entry(LiteralRange { literal, range: ranges.len() - 1 })
                    .or_default()
                    .push(slice);
            }
        }
        Ok(found)
    }
}

/// Layers whose literals are sent in part, as both sides see them from here on.
pub(crate) struct DividedLayers {
    /// The parts of files that both sides have: more of the basis.
    pub(crate) shared: Vec<ChunkMap>,
    pub(crate) divided: Divided,
    /// The chunks that are sent.
    pub(crate) sent: Vec<ChunkRef>,
}

/// Divides the literals of layers. `literal` says which literal a chunk is, `slices` where this side has a
/// chunk that is no literal, or a range of one.
pub(crate) fn divide_literals(
    new: &[&LayerIndex],
    literals: &[Literal],
    literal: &dyn Fn(usize, usize) -> Option<usize>,
    ranges: &LiteralRanges,
    slices: &dyn Fn(usize, Copied) -> Vec<Slice>,
) -> DividedLayers {
    let mut divided = divide(new, literal, &|literal| ranges_of(ranges, literal));
    let mut sent = Vec::new();
    for (number, literal) in literals.iter().enumerate() {
        let layer = literal.layer;
        let first = divided.ordinals[layer as usize][literal.chunk as usize];
        let ranges = ranges_of(ranges, number);
        let unknown = (first..).zip(ranges).filter(|(_, range)| !range.known);
        match ranges.is_empty() {
            true => sent.push(ChunkRef { layer, chunk: first }),
            false => sent.extend(unknown.map(|(chunk, _)| ChunkRef { layer, chunk })),
        }
    }
    let indexes = std::mem::take(&mut divided.shared).into_iter().enumerate();
    let chunk_maps = indexes.map(|(layer, index)| {
        let mut rows = Slices::default();
        divided.parts[layer].iter().for_each(|part| rows.push(slices(layer, *part)));
        ChunkMap::slices(index, rows, AtSource::Chunks)
    });
    DividedLayers { shared: chunk_maps.collect(), divided, sent }
}

#[cfg(test)]
mod tests;

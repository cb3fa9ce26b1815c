//! Parts of literals that a target has: fine cuts in contents that are to be sent, and of which the target has what may be
//! an old version (`docs/negotiation.md`).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use dsync_core::Image;
use dsync_delta::batching;
use dsync_delta::fine_chunks::{ByteRange, Check, FineChunks, OldRange, check, ends, known_ranges, resolve};
use dsync_delta::header_delta::Literal;
use dsync_delta::reconcile::{Match, Requester, Responder};
use dsync_delta::{ChunkRef, Copied, Divided, LayerIndex, Wanted, divide};
use dsync_proto::Peer;

use super::Step;
use super::question::{answer, ask, await_question};
use crate::failure::EndpointError;
use crate::layers::{ChunkMap, Layers, Place, Slice, Slices};
use crate::link::Link;

/// Stretches of literals, by the number of each; none of one that is sent whole.
pub(crate) type Stretches = HashMap<usize, Vec<ByteRange>>;

/// The stretches of one.
pub(crate) fn stretches_of(stretches: &Stretches, literal: usize) -> &[ByteRange] {
    stretches.get(&literal).map_or(&[], Vec::as_slice)
}

/// What is told of literals that are sent in part.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The stretches of literals that are not sent whole.
    pub(crate) stretches: Stretches,
    /// What a target must be told to know them too: of which of the contents that were asked about it has not what it
    /// seemed, a bit for each, and the lengths. Empty where nothing was asked.
    pub(crate) told: Vec<u8>,
}

/// Bytes of memory for a cut: its hash, its place, and what is asked about it.
const CUT: u64 = 64;

/// The source's half: which parts of literals the target has. `load` gives the bytes of one. Cuts are made as far as
/// `memory` goes.
pub(crate) fn ask_for(
    link: &mut Link,
    literals: &[Literal],
    load: &dyn Fn(&Literal, &mut Vec<u8>) -> std::io::Result<()>,
    memory: u64,
) -> Result<Parts, EndpointError> {
    let candidates = match link.expect_peer().map_err(EndpointError::io(Step::Parts.awaited()))? {
        Peer::Candidates { bitmap } => Wanted::from_bytes(&bitmap, literals.len())?,
        _ => return Err(Step::Parts.unexpected()),
    };
    let asked: Vec<usize> = (0..literals.len()).filter(|literal| candidates.contains(*literal)).collect();
    if asked.is_empty() {
        return Ok(Parts::default());
    }
    let read = |literal: usize| {
        let mut bytes = Vec::new();
        load(&literals[literal], &mut bytes).map_err(EndpointError::io("cannot read a content"))?;
        Ok::<_, EndpointError>(bytes)
    };
    let most = usize::try_from(memory / CUT).unwrap_or(usize::MAX);
    let mut cuts = FineChunks::new();
    for literal in &asked {
        cuts.push(&read(*literal)?, most);
    }
    link.send_peer(&Peer::Question { question: cuts.counts() })
        .map_err(EndpointError::io(Step::Parts.awaited()))?;
    let known = ask(link, Step::Parts, Requester::narrow(cuts.items()))?;
    let checks = await_checks(link, asked.len())?;

    let mut mistaken = Wanted::none(asked.len());
    for seeming in cuts.byte_ranges(&known).chunk_by(|one, next| one.content == next.content) {
        let content = seeming[0].content;
        if seeming.iter().any(|stretch| stretch.known)
            && check(&known_of(&read(asked[content])?, seeming)) != checks[content]
        {
            mistaken.insert(content);
        }
    }
    let known = cuts.without(&|content| mistaken.contains(content), &known);
    let mut stretches = Stretches::new();
    for stretch in cuts.byte_ranges(&known) {
        stretches.entry(asked[stretch.content]).or_default().push(stretch);
    }
    Ok(Parts { stretches, told: [mistaken.to_bytes(), cuts.lengths(&known)].concat() })
}

/// The known bytes of a content, one after the other.
fn known_of(content: &[u8], stretches: &[ByteRange]) -> Vec<u8> {
    let known = stretches.iter().filter(|stretch| stretch.known);
    // Stretches are within the content, whose length fits in memory.
    known
        .flat_map(|stretch| &content[stretch.bytes.start as usize..stretch.bytes.end as usize])
        .copied()
        .collect()
}

/// The checks of so many contents.
fn await_checks(link: &mut Link, contents: usize) -> Result<Vec<Check>, EndpointError> {
    let checks = match link.expect_peer().map_err(EndpointError::io(Step::Parts.awaited()))? {
        Peer::Answer { answer } => answer,
        _ => return Err(Step::Parts.unexpected()),
    };
    match checks.as_chunks() {
        (checks, []) if checks.len() == contents => Ok(checks.to_vec()),
        _ => Err(Step::Parts.unexpected()),
    }
}

/// What the target has of literals.
#[derive(Default)]
pub(crate) struct Candidates {
    /// The literals that were asked about, and their lengths.
    asked: Vec<(usize, u64)>,
    /// The contents in which parts of them were looked for.
    places: Vec<Place>,
    cuts: FineChunks,
    /// Where the cuts of each literal that was asked about end.
    ends: Vec<usize>,
    matches: Vec<Match>,
}

/// Parts of literals, and where those are that the target has.
pub(crate) struct Found {
    /// The stretches of literals that are not sent whole.
    pub(crate) stretches: Stretches,
    /// By the literal and the stretch what each is made of that is known.
    pub(crate) slices: HashMap<(usize, usize), Vec<Slice>>,
}

/// The target's half: names the literals of which it may have parts, and says which it has. `basis` are layers that
/// the source cannot read, `readable` what it can. A byte that is looked at takes about a third of one of `memory`.
pub(crate) fn answer_for(
    link: &mut Link,
    own: &mut Layers<'_>,
    images: &[&Image],
    (new, literals): (&[&LayerIndex], &[Literal]),
    (basis, readable): (&[Arc<LayerIndex>], &[Option<&LayerIndex>]),
    memory: u64,
) -> Result<Candidates, EndpointError> {
    let spots: Vec<ChunkRef> = literals.iter().map(Literal::chunk_ref).collect();
    let listings: Vec<Option<&LayerIndex>> = basis.iter().map(|listing| Some(&**listing)).collect();
    let runs = batching::candidates(new, &spots, &listings, readable, memory);
    let (mut bitmap, mut found) = (Wanted::none(literals.len()), Candidates::default());
    let mut seen: HashSet<Place> = HashSet::new();
    for (literal, run) in runs {
        bitmap.insert(literal);
        found.asked.push((literal, literals[literal].len.into()));
        let places = run.contents().map(|content| (basis[run.layer()].digest, content));
        found.places.extend(places.filter(|place| seen.insert(*place)));
    }
    drop(seen);
    link.send_peer(&Peer::Candidates { bitmap: bitmap.to_bytes() })
        .map_err(EndpointError::io(Step::Parts.awaited()))?;
    if found.asked.is_empty() {
        return Ok(found);
    }
    own.fetch(images, found.places.iter().copied())?;
    for place in &found.places {
        let mut bytes = Vec::new();
        own.copy_content(*place, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        found.cuts.push(&bytes, usize::MAX);
    }
    let counts = await_question(link, Step::Parts)?;
    let mut responder = Responder::narrow(found.cuts.items());
    answer(link, Step::Parts, &mut responder)?;
    let items = responder.items();
    found.matches = responder.finish()?;
    found.ends = ends(found.asked.len(), items, &counts)?;
    let mut checks = Vec::with_capacity(size_of::<Check>() * found.asked.len());
    for known in known_ranges(&found.ends, &found.matches, &found.cuts) {
        let mut bytes = Vec::new();
        for OldRange { content, bytes: here } in known {
            let slice = Slice { place: found.places[content], from: here.start, len: here.end - here.start };
            own.copy(slice, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        }
        checks.extend(check(&bytes));
    }
    link.send_peer(&Peer::Answer { answer: checks }).map_err(EndpointError::io(Step::Parts.awaited()))?;
    Ok(found)
}

impl Candidates {
    /// Whether anything was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// With what the source told of them, the parts of so many literals.
    pub(crate) fn parts(&self, told: &[u8]) -> Result<Found, EndpointError> {
        let short = || EndpointError::Protocol("the source says too little of what it sends in part".into());
        let (mistaken, lengths) = told.split_at_checked(self.asked.len().div_ceil(8)).ok_or_else(short)?;
        let mistaken = Wanted::from_bytes(mistaken, self.asked.len())?;
        let lens: Vec<u64> = self.asked.iter().map(|(_, len)| *len).collect();
        let mut found = Found { stretches: Stretches::new(), slices: HashMap::new() };
        let is_mistaken = |content| mistaken.contains(content);
        for piece in resolve(&lens, &self.ends, &is_mistaken, &self.matches, &self.cuts, lengths)? {
            let literal = self.asked[piece.content].0;
            let stretches = found.stretches.entry(literal).or_default();
            let is_known = piece.old.is_some();
            match stretches.last_mut() {
                Some(last) if last.known && is_known => last.bytes.end = piece.bytes.end,
                _ => stretches.push(ByteRange {
                    content: piece.content,
                    bytes: piece.bytes.clone(),
                    known: is_known,
                }),
            }
            if let Some(OldRange { content, bytes: from }) = piece.old {
                let slice =
                    Slice { place: self.places[content], from: from.start, len: from.end - from.start };
                found.slices.entry((literal, stretches.len() - 1)).or_default().push(slice);
            }
        }
        Ok(found)
    }
}

/// Layers whose literals are sent in part, as both sides see them from here on.
pub(crate) struct Parted {
    /// What both sides have of files that are sent in part: more of the basis.
    pub(crate) shared: Vec<ChunkMap>,
    pub(crate) divided: Divided,
    /// What is sent: layer and content.
    pub(crate) sent: Vec<ChunkRef>,
}

/// Divides the literals of layers. `literal` says which literal a content is, `slices` where this side has a
/// content that is no literal, or a stretch of one.
pub(crate) fn part(
    new: &[&LayerIndex],
    literals: &[Literal],
    literal: &dyn Fn(usize, usize) -> Option<usize>,
    stretches: &Stretches,
    slices: &dyn Fn(usize, Copied) -> Vec<Slice>,
) -> Parted {
    let mut divided = divide(new, literal, &|literal| stretches_of(stretches, literal));
    let mut sent = Vec::new();
    for (number, literal) in literals.iter().enumerate() {
        let layer = literal.layer;
        let first = divided.ordinals[layer as usize][literal.content as usize];
        let stretches = stretches_of(stretches, number);
        let unknown = (first..).zip(stretches).filter(|(_, stretch)| !stretch.known);
        match stretches.is_empty() {
            true => sent.push(ChunkRef { layer, content: first }),
            false => sent.extend(unknown.map(|(content, _)| ChunkRef { layer, content })),
        }
    }
    let listings = std::mem::take(&mut divided.shared).into_iter().enumerate();
    let shelves = listings.map(|(layer, listing)| {
        let mut rows = Slices::default();
        divided.parts[layer].iter().for_each(|part| rows.push(slices(layer, *part)));
        ChunkMap::slices(listing, rows, true)
    });
    Parted { shared: shelves.collect(), divided, sent }
}

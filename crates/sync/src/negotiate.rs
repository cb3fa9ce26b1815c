//! How a source finds out what a target has of an image, where it does not know the target's layers itself:
//! `docs/negotiation.md`.
//!
//! First both agree on entries, and on contents of the entries that are new. What they agree on is a listing at
//! both ends, and serves as any layer of the basis. Then, for contents that are to be sent and of which the target
//! has what may be an old version, on fine cuts in them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use dsync_core::Image;
use dsync_delta::columns::Literal;
use dsync_delta::cut::fine::{self, Check, Cuts, Stretch, check, ends, plan};
use dsync_delta::gather::{self, Run, Spot};
use dsync_delta::listing::{Entries, Selection};
use dsync_delta::tree::{Answerer, Asker, Item, Match};
use dsync_delta::{ContentId, Divided, Listing, Part, Wanted, divide};
use dsync_proto::Peer;

use crate::failure::EndpointError;
use crate::layers::{Layers, Place, Shelf, Slice};
use crate::link::Link;

const LOST: &str = "the other side does not say what is there";

/// Asks about a list. Returns what the target has of it.
fn ask(link: &mut Link, mut asker: Asker<'_>) -> Result<Vec<Range<usize>>, EndpointError> {
    let mut next = asker.question();
    if next.is_none() {
        link.send_peer(&Peer::Question { question: Vec::new() }).map_err(EndpointError::io(LOST))?;
    }
    while let Some(question) = next {
        link.send_peer(&Peer::Question { question }).map_err(EndpointError::io(LOST))?;
        match link.expect_peer().map_err(EndpointError::io(LOST))? {
            Peer::Answer { answer } => asker.answer(&answer)?,
            _ => return Err(EndpointError::Protocol(LOST.into())),
        }
        next = asker.question();
    }
    Ok(asker.finish())
}

/// Answers all questions about a list.
fn answer(link: &mut Link, answerer: &mut Answerer) -> Result<(), EndpointError> {
    while !answerer.is_done() {
        let question = await_question(link)?;
        if question.is_empty() {
            break;
        }
        let answer = answerer.answer(&question)?;
        link.send_peer(&Peer::Answer { answer }).map_err(EndpointError::io(LOST))?;
    }
    Ok(())
}

fn await_question(link: &mut Link) -> Result<Vec<u8>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(LOST))? {
        Peer::Question { question } => Ok(question),
        _ => Err(EndpointError::Protocol(LOST.into())),
    }
}

/// The source's half: what the target has of these layers, besides what is known of it. The new layers' own
/// contents stand for the target's.
pub(crate) fn ask_for(
    link: &mut Link,
    new: &[Arc<Listing>],
    known: &[Shelf],
) -> Result<Shelf, EndpointError> {
    let entries: Vec<Entries<'_>> = new.iter().map(|listing| Entries::of(listing)).collect();
    let ids: Vec<Vec<Item>> = entries.iter().map(Entries::ids).collect();
    let found = ask(link, Asker::new(&ids.concat()))?;
    let mut agreed = Agreed::default();
    let mut begin = 0;
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (layer, (entries, ids)) in entries.iter().zip(&ids).enumerate() {
        let (mut next, end) = (begin, begin + ids.len());
        for range in &found[found.partition_point(|range| range.end <= begin)..] {
            let here = range.start.max(begin)..range.end.min(end);
            if here.is_empty() {
                break;
            }
            agreed.add(entries, &new[layer], here.start - begin..here.end - begin);
            open.extend((next..here.start).map(|entry| (layer, entry - begin)));
            next = here.end;
        }
        open.extend((next..end).map(|entry| (layer, entry - begin)));
        begin = end;
    }

    let there = known.iter().flat_map(|shelf| shelf.listing.contents());
    let mut seen: HashSet<ContentId> = there.map(|content| content.id).collect();
    seen.extend(agreed.contents.iter().map(|(id, _)| *id));
    // All contents of an entry or none: in the order in which the target may have them too.
    let (mut items, mut places) = (Vec::new(), Vec::new());
    for (layer, entry) in open {
        let (listing, contents) = (&new[layer], entries[layer].contents(entry));
        if listing.contents()[contents.clone()].iter().any(|content| !seen.contains(&content.id)) {
            items.extend(listing.contents()[contents.clone()].iter().map(|content| *content.id.as_bytes()));
            places.extend(contents.map(|ordinal| (listing, ordinal)));
        }
    }
    for range in ask(link, Asker::new(&items))? {
        places[range].iter().for_each(|(listing, ordinal)| agreed.add_loose(listing, *ordinal));
    }
    Ok(agreed.finish())
}

/// The target's half: what it has in these layers.
pub(crate) fn answer_for(link: &mut Link, old: &[Arc<Listing>]) -> Result<Shelf, EndpointError> {
    let entries: Vec<Entries<'_>> = old.iter().map(|listing| Entries::of(listing)).collect();
    let ids: Vec<Vec<Item>> = entries.iter().map(Entries::ids).collect();
    let mut agreed = Agreed::default();
    for Match { items, slice, at } in answer_with(link, &ids)? {
        agreed.add(&entries[slice], &old[slice], at..at + items.len());
    }
    let contents = |listing: &Arc<Listing>| listing.contents().iter().map(|c| *c.id.as_bytes()).collect();
    let ids: Vec<Vec<Item>> = old.iter().map(contents).collect();
    for Match { items, slice, at } in answer_with(link, &ids)? {
        (at..at + items.len()).for_each(|ordinal| agreed.add_loose(&old[slice], ordinal));
    }
    Ok(agreed.finish())
}

fn answer_with(link: &mut Link, lists: &[Vec<Item>]) -> Result<Vec<Match>, EndpointError> {
    let slices: Vec<&[Item]> = lists.iter().map(Vec::as_slice).collect();
    let mut answerer = Answerer::new(&slices);
    answer(link, &mut answerer)?;
    Ok(answerer.finish()?)
}

/// What both sides have, as one listing: entries, then single contents.
#[derive(Default)]
struct Agreed {
    selection: Selection,
    contents: Vec<(ContentId, Slice)>,
    loose: Vec<(ContentId, Slice)>,
}

impl Agreed {
    fn add(&mut self, from: &Entries<'_>, listing: &Listing, entries: Range<usize>) {
        let contents = self.selection.add(from, entries);
        self.contents.extend(contents.map(|ordinal| whole(listing, ordinal)));
    }

    fn add_loose(&mut self, listing: &Listing, ordinal: usize) {
        self.loose.push(whole(listing, ordinal));
    }

    fn finish(mut self) -> Shelf {
        self.selection.add_loose(self.loose.iter().map(|(id, slice)| (*id, slice.len)));
        let all = self.contents.iter().chain(&self.loose);
        let slices = all.map(|(_, slice)| vec![*slice]).collect();
        Shelf::slices(self.selection.finish(), slices, false)
    }
}

fn whole(listing: &Listing, ordinal: usize) -> (ContentId, Slice) {
    let content = listing.contents()[ordinal];
    (content.id, Slice { place: (listing.diff_id, ordinal), from: 0, len: content.len })
}

/// What is told of literals that are sent in part.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Of each literal its stretches; none where it is sent whole.
    pub(crate) stretches: Vec<Vec<Stretch>>,
    /// What a target must be told to know them too: of which of the contents that were asked about it has not what it
    /// seemed, a bit for each, and the lengths. Empty where nothing was asked.
    pub(crate) told: Vec<u8>,
}

/// The source's half: which parts of literals the target has. `load` gives the bytes of one.
pub(crate) fn ask_for_parts(
    link: &mut Link,
    literals: &[Literal],
    load: &dyn Fn(&Literal, &mut Vec<u8>) -> std::io::Result<()>,
) -> Result<Parts, EndpointError> {
    let candidates = match link.expect_peer().map_err(EndpointError::io(LOST))? {
        Peer::Candidates { bitmap } => Wanted::from_bytes(&bitmap, literals.len())?,
        _ => return Err(EndpointError::Protocol(LOST.into())),
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
    let mut cuts = Cuts::new();
    for literal in &asked {
        cuts.push(&read(*literal)?);
    }
    link.send_peer(&Peer::Question { question: cuts.counts() }).map_err(EndpointError::io(LOST))?;
    let known = ask(link, Asker::low(cuts.items()))?;
    let checks = await_checks(link, asked.len())?;

    let mut mistaken = Wanted::none(asked.len());
    for seeming in cuts.stretches(&known).chunk_by(|one, next| one.content == next.content) {
        let content = seeming[0].content;
        if seeming.iter().any(|stretch| stretch.known)
            && check(&known_of(&read(asked[content])?, seeming)) != checks[content]
        {
            mistaken.insert(content);
        }
    }
    let known = cuts.without(&|content| mistaken.contains(content), &known);
    let mut stretches = vec![Vec::new(); literals.len()];
    cuts.stretches(&known).into_iter().for_each(|stretch| stretches[asked[stretch.content]].push(stretch));
    Ok(Parts { stretches, told: [mistaken.to_bytes(), cuts.lengths(&known)].concat() })
}

/// The known bytes of a content, one after the other.
fn known_of(content: &[u8], stretches: &[Stretch]) -> Vec<u8> {
    let known = stretches.iter().filter(|stretch| stretch.known);
    // Stretches are within the content, whose length fits in memory.
    known
        .flat_map(|stretch| &content[stretch.bytes.start as usize..stretch.bytes.end as usize])
        .copied()
        .collect()
}

/// The checks of so many contents.
fn await_checks(link: &mut Link, contents: usize) -> Result<Vec<Check>, EndpointError> {
    let checks = match link.expect_peer().map_err(EndpointError::io(LOST))? {
        Peer::Answer { answer } => answer,
        _ => return Err(EndpointError::Protocol(LOST.into())),
    };
    match checks.as_chunks() {
        (checks, []) if checks.len() == contents => Ok(checks.to_vec()),
        _ => Err(EndpointError::Protocol(LOST.into())),
    }
}

/// What the target has of literals.
#[derive(Default)]
pub(crate) struct Candidates {
    /// The literals that were asked about, and their lengths.
    asked: Vec<(usize, u64)>,
    /// The contents in which parts of them were looked for.
    places: Vec<Place>,
    cuts: Cuts,
    /// Where the cuts of each literal that was asked about end.
    ends: Vec<usize>,
    matches: Vec<Match>,
}

/// Parts of literals, and where those are that the target has.
pub(crate) struct Found {
    /// Of each literal its stretches; none where it is sent whole.
    pub(crate) stretches: Vec<Vec<Stretch>>,
    /// By the literal and the stretch what each is made of that is known.
    pub(crate) slices: HashMap<(usize, usize), Vec<Slice>>,
}

/// The target's half: names the literals of which it may have parts, and says which it has. `basis` are layers that
/// the source cannot read, `readable` what it can. A byte that is looked at takes about a third of one of `memory`.
pub(crate) fn answer_for_parts(
    link: &mut Link,
    own: &mut Layers<'_>,
    images: &[&Image],
    (new, literals): (&[&Listing], &[Literal]),
    (basis, readable): (&[Arc<Listing>], &[Option<&Listing>]),
    memory: u64,
) -> Result<Candidates, EndpointError> {
    let spots: Vec<Spot> = literals.iter().map(|literal| (literal.layer, literal.content)).collect();
    let listings: Vec<Option<&Listing>> = basis.iter().map(|listing| Some(&**listing)).collect();
    let runs = gather::candidates(new, &spots, &listings, readable, memory);
    let (mut bitmap, mut found) = (Wanted::none(literals.len()), Candidates::default());
    let mut seen: HashSet<Place> = HashSet::new();
    for (literal, run) in runs.iter().enumerate() {
        let Some(Run { layer, contents, .. }) = run else { continue };
        bitmap.insert(literal);
        found.asked.push((literal, literals[literal].len));
        let places = contents.clone().map(|content| (basis[*layer].diff_id, content));
        found.places.extend(places.filter(|place| seen.insert(*place)));
    }
    link.send_peer(&Peer::Candidates { bitmap: bitmap.to_bytes() }).map_err(EndpointError::io(LOST))?;
    if found.asked.is_empty() {
        return Ok(found);
    }
    own.fetch(images, found.places.iter().copied())?;
    for place in &found.places {
        let mut bytes = Vec::new();
        own.copy_content(*place, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        found.cuts.push(&bytes);
    }
    let counts = await_question(link)?;
    let mut answerer = Answerer::low(found.cuts.items());
    answer(link, &mut answerer)?;
    let items = answerer.items();
    found.matches = answerer.finish()?;
    found.ends = ends(found.asked.len(), items, &counts)?;
    let mut checks = Vec::with_capacity(size_of::<Check>() * found.asked.len());
    for known in fine::found(&found.ends, &found.matches, &found.cuts) {
        let mut bytes = Vec::new();
        for (content, here) in known {
            let slice = Slice { place: found.places[content], from: here.start, len: here.end - here.start };
            own.copy(slice, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        }
        checks.extend(check(&bytes));
    }
    link.send_peer(&Peer::Answer { answer: checks }).map_err(EndpointError::io(LOST))?;
    Ok(found)
}

impl Candidates {
    /// Whether anything was asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// With what the source told of them, the parts of so many literals.
    pub(crate) fn parts(&self, literals: usize, told: &[u8]) -> Result<Found, EndpointError> {
        let short = || EndpointError::Protocol("the source says too little of what it sends in part".into());
        let (mistaken, lengths) = told.split_at_checked(self.asked.len().div_ceil(8)).ok_or_else(short)?;
        let mistaken = Wanted::from_bytes(mistaken, self.asked.len())?;
        let lens: Vec<u64> = self.asked.iter().map(|(_, len)| *len).collect();
        let mut found = Found { stretches: vec![Vec::new(); literals], slices: HashMap::new() };
        let is_mistaken = |content| mistaken.contains(content);
        for piece in plan(&lens, &self.ends, &is_mistaken, (&self.matches, &self.cuts), lengths)? {
            let literal = self.asked[piece.content].0;
            let stretches = &mut found.stretches[literal];
            let is_known = piece.old.is_some();
            match stretches.last_mut() {
                Some(last) if last.known && is_known => last.bytes.end = piece.bytes.end,
                _ => stretches.push(Stretch {
                    content: piece.content,
                    bytes: piece.bytes.clone(),
                    known: is_known,
                }),
            }
            if let Some((content, from)) = piece.old {
                let slice =
                    Slice { place: self.places[content], from, len: piece.bytes.end - piece.bytes.start };
                found.slices.entry((literal, stretches.len() - 1)).or_default().push(slice);
            }
        }
        Ok(found)
    }
}

/// Layers whose literals are sent in part, as both sides see them from here on.
pub(crate) struct Parted {
    /// What both sides have of files that are sent in part: more of the basis.
    pub(crate) shared: Vec<Shelf>,
    pub(crate) divided: Divided,
    /// What is sent: layer and content.
    pub(crate) sent: Vec<Spot>,
}

/// Divides the literals of layers. `literal` says which literal a content is, `slices` where this side has a
/// content that is no literal, or a stretch of one.
pub(crate) fn part(
    new: &[&Listing],
    literals: &[Literal],
    literal: &dyn Fn(usize, usize) -> Option<usize>,
    stretches: &[Vec<Stretch>],
    slices: &dyn Fn(usize, Part) -> Vec<Slice>,
) -> Parted {
    let mut divided = divide(new, literal, stretches);
    let mut sent = Vec::new();
    for (literal, stretches) in literals.iter().zip(stretches) {
        let first = divided.ordinals[literal.layer][literal.content];
        let unknown = stretches.iter().enumerate().filter(|(_, stretch)| !stretch.known);
        match stretches.is_empty() {
            true => sent.push((literal.layer, first)),
            false => sent.extend(unknown.map(|(at, _)| (literal.layer, first + at))),
        }
    }
    let listings = std::mem::take(&mut divided.shared).into_iter().enumerate();
    let shelves = listings.map(|(layer, listing)| {
        let slices = divided.parts[layer].iter().map(|part| slices(layer, *part)).collect();
        Shelf::slices(listing, slices, true)
    });
    Parted { shared: shelves.collect(), divided, sent }
}

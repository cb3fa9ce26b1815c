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
use dsync_delta::gather;
use dsync_delta::listing::{Entries, Selection};
use dsync_delta::tree::{Answerer, Asker, ITEMS_MAX, Item, Match};
use dsync_delta::{ContentId, Divided, Listing, Part, Spot, Wanted, divide};
use dsync_proto::{Peer, limits};

use crate::failure::EndpointError;
use crate::layers::{Layers, Place, Shelf, Slice, Slices};
use crate::link::Link;
use crate::memory::Memory;

const _: () = assert!(limits::ITEMS == ITEMS_MAX);

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
    memory: Memory,
) -> Result<Shelf, EndpointError> {
    let mut entries: Vec<Entries<'_>> = new.iter().map(|listing| Entries::of(listing)).collect();
    let mut ids: Vec<Item> = Vec::new();
    entries.iter_mut().for_each(|entries| entries.ids(&mut ids));
    let found = ask(link, Asker::new(&ids))?;
    drop(ids);
    let mut agreed = Agreed::beside(known, memory);
    let mut begin = 0;
    let mut open: Vec<(u32, Range<u32>)> = Vec::new();
    for (layer, entries) in (0..).zip(&mut entries) {
        let (mut next, end) = (begin, begin + entries.len());
        // Layers have fewer entries than a 32-bit number can count.
        let not_found =
            |range: Range<usize>| (layer, (range.start - begin) as u32..(range.end - begin) as u32);
        for range in &found[found.partition_point(|range| range.end <= begin)..] {
            let here = range.start.max(begin)..range.end.min(end);
            if here.is_empty() {
                break;
            }
            agreed.add(entries, &new[layer as usize], here.start - begin..here.end - begin);
            open.push(not_found(next..here.start));
            next = here.end;
        }
        open.push(not_found(next..end));
        begin = end;
    }

    let seen = Seen::of(known.iter().map(|shelf| &*shelf.listing), &agreed, new);
    // All contents of an entry or none: in the order in which the target may have them too.
    let (mut items, mut places): (Vec<Item>, Vec<Spot>) = (Vec::new(), Vec::new());
    for (layer, range) in open {
        let (listing, entries) = (&new[layer as usize], &mut entries[layer as usize]);
        for entry in range {
            let contents = entries.contents(entry as usize);
            if listing.contents().range(contents.clone()).any(|content| !seen.has(&content.id)) {
                items
                    .extend(listing.contents().range(contents.clone()).map(|content| *content.id.as_bytes()));
                places.extend(contents.map(|content| Spot { layer, content: content as u32 }));
            }
        }
    }
    drop((seen, entries));
    agreed.begin_loose();
    for range in ask(link, Asker::new(&items))? {
        for Spot { layer, content } in &places[range] {
            agreed.add_loose(&new[*layer as usize], *content as usize);
        }
    }
    Ok(agreed.finish())
}

/// Contents that need not be asked about, by the first halves of their ids: a mistake costs bytes only.
struct Seen(Vec<u64>);

impl Seen {
    fn of<'a>(known: impl Iterator<Item = &'a Listing>, agreed: &Agreed, new: &[Arc<Listing>]) -> Self {
        let known = known.flat_map(|listing| listing.contents().iter()).map(|content| content.id);
        let agreed = agreed.slices.places().filter_map(|(diff_id, content)| {
            let listing = new.iter().find(|listing| listing.diff_id == diff_id)?;
            Some(listing.contents().get(content)?.id)
        });
        let mut seen: Vec<u64> = known.chain(agreed).map(|id| half(&id)).collect();
        seen.sort_unstable();
        seen.dedup();
        Seen(seen)
    }

    fn has(&self, id: &ContentId) -> bool {
        self.0.binary_search(&half(id)).is_ok()
    }
}

fn half(id: &ContentId) -> u64 {
    id.as_bytes().first_chunk().map_or(0, |half| u64::from_le_bytes(*half))
}

/// The target's half: what it has in these layers, besides what the source knows of it.
pub(crate) fn answer_for(
    link: &mut Link,
    old: &[Arc<Listing>],
    known: &[Shelf],
    memory: Memory,
) -> Result<Shelf, EndpointError> {
    let mut agreed = Agreed::beside(known, memory);
    let mut entries: Vec<Entries<'_>> = old.iter().map(|listing| Entries::of(listing)).collect();
    let matches = {
        let ids = entries.iter_mut().map(|entries| {
            let mut ids = Vec::with_capacity(entries.len());
            entries.ids(&mut ids);
            ids
        });
        answer_with(link, ids.collect())?
    };
    for Match { items, slice, at } in matches {
        agreed.add(&mut entries[slice], &old[slice], at..at + items.len());
    }
    drop(entries);
    let contents = |listing: &Arc<Listing>| listing.contents().iter().map(|c| *c.id.as_bytes()).collect();
    agreed.begin_loose();
    for Match { items, slice, at } in answer_with(link, old.iter().map(contents).collect())? {
        (at..at + items.len()).for_each(|ordinal| agreed.add_loose(&old[slice], ordinal));
    }
    Ok(agreed.finish())
}

fn answer_with(link: &mut Link, lists: Vec<Vec<Item>>) -> Result<Vec<Match>, EndpointError> {
    let slices: Vec<&[Item]> = lists.iter().map(Vec::as_slice).collect();
    let mut answerer = Answerer::new(&slices);
    drop(slices);
    drop(lists);
    answer(link, &mut answerer)?;
    Ok(answerer.finish()?)
}

/// What both sides have, as one listing: entries, then single contents.
///
/// Both sides stop at the same one when it takes all memory that the basis may have.
struct Agreed {
    selection: Selection,
    slices: Slices,
    /// Entries and single contents until now.
    count: u64,
    room: u64,
}

/// Bytes of memory for an entry besides its own: where its content lies, and the tables of an encoder.
const ENTRY: u64 = 40;

impl Agreed {
    /// Nothing yet, beside what is known of the basis otherwise.
    fn beside(known: &[Shelf], memory: Memory) -> Self {
        let taken: u64 = known.iter().map(|shelf| Memory::basis_layer(&shelf.listing)).sum();
        let room = memory.share().saturating_sub(taken);
        Agreed { selection: Selection::new(), slices: Slices::default(), count: 0, room }
    }

    /// Whether there is room for one more, which counts from here on.
    fn has_room(&mut self) -> bool {
        self.count += 1;
        self.selection.memory() as u64 + self.count * ENTRY <= self.room
    }

    fn add(&mut self, from: &mut Entries<'_>, listing: &Listing, entries: Range<usize>) {
        for entry in entries {
            if !self.has_room() {
                break;
            }
            let contents = self.selection.add(from, entry..entry + 1);
            contents.for_each(|ordinal| self.slices.push([whole(listing, ordinal)]));
        }
    }

    fn begin_loose(&mut self) {
        self.selection.begin_loose();
    }

    fn add_loose(&mut self, listing: &Listing, ordinal: usize) {
        if self.has_room() {
            self.selection.add_loose(listing.contents().at(ordinal));
            self.slices.push([whole(listing, ordinal)]);
        }
    }

    fn finish(self) -> Shelf {
        Shelf::slices(self.selection.finish(), self.slices, false)
    }
}

fn whole(listing: &Listing, ordinal: usize) -> Slice {
    let len = listing.contents().at(ordinal).len;
    Slice { place: (listing.diff_id, ordinal), from: 0, len }
}

/// Stretches of literals, by the number of each; none of one that is sent whole.
pub(crate) type Stretches = HashMap<usize, Vec<Stretch>>;

/// The stretches of one.
pub(crate) fn stretches_of(stretches: &Stretches, literal: usize) -> &[Stretch] {
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
pub(crate) fn ask_for_parts(
    link: &mut Link,
    literals: &[Literal],
    load: &dyn Fn(&Literal, &mut Vec<u8>) -> std::io::Result<()>,
    memory: u64,
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
    let most = usize::try_from(memory / CUT).unwrap_or(usize::MAX);
    let mut cuts = Cuts::new();
    for literal in &asked {
        cuts.push(&read(*literal)?, most);
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
    let mut stretches = Stretches::new();
    for stretch in cuts.stretches(&known) {
        stretches.entry(asked[stretch.content]).or_default().push(stretch);
    }
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
    /// The stretches of literals that are not sent whole.
    pub(crate) stretches: Stretches,
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
    let spots: Vec<Spot> = literals.iter().map(Literal::spot).collect();
    let listings: Vec<Option<&Listing>> = basis.iter().map(|listing| Some(&**listing)).collect();
    let runs = gather::candidates(new, &spots, &listings, readable, memory);
    let (mut bitmap, mut found) = (Wanted::none(literals.len()), Candidates::default());
    let mut seen: HashSet<Place> = HashSet::new();
    for (literal, run) in runs {
        bitmap.insert(literal);
        found.asked.push((literal, literals[literal].len.into()));
        let places = run.contents().map(|content| (basis[run.layer()].diff_id, content));
        found.places.extend(places.filter(|place| seen.insert(*place)));
    }
    drop(seen);
    link.send_peer(&Peer::Candidates { bitmap: bitmap.to_bytes() }).map_err(EndpointError::io(LOST))?;
    if found.asked.is_empty() {
        return Ok(found);
    }
    own.fetch(images, found.places.iter().copied())?;
    for place in &found.places {
        let mut bytes = Vec::new();
        own.copy_content(*place, &mut bytes).map_err(EndpointError::io("cannot read the basis"))?;
        found.cuts.push(&bytes, usize::MAX);
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
    pub(crate) fn parts(&self, told: &[u8]) -> Result<Found, EndpointError> {
        let short = || EndpointError::Protocol("the source says too little of what it sends in part".into());
        let (mistaken, lengths) = told.split_at_checked(self.asked.len().div_ceil(8)).ok_or_else(short)?;
        let mistaken = Wanted::from_bytes(mistaken, self.asked.len())?;
        let lens: Vec<u64> = self.asked.iter().map(|(_, len)| *len).collect();
        let mut found = Found { stretches: Stretches::new(), slices: HashMap::new() };
        let is_mistaken = |content| mistaken.contains(content);
        for piece in plan(&lens, &self.ends, &is_mistaken, (&self.matches, &self.cuts), lengths)? {
            let literal = self.asked[piece.content].0;
            let stretches = found.stretches.entry(literal).or_default();
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
    stretches: &Stretches,
    slices: &dyn Fn(usize, Part) -> Vec<Slice>,
) -> Parted {
    let mut divided = divide(new, literal, &|literal| stretches_of(stretches, literal));
    let mut sent = Vec::new();
    for (number, literal) in literals.iter().enumerate() {
        let layer = literal.layer;
        let first = divided.ordinals[layer as usize][literal.content as usize];
        let stretches = stretches_of(stretches, number);
        let unknown = (first..).zip(stretches).filter(|(_, stretch)| !stretch.known);
        match stretches.is_empty() {
            true => sent.push(Spot { layer, content: first }),
            false => sent.extend(unknown.map(|(content, _)| Spot { layer, content })),
        }
    }
    let listings = std::mem::take(&mut divided.shared).into_iter().enumerate();
    let shelves = listings.map(|(layer, listing)| {
        let mut rows = Slices::default();
        divided.parts[layer].iter().for_each(|part| rows.push(slices(layer, *part)));
        Shelf::slices(listing, rows, true)
    });
    Parted { shared: shelves.collect(), divided, sent }
}

//! The source's side of one image: read what is needed, say what it is made of, send what is wanted.

use std::collections::HashSet;
use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::{DiffId, Image, ImageId, Platform};
use dsync_delta::columns::{Encoder, Literal, Mode};
use dsync_delta::gather::{self, Batch, Run};
use dsync_delta::{Divided, Listing, Part, Spot};
use dsync_engine::{PackedLayer, Store, StoreError};
use dsync_proto::{
    Compression, Event, Known, LayerProof, Need, Offer, Peer, Phase, Reply, ShortId, Stored, encode, limits,
};

use crate::absolute::{Programs, Version};
use crate::batches::{self, Sources};
use crate::endpoint::{Room, remembered};
use crate::executables::{Candidates, Plans};
use crate::explain;
use crate::failure::{Breach, EndpointError};
use crate::identity;
use crate::layers::{Layers, Role, Shelf, Slice, Slices, listings, load, places, readable};
use crate::link::Link;
use crate::memory::Memory;
use crate::negotiate::{self, Parted, Parts, Stretches};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::proof;
use crate::stream;
use crate::told::{self, Telling};

/// How a source sends.
pub(crate) struct Sending {
    pub(crate) compression: Compression,
    /// Bytes a second of the link, if they are known.
    pub(crate) speed: Option<u64>,
    /// Count what would be sent, send no contents.
    pub(crate) dry_run: bool,
    /// Find out what the bytes are.
    pub(crate) explain: bool,
    /// Give the image with its own ID; of several platforms that of one, where it is named.
    pub(crate) exact: Option<Option<Platform>>,
    /// Prove first that the config belongs to the ID.
    pub(crate) prove: bool,
    /// The key by which the target has to prove that it has its basis; a patch is made for none that could be asked.
    pub(crate) key: Option<[u8; 16]>,
}

const LOST: &str = "cannot send to the target";

/// Gives an image to the target at the other end of the link. `held` are the images of the store.
pub(crate) fn send(
    store: &dyn Store,
    held: &[Image],
    link: &mut Link,
    image: &ImageId,
    how: &Sending,
    room: &Room,
) -> Result<Reply, EndpointError> {
    let listed = held
        .iter()
        .find(|held| held.id == *image)
        .ok_or_else(|| StoreError::NoSuchImage { image: image.to_string() })?;
    let mut pace = Pace::new(how.compression, room.memory, how.speed);
    let Some(Asked { image, mut needed, stored, told: mut told_packed }) =
        ask_what(store, link, listed, (how, room), &pace)?
    else {
        return Ok(Reply::Sent { raw: 0, packed: 0, told: 0, costs: Vec::new() });
    };
    let (image, stored) = (&image, &stored[..]);
    link.outbox.event(&Event::Phase(Phase::Scan));
    // When something was mistaken nothing is taken on trust, a remembered layer neither.
    let memory = Memory(room.memory);
    let mut own = Layers::new(store, (&room.folder, memory), remembered(link, room, needed.whole))?;
    if needed.basis.is_empty() {
        if how.exact.is_some() {
            told_packed += send_offer(link, &Offer { basis: Vec::new(), stored: stored.to_vec() })?;
        }
        let layers = (image, &needed.layers[..], needed.whole);
        return stream::send(&mut own, link, layers, (pace, memory), how, told_packed);
    }
    let export = own.keep(&image.id, needed.layers.iter().copied(), Role::New)?;
    let mut basis = Basis::find(&mut own, held, image, &std::mem::take(&mut needed.basis))?;
    if let Some(key) = &how.key {
        basis.check(&own, &await_proofs(link)?, key)?;
    }
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
    let offer = Offer { basis: basis.known(), stored: stored.to_vec() };
    told_packed += send_offer(link, &offer)?;

    let layers: Vec<Arc<Listing>> = listings_of(&own, &needed.layers)?;
    let new: Vec<&Listing> = layers.iter().map(|listing| &**listing).collect();
    let mut old: Vec<Shelf> = basis.shelves(&own);
    if offer.asks() {
        link.outbox.event(&Event::Phase(Phase::Basis));
        old.push(negotiate::ask_for(link, &layers, &old, memory)?);
    }
    let literals = {
        let listed = listings(&old);
        let mut encoder = Encoder::new(&listed, mode(needed.whole));
        let mut out = link.data_writer();
        let mut telling = Telling::new(&mut out, pace.effort());
        // One that goes over as it is has its config in what was said first.
        let config = if how.exact.is_some() { &[][..] } else { &export.config };
        let told = put_config(config, &mut telling)
            .and_then(|()| layers.iter().try_for_each(|listing| encoder.layer(listing, &mut telling)))
            .and_then(|()| telling.finish());
        told_packed += told.map_err(EndpointError::io(LOST))?;
        out.finish().map_err(EndpointError::io(LOST))?;
        encoder.into_literals()
    };
    let agreed = old.iter().filter(|shelf| !shelf.is_layer());
    let taken = own.taken() + agreed.map(|shelf| Memory::basis_layer(&shelf.listing)).sum::<u64>();
    let left = memory.for_coding(taken, literals.len());
    pace.leave(left);

    let parts = match offer.has_all() {
        true => Parts::default(),
        false => {
            let load = |literal: &Literal, out: &mut Vec<u8>| {
                own.copy_content((new[literal.layer as usize].diff_id, literal.content as usize), out)
            };
            negotiate::ask_for_parts(link, &literals, &load, left)?
        }
    };
    let (fresh, sent) = match parts.told.is_empty() {
        true => {
            let sent = literals.iter().map(Literal::spot).collect();
            (layers.iter().map(|listing| Shelf::layer(Arc::clone(listing), true)).collect(), sent)
        }
        false => {
            let Parted { shared, divided, sent } = part(&new, &literals, &parts.stretches);
            old.extend(shared);
            (divided_layers(&new, divided), sent)
        }
    };
    drop(literals);
    let (new, known) = (listings(&fresh), readable(&old));
    let limit = pace.limit(known.iter().any(Option::is_some));
    let batches = gather::batches(&new, &sent, &known, limit.into());
    let candidates = match pace.is_patient() {
        true => Candidates::find(&batches, &own, (&old, &fresh), left)
            .map_err(EndpointError::io("cannot read a content"))?,
        false => Candidates::default(),
    };
    own.fetch(&basis.images, places(&batches, &old).chain(candidates.places(&old)))?;
    let (aligned, plans) = candidates.align(&own, (&old, &fresh), &room.folder)?;

    let raw = batches.iter().map(Batch::len).sum();
    link.outbox.event(&Event::Phase(Phase::Transfer));
    link.outbox.event(&Event::Total(raw));
    let load_new = |run: &Run, out: &mut Vec<u8>| load(&own, &fresh, run, out);
    let load_old = |run: &Run, out: &mut Vec<u8>| {
        aligned.load(run, out, &|run: &Run, out: &mut Vec<u8>| load(&own, &old, run, out))
    };
    let mut programs = Programs::default();
    for listing in &layers {
        let read_at = |at: u64, out: &mut [u8]| own.read_at(&listing.diff_id, at, out);
        programs.add(listing, &read_at).map_err(EndpointError::io("cannot read a content"))?;
    }
    let version = |run: &Run| match &old[run.layer()] {
        _ if aligned.has(run) => Version::Planned,
        shelf if shelf.is_layer() => Version::Plain,
        shelf => Version::Shared(&shelf.listing),
    };
    let code = |batch: &Batch| programs.of(batch, &new, &version);
    let sources = Sources { new: &load_new, old: &load_old, code: &code };
    let head = Head { limit, parts: &parts.told, plans: &plans };
    let (sizes, head) = send_batches(link, &head, &batches, sources, &mut pace, how.dry_run)
        .map_err(EndpointError::io(LOST))?;
    told_packed += head;
    let costs = if how.explain {
        let layer = |listing| explain::Layer { listing, position: position(image, &listing.diff_id) };
        let layers: Vec<explain::Layer<'_>> = new.iter().copied().map(layer).collect();
        explain::costs(&batches, &sizes, &layers, sources, pace.effort()).map_err(EndpointError::io(LOST))?
    } else {
        Vec::new()
    };
    Ok(Reply::Sent { raw, packed: sizes.iter().sum(), told: told_packed, costs })
}

/// Divides the literals: what is no literal, or a stretch of one that is known, lies in the new layers themselves.
fn part(new: &[&Listing], literals: &[Literal], stretches: &Stretches) -> Parted {
    // A content is a literal wherever it is: those that are divided are found by what they are.
    let key = |spot: Spot| {
        let content = new[spot.layer as usize].contents().at(spot.content as usize);
        (content.id, content.len)
    };
    let mut numbers: Vec<u32> = (0..literals.len() as u32).collect();
    let of = |number: u32| key(literals[number as usize].spot());
    numbers.sort_unstable_by_key(|number| of(*number));
    let literal = |layer: usize, ordinal: usize| {
        let key = key(Spot { layer: layer as u32, content: ordinal as u32 });
        let at = numbers.binary_search_by_key(&key, |number| of(*number)).ok()?;
        Some(numbers[at] as usize)
    };
    let slices = |layer: usize, part: Part| match part {
        Part::Whole(ordinal) => {
            let len = new[layer].contents().at(ordinal).len;
            vec![Slice { place: (new[layer].diff_id, ordinal), from: 0, len }]
        }
        Part::Stretch { literal, stretch } => {
            let (bytes, literal) = (&stretches[&literal][stretch].bytes, &literals[literal]);
            let place = (new[literal.layer as usize].diff_id, literal.content as usize);
            vec![Slice { place, from: bytes.start, len: bytes.end - bytes.start }]
        }
    };
    negotiate::part(new, literals, &literal, stretches, &slices)
}

/// The new layers with contents divided, which lie in the layers as they were.
fn divided_layers(new: &[&Listing], divided: Divided) -> Vec<Shelf> {
    let layers = divided.layers.into_iter().zip(divided.ordinals).zip(new);
    let shelf = |((parted, ordinals), layer): ((Listing, Vec<u32>), &&Listing)| {
        let mut slices = Slices::default();
        for (ordinal, ends) in ordinals.windows(2).enumerate() {
            let mut from = 0;
            for content in parted.contents().range(ends[0] as usize..ends[1] as usize) {
                slices.push([Slice { place: (layer.diff_id, ordinal), from, len: content.len }]);
                from += content.len;
            }
        }
        Shelf::slices(parted, slices, true)
    };
    layers.map(shelf).collect()
}

/// Which layer of the image this is.
pub(crate) fn position(image: &Image, diff_id: &DiffId) -> u32 {
    let position = image.diff_ids.iter().position(|id| id == diff_id);
    position.and_then(|position| position.try_into().ok()).unwrap_or(u32::MAX)
}

/// How contents are told in columns.
pub(crate) fn mode(whole: bool) -> Mode {
    if whole { Mode::Whole } else { Mode::Known }
}

/// What a target asks for.
struct Needed {
    layers: Vec<DiffId>,
    local: Vec<DiffId>,
    whole: bool,
    basis: Vec<ShortId>,
}

/// What is to be sent of an image, and how it is stored where it is to have its own ID.
struct Asked {
    /// With the layers by which it goes.
    image: Image,
    needed: Needed,
    stored: Vec<Stored>,
    /// Bytes by which the target was told what the image is made of.
    told: u64,
}

/// Hears what the target needs.
fn ask_what(
    store: &dyn Store,
    link: &mut Link,
    listed: &Image,
    (how, room): (&Sending, &Room),
    pace: &Pace,
) -> Result<Option<Asked>, EndpointError> {
    let mut image = listed.clone();
    let undocumented =
        || EndpointError::Broken(format!("the store of {} does not say what its ID is made of", listed.id));
    let mut told = 0;
    if how.prove {
        let package = store.package(&image.id, None)?.ok_or_else(undocumented)?;
        let config = match image.config {
            Some(config) => Some(config),
            None => store.configs(&[image.id])?.into_iter().next().flatten(),
        };
        let config = config.ok_or_else(|| StoreError::NoSuchImage { image: image.id.to_string() })?;
        told += proof::send(link, &package, &image, &config, pace.effort())?;
    }
    let Some(platform) = &how.exact else {
        let needed = await_need(link, &image)?;
        return Ok(needed.map(|needed| Asked { image, needed, stored: Vec::new(), told }));
    };
    let package = store.package(&image.id, platform.as_ref())?.ok_or_else(undocumented)?;
    for absent in package.absent() {
        let note = format!("{absent} is named by {} and not there, so it does not go over", image.id);
        link.outbox.event(&Event::Note(note));
    }
    told += identity::send(link, &package, pace.effort())?;
    image.diff_ids = package.stack();
    let Some(mut needed) = await_need(link, &image)? else { return Ok(None) };
    link.outbox.event(&Event::Phase(Phase::Scan));
    // A blob that goes by its own digest crosses as it is stored.
    let of = |id: &DiffId| {
        let at = image.diff_ids.iter().position(|other| other == id)?;
        let layer = package.layers()[at];
        Some(PackedLayer { diff_id: layer.diff_id.filter(|diff_id| diff_id == id), ..layer })
    };
    let layers: Vec<_> = needed.layers.iter().chain(&needed.local).filter_map(of).collect();
    let cache = remembered(link, room, needed.whole);
    // Against nothing old, a tar is a fifth smaller than its compressed form, for the time of compressing it twice.
    let as_is = needed.whole || needed.basis.is_empty() && how.compression != Compression::Max;
    let stored = identity::find(store, &layers, as_is, cache.as_ref())?;
    let asked = needed.layers.len();
    identity::settle(&mut image.diff_ids, &package, &mut needed.layers, &needed.local, (asked, &stored));
    Ok(Some(Asked { image, needed, stored, told }))
}

/// Says what is known of the basis, and how layers are stored. Returns how many bytes that is.
fn send_offer(link: &Link, offer: &Offer) -> Result<u64, EndpointError> {
    let len = encode(offer).map_err(|error| EndpointError::Broken(error.to_string()))?.len();
    link.send_peer(&Peer::Offer(offer.clone())).map_err(EndpointError::io(LOST))?;
    Ok(len as u64)
}

/// The proofs of a target that it has the layers of its basis.
fn await_proofs(link: &mut Link) -> Result<Vec<LayerProof>, EndpointError> {
    const SILENT: &str = "the target did not prove that it has what it builds on";
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Proofs(proofs) => Ok(proofs),
        _ => Err(EndpointError::Protocol(SILENT.into())),
    }
}

fn await_need(link: &mut Link, image: &Image) -> Result<Option<Needed>, EndpointError> {
    const SILENT: &str = "the target did not say what it needs";
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Need(Need::Nothing) => Ok(None),
        Peer::Need(Need::Layers { basis, .. }) if basis.len() > limits::LAYERS => {
            let (asked, most) = (basis.len(), limits::LAYERS);
            Err(Breach(format!("the target wants to build on {asked} layers; {most} are the most")).into())
        }
        Peer::Need(Need::Layers { layers, whole, basis, local }) => {
            let diff_id = |layer: u32| {
                let layer = usize::try_from(layer).ok().and_then(|layer| image.diff_ids.get(layer));
                layer
                    .copied()
                    .ok_or_else(|| EndpointError::Protocol(format!("image {} has no such layer", image.id)))
            };
            if layers.len().saturating_add(local.len()) > limits::LAYERS {
                return Err(Breach("the target asks for more layers than an image has".into()).into());
            }
            let layers: Vec<DiffId> = layers.into_iter().map(diff_id).collect::<Result<_, _>>()?;
            let local: Vec<DiffId> = local.into_iter().map(diff_id).collect::<Result<_, _>>()?;
            let mut seen = HashSet::new();
            if !layers.iter().chain(&local).all(|id| seen.insert(*id)) {
                return Err(Breach("the target asks for a layer twice".into()).into());
            }
            Ok(Some(Needed { layers, local, whole, basis }))
        }
        _ => Err(EndpointError::Protocol(SILENT.into())),
    }
}

fn listings_of(own: &Layers<'_>, layers: &[DiffId]) -> Result<Vec<Arc<Listing>>, EndpointError> {
    let missing = |id: &DiffId| EndpointError::Broken(format!("the store did not give layer {id}"));
    layers.iter().map(|id| own.listing(id).cloned().ok_or_else(|| missing(id))).collect()
}

fn put_config(config: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(config.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(config)
}

/// What comes before the batches.
struct Head<'a> {
    /// What they are formed by.
    limit: u32,
    /// Of the literals that are sent in part.
    parts: &'a [u8],
    /// Of executables that they are coded against.
    plans: &'a Plans,
}

/// Sends the contents; a dry run sends what comes before them, and counts. Returns the bytes of each batch, and of the head.
fn send_batches(
    link: &Link,
    head: &Head<'_>,
    batches: &[Batch],
    sources: Sources<'_>,
    pace: &mut Pace,
    dry_run: bool,
) -> io::Result<(Vec<u64>, u64)> {
    let mut out = link.data_writer();
    out.write_all(&head.limit.to_le_bytes())?;
    let mut told = match head.parts.is_empty() {
        true => 0,
        false => told::write(head.parts, pace.effort(), &mut out)?,
    };
    told += head.plans.write(pace.effort(), &mut out)?;
    let mut progress = Progress::new(&link.outbox);
    let sizes = batches::pack((head.limit, batches), sources, (pace, link), |batch, packed| {
        if !dry_run {
            batches::write(packed, &mut out)?;
            out.flush()?;
        }
        progress.advance(batch.len());
        Ok(())
    })?;
    progress.finish();
    out.finish()?;
    Ok((sizes, told))
}

/// What the source has of the target's basis.
struct Basis<'a> {
    layers: Vec<(Option<DiffId>, Known)>,
    /// The images through which the layers are read.
    images: Vec<&'a Image>,
}

impl<'a> Basis<'a> {
    /// Finds the layers that a target named in the store, or in what is remembered.
    fn find(
        own: &mut Layers<'_>,
        held: &'a [Image],
        image: &Image,
        named: &[ShortId],
    ) -> Result<Basis<'a>, EndpointError> {
        let mut images: Vec<&Image> = Vec::new();
        let mut layers = Vec::new();
        let mut seen = HashSet::new();
        for short in named {
            // A target has one try to prove a layer. Two of its layers that begin alike are as good as none.
            if !seen.insert(short) {
                layers.push((None, Known::No));
                continue;
            }
            let is_it = |id: &&DiffId| id.as_bytes().starts_with(short);
            let there = held.iter().find_map(|held| Some((held, *held.diff_ids.iter().find(is_it)?)));
            let known = match there {
                Some((holder, diff_id)) => {
                    if !images.iter().any(|image| image.id == holder.id) {
                        images.push(holder);
                    }
                    (Some(diff_id), Known::Bytes)
                }
                None => match own.recall_short(short) {
                    Some(diff_id) => (Some(diff_id), Known::Listing),
                    None => (None, Known::No),
                },
            };
            layers.push(known);
        }
        let ids: Vec<DiffId> = layers.iter().filter_map(|(id, _)| *id).collect();
        for holder in &images {
            let named = holder.diff_ids.iter().copied().filter(|id| ids.contains(id));
            own.learn(&holder.id, named, &|id| !image.diff_ids.contains(id))?;
        }
        // What could not be read is not known.
        for (id, known) in &mut layers {
            let listed = id.as_ref().is_some_and(|id| own.listing(id).is_some());
            if !listed {
                (*id, *known) = (None, Known::No);
            }
        }
        Ok(Basis { layers, images })
    }

    /// Takes it that the layers are not known of which the target has not proven that it has them. So it cannot find out by
    /// guesses which layers are in other images than the one that it is given.
    fn check(
        &mut self,
        own: &Layers<'_>,
        proofs: &[LayerProof],
        key: &[u8; 16],
    ) -> Result<(), EndpointError> {
        if proofs.len() != self.layers.len() {
            return Err(EndpointError::Protocol("the target proves other layers than it named".into()));
        }
        for ((id, known), proof) in self.layers.iter_mut().zip(proofs) {
            let is_proven = |id: &DiffId| own.listing(id).is_some_and(|listing| listing.proof(key) == *proof);
            if !id.as_ref().is_some_and(is_proven) {
                (*id, *known) = (None, Known::No);
            }
        }
        Ok(())
    }

    fn known(&self) -> Vec<Known> {
        self.layers.iter().map(|(_, known)| *known).collect()
    }

    /// The known layers.
    fn shelves(&self, own: &Layers<'_>) -> Vec<Shelf> {
        let layers = self.layers.iter().filter_map(|(id, known)| Some((own.listing(id.as_ref()?)?, known)));
        layers.map(|(listing, known)| Shelf::layer(Arc::clone(listing), *known == Known::Bytes)).collect()
    }
}

//! The source's side of one image: read what is needed, say what it is made of, send what is wanted.

use std::io::{self, Write};
use std::path::Path;

use dsync_core::{DiffId, Image, ImageId};
use dsync_delta::batch::{self, Items};
use dsync_delta::columns::{Encoder, Mode};
use dsync_delta::gather::{self, Batch, Run, Spot};
use dsync_delta::{Listing, Wanted};
use dsync_engine::{Store, StoreError};
use dsync_proto::{Compression, Event, Known, Need, Offer, Peer, Phase, Reply, Reuse, Telling};

use crate::batches;
use crate::cache::Cache;
use crate::explain;
use crate::failure::EndpointError;
use crate::layers::{Layers, Place};
use crate::link::{DataWriter, Link};
use crate::pace::Pace;
use crate::progress::Progress;

/// How a source sends.
pub(crate) struct Sending {
    pub(crate) compression: Compression,
    /// Count what would be sent, send no contents.
    pub(crate) dry_run: bool,
    /// Find out what the bytes are.
    pub(crate) explain: bool,
}

const LOST: &str = "cannot send to the target";

/// Gives an image to the target at the other end of the link. `held` are the images of the store.
pub(crate) fn send(
    store: &dyn Store,
    held: &[Image],
    link: &mut Link,
    image: &ImageId,
    how: &Sending,
    folder: &Path,
) -> Result<Reply, EndpointError> {
    let image = held
        .iter()
        .find(|held| held.id == *image)
        .ok_or_else(|| StoreError::NoSuchImage { image: image.to_string() })?;
    let Some(needed) = await_need(link, image)? else {
        return Ok(Reply::Sent { raw: 0, packed: 0, told: 0, costs: Vec::new() });
    };
    let whole = needed.reuse == Reuse::Nothing;

    link.outbox.event(&Event::Phase(Phase::Scan));
    // When something was mistaken nothing is taken on trust, a remembered layer neither.
    let cache = if whole { None } else { Cache::open() };
    let mut own = Layers::new(store, folder, cache)?;
    let export = own.keep(&image.id, needed.layers.iter().copied())?;
    let basis = Basis::find(&mut own, held, image, &needed.basis)?;
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));

    let telling = match needed.reuse {
        Reuse::Nothing => Telling::Whole,
        Reuse::Sent => Telling::Known,
        Reuse::Target if basis.is_complete() => Telling::Known,
        Reuse::Target => Telling::Ask,
    };
    let mut pace = Pace::new(how.compression);
    let offer = Offer { telling, basis: basis.known() };
    link.send_peer(&Peer::Offer(offer)).map_err(EndpointError::io(LOST))?;

    let new: Vec<&Listing> = listings(&own, &needed.layers)?;
    let listed: Vec<&Listing> = basis.listings(&own);
    let mut encoder = Encoder::new(&listed, mode(telling));
    let mut told = Vec::new();
    put_config(&export.config, &mut told).map_err(EndpointError::io(LOST))?;
    new.iter().for_each(|listing| encoder.layer(listing, &mut told));
    let items = Items { bytes: &told, lens: &[told.len() as u64] };
    let told_packed =
        batch::encode(Items::default(), items, &[None], pace.effort()).map_err(EndpointError::io(LOST))?;
    send_told(link, told.len(), &told_packed).map_err(EndpointError::io(LOST))?;

    let literals = encoder.literals();
    let wanted = match telling {
        Telling::Ask => await_want(link, literals.len())?,
        Telling::Known | Telling::Whole => Wanted::all(literals.len()),
    };
    let chosen = literals.iter().enumerate().filter(|(ordinal, _)| wanted.contains(*ordinal));
    let sent: Vec<Spot> = chosen.map(|(_, literal)| (literal.layer, literal.content)).collect();
    let readable = basis.readable(&own);
    let limit = pace.limit(readable.iter().any(Option::is_some));
    let batches = gather::batches(&new, &sent, &readable, limit.into());
    let (new_ids, basis_ids) = (needed.layers, basis.ids());
    own.fetch(&basis.images, places(&batches, &basis_ids))?;

    let raw = batches.iter().map(Batch::len).sum();
    link.outbox.event(&Event::Phase(Phase::Transfer));
    link.outbox.event(&Event::Total(raw));
    let sizes = send_batches(link, &own, (&new_ids, &basis_ids), (limit, &batches), &mut pace, how.dry_run)
        .map_err(EndpointError::io(LOST))?;
    let costs = if how.explain {
        let layers: Vec<explain::Layer<'_>> = listings(&own, &new_ids)?
            .into_iter()
            .map(|listing| explain::Layer { listing, position: position(image, &listing.diff_id) })
            .collect();
        let load_new = |run: &Run, out: &mut Vec<u8>| load(&own, &new_ids, run, out);
        let load_old = |run: &Run, out: &mut Vec<u8>| load(&own, &basis_ids, run, out);
        explain::costs(&batches, &sizes, &layers, (&load_new, &load_old)).map_err(EndpointError::io(LOST))?
    } else {
        Vec::new()
    };
    let told = told_packed.len() as u64;
    Ok(Reply::Sent { raw, packed: sizes.iter().sum(), told, costs })
}

/// Which layer of the image this is.
fn position(image: &Image, diff_id: &DiffId) -> u32 {
    let position = image.diff_ids.iter().position(|id| id == diff_id);
    position.and_then(|position| position.try_into().ok()).unwrap_or(u32::MAX)
}

/// How contents are told in columns.
pub(crate) fn mode(telling: Telling) -> Mode {
    match telling {
        Telling::Whole => Mode::Whole,
        Telling::Known => Mode::Known,
        Telling::Ask => Mode::Ask,
    }
}

/// The contents of the basis that batches are coded against.
pub(crate) fn places<'a>(batches: &'a [Batch], basis: &'a [DiffId]) -> impl Iterator<Item = Place> + 'a {
    let runs = batches.iter().flat_map(|batch| &batch.old);
    runs.flat_map(|run| run.contents.clone().map(|content| (basis[run.layer], content)))
}

/// Adds the bytes of a run of contents.
pub(crate) fn load(own: &Layers<'_>, layers: &[DiffId], run: &Run, out: &mut Vec<u8>) -> io::Result<()> {
    run.contents.clone().try_for_each(|content| own.copy((layers[run.layer], content), out))
}

/// What a target asks for.
struct Needed {
    layers: Vec<DiffId>,
    reuse: Reuse,
    basis: Vec<[u8; 8]>,
}

fn await_need(link: &mut Link, image: &Image) -> Result<Option<Needed>, EndpointError> {
    const SILENT: &str = "the target did not say what it needs";
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Need(Need::Nothing) => Ok(None),
        Peer::Need(Need::Layers { layers, reuse, basis }) => {
            let diff_id = |layer: u32| {
                let layer = usize::try_from(layer).ok().and_then(|layer| image.diff_ids.get(layer));
                layer
                    .copied()
                    .ok_or_else(|| EndpointError::Usage(format!("image {} has no such layer", image.id)))
            };
            let layers = layers.into_iter().map(diff_id).collect::<Result<_, _>>()?;
            Ok(Some(Needed { layers, reuse, basis }))
        }
        _ => Err(EndpointError::Usage(SILENT.into())),
    }
}

fn await_want(link: &mut Link, literals: usize) -> Result<Wanted, EndpointError> {
    const SILENT: &str = "the target did not say what it wants";
    link.outbox.event(&Event::Phase(Phase::Basis));
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Want { bitmap } => Ok(Wanted::from_bytes(&bitmap, literals)?),
        _ => Err(EndpointError::Usage(SILENT.into())),
    }
}

fn listings<'a>(own: &'a Layers<'_>, layers: &[DiffId]) -> Result<Vec<&'a Listing>, EndpointError> {
    let missing = |id: &DiffId| EndpointError::Broken(format!("the store did not give layer {id}"));
    layers.iter().map(|id| own.listing(id).ok_or_else(|| missing(id))).collect()
}

fn put_config(config: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let len = u32::try_from(config.len()).map_err(io::Error::other)?;
    out.extend(len.to_le_bytes());
    out.extend(config);
    Ok(())
}

/// The config and the layers: the length of it all (8 bytes, little-endian), then as one batch.
fn send_told(link: &Link, len: usize, packed: &[u8]) -> io::Result<()> {
    let mut out = link.data_writer();
    out.write_all(&(len as u64).to_le_bytes())?;
    batches::write(packed, &mut out)?;
    out.finish()
}

fn send_batches(
    link: &Link,
    own: &Layers<'_>,
    (new, old): (&[DiffId], &[DiffId]),
    (limit, batches): (u32, &[Batch]),
    pace: &mut Pace,
    dry_run: bool,
) -> io::Result<Vec<u64>> {
    let mut out: Option<DataWriter<'_>> = (!dry_run).then(|| link.data_writer());
    if let Some(out) = &mut out {
        out.write_all(&limit.to_le_bytes())?;
    }
    let mut progress = Progress::new(&link.outbox);
    let load_new = |run: &Run, out: &mut Vec<u8>| load(own, new, run, out);
    let load_old = |run: &Run, out: &mut Vec<u8>| load(own, old, run, out);
    let sizes = batches::pack(batches, (&load_new, &load_old), pace, |batch, packed| {
        if let Some(out) = &mut out {
            batches::write(packed, out)?;
            out.flush()?;
        }
        progress.advance(batch.len());
        Ok(())
    })?;
    progress.finish();
    if let Some(out) = out {
        out.finish()?;
    }
    Ok(sizes)
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
        named: &[[u8; 8]],
    ) -> Result<Basis<'a>, EndpointError> {
        let mut images: Vec<&Image> = Vec::new();
        let mut layers = Vec::new();
        for short in named {
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

    fn known(&self) -> Vec<Known> {
        self.layers.iter().map(|(_, known)| *known).collect()
    }

    fn is_complete(&self) -> bool {
        self.layers.iter().all(|(_, known)| *known != Known::No)
    }

    /// The known layers.
    fn ids(&self) -> Vec<DiffId> {
        self.layers.iter().filter_map(|(id, _)| *id).collect()
    }

    fn listings<'l>(&self, own: &'l Layers<'_>) -> Vec<&'l Listing> {
        self.ids().iter().filter_map(|id| own.listing(id)).collect()
    }

    fn readable<'l>(&self, own: &'l Layers<'_>) -> Vec<Option<&'l Listing>> {
        let known = self.layers.iter().filter(|(id, _)| id.is_some());
        known
            .map(|(id, known)| id.as_ref().filter(|_| *known == Known::Bytes).and_then(|id| own.listing(id)))
            .collect()
    }
}

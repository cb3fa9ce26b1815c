//! A target that has nothing to build on: each layer crosses as soon as it is read, while the next one is.
//!
//! Nothing is asked and nothing is offered. One stream has of each layer the limit of its batches (4 bytes,
//! little-endian), what it is made of and its literals in batches, and the config at last, since an engine may give
//! that last.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::iter;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use dsync_core::{DiffId, Image};
use dsync_delta::Listing;
use dsync_delta::Spot;
use dsync_delta::columns::{Decoder, Encoder, Literal, Origin, Recipe};
use dsync_delta::gather::{self, Batch, Run};
use dsync_engine::{Export, Import, Store};
use dsync_proto::{Event, Layer, LayerState, Phase, Received, Reply, limits};

use crate::absolute::{Programs, Version};
use crate::batches::{self, Arrivals, Sources};
use crate::endpoint::Room;
use crate::explain;
use crate::failure::EndpointError;
use crate::identity::{self, Exact};
use crate::layers::{Kept, Layers};
use crate::link::{DataWriter, Link};
use crate::memory::Memory;
use crate::need::distinct;
use crate::offered::{limits_of, next_layer};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::source::{Sending, mode, position};
use crate::target::{Receiving, build, check_config, copy_own};
use crate::told::{self, Telling, Told};

const LOST: &str = "cannot send to the target";
const SILENT: &str = "the source did not send what it offered";
/// Bytes of the first batch of a layer; each has room for twice as many as the one before, up to the limit.
const FIRST_BATCH: u64 = 4 << 20;

/// Gives these layers of an image, of which so many bytes were told before.
pub(crate) fn send(
    own: &mut Layers<'_>,
    link: &Link,
    (image, layers, whole): (&Image, &[DiffId], bool),
    (pace, memory): (Pace, Memory),
    how: &Sending,
    told: u64,
) -> Result<Reply, EndpointError> {
    link.outbox.event(&Event::Total(image.size));
    let (announce, kept) = channel();
    let reader = &mut *own;
    let (export, sent) = thread::scope(|scope| {
        let reading = scope.spawn(move || {
            reader.keep_and(&image.id, layers.iter().copied(), &mut |kept| {
                announce.send(kept).map_err(|_| io::ErrorKind::BrokenPipe.into())
            })
        });
        let mut sender = Sender {
            link,
            out: link.data_writer(),
            encoder: Encoder::new(&[], mode(whole)),
            pace,
            memory,
            progress: Progress::new(&link.outbox),
            dry_run: how.dry_run,
            layers: Vec::new(),
            programs: Programs::default(),
            sent: Sent { told, ..Sent::default() },
        };
        let sent = sender.all(layers, kept).map(|()| sender);
        (reading.join(), sent)
    });
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
    let ended = || EndpointError::Broken("the reader of the image ended early".into());
    let export = export.map_or_else(|_| Err(ended()), |read| read.map_err(EndpointError::from));
    // Each that stops stops the other, and only the first knows why: a reader that nobody listens to has a broken
    // pipe, a sender that gets no more a store that did not give a layer.
    let (export, sender) = match (export, sent) {
        (Err(error), Err(EndpointError::Broken(_)) | Ok(_)) => return Err(error),
        (Err(_), Err(error)) => return Err(error),
        (Ok(export), sent) => (export, sent?),
    };
    sender.finish(&export, image, how)
}

/// Sends layers as they come.
struct Sender<'a> {
    link: &'a Link,
    out: DataWriter<'a>,
    encoder: Encoder<'a>,
    pace: Pace,
    memory: Memory,
    progress: Progress<'a>,
    dry_run: bool,
    layers: Vec<Kept>,
    programs: Programs,
    sent: Sent,
}

#[derive(Default)]
struct Sent {
    told: u64,
    batches: Vec<Batch>,
    sizes: Vec<u64>,
}

impl Sender<'_> {
    fn all(&mut self, layers: &[DiffId], kept: Receiver<Kept>) -> Result<(), EndpointError> {
        let mut waiting: HashMap<DiffId, Kept> = HashMap::new();
        for diff_id in layers {
            // An archive may have them in another order.
            let layer = loop {
                if let Some(layer) = waiting.remove(diff_id) {
                    break layer;
                }
                let missing = || EndpointError::Broken(format!("the store did not give layer {diff_id}"));
                let next = kept.recv().map_err(|_| missing())?;
                waiting.insert(next.listing.diff_id, next);
            };
            self.layers.push(layer);
            self.last().map_err(EndpointError::io(LOST))?;
        }
        Ok(())
    }

    /// Sends the layer that came last.
    fn last(&mut self) -> io::Result<()> {
        let (layers, pace) = (&self.layers, &mut self.pace);
        let Some(last) = layers.last() else { return Ok(()) };
        // Listings leave less and less for coding.
        let listings = layers.iter().map(|layer| Memory::new_layer(&layer.listing)).sum();
        pace.leave(self.memory.for_coding(listings, 0));
        let limit = pace.limit(false);
        self.out.write_all(&limit.to_le_bytes())?;
        let before = self.encoder.literals().len();
        let mut telling = Telling::new(&mut self.out, pace.effort());
        self.encoder.layer(&last.listing, &mut telling)?;
        self.sent.told += telling.finish()?;
        let literals = &self.encoder.literals()[before..];
        let mut batches = gather::in_order(&[&*last.listing], spots(literals), batch_limits(limit));
        self.programs.add(&last.listing, &|at, out| last.read_at(at, out))?;
        let load_new = |run: &Run, out: &mut Vec<u8>| last.load(run, out);
        let programs = &self.programs;
        let code = |batch: &Batch| programs.of(batch, &[&*last.listing], &|_| Version::Plain);
        let sources = Sources { new: &load_new, old: &no_old, code: &code };
        let contents: u64 = literals.iter().map(|literal| u64::from(literal.len)).sum();
        self.progress.advance(last.listing.len.saturating_sub(contents));
        let (dry_run, out, progress) = (self.dry_run, &mut self.out, &mut self.progress);
        let sizes = batches::pack((limit, &batches), sources, (pace, self.link), |batch, packed| {
            if !dry_run {
                batches::write(packed, out)?;
                out.flush()?;
            }
            progress.advance(batch.len());
            Ok(())
        })?;
        // From here on a layer has its number among all.
        let number = u32::try_from(layers.len() - 1).map_err(io::Error::other)?;
        batches.iter_mut().flat_map(|batch| &mut batch.new).for_each(|run| *run = run.of_layer(number));
        self.sent.batches.extend(batches);
        self.sent.sizes.extend(sizes);
        Ok(())
    }

    fn finish(mut self, export: &Export, image: &Image, how: &Sending) -> Result<Reply, EndpointError> {
        let Sent { mut told, batches, sizes } = self.sent;
        self.progress.finish();
        if how.exact.is_none() {
            told += told::write(&export.config, self.pace.effort(), &mut self.out)
                .map_err(EndpointError::io(LOST))?;
        }
        self.out.finish().map_err(EndpointError::io(LOST))?;
        let costs = if how.explain {
            let layers = &self.layers;
            let position = |listing: &Listing| position(image, &listing.diff_id);
            let listings = layers.iter().map(|kept| &*kept.listing);
            let explained: Vec<explain::Layer<'_>> =
                listings.map(|listing| explain::Layer { listing, position: position(listing) }).collect();
            let load_new = |run: &Run, out: &mut Vec<u8>| layers[run.layer()].load(run, out);
            let new: Vec<&Listing> = layers.iter().map(|kept| &*kept.listing).collect();
            let code = |batch: &Batch| self.programs.of(batch, &new, &|_| Version::Plain);
            let sources = Sources { new: &load_new, old: &no_old, code: &code };
            explain::costs(&batches, &sizes, &explained, sources, self.pace.effort())
                .map_err(EndpointError::io("cannot read a content"))?
        } else {
            Vec::new()
        };
        let raw = batches.iter().map(Batch::len).sum();
        Ok(Reply::Sent { raw, packed: sizes.iter().sum(), told, costs })
    }
}

/// The literals of one layer, which is taken for the first.
fn spots(literals: &[Literal]) -> impl Iterator<Item = Spot> + '_ {
    literals.iter().map(|literal| Spot { layer: 0, content: literal.content })
}

/// The limits of the batches of one layer: small ones first, so that the link has something to do at once.
fn batch_limits(most: u32) -> impl Iterator<Item = u64> {
    let most = u64::from(most);
    iter::successors(Some(FIRST_BATCH.min(most)), move |limit| Some((limit * 2).min(most)))
}

/// There is nothing old.
fn no_old(_: &Run, _: &mut Vec<u8>) -> io::Result<()> {
    Ok(())
}

/// Takes an image of which only `own` layers are here.
pub(crate) fn receive(
    store: &dyn Store,
    link: &mut Link,
    what: &Receiving,
    (image, states): (&Image, &[LayerState]),
    exact: Option<Exact>,
    own: &Layers<'_>,
    room: &Room,
) -> Result<Reply, EndpointError> {
    let missing = distinct(&image.diff_ids, states, LayerState::Missing).len();
    let file =
        tempfile::tempfile_in(&room.folder).map_err(EndpointError::io("cannot make a temporary file"))?;
    let mut import = if what.dry_run { None } else { Some(identity::begin(store, exact.as_ref())?) };
    let outbox = link.outbox.clone();
    let stream = link.data_reader();
    let mut taker = Taker {
        arrivals: Arrivals::new((stream, outbox), Vec::new(), &no_old, &[], file),
        decoder: Decoder::new(&[], mode(what.whole), limits_of(Memory(room.memory))),
        left: missing,
    };
    let mut done = HashSet::new();
    let mut layers: Vec<Layer> = Vec::new();
    for (diff_id, &state) in image.diff_ids.iter().zip(states) {
        let mut layer = Layer { state, len: 0, reused: 0 };
        match state {
            LayerState::Local if done.insert(diff_id) => {
                layer.len = own.kept(diff_id).unwrap_or(0);
                layer.reused = layer.len;
                if let Some(import) = &mut import {
                    copy_own(own, diff_id, &mut **import)?;
                }
            }
            LayerState::Missing if done.insert(diff_id) => {
                layer.len = taker.layer(diff_id, &mut import)?;
            }
            _ => {}
        }
        layers.push(layer);
    }
    let config = match exact {
        Some(_) => Vec::new(),
        None => told::read(taker.arrivals.stream(), limits::DOCUMENT)?,
    };
    taker.arrivals.into_stream().finish().map_err(EndpointError::io(SILENT))?;
    if exact.is_none() {
        let asked = image.config.ok_or_else(|| EndpointError::Broken(SILENT.into()))?;
        check_config(&config, image, &asked)?;
    }
    let id = match import {
        None => image.id,
        Some(import) => {
            link.outbox.event(&Event::Phase(Phase::Load));
            let id = import.commit(identity::of(exact.as_ref(), &config))?;
            store.tag(&id, &what.names)?;
            id
        }
    };
    let packed_again = exact.as_ref().map_or(0, |exact| exact.packed_again(image, &layers));
    Ok(Reply::Received(Received { id: *id.as_bytes(), layers, was_there: false, packed_again }))
}

/// Takes layers as they come.
struct Taker<'a> {
    arrivals: Arrivals<'a>,
    decoder: Decoder<'a>,
    /// How many layers are still to come.
    left: usize,
}

impl Taker<'_> {
    /// Takes the next layer, which must be this one. Returns how long it is.
    fn layer(
        &mut self,
        diff_id: &DiffId,
        import: &mut Option<Box<dyn Import + '_>>,
    ) -> Result<u64, EndpointError> {
        let limit = batches::read_limit(self.arrivals.stream()).map_err(EndpointError::io(SILENT))?;
        let before = self.decoder.literals().len();
        let mut told = Told::new(self.arrivals.stream());
        let recipe = next_layer(&mut self.decoder, &mut told, (diff_id, true))?;
        told.finish()?;
        self.left = self.left.saturating_sub(1);
        let len = recipe.listing.len;
        if let Some(import) = import {
            self.expect(before, &recipe, limit);
            build(&recipe, &mut self.arrivals, &mut **import)?;
        }
        Ok(len)
    }

    /// Gets ready for the literals of a layer, which are those from `before` on.
    fn expect(&mut self, before: usize, Recipe { listing, origins }: &Recipe, limit: u32) {
        let literals = &self.decoder.literals()[before..];
        let mut batches = gather::in_order(&[listing], spots(literals), batch_limits(limit));
        let number = literals.first().map_or(0, |literal| literal.layer);
        batches.iter_mut().flat_map(|batch| &mut batch.new).for_each(|run| *run = run.of_layer(number));
        // What a layer that is still to come uses is known only then.
        let mut uses: Vec<u32> = vec![if self.left > 0 { u32::MAX } else { 0 }; literals.len()];
        for origin in origins {
            if let Origin::Literal(literal) = origin
                && let Some(uses) = (*literal as usize).checked_sub(before).and_then(|at| uses.get_mut(at))
            {
                *uses = uses.saturating_add(1);
            }
        }
        self.arrivals.expect(batches, literals, uses.into_iter());
    }
}

//! The target's side of one image: say what is needed, find what is here already, build, verify, tag.

use std::collections::HashSet;
use std::io::{self, Write};
use std::thread;

use dsync_core::{Config, DiffId, Digest, Image, ImageRef};
use dsync_delta::columns::{Origin, Recipe};
use dsync_delta::gather::Run;
use dsync_delta::{ContentSource, JoinError, join};
use dsync_engine::{Import, Store};
use dsync_proto::{
    Channel, Event, FailureKind, Layer, LayerState, Need, Offer, Peer, Phase, Received, Reply, limits,
};

use crate::assess;
use crate::batches::{self, Arrivals};
use crate::endpoint::{Room, remembered};
use crate::executables::Plans;
use crate::failure::EndpointError;
use crate::identity::{self, Exact};
use crate::layers::{Layers, Role, Shelf, load, places};
use crate::link::{DataReader, Link};
use crate::memory::Memory;
use crate::need::{Given, Plan};
use crate::negotiate::Candidates;
use crate::offered::{Basis, Offered};
use crate::proof;
use crate::stream;
use crate::told::{self, Told};

const LOST: &str = "the source did not send what it offered";

/// What to take, checked.
pub(crate) struct Receiving {
    pub(crate) image: Image,
    pub(crate) names: Vec<ImageRef>,
    pub(crate) basis: Option<ImageRef>,
    pub(crate) whole: bool,
    pub(crate) dry_run: bool,
    /// Make it with the source's ID, which says what that is made of.
    pub(crate) exact: Option<Keep>,
    /// The source proves first that the config belongs to the ID.
    pub(crate) prove: bool,
    /// The key by which it is proven that the basis is here; a patch asks for no proof.
    pub(crate) key: Option<[u8; 16]>,
    /// A patch says what there is; nothing else can be asked for.
    pub(crate) given: Option<Given>,
}

/// How much stays of an image that is to have the source's ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// All of it, so its ID.
    Whole,
    /// Of several platforms one, so the digest of its manifest.
    Platform,
}

/// Takes an image from the source at the other end of the link.
pub(crate) fn receive(
    store: &dyn Store,
    link: &mut Link,
    what: &Receiving,
    room: &Room,
) -> Result<Reply, EndpointError> {
    let mut held = store.list()?.images;
    if what.exact.is_none() || !store.has_packages() {
        assess::learn_configs(store, &mut held, std::slice::from_ref(&what.image))?;
    }
    take(store, link, what, &held, room).map_err(|error| match error.kind() {
        FailureKind::Broken | FailureKind::NoSuchImage | FailureKind::Other if has_lost(store, &held) => {
            EndpointError::Changed(error.into())
        }
        _ => error,
    })
}

/// Whether an image is no longer there.
fn has_lost(store: &dyn Store, held: &[Image]) -> bool {
    let is_lost = |now: &[Image]| held.iter().any(|image| now.iter().all(|other| other.id != image.id));
    store.list().is_ok_and(|now| is_lost(&now.images))
}

fn take(
    store: &dyn Store,
    link: &mut Link,
    what: &Receiving,
    held: &[Image],
    room: &Room,
) -> Result<Reply, EndpointError> {
    let untold = || EndpointError::Protocol("an image was asked for without the digest of its config".into());
    let asked = what.image.config.ok_or_else(untold)?;
    let proven = if what.prove { Some(proof::receive(link, &what.image.id, &asked)?) } else { None };
    let package = match what.exact {
        Some(keep) => Some(identity::receive(link, &what.image, &asked, keep == Keep::Whole)?),
        None => None,
    };
    if let (Some(package), Some(manifest)) = (&package, proven)
        && what.exact == Some(Keep::Platform)
        && package.root() != manifest
    {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent {} as the image of {}, not {manifest}",
            package.root(),
            what.image.platform
        )));
    }
    if let (Some(package), Some(_)) = (&package, proven)
        && what.exact == Some(Keep::Whole)
        && !package.shows(&asked)
    {
        return Err(EndpointError::AnotherImage(format!(
            "the image {} has the config {asked} for another platform than this host's",
            what.image.id
        )));
    }
    // Of a patch with an ID that this store has no such IDs for, the image is taken without it.
    let content = match (&package, &what.given) {
        (Some(package), Some(given)) if !store.has_packages() => {
            (given.as_content)(package, &asked, &room.folder)
        }
        _ => None,
    };
    let mut image = what.image.clone();
    if let Some(package) = &package {
        image.diff_ids = package.stack();
    }
    if image.diff_ids.len() > limits::LAYERS {
        return Err(EndpointError::Protocol(format!(
            "an image of {} layers is refused",
            image.diff_ids.len()
        )));
    }
    let is_it = |other: &&Image| match &package {
        Some(package) if content.is_none() => other.id == identity::id(package),
        _ => other.same_content(&what.image) == Some(true),
    };
    if let Some(there) = held.iter().find(is_it) {
        link.send_peer(&Peer::Need(Need::Nothing)).map_err(EndpointError::io(LOST))?;
        if !what.dry_run {
            store.tag(&there.id, &what.names)?;
        }
        let shared = Layer { state: LayerState::Shared, len: 0, reused: 0 };
        let layers = vec![shared; image.diff_ids.len()];
        return Ok(Reply::Received(Received {
            id: *there.id.as_bytes(),
            layers,
            was_there: true,
            packed_again: 0,
        }));
    }

    let states = match &package {
        Some(package) if content.is_none() => identity::states(store, held, package)?,
        _ => assess::Held::of(store, held).states_in(&what.image, &image.diff_ids),
    };
    let plan = Plan::of(states, held, &image, what, content.is_none())?;
    let need = plan.need(&image, what);
    let Plan { mut states, mut missing, local, described, basis, basis_ids } = plan;
    let replaced = {
        let diff_ids = image.diff_ids.clone();
        move |id: &DiffId| !diff_ids.contains(id)
    };
    link.send_peer(&Peer::Need(need)).map_err(EndpointError::io(LOST))?;

    let cache = remembered(link, room, what.whole);
    let memory = Memory(room.memory);
    if basis_ids.is_empty() {
        let mut own = Layers::new(store, (&room.folder, memory), cache)?;
        read_local(&mut own, held, &local)?;
        own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
        let exact = match package {
            Some(package) => {
                let offer = await_offer(link, 0)?;
                let all = (&mut image, &mut states[..]);
                Some(Exact::new(package, offer.stored, all, (&mut missing, &described), content)?)
            }
            None => None,
        };
        return stream::receive(store, link, what, (&image, &states), exact, &own, room);
    }
    // Both sides read their engines at the same time.
    let outbox = link.outbox.clone();
    let (own, offer) = thread::scope(|scope| {
        let reading = scope.spawn(|| -> Result<Layers<'_>, EndpointError> {
            let mut own = Layers::new(store, (&room.folder, memory), cache)?;
            for basis in &basis {
                own.learn(&basis.id, basis.diff_ids.iter().copied(), &|id| {
                    replaced(id) || local.contains(id)
                })?;
            }
            read_local(&mut own, held, &local)?;
            if let Some(key) = &what.key {
                // A layer that cannot be read is no basis, and that is proven by nothing.
                let proof = |id: &DiffId| own.listing(id).map_or([0; 3], |listing| listing.proof(key));
                let proofs = Peer::Proofs(basis_ids.iter().map(proof).collect());
                outbox.send_message(Channel::Peer, &proofs).map_err(EndpointError::io(LOST))?;
            }
            Ok(own)
        });
        let offer = await_offer(link, basis_ids.len());
        (reading.join(), offer)
    });
    let mut own =
        own.unwrap_or_else(|_| Err(EndpointError::Broken("the reader of the basis ended early".into())))?;
    let offer = offer?;
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));

    let exact = match package {
        Some(package) => {
            let all = (&mut image, &mut states[..]);
            Some(Exact::new(package, offer.stored.clone(), all, (&mut missing, &described), content)?)
        }
        None => None,
    };
    let image = &image;
    let agreed = Basis::agree(link, &offer, &own, &basis_ids, memory)?;
    let mut offered = {
        let mut told = Told::new(link.data_reader());
        let offered = Offered::read(&mut told, agreed, &missing, (what.whole, memory))?;
        told.finish().and_then(ended)?;
        offered
    };
    if exact.is_none() {
        check_config(&offered.config, image, &asked)?;
    }
    let candidates = match offer.has_all() {
        true => Candidates::default(),
        false => {
            let left = memory.for_coding(own.taken(), offered.literals.len());
            offered.candidates(link, &mut own, &basis, left)?
        }
    };
    let outbox = link.outbox.clone();
    let mut stream = link.data_reader();
    let limit = batches::read_limit(&mut stream).map_err(EndpointError::io(LOST))?;
    if !candidates.is_empty() {
        let lengths = told::read(&mut stream, limits::LENGTHS)?;
        offered.divide(&candidates.parts(&lengths)?);
    }
    drop(candidates);
    let layers = offered.summary(image, &states, &own);
    let packed_again = exact.as_ref().map_or(0, |exact| exact.packed_again(image, &layers));
    let plans = Plans::read(&mut stream, &offered.basis, room.memory)?;
    if what.dry_run {
        stream.finish().map_err(EndpointError::io(LOST))?;
        return Ok(Reply::Received(Received {
            id: *image.id.as_bytes(),
            layers,
            was_there: false,
            packed_again,
        }));
    }
    let batches = offered.batches(limit);
    let old = places(&batches, &offered.basis).chain(plans.places(&offered.basis));
    own.fetch(&basis, offered.places().chain(old))?;
    let aligned = plans.align(&own, &offered.basis, &room.folder)?;

    let id = {
        let file =
            tempfile::tempfile_in(&room.folder).map_err(EndpointError::io("cannot make a temporary file"))?;
        let old = |run: &Run, out: &mut Vec<u8>| {
            aligned.load(run, out, &|run: &Run, out: &mut Vec<u8>| load(&own, &offered.basis, run, out))
        };
        let mut contents = Sources {
            own: &own,
            basis: &offered.basis,
            arrivals: Arrivals::new((stream, outbox), batches, &old, &offered.literals, file),
        };
        let mut import = identity::begin(store, exact.as_ref())?;
        let mut done = HashSet::new();
        for (diff_id, state) in image.diff_ids.iter().zip(&states) {
            if *state == LayerState::Shared || !done.insert(diff_id) {
                continue;
            }
            match offered.layer(diff_id) {
                None => copy_own(&own, diff_id, &mut *import)?,
                Some(recipe) => build(recipe, &mut contents, &mut *import)?,
            }
        }
        contents.arrivals.into_stream().finish().map_err(EndpointError::io(LOST))?;
        link.outbox.event(&Event::Phase(Phase::Load));
        import.commit(identity::of(exact.as_ref(), &offered.config))?
    };
    store.tag(&id, &what.names)?;
    Ok(Reply::Received(Received { id: *id.as_bytes(), layers, was_there: false, packed_again }))
}

/// Reads layers that are needed from elsewhere in the store.
fn read_local(own: &mut Layers<'_>, held: &[Image], local: &[DiffId]) -> Result<(), EndpointError> {
    for diff_id in local {
        if own.kept(diff_id).is_none() {
            let image = held.iter().find(|image| image.diff_ids.contains(diff_id));
            let image = image.ok_or_else(|| EndpointError::Broken(format!("layer {diff_id} is gone")))?;
            let named = local.iter().copied().filter(|id| image.diff_ids.contains(id));
            own.keep(&image.id, named, Role::Basis)?;
        }
    }
    Ok(())
}

/// The offer for a basis of so many layers.
fn await_offer(link: &mut Link, basis: usize) -> Result<Offer, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(LOST))? {
        Peer::Offer(offer) if offer.basis.len() == basis => Ok(offer),
        _ => Err(EndpointError::Protocol(LOST.into())),
    }
}

fn ended(stream: DataReader<'_>) -> Result<(), EndpointError> {
    stream.finish().map_err(EndpointError::io(LOST))
}

/// The config must be the very one that was asked for, and of the layers that the image was listed with: they are what
/// gets built.
pub(crate) fn check_config(bytes: &[u8], image: &Image, asked: &Digest) -> Result<(), EndpointError> {
    if Digest::of(bytes) != *asked {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent the config {}, not {asked}",
            Digest::of(bytes)
        )));
    }
    let config = Config::parse(bytes)
        .map_err(|error| EndpointError::Broken(format!("the source sent a bad config: {error}")))?;
    if config.diff_ids != image.diff_ids {
        return Err(EndpointError::Broken("the source sent the config of another image".into()));
    }
    Ok(())
}

pub(crate) fn copy_own(
    own: &Layers<'_>,
    diff_id: &DiffId,
    import: &mut dyn Import,
) -> Result<(), EndpointError> {
    let len = own.kept(diff_id).ok_or_else(|| EndpointError::Broken(format!("layer {diff_id} is gone")))?;
    Ok(import.layer(diff_id, len, &mut |out| own.copy_layer(diff_id, out))?)
}

pub(crate) fn build(
    recipe: &Recipe,
    contents: &mut dyn ContentSource,
    import: &mut dyn Import,
) -> Result<(), EndpointError> {
    // The store only sees that its writer failed; why is kept here.
    let mut failed: Option<JoinError> = None;
    let result = import.layer(&recipe.listing.diff_id, recipe.listing.len, &mut |out| {
        join(recipe, contents, out).map_err(|error| {
            failed = Some(error);
            io::Error::other("the layer could not be built")
        })
    });
    match (result, failed) {
        // The engine going away shows as a broken pipe; its own words say more.
        (Err(error), Some(JoinError::Write(pipe) | JoinError::Content { source: pipe, .. }))
            if pipe.kind() == io::ErrorKind::BrokenPipe =>
        {
            Err(error.into())
        }
        (_, Some(error)) => Err(EndpointError::Join(error)),
        (result, None) => Ok(result?),
    }
}

/// Contents from this side's own layers, and those that arrive.
struct Sources<'a> {
    own: &'a Layers<'a>,
    basis: &'a [Shelf],
    arrivals: Arrivals<'a>,
}

impl ContentSource for Sources<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Basis { layer, content } => {
                self.basis[usize::from(layer)].copy(self.own, content as usize, out)
            }
            Origin::Literal(ordinal) => self.arrivals.copy_literal(ordinal, out),
        }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;

//! Patch files: what a source sends to a target that has the old image, kept in a file. `docs/patch-format.md`
//! has its bytes.
//!
//! A patch is made by a source that talks to a target which is not there, and applied by a target that talks to
//! a source which is not there: both are played here.

mod file;
mod operand;
mod unpacked;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::thread;

use dsync_core::{DiffId, Image, ImageId, ImageRef, Platform};
use dsync_engine::{Package, Store, StoreError};
use dsync_proto::{
    Channel, Compression, Event as WireEvent, Failure, LayerState, ListedImage, PatchHead, Peer, Received,
    Reply, Want, decode, limits,
};

use crate::conversation::want::short_id;
use crate::conversation::{Attempt, Preserved, Step};
use crate::convert::{from_wire, to_wire};
use crate::endpoint::open_here;
use crate::error::{Error, HERE, Host};
use crate::event::{Event, Observer};
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::inventory::nested::with_nested;
use crate::layers::workspace::Workspace;
use crate::link::{Frame, Inbox, Link, Outbox};
use crate::options::Identity;
use crate::outcome::Outcome;
use crate::passwords;
use crate::source::{self, Sending};
use crate::target::{self, PatchContents, Peering, Receiving};
use crate::traffic::Traffic;
pub use file::{PatchInput, PatchOutput};
use file::{Reader, Writer};
use operand::{Operand, Stores};
use unpacked::as_content;

/// The options of making or applying a patch.
#[derive(Debug, Clone)]
pub struct PatchOptions {
    /// The store of this host, as `--docker` takes it; empty to find one.
    pub store: String,
    /// The directory of temporary files; empty for that of the system.
    pub tmpfolder: String,
    /// Bytes of memory to get along with.
    pub memory: u64,
    /// The compression.
    pub compression: Compression,
    /// The identity that an image keeps out of a store that names images by manifests.
    pub identity: Identity,
    /// Ends the run before its time.
    pub interrupt: Interrupt,
}

/// A patch that was applied.
#[derive(Debug)]
pub struct PatchApplied {
    /// The new image.
    pub image: Image,
    /// As of a transfer.
    pub outcome: Outcome,
    /// The platform of this host where it cannot run the image; none where it can, or where that is not known.
    pub foreign_to: Option<Platform>,
}

/// The contents of a patch, as it describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchInfo {
    /// The old image, as it was named when the patch was made.
    pub old: String,
    /// The layers that a host needs to apply it.
    pub basis: Vec<DiffId>,
    /// The new image; its names are those it gets.
    pub image: Image,
    /// True if the new image keeps its ID in stores that name images by manifests.
    pub is_exact: bool,
    /// The number of layers that are in the patch.
    pub layers: usize,
    /// Bytes of the file.
    pub size: u64,
}

/// The account of a patch that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchMade {
    /// The new image.
    pub image: Image,
    /// The number of its layers that are in the patch.
    pub layers: usize,
    /// Contents in it, before compression, in bytes.
    pub raw: u64,
    /// Bytes of the file.
    pub size: u64,
}

/// Writes what makes image `new` of image `old` to a file. Both are names or IDs of this host's store, or
/// `oci:DIR[:NAME]`, `docker-archive:FILE[:NAME]`, `oci-archive:FILE[:NAME]`.
pub fn diff(
    options: &PatchOptions,
    old: &str,
    new: &str,
    output: &PatchOutput,
    observer: &dyn Observer,
) -> Result<PatchMade, Error> {
    if [old, new].iter().any(|operand| Operand::parse(operand).is_of_engine()) {
        passwords::ask_here(&options.store, observer, &options.interrupt)?;
    }
    make(options, old, new, output, observer).map_err(here)
}

/// Makes the new image of a patch out of the old one, which this host must have; or finds out that it could.
pub fn apply(
    options: &PatchOptions,
    input: &PatchInput,
    dry_run: bool,
    observer: &dyn Observer,
) -> Result<PatchApplied, Error> {
    passwords::ask_here(&options.store, observer, &options.interrupt)?;
    take(options, input, dry_run, observer).map_err(here)
}

/// Reads what a patch says of itself, and checks that it is whole.
pub fn patch_info(input: &PatchInput) -> Result<PatchInfo, Error> {
    let read = || {
        let reader = open(input, &std::env::temp_dir())?;
        let head = reader.head();
        Ok(PatchInfo {
            old: shortened(&head.old),
            basis: head.basis.iter().copied().map(DiffId::from_bytes).collect(),
            image: from_wire(&head.image)?,
            is_exact: head.exact,
            layers: head.layers.len(),
            size: reader.size(),
        })
    };
    read().map_err(here)
}

/// A name as a person reads it; a patch may say anything.
fn shortened(name: &str) -> String {
    name.chars().take(limits::NAME).collect()
}

fn here(error: EndpointError) -> Error {
    Error::Endpoint { host: Host::Here, failure: Failure::from(error) }
}

fn make(
    options: &PatchOptions,
    old: &str,
    new: &str,
    output: &PatchOutput,
    observer: &dyn Observer,
) -> Result<PatchMade, EndpointError> {
    let named = old;
    let (old, new) = (Operand::parse(old), Operand::parse(new));
    if let PatchOutput::File { path, replaces: false } = output
        && path.symlink_metadata().is_ok()
    {
        return Err(EndpointError::Exists(path.display().to_string()));
    }
    // Layers that both have are read out of the first.
    let workspace = Workspace::new(&options.tmpfolder, options.memory, &options.interrupt)?;
    let stores = Stores::open(&[new, old], &options.store, &workspace.folder)?;
    let packages = [old, new].map(|operand| operand.store(&stores));
    let ((old, _), (mut new, names)) = (old.find(&stores)?, new.find(&stores)?);
    let held = with_nested(&stores, [&old.id, &new.id])?;
    if new.config.is_none() {
        new.config = packages[1].configs(&[new.id])?.into_iter().next().flatten();
    }
    let new = new;
    let package = match options.identity {
        Identity::Exact => packages[1].package(&new.id, None)?,
        Identity::Content => None,
    };
    let old_package = match &package {
        Some(_) => packages[0].package(&old.id, None)?,
        None => None,
    };
    let head = head_of((named, &old), &new, &names, package.as_ref().map(|new| (new, old_package.as_ref())));
    let sending = Sending {
        compression: options.compression,
        speed: None,
        dry_run: false,
        explain: false,
        preserved: Preserved::new(head.exact, None),
        prove: false,
        key: None,
    };
    let mut writer = Writer::create(output, &head).map_err(EndpointError::io("cannot write the patch"))?;
    let reply = play_target(&head, &mut writer, observer, &options.interrupt, |link| {
        source::send(&stores, &held, link, &new.id, &sending, &workspace)
    })?;
    let Reply::Sent { raw, .. } = reply else {
        return Err(EndpointError::Broken("the source gave no account".into()));
    };
    let size = writer.finish().map_err(EndpointError::io("cannot write the patch"))?;
    let image = from_wire(&head.image)?;
    Ok(PatchMade { image, layers: head.layers.len(), raw, size })
}

/// The head of a patch of these images; of one that keeps the ID by their documents.
fn head_of(
    (named, old): (&str, &Image),
    new: &Image,
    names: &[ImageRef],
    packages: Option<(&Package, Option<&Package>)>,
) -> PatchHead {
    let mut seen = HashSet::new();
    let basis = old.diff_ids.iter().filter(|id| seen.insert(**id)).map(|id| *id.as_bytes()).collect();
    let (layers, described) = match packages {
        Some((package, old_package)) => missing_blobs(package, old, old_package),
        None => (missing_layers(new, old), Vec::new()),
    };
    let names = names.iter().map(ToString::to_string).collect();
    let image = ListedImage { names, ..to_wire(new) };
    PatchHead { image, exact: packages.is_some(), layers, described, basis, old: named.to_owned() }
}

/// Plays the target that has the old image to a source, and writes down what that sends.
fn play_target(
    head: &PatchHead,
    writer: &mut Writer,
    observer: &dyn Observer,
    interrupt: &Interrupt,
    send: impl FnOnce(&mut Link) -> Result<Reply, EndpointError> + Send,
) -> Result<Reply, EndpointError> {
    let basis: Vec<DiffId> = head.basis.iter().copied().map(DiffId::from_bytes).collect();
    let want = Want::Layers {
        layers: head.layers.clone(),
        without_basis: false,
        basis: basis.iter().map(|id| short_id(&id.digest())).collect(),
        partial: 0,
        described: head.described.clone(),
    };
    let steps = Step::of_patch(&Preserved::new(head.exact, None), &basis);
    let (mut mine, mut theirs) = Link::pair(interrupt);
    let (sent, recorded) = thread::scope(|scope| {
        let sending = scope.spawn(move || send(&mut theirs));
        let recorded =
            mine.send_peer(&Peer::Want(want)).and_then(|()| record(&mut mine.inbox, writer, steps, observer));
        drop(mine);
        (sending.join(), recorded)
    });
    let sent = sent.unwrap_or_else(|_| Err(EndpointError::Broken("the source ended early".into())))?;
    recorded.map_err(EndpointError::io("cannot write the patch"))?;
    Ok(sent)
}

/// The layers of an image that another has not.
fn missing_layers(new: &Image, old: &Image) -> Vec<u32> {
    let mut seen: HashSet<DiffId> = old.diff_ids.iter().copied().collect();
    let missing = (0..).zip(&new.diff_ids).filter(|(_, id)| seen.insert(**id));
    missing.map(|(position, _)| position).collect()
}

/// The same of the layers of a package, and those that the other image has in another form.
fn missing_blobs(new: &Package, old: &Image, packed: Option<&Package>) -> (Vec<u32>, Vec<u32>) {
    let blobs = packed.map(Package::layers).unwrap_or_default();
    let (mut missing, mut described) = (Vec::new(), Vec::new());
    for ((position, layer), key) in (0..).zip(new.layers()).zip(new.layer_keys()) {
        match (blobs.iter().any(|other| other.blob == layer.blob), old.has_tar(&key)) {
            (true, _) => {}
            (false, true) => described.push(position),
            (false, false) => missing.push(position),
        }
    }
    (missing, described)
}

/// Writes down these steps of a source, or as many as it sends: one that failed says why itself.
fn record(inbox: &mut Inbox, out: &mut Writer, steps: &[Step], observer: &dyn Observer) -> io::Result<()> {
    let mut steps = steps.iter().copied();
    let mut step = steps.next();
    while let Some(current) = step {
        let Ok(frame) = inbox.recv() else { return Ok(()) };
        let is_over = match frame.channel {
            Channel::Event => {
                show(&frame, observer)?;
                continue;
            }
            Channel::Control | Channel::Keepalive => continue,
            Channel::Peer => match decode(&frame.payload).map_err(io::Error::other)? {
                Peer::Offer(offer) if current == Step::Offer && offer.has_all() => true,
                _ => return Err(io::Error::other("the old image cannot be read whole")),
            },
            Channel::Data if current.is_stream() => frame.payload.is_empty(),
            Channel::Data => return Err(io::Error::other(current.unexpected())),
        };
        out.frame(&frame)?;
        if is_over {
            step = steps.next();
        }
    }
    Ok(())
}

fn show(frame: &Frame, observer: &dyn Observer) -> io::Result<()> {
    observer.event(match &decode(&frame.payload).map_err(io::Error::other)? {
        WireEvent::Phase(phase) => Event::Phase { phase: *phase, host: HERE },
        WireEvent::Total(bytes) => Event::Total(*bytes),
        WireEvent::Advance(bytes) => Event::Advance(*bytes),
        WireEvent::Batch { raw, packed } => Event::Batch { raw: *raw, packed: *packed },
        WireEvent::Waiting { program, seconds } => Event::Waiting { program, host: HERE, seconds: *seconds },
        WireEvent::Partial(bytes) => Event::Partial(*bytes),
        WireEvent::Note(note) => {
            observer.event(Event::Note(note));
            return Ok(());
        }
    });
    Ok(())
}

fn take(
    options: &PatchOptions,
    input: &PatchInput,
    dry_run: bool,
    observer: &dyn Observer,
) -> Result<PatchApplied, EndpointError> {
    let workspace = Workspace::new(&options.tmpfolder, options.memory, &options.interrupt)?;
    let mut reader = open(input, &workspace.folder)?;
    let head = reader.head().clone();
    let image = from_wire(&head.image)?;
    let basis = head.basis.iter().copied().map(DiffId::from_bytes).collect();
    let receiving = Receiving {
        image: image.clone(),
        names: image.names.clone(),
        basis: None,
        attempt: Attempt::Delta,
        dry_run,
        preserved: Preserved::new(head.exact, None),
        prove: false,
        peering: Peering::Patch(PatchContents {
            old: shortened(&head.old),
            layers: head.layers,
            described: head.described,
            basis,
            as_content,
        }),
    };
    let store = open_here(&options.store, &workspace.folder)?;
    let received = receive(&*store, &receiving, &workspace, &mut reader, observer)?;
    let id = ImageId::from_bytes(received.id);
    let layers = received.layers;
    let missing = layers.iter().filter(|layer| layer.state == LayerState::Missing);
    let raw = missing.map(|layer| layer.len.saturating_sub(layer.reused)).sum();
    let traffic = Traffic { sent: 0, received: reader.size() };
    let outcome = Outcome {
        id,
        was_there: received.was_there,
        layers,
        raw,
        packed: reader.size(),
        metadata: 0,
        costs: Vec::new(),
        packed_again: received.packed_again,
        traffic,
    };
    let foreign_to = store.cannot_run(&image.platform);
    Ok(PatchApplied { image, outcome, foreign_to })
}

/// Runs a target against the file.
fn receive(
    store: &dyn Store,
    receiving: &Receiving,
    workspace: &Workspace,
    reader: &mut Reader,
    observer: &dyn Observer,
) -> Result<Received, EndpointError> {
    let (mine, mut theirs) = Link::pair(&workspace.interrupt);
    let Link { mut inbox, outbox } = mine;
    let reply = thread::scope(|scope| {
        let target = scope.spawn(move || target::receive(store, &mut theirs, receiving, workspace));
        // A patch that ends within the documents has nothing more to send, and the target must not wait for it.
        let outbox = match receiving.preserved {
            Preserved::Content => Some(outbox),
            _ => send_documents(reader, &outbox).then_some(outbox),
        };
        let wants = await_want(&mut inbox, observer);
        let playing = scope.spawn(move || {
            if let Some(outbox) = outbox.filter(|_| wants) {
                // A target that listens no longer says why itself.
                while let Ok(Some(frame)) = reader.frame() {
                    if outbox.send(frame).is_err() {
                        break;
                    }
                }
            }
        });
        show_events(&mut inbox, observer);
        playing.join().ok();
        target.join()
    });
    let reply = reply.unwrap_or_else(|_| Err(EndpointError::Broken("the target ended early".into())));
    match reply? {
        Reply::Received(received) => Ok(received),
        _ => Err(EndpointError::Broken("the target gave no account".into())),
    }
}

/// Sends the documents of an image, which come before all else. False where the patch ends within them.
fn send_documents(reader: &mut Reader, outbox: &Outbox) -> bool {
    while let Ok(Some(frame)) = reader.frame() {
        let is_last = frame.channel == Channel::Data && frame.payload.is_empty();
        // A target that listens no longer says why itself.
        if outbox.send(frame).is_err() || is_last {
            return true;
        }
    }
    false
}

/// Shows the events of a target up to its want. True if it wants anything.
fn await_want(inbox: &mut Inbox, observer: &dyn Observer) -> bool {
    while let Ok(frame) = inbox.recv() {
        match frame.channel {
            Channel::Event => drop(show(&frame, observer)),
            Channel::Peer => return matches!(decode(&frame.payload), Ok(Peer::Want(Want::Layers { .. }))),
            _ => {}
        }
    }
    false
}

/// Shows the events of a target up to its end.
fn show_events(inbox: &mut Inbox, observer: &dyn Observer) {
    while let Ok(frame) = inbox.recv() {
        if frame.channel == Channel::Event {
            drop(show(&frame, observer));
        }
    }
}

/// Opens a patch.
fn open(input: &PatchInput, folder: &Path) -> Result<Reader, EndpointError> {
    let name = match input {
        PatchInput::File(path) => path.display().to_string(),
        PatchInput::Stdin => "the patch on standard input".into(),
    };
    Reader::open(input, folder).map_err(|error| match error {
        file::PatchError::Io(source) => StoreError::Io { what: format!("cannot read {name}"), source }.into(),
        file::PatchError::Damaged => EndpointError::Patch(format!("{name} {error}")),
        error => EndpointError::Unsupported(format!("{name} {error}")),
    })
}

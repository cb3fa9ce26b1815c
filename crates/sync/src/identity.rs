//! An image with the source's own ID, between stores that name images by manifests.
//!
//! What such an ID is made of are documents, which go over as they are, and the blobs that they list. A blob is mostly a
//! compressed layer, and crosses as any layer: uncompressed, against what the target has. The source finds the encoder
//! that made it, and the target runs it again (`dsync_recompress`). Where that cannot be, the blob crosses as it is.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use dsync_core::{DiffId, Digest, Image, ImageId};
use dsync_delta::batch::Effort;
use dsync_engine::{BlobRef, Identity, Import, Package, PackedLayer, Store, StoreError};
use dsync_proto::{Layer, LayerState, Stored, limits};
use dsync_recompress::{Outcome, Reason, Recipe, recognise, recognise_near, recreate_on};
use sha2::{Digest as _, Sha256};

use crate::assess::Held;
use crate::cache::Cache;
use crate::failure::EndpointError;
use crate::link::Link;
use crate::told;

/// A blob of fewer bytes crosses as it is: there is nothing to gain.
const SMALLEST: u64 = 256;
/// How many bytes of a layer are handed to the encoder at once, and how many times that many may wait.
const BLOCK: usize = 256 << 10;
const WAITING: usize = 4;

/// What is kept of a blob that no encoder makes. It is no recipe, and another one as soon as more encoders are known, so
/// that the blob is looked at anew.
const NO_RECIPE: [u8; 2] = [0, 2];

const LOST: &str = "cannot send to the target";
const SILENT: &str = "the source did not say what the image is made of";

/// Sends all documents that an image is made of. Returns how many bytes they took.
pub(crate) fn send(link: &Link, package: &Package, effort: Effort) -> Result<u64, EndpointError> {
    let documents: Vec<&[u8]> = package.documents().map(|(_, document)| document).collect();
    send_documents(link, &documents, effort)
}

/// Sends documents: their number (4 bytes, little-endian), of each the length (4 bytes) and the bytes, all packed.
pub(crate) fn send_documents(link: &Link, documents: &[&[u8]], effort: Effort) -> Result<u64, EndpointError> {
    let mut told = Vec::new();
    let number = |len: usize| u32::try_from(len).map_err(|error| EndpointError::Broken(error.to_string()));
    told.extend(number(documents.len())?.to_le_bytes());
    for document in documents {
        told.extend(number(document.len())?.to_le_bytes());
        told.extend_from_slice(document);
    }
    let mut out = link.data_writer();
    let packed = told::write(&told, effort, &mut out).and_then(|packed| out.finish().map(|()| packed));
    packed.map_err(EndpointError::io(LOST))
}

/// Receives documents.
pub(crate) fn receive_documents(link: &mut Link) -> Result<Vec<Vec<u8>>, EndpointError> {
    let mut stream = link.data_reader();
    // Each is told with its length.
    let told = told::read(&mut stream, limits::DOCUMENTS + (1 << 20))?;
    stream.finish().map_err(EndpointError::io(SILENT))?;
    take_documents(&told).ok_or_else(|| EndpointError::Protocol(SILENT.into()))
}

/// Receives what an image is made of, which must have the config that was asked for. Where `whole`, the ID that was
/// asked for is that of all of it; else it may be that of an index, of which one platform crosses.
pub(crate) fn receive(
    link: &mut Link,
    listed: &Image,
    config: &Digest,
    whole: bool,
) -> Result<Package, EndpointError> {
    let documents = receive_documents(link)?;
    let package = Package::assemble(documents).map_err(|reason| {
        EndpointError::Protocol(format!("what the source says of the image is broken: {reason}"))
    })?;
    if whole && id(&package) != listed.id {
        return Err(EndpointError::AnotherImage(format!(
            "the source sent image {} in place of {}",
            id(&package),
            listed.id
        )));
    }
    match package.config(config) {
        Some(config) if config.diff_ids == listed.diff_ids => Ok(package),
        _ => {
            Err(EndpointError::AnotherImage(format!("the source sent an image without the config {config}")))
        }
    }
}

fn take_documents(mut told: &[u8]) -> Option<Vec<Vec<u8>>> {
    let number = |told: &mut &[u8]| {
        let (number, rest) = told.split_first_chunk()?;
        *told = rest;
        usize::try_from(u32::from_le_bytes(*number)).ok()
    };
    let mut documents = Vec::new();
    for _ in 0..number(&mut told).filter(|count| *count <= limits::DOCUMENT_COUNT)? {
        let len = number(&mut told).filter(|len| *len as u64 <= limits::DOCUMENT)?;
        let (document, rest) = told.split_at_checked(len)?;
        documents.push(document.to_vec());
        told = rest;
    }
    told.is_empty().then_some(documents)
}

/// The ID that an image has by its package.
pub(crate) fn id(package: &Package) -> ImageId {
    ImageId::from_bytes(*package.root().as_bytes())
}

/// Finds out how layers are stored. The encoder of each is looked for, unless they are to cross as they are. What was
/// found once is remembered.
pub(crate) fn find(
    store: &dyn Store,
    layers: &[PackedLayer],
    as_is: bool,
    cache: Option<&Cache>,
) -> Result<Vec<Stored>, EndpointError> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<Option<Result<Stored, StoreError>>>> =
        Mutex::new(layers.iter().map(|_| None).collect());
    let worker = || {
        while let Some((at, layer)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, layers.get(at)?)))
        {
            let stored = find_one(store, layer, as_is, cache);
            if let Ok(mut found) = found.lock() {
                found[at] = Some(stored);
            }
        }
    };
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(layers.len());
        for _ in 0..workers {
            scope.spawn(worker);
        }
    });
    let found =
        found.into_inner().map_err(|_| EndpointError::Broken("an encoder was not found out".into()))?;
    let ended = || EndpointError::Broken("a search for an encoder ended early".into());
    // What has no room crosses as it is.
    let mut room = limits::RECIPES;
    let within = |stored: Stored| match &stored {
        Stored::Compressed(recipe) if recipe.len() > room => Stored::Opaque,
        Stored::Compressed(recipe) => {
            room -= recipe.len();
            stored
        }
        _ => stored,
    };
    let found = found.into_iter().map(|stored| Ok(stored.ok_or_else(ended)??));
    let found: Result<Vec<Stored>, EndpointError> = found.collect();
    Ok(found?.into_iter().map(within).collect())
}

fn find_one(
    store: &dyn Store,
    layer: &PackedLayer,
    as_is: bool,
    cache: Option<&Cache>,
) -> Result<Stored, StoreError> {
    if layer.is_plain() {
        return Ok(Stored::Plain);
    }
    if as_is || layer.diff_id.is_none() || layer.blob.size < SMALLEST {
        return Ok(Stored::Opaque);
    }
    let digest = &layer.blob.digest;
    let stored = |recipe: Vec<u8>| match recipe == NO_RECIPE {
        true => Stored::Opaque,
        false => Stored::Compressed(recipe),
    };
    // One that another version kept may be in another format.
    let known = |recipe: &Vec<u8>| *recipe == NO_RECIPE || Recipe::from_bytes(recipe).is_ok();
    if let Some(recipe) = cache.and_then(|cache| cache.recipe(digest)).filter(known) {
        return Ok(stored(recipe));
    }
    let unread = |source| StoreError::Io { what: format!("the blob {digest} cannot be read"), source };
    let outcome = match recognise(store.blob(&layer.blob)?, io::sink()).map_err(unread)? {
        Outcome::Unknown(Reason::NoEncoder(_)) => {
            recognise_near(|| store.blob(&layer.blob).map_err(io::Error::other)).map_err(unread)?
        }
        outcome => outcome,
    };
    let recipe = match outcome {
        Outcome::Recognised(recognised) => recognised.recipe.to_bytes(),
        Outcome::Unknown(_) => NO_RECIPE.to_vec(),
    };
    if let Some(cache) = cache {
        cache.put_recipe(digest, &recipe);
    }
    Ok(stored(recipe))
}

/// How an image is made that is to have the source's ID.
pub(crate) struct Exact {
    pub(crate) package: Package,
    /// Of layers that are compressed: the blob, and what makes it.
    blobs: HashMap<DiffId, (PackedLayer, Recipe)>,
    /// What is made instead, in a store that does not name images by manifests.
    content: Option<Box<dyn AsContent>>,
}

/// Makes the image of a package with this config, whose layers may be uncompressed in this folder.
pub(crate) type MakeContent = fn(&Package, &Digest, &Path) -> Option<Box<dyn AsContent>>;

/// One of the images of a package, in a store that does not name images by manifests.
pub(crate) trait AsContent {
    /// The bytes of its config.
    fn config(&self) -> &[u8];

    /// An import into which layers go as they cross.
    fn begin<'a>(&'a self, package: &Package, import: Box<dyn Import + 'a>) -> Box<dyn Import + 'a>;
}

impl Exact {
    /// Takes what the source says of the layers that are missing, and of those that are built of what is here. Those
    /// that cross as they are stored go by another name from here on, and are missing.
    pub(crate) fn new(
        package: Package,
        stored: Vec<Stored>,
        (image, states): (&mut Image, &mut [LayerState]),
        (missing, local): (&mut Vec<DiffId>, &[DiffId]),
        content: Option<Box<dyn AsContent>>,
    ) -> Result<Exact, EndpointError> {
        let asked = missing.len();
        if stored.len() != asked + local.len() {
            return Err(EndpointError::Protocol("the source did not say how each layer is stored".into()));
        }
        let mut blobs = HashMap::new();
        for (id, stored) in missing.iter().chain(local).zip(&stored) {
            let layer = image.diff_ids.iter().position(|other| other == id).map(|at| package.layers()[at]);
            match (stored, layer) {
                (Stored::Compressed(recipe), Some(layer)) => {
                    let recipe = Recipe::from_bytes(recipe)
                        .map_err(|error| EndpointError::Protocol(format!("the source sent {error}")))?;
                    blobs.insert(*id, (layer, recipe));
                }
                (Stored::Plain, Some(layer)) if layer.is_plain() => {}
                (Stored::Opaque, Some(_)) => {}
                _ => {
                    return Err(EndpointError::Broken(format!(
                        "layer {id} is not stored as the source says"
                    )));
                }
            }
        }
        settle(&mut image.diff_ids, &package, missing, local, (asked, &stored));
        for (state, id) in states.iter_mut().zip(&image.diff_ids) {
            if missing.contains(id) {
                *state = LayerState::Missing;
            }
        }
        Ok(Exact { package, blobs, content })
    }

    /// How many bytes of these layers are compressed again.
    pub(crate) fn packed_again(&self, image: &Image, layers: &[Layer]) -> u64 {
        let layers = image.diff_ids.iter().zip(layers).filter(|(id, _)| self.blobs.contains_key(id));
        layers.map(|(_, layer)| layer.len).sum()
    }
}

/// What both sides come to when it is known how layers are stored: those that cross as they are go by the digest of
/// that, and all that cross are in the order of the image.
pub(crate) fn settle(
    stack: &mut [DiffId],
    package: &Package,
    layers: &mut Vec<DiffId>,
    local: &[DiffId],
    (asked, stored): (usize, &[Stored]),
) {
    let mut sent: Vec<(usize, DiffId)> = Vec::new();
    for (number, (id, stored)) in layers.iter().chain(local).zip(stored).enumerate() {
        let Some(at) = stack.iter().position(|other| other == id) else { continue };
        if *stored == Stored::Opaque {
            let raw = DiffId::from_bytes(*package.layers()[at].blob.digest.as_bytes());
            sent.push((at, raw));
        } else if number < asked {
            sent.push((at, *id));
        }
    }
    sent.sort_unstable();
    for (at, id) in &sent {
        stack[*at] = *id;
    }
    *layers = sent.into_iter().map(|(_, id)| id).collect();
}

/// Of each layer of a package what has to be done for it.
pub(crate) fn states(
    store: &dyn Store,
    held: &[Image],
    package: &Package,
) -> Result<Vec<LayerState>, EndpointError> {
    let blobs: Vec<BlobRef> = package.layers().iter().map(|layer| layer.blob).collect();
    let there = store.has(&blobs)?;
    let held = Held::of(store, held);
    let state = |(there, id): (bool, &DiffId)| held.state(there, id);
    Ok(there.into_iter().zip(&package.stack()).map(state).collect())
}

/// Begins to write an image.
pub(crate) fn begin<'a>(
    store: &'a dyn Store,
    exact: Option<&'a Exact>,
) -> Result<Box<dyn Import + 'a>, StoreError> {
    let import = store.import()?;
    Ok(match exact {
        Some(Exact { content: Some(content), package, .. }) => content.begin(package, import),
        Some(exact) => Box::new(Packing { import, blobs: &exact.blobs }),
        None => import,
    })
}

/// What stays the same of an image.
pub(crate) fn of<'a>(exact: Option<&'a Exact>, config: &'a [u8]) -> Identity<'a> {
    match exact {
        Some(Exact { content: Some(content), .. }) => Identity::Content(content.config()),
        Some(exact) => Identity::Exact(&exact.package),
        None => Identity::Content(config),
    }
}

/// An import that takes layers as they are read, and gives them to the store as they are stored.
struct Packing<'a> {
    import: Box<dyn Import + 'a>,
    blobs: &'a HashMap<DiffId, (PackedLayer, Recipe)>,
}

impl Import for Packing<'_> {
    fn layer(
        &mut self,
        diff_id: &DiffId,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let Some((layer, recipe)) = self.blobs.get(diff_id) else {
            return self.import.layer(diff_id, len, write);
        };
        let blob = DiffId::from_bytes(*layer.blob.digest.as_bytes());
        self.import.layer(&blob, layer.blob.size, &mut |out| pack(recipe, &layer.blob.digest, write, out))
    }

    fn commit(self: Box<Self>, identity: Identity<'_>) -> Result<ImageId, StoreError> {
        self.import.commit(identity)
    }
}

/// The bytes that came out of an encoder are not those of the blob.
#[derive(Debug, thiserror::Error)]
#[error("a layer that was compressed anew is {got}, not {expected}")]
pub(crate) struct NotTheBlob {
    expected: Digest,
    got: Digest,
}

/// Compresses what `write` writes, while it does.
fn pack(
    recipe: &Recipe,
    expected: &Digest,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (plain, waiting) = sync_channel::<Vec<u8>>(WAITING);
    let (packed, done) = channel::<Vec<u8>>();
    let threads = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let mut hasher = Sha256::new();
    let encoded = thread::scope(|scope| {
        let blocks = Waiting { blocks: waiting, block: Vec::new(), at: 0 };
        let encoder = scope.spawn(move || recreate_on(recipe, blocks, Done(packed), threads));
        let mut through =
            Through { plain: Some(plain), block: Vec::new(), done: &done, out, hasher: &mut hasher };
        let written = write(&mut through).and_then(|()| through.pass_on());
        through.plain = None;
        let written = written.and_then(|()| done.iter().try_for_each(|bytes| through.put(&bytes)));
        match encoder.join() {
            Err(_) => Err(io::Error::other("the encoder ended early")),
            // The recipe is not of these bytes.
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
            Ok(encoded) => written.and_then(|()| encoded.map(|_| true)),
        }
    })?;
    let got = Digest::from_bytes(hasher.finalize().into());
    match encoded && got == *expected {
        true => Ok(()),
        false => Err(io::Error::other(NotTheBlob { expected: *expected, got })),
    }
}

/// Plain bytes go in, and what is compressed by then goes on. So neither waits for the other for ever: what comes out
/// of an encoder may wait without limit, and is not longer than what went in.
struct Through<'a> {
    plain: Option<SyncSender<Vec<u8>>>,
    block: Vec<u8>,
    done: &'a Receiver<Vec<u8>>,
    out: &'a mut dyn Write,
    hasher: &'a mut Sha256,
}

impl Through<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.out.write_all(bytes)
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        if let Some(plain) = self.plain.as_ref().filter(|_| !block.is_empty()) {
            plain.send(block).map_err(|_| io::Error::other("the encoder takes no more"))?;
        }
        while let Ok(bytes) = self.done.try_recv() {
            self.put(&bytes)?;
        }
        Ok(())
    }
}

impl Write for Through<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.block.extend_from_slice(bytes);
        if self.block.len() >= BLOCK {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The blocks that wait for the encoder.
struct Waiting {
    blocks: Receiver<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            (self.block, self.at) = (self.blocks.recv().unwrap_or_default(), 0);
        }
        let len = buffer.len().min(self.block.len() - self.at);
        buffer[..len].copy_from_slice(&self.block[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

/// What the encoder made.
struct Done(std::sync::mpsc::Sender<Vec<u8>>);

impl Write for Done {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_recompress::Method;

    fn recipe() -> Recipe {
        Recipe::new(Method::Go { level: 6 }, vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]).unwrap()
    }

    /// Text that takes many blocks, and what the recipe makes of it.
    fn layer() -> (Vec<u8>, Vec<u8>) {
        let plain: Vec<u8> =
            (0..200_000_u32).flat_map(|n| format!("{}\n", n ^ (n >> 7)).into_bytes()).collect();
        let mut stored = Vec::new();
        dsync_recompress::recreate(&recipe(), &plain[..], &mut stored).unwrap();
        (plain, stored)
    }

    #[test]
    fn a_layer_is_compressed_while_it_is_written() {
        let (plain, stored) = layer();
        let mut out = Vec::new();
        let mut write = |out: &mut dyn Write| plain.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
        pack(&recipe(), &Digest::of(&stored), &mut write, &mut out).unwrap();
        assert_eq!(out, stored);
    }

    #[test]
    fn other_bytes_are_told_from_a_failure() {
        let (plain, stored) = layer();
        let mut write = |out: &mut dyn Write| out.write_all(&plain[1..]);
        let error = pack(&recipe(), &Digest::of(&stored), &mut write, &mut Vec::new()).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<NotTheBlob>()), "{error}");

        let mut write = |out: &mut dyn Write| {
            out.write_all(&plain[..100_000])?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let error = pack(&recipe(), &Digest::of(&stored), &mut write, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);

        // An engine that takes no more has the last word, and nobody waits for ever.
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut write = |out: &mut dyn Write| plain.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
        let error = pack(&recipe(), &Digest::of(&stored), &mut write, &mut Full).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_recipe_of_another_layer_is_told_from_a_failure() {
        let plain = layer().0.repeat(8);
        let mut stored = Vec::new();
        dsync_recompress::recreate(&recipe(), &plain[..], &mut stored).unwrap();
        let Outcome::Recognised(found) = recognise(&stored[..], io::sink()).unwrap() else { panic!() };
        let write = |bytes: &[u8], recipe: &Recipe| {
            let mut write =
                |out: &mut dyn Write| bytes.chunks(10_000).try_for_each(|chunk| out.write_all(chunk));
            pack(recipe, &Digest::of(&stored), &mut write, &mut Vec::new())
        };
        write(&plain, &found.recipe).unwrap();
        // It has places at which the work is divided, and these are in other bytes.
        assert!(found.recipe.to_bytes().len() > 17);
        let other: Vec<u8> = plain.iter().map(|byte| byte ^ (byte & 1) ^ 4).collect();
        let error = write(&other[..plain.len() - 100], &found.recipe).unwrap_err();
        assert!(error.get_ref().is_some_and(|inner| inner.is::<NotTheBlob>()), "{error}");
    }

    #[test]
    fn documents_are_read_to_the_byte() {
        let told = [&[2, 0, 0, 0, 1, 0, 0, 0][..], b"a", &[0, 0, 0, 0]].concat();
        assert_eq!(take_documents(&told), Some(vec![b"a".to_vec(), Vec::new()]));
        assert_eq!(take_documents(&told[..told.len() - 1]), None);
        assert_eq!(take_documents(&[&told[..], b"x"].concat()), None);
        assert_eq!(take_documents(&[255; 8]), None);
    }
}

//! The layers in play at one end: their indexes, and the bytes of those that are spooled.
//!
//! Spooled layers lie in one temporary file that has no name in any directory, so however the process ends,
//! nothing is left. Layers of which hardly any chunk is used are only scanned; what of them is used after
//! all is read once more from the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::{Digest, Image, ImageId, LayerKey};
use dsync_delta::LayerIndex;
use dsync_delta::layer_index::Chunk;
use dsync_engine::{Export, Store, StoreError};
use dsync_proto::ShortId;

use super::pick::{ChunksToFetch, Fetched, Pick};
use super::place::{Place, Slice};
use super::spool::{Announcing, Role, Spool, SpooledLayer, copy_at};
use super::workspace::Workspace;
use crate::cache::Cache;
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::partial::PartialLayer;

/// Layers of one store.
pub(crate) struct Layers<'a> {
    store: &'a dyn Store,
    spool: Spool,
    /// Parts of layers that a transfer left that broke off.
    partial: HashMap<Digest, PartialLayer>,
    /// Contents that were read once more, and where in the file they lie.
    fetched: HashMap<Digest, Fetched>,
    file: File,
    interrupt: Interrupt,
}

impl<'a> Layers<'a> {
    /// Nothing yet. Indexes of layers that were read once come from `cache`. All indexes take at most their shares of the
    /// memory.
    pub(crate) fn new(
        store: &'a dyn Store,
        workspace: &Workspace,
        cache: Option<Cache>,
    ) -> Result<Self, EndpointError> {
        let spool = Spool::new(workspace, cache);
        let spool = spool.map_err(|error| workspace.unusable(error))?;
        let (file, interrupt) = (workspace.file()?, workspace.interrupt.clone());
        Ok(Layers { store, spool, partial: HashMap::new(), fetched: HashMap::new(), file, interrupt })
    }

    /// As [`Layers::spool`]; each layer is announced as soon as it is here.
    pub(crate) fn spool_and_announce(
        &mut self,
        image: &ImageId,
        keys: impl IntoIterator<Item = LayerKey>,
        announce: &mut dyn FnMut(SpooledLayer) -> io::Result<()>,
    ) -> Result<Export, StoreError> {
        let wanted = self.spool.request(keys, |_| true, Role::New);
        self.store.export(image, &wanted, &mut Announcing { spool: &mut self.spool, announce })
    }

    /// Spools layers of an image, and reads its config.
    pub(crate) fn spool(
        &mut self,
        image: &ImageId,
        keys: impl IntoIterator<Item = LayerKey>,
        role: Role,
    ) -> Result<Export, StoreError> {
        let wanted = self.spool.request(keys, |_| true, role);
        self.store.export(image, &wanted, &mut self.spool)
    }

    /// Gets to know layers of an image that is to be a basis; those that `to_spool` names are spooled. An image that
    /// cannot be read is no basis; that is no reason to fail.
    pub(crate) fn learn(
        &mut self,
        image: &ImageId,
        keys: impl IntoIterator<Item = LayerKey>,
        to_spool: &dyn Fn(&LayerKey) -> bool,
    ) -> Result<(), StoreError> {
        let wanted = self.spool.request(keys, to_spool, Role::Basis);
        if wanted.is_empty() {
            return Ok(());
        }
        match self.store.export(image, &wanted, &mut self.spool) {
            Err(error) if is_the_images_own(&error) => {
                // Half of it may be there, but nothing could be read once more.
                self.spool.forget_scanned(&wanted);
                self.spool.note(format!("{image} is no basis: {error}"));
                Ok(())
            }
            result => result.map(drop),
        }
    }

    /// Gets to know parts of layers that a transfer left. Returns the digest of the layer that they make, unless it cannot be
    /// read or takes too much memory.
    pub(crate) fn add_partial(&mut self, partial: PartialLayer) -> Option<Digest> {
        let digest = self.spool.scan(&mut partial.reader(), partial.memory()).ok().flatten()?;
        self.partial.insert(digest, partial);
        Some(digest)
    }

    /// The chunks of parts of a layer that are ranges of chunks of it, as far as the bytes of all of them go.
    pub(crate) fn ranges_of_partial(&self, digest: &Digest, most: u64) -> Vec<Place> {
        let (Some(partial), Some(index)) = (self.partial.get(digest), self.index(digest)) else {
            return Vec::new();
        };
        let ranges = index.chunks().iter().enumerate().filter(|(_, chunk)| partial.is_in_range(chunk.at));
        let within = ranges.scan(0_u64, |bytes, (chunk, Chunk { len, .. })| {
            *bytes = bytes.saturating_add(len);
            (*bytes <= most).then_some(Place { layer: *digest, chunk })
        });
        within.collect()
    }

    /// The notes of the store.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        self.spool.take_notes()
    }

    /// The index of a layer that is known.
    pub(crate) fn index(&self, digest: &Digest) -> Option<&Arc<LayerIndex>> {
        self.spool.index(digest)
    }

    /// Finds a layer that begins so in the cache; the store need not have it.
    pub(crate) fn recall_short(&mut self, short: &ShortId) -> Option<Digest> {
        self.spool.recall_short(short)
    }

    /// The length of a layer that is spooled.
    pub(crate) fn spooled(&self, digest: &Digest) -> Option<u64> {
        self.spool.spooled(digest).map(|range| range.len)
    }

    /// The memory that all indexes take, and the tables that are made of them.
    pub(crate) fn taken(&self) -> u64 {
        self.spool.taken()
    }

    /// Reads once more those of these chunks whose layers were only scanned, from images that have them.
    pub(crate) fn fetch(
        &mut self,
        images: &[&Image],
        places: impl IntoIterator<Item = Place>,
    ) -> Result<(), EndpointError> {
        let mut missing: BTreeMap<Digest, Vec<u32>> = BTreeMap::new();
        for place in places {
            if self.spool.spooled(&place.layer).is_none()
                && !self.partial.contains_key(&place.layer)
                && self.fetched_at(place).is_none()
                && let Ok(chunk) = u32::try_from(place.chunk)
            {
                missing.entry(place.layer).or_default().push(chunk);
            }
        }
        let mut picks: HashMap<Digest, ChunksToFetch> = HashMap::new();
        for (digest, mut chunks) in missing {
            chunks.sort_unstable();
            chunks.dedup();
            let index = self.spool.index(&digest).ok_or_else(|| gone(&digest))?;
            picks.insert(digest, ChunksToFetch { index: Arc::clone(index), chunks });
        }
        let pick = Pick::new(&self.file, &self.interrupt, picks, &mut self.fetched);
        let mut pick = pick.map_err(EndpointError::io("cannot use a temporary file"))?;
        loop {
            let next = pick.left().next();
            let Some(digest) = next else { break };
            let left: HashSet<Digest> = pick.left().collect();
            let has = |image: &&&Image| image.tars().any(|tar| tar.digest() == digest);
            let image = images.iter().find(has).ok_or_else(|| gone(&digest))?;
            let wanted = image.tars().filter(|tar| left.contains(&tar.digest())).collect();
            self.store.export(&image.id, &wanted, &mut pick).map_err(|error| {
                match is_the_images_own(&error) {
                    true => EndpointError::UnusableBasis(error.to_string()),
                    false => error.into(),
                }
            })?;
            if pick.left().any(|id| id == digest) {
                return Err(EndpointError::UnusableBasis(format!("layer {digest} was not given again")));
            }
        }
        Ok(())
    }

    /// The position in the file of a chunk that was read once more.
    fn fetched_at(&self, place: Place) -> Option<u64> {
        let fetched = self.fetched.get(&place.layer)?;
        let chunk = u32::try_from(place.chunk).ok()?;
        let at = fetched.binary_search_by_key(&chunk, |(chunk, _)| *chunk).ok()?;
        Some(fetched[at].1)
    }

    fn chunk(&self, place: Place) -> Option<Chunk> {
        self.index(&place.layer)?.chunks().get(place.chunk)
    }

    /// The bytes of chunks.
    pub(crate) fn bytes(&self, places: &[Place]) -> u64 {
        places.iter().filter_map(|place| self.chunk(*place)).map(|chunk| chunk.len).sum()
    }

    /// Copies a chunk of a layer that is spooled, or that was fetched.
    pub(crate) fn copy_chunk(&self, place: Place, out: &mut dyn Write) -> io::Result<()> {
        let len = self.chunk(place).map_or(0, |chunk| chunk.len);
        self.copy(Slice { place, from: 0, len }, out)
    }

    /// Copies a part of such a chunk.
    pub(crate) fn copy(&self, Slice { place, from, len }: Slice, out: &mut dyn Write) -> io::Result<()> {
        let chunk =
            self.chunk(place).filter(|chunk| from.checked_add(len).is_some_and(|end| end <= chunk.len));
        let chunk = chunk.ok_or_else(|| io::Error::other(format!("layer {} is not here", place.layer)))?;
        if let Some(partial) = self.partial.get(&place.layer) {
            return partial.copy(chunk.at + from, len, out);
        }
        match (self.spool.spooled(&place.layer), self.fetched_at(place)) {
            (Some(range), _) => self.spool.copy(range.at + chunk.at + from, len, out),
            (None, Some(at)) => copy_at(&self.file, at + from, len, out),
            (None, None) => Err(io::Error::other(format!("a chunk of layer {} is not at hand", place.layer))),
        }
    }

    /// Reads bytes of a layer that is spooled, from one on.
    pub(crate) fn read_at(&self, digest: &Digest, at: u64, mut out: &mut [u8]) -> io::Result<()> {
        let range = self.spool.spooled(digest);
        let range = range.ok_or_else(|| io::Error::other(format!("layer {digest} is not here")))?;
        self.spool.copy(range.at + at, out.len() as u64, &mut out)
    }

    /// Copies a whole layer that is spooled.
    pub(crate) fn copy_layer(&self, digest: &Digest, out: &mut dyn Write) -> io::Result<()> {
        match self.spool.spooled(digest) {
            Some(range) => self.spool.copy(range.at, range.len, out),
            None => Err(io::Error::other(format!("layer {digest} is not here"))),
        }
    }
}

fn gone(digest: &Digest) -> EndpointError {
    EndpointError::UnusableBasis(format!("layer {digest} is gone"))
}

/// True if this one image is gone or damaged, and not its store.
fn is_the_images_own(error: &StoreError) -> bool {
    match error {
        StoreError::NoSuchImage { .. } | StoreError::Broken { .. } | StoreError::Failed { .. } => true,
        StoreError::Io { source, .. } => source.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

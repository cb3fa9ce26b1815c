//! An image on its way to a target: the steps of the source, one function each.

use std::collections::HashMap;
use std::sync::Arc;

use dsync_core::{Image, ImageId, LayerKey, Platform};
use dsync_delta::LayerIndex;
use dsync_delta::header_delta::Literal;
use dsync_engine::{Demand, Disk, Package, PackedLayer, Purpose, Store, StoreError, StoreKind};
use dsync_proto::{Compression, Cost, Event, Known, Offer, Phase, Reply, Stored};

use super::basis::NamedBasis;
use super::effort::EffortController;
use super::recipes::{self, Asked};
use crate::cache::Cache;
use crate::conversation::headers::mode;
use crate::conversation::layer_keys;
use crate::conversation::parts::{self, Parts};
use crate::conversation::reconcile::Asks;
use crate::conversation::want::{self, WantedLayers};
use crate::conversation::{
    Attempt, Preserved, Step, Talk, documents, headers, id_proof, offer, possession, reconcile,
};
use crate::failure::EndpointError;
use crate::layers::memory::Memory;
use crate::layers::workspace::Workspace;
use crate::layers::{ChunkMap, Layers, Place, indexes};

/// A request to send an image, checked.
pub(crate) struct Sending {
    pub(crate) compression: Compression,
    /// Bytes a second of the link, if they are known.
    pub(crate) speed: Option<u64>,
    /// Count what would be sent, send no chunks.
    pub(crate) dry_run: bool,
    /// Find out what the bytes are.
    pub(crate) explain: bool,
    pub(crate) preserved: Preserved,
    /// Prove first that the config belongs to the ID.
    pub(crate) prove: bool,
    /// The key by which the target has to prove that it has its basis; a patch is made for none that could be asked.
    pub(crate) key: Option<[u8; 16]>,
}

/// An image on its way to a target.
pub(super) struct Transfer<'a> {
    store: &'a dyn Store,
    held: &'a [Image],
    pub(super) talk: Talk<'a>,
    /// The image, as it is listed.
    pub(super) image: Image,
    /// The keys of its layers by which they cross, the lowest first.
    pub(super) keys: Vec<LayerKey>,
    pub(super) how: &'a Sending,
    pub(super) workspace: &'a Workspace,
    pub(super) memory: Memory,
    pub(super) controller: EffortController,
    /// Bytes that were sent and are no chunks.
    pub(super) metadata: u64,
}

impl<'a> Transfer<'a> {
    pub(super) fn of(
        store: &'a dyn Store,
        held: &'a [Image],
        talk: Talk<'a>,
        image: &ImageId,
        how: &'a Sending,
        workspace: &'a Workspace,
    ) -> Result<Self, EndpointError> {
        let listed = held.iter().find(|held| held.id == *image);
        let image = listed.ok_or_else(|| StoreError::NoSuchImage { image: image.to_string() })?.clone();
        let memory = Memory(workspace.memory);
        let controller = EffortController::new(how.compression, workspace.memory, how.speed);
        Ok(Transfer {
            store,
            held,
            talk,
            keys: image.tars().collect(),
            image,
            how,
            workspace,
            memory,
            controller,
            metadata: 0,
        })
    }

    /// Proves that the config belongs to the ID, where that is asked for.
    pub(super) fn prove(&mut self) -> Result<(), EndpointError> {
        if !self.how.prove {
            return Ok(());
        }
        let package = self.package(None)?;
        let config = match self.image.config {
            Some(config) => Some(config),
            None => self.store.configs(&[self.image.id])?.into_iter().next().flatten(),
        };
        let gone = || StoreError::NoSuchImage { image: self.image.id.to_string() };
        let config = config.ok_or_else(gone)?;
        let link = self.talk.step(Step::IdProof)?;
        self.metadata += id_proof::send(link, &package, &self.image, &config, self.controller.effort())?;
        Ok(())
    }

    /// Sends the documents of the image, where it keeps its ID.
    pub(super) fn send_documents(&mut self) -> Result<Option<Package>, EndpointError> {
        let package = match &self.how.preserved {
            Preserved::Content => return Ok(None),
            Preserved::Id => self.package(None)?,
            Preserved::Manifest(platform) => self.package(Some(platform))?,
        };
        for absent in package.absent() {
            let id = self.image.id;
            let note = format!("{absent} is named by {id} and not there, so it does not go over");
            self.talk.event(&Event::Note(note));
        }
        let link = self.talk.step(Step::Documents)?;
        self.metadata += documents::send(link, &package, self.controller.effort())?;
        self.keys = package.layer_keys();
        Ok(Some(package))
    }

    fn package(&self, platform: Option<&Platform>) -> Result<Package, EndpointError> {
        let id = self.image.id;
        let undocumented =
            || EndpointError::Broken(format!("the store of {id} does not say what its ID is made of"));
        self.store.package(&id, platform)?.ok_or_else(undocumented)
    }

    /// Waits for the layers that the target wants; `None` where it has the image.
    pub(super) fn receive_want(&mut self) -> Result<Option<WantedLayers>, EndpointError> {
        let want = want::receive(self.talk.step(Step::Want)?, &self.image.id, &self.keys)?;
        if let Some(want) = &want {
            want.attempt.begin(self.workspace);
            self.talk.event(&Event::Phase(Phase::Scan));
        }
        Ok(want)
    }

    /// Checks that there is room for the wanted layers, which are kept while they cross.
    pub(super) fn check_room(&self, want: &WantedLayers) -> Result<(), EndpointError> {
        let Workspace { folder, disks, .. } = self.workspace;
        // To ask for the sizes takes a moment, so that is done only where the answer may matter.
        let is_ample = disks.free(folder).is_none_or(|free| free >= self.image.size.saturating_mul(2));
        // There it is the room that a layer takes where it is unpacked, which may be more than its bytes.
        if is_ample || self.store.describe().kind == StoreKind::DockerContainerd {
            return Ok(());
        }
        let Ok(Some(sizes)) = self.store.layer_sizes(&self.image) else { return Ok(()) };
        let sizes: HashMap<LayerKey, u64> = self.image.tars().zip(sizes).collect();
        let wanted = want.layers.iter().filter_map(|key| sizes.get(key));
        let bytes = wanted.fold(0, |total: u64, size| total.saturating_add(*size));
        Ok(disks.check(&[Demand {
            purpose: Purpose::Temporary,
            folder: folder.clone(),
            bytes,
            disk: Disk::Here,
        }])?)
    }

    /// Finds out how the wanted layers are stored, where the image keeps its ID. Those that cross as they are stored go
    /// by another key from here on.
    pub(super) fn find_stored(
        &mut self,
        mut want: WantedLayers,
        package: Option<&Package>,
    ) -> Result<(WantedLayers, Option<Vec<Stored>>), EndpointError> {
        let Some(package) = package else { return Ok((want, None)) };
        let of = |key: &LayerKey| {
            let at = self.keys.iter().position(|other| other == key)?;
            let PackedLayer { blob, .. } = package.layers()[at];
            // A layer that goes by its blob crosses as it is stored.
            let diff_id = match key {
                LayerKey::Tar(diff_id) => Some(*diff_id),
                LayerKey::Blob(_) => None,
            };
            Some(PackedLayer { blob, diff_id })
        };
        let cache = self.cache(want.attempt);
        // Against nothing old, a tar is a fifth smaller than its compressed form, for the time of compressing it twice.
        let wanted_as_is = want.is_first() && self.how.compression != Compression::Max;
        let resends = want.attempt == Attempt::FullResend;
        let asked = |as_is: bool| move |layer: PackedLayer| Asked { layer, as_is: as_is || resends };
        let wanted = want.layers.iter().filter_map(of).map(asked(wanted_as_is));
        // A layer that the target has in another form crosses only where no encoder makes it.
        let layers: Vec<Asked> =
            wanted.chain(want.described.iter().filter_map(of).map(asked(false))).collect();
        let stored = recipes::find(self.store, &layers, cache.as_ref())?;
        layer_keys::assign(&mut self.keys, package, &mut want.layers, &want.described, &stored);
        Ok((want, Some(stored)))
    }

    /// The index cache, if it may be relied on.
    fn cache(&self, attempt: Attempt) -> Option<Cache> {
        match attempt {
            Attempt::Delta => self.workspace.cache(self.talk.link()),
            Attempt::FullResend => None,
        }
    }

    /// The layers of this end, of which none has been read yet. A full resend relies on nothing remembered.
    pub(super) fn layers(&self, want: &WantedLayers) -> Result<Layers<'a>, EndpointError> {
        let cache = self.cache(want.attempt);
        Layers::new(self.store, self.workspace, cache)
    }

    /// Finds the layers of the target's basis that are known here, of which it must prove that it has them.
    pub(super) fn find_basis(
        &mut self,
        own: &mut Layers<'_>,
        want: &WantedLayers,
    ) -> Result<NamedBasis<'a>, EndpointError> {
        let mut basis = NamedBasis::find(own, self.held, &self.image, &want.basis)?;
        if let Some(key) = &self.how.key {
            let proofs = possession::receive(self.talk.step(Step::Possession)?)?;
            basis.check(own, &proofs, key)?;
        }
        self.talk.notes(own.take_notes());
        Ok(basis)
    }

    /// Says what is known of the basis, and how layers are stored; nothing where there is neither.
    pub(super) fn offer(
        &mut self,
        basis: &[Known],
        stored: Option<Vec<Stored>>,
    ) -> Result<(), EndpointError> {
        if basis.is_empty() && stored.is_none() {
            return Ok(());
        }
        let offer = Offer { basis: basis.to_vec(), stored: stored.unwrap_or_default() };
        self.metadata += offer::send(self.talk.step(Step::Offer)?, &offer)?;
        Ok(())
    }

    /// All that both ends know of the basis: the layers that are known here, and what the target is found to have besides.
    pub(super) fn reconcile(
        &mut self,
        own: &Layers<'_>,
        basis: &NamedBasis<'_>,
        want: &WantedLayers,
        new: &[Arc<LayerIndex>],
    ) -> Result<Vec<ChunkMap>, EndpointError> {
        let mut old = basis.chunk_maps(own);
        if basis.has_unknown() {
            self.talk.event(&Event::Phase(Phase::Basis));
            let asks = match !want.is_first() && basis.knows_all_but(want.partial) {
                true => Asks::News,
                false => Asks::All,
            };
            let link = self.talk.step(Step::Reconcile)?;
            let agreed = reconcile::ask_for(link, asks, new, &old, self.memory)?;
            old.push(agreed);
        }
        Ok(old)
    }

    /// Sends the config and the headers of the new layers. Returns the literals.
    pub(super) fn send_headers(
        &mut self,
        config: &[u8],
        new: &[Arc<LayerIndex>],
        old: &[ChunkMap],
        attempt: Attempt,
    ) -> Result<Vec<Literal>, EndpointError> {
        // Where the ID is kept the config is among the documents.
        let config = if self.how.preserved == Preserved::Content { config } else { &[] };
        let (effort, link) = (self.controller.effort(), self.talk.step(Step::Headers)?);
        let (literals, sent) = headers::send(link, config, new, &indexes(old), mode(attempt), effort)?;
        self.metadata += sent;
        Ok(literals)
    }

    /// Leaves the coder the memory that the indexes do not take.
    pub(super) fn leave_for_coding(&mut self, own: &Layers<'_>, old: &[ChunkMap], literals: &[Literal]) {
        let agreed = old.iter().filter(|chunk_map| !chunk_map.is_layer());
        let taken = own.taken() + agreed.map(|chunk_map| Memory::basis_layer(&chunk_map.index)).sum::<u64>();
        self.controller.leave(self.memory.for_coding(taken, literals.len()));
    }

    /// Finds the parts of literals that the target has, where it may have more than is known here. Where there are any,
    /// less memory is left: the new layers are there as they were, and divided.
    pub(super) fn find_parts(
        &mut self,
        own: &Layers<'_>,
        basis: &NamedBasis<'_>,
        new: &[Arc<LayerIndex>],
        literals: &[Literal],
    ) -> Result<Parts, EndpointError> {
        if basis.has_all_chunks() {
            return Ok(Parts::default());
        }
        let load = |literal: &Literal, out: &mut Vec<u8>| {
            let layer = new[literal.layer as usize].digest;
            own.copy_chunk(Place { layer, chunk: literal.chunk as usize }, out)
        };
        let divided = Memory::divided(new.iter().map(|index| &**index));
        let left = self.controller.memory().saturating_sub(divided);
        let parts = parts::ask_for(self.talk.step(Step::Parts)?, literals, &load, left)?;
        if !parts.ranges.is_empty() {
            self.controller.leave(left);
        }
        Ok(parts)
    }

    /// The account of a transfer: bytes of chunks before and after coding.
    pub(super) fn account(&self, raw: u64, packed: u64, costs: Vec<Cost>) -> Reply {
        Reply::Sent { raw, packed, metadata: self.metadata, costs }
    }

    /// The number of a layer in the image, from 0 for the lowest.
    pub(super) fn position(&self, layer: &LayerIndex) -> u32 {
        position(&self.keys, layer)
    }
}

/// The number of a layer among these, from 0 for the lowest.
pub(super) fn position(keys: &[LayerKey], layer: &LayerIndex) -> u32 {
    let position = keys.iter().position(|key| key.digest() == layer.digest);
    position.and_then(|position| position.try_into().ok()).unwrap_or(u32::MAX)
}

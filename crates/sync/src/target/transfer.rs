//! An image on its way from a source: the steps of the target, one function each.

use std::collections::HashSet;
use std::thread;

use dsync_core::{Digest, Image, ImageId, LayerKey};
use dsync_engine::{Import, ImportSize, Store};
use dsync_proto::{Event, LayerOutcome, LayerState, Offer, Phase, Received, Want, limits};

use super::form::{self, Documents, Form};
use super::job::{Peering, Receiving};
use super::offered::{Offered, SharedBasis};
use super::plan::Plan;
use crate::conversation::headers::mode;
use crate::conversation::parts::PartMatches;
use crate::conversation::want;
use crate::conversation::{Attempt, Preserved, Step, Talk, documents, headers, id_proof, offer, possession};
use crate::failure::EndpointError;
use crate::inventory::survey;
use crate::layers::memory::Memory;
use crate::layers::workspace::Workspace;
use crate::layers::{Layers, Role, indexes};
use crate::partial::{Owner, PartialBasis, PartialWriter};

/// An image on its way from a source.
pub(super) struct Transfer<'a> {
    pub(super) store: &'a dyn Store,
    held: &'a [Image],
    pub(super) talk: Talk<'a>,
    pub(super) what: &'a Receiving,
    pub(super) workspace: &'a Workspace,
    pub(super) memory: Memory,
    /// The digest of the config that is asked for.
    pub(super) config: Digest,
    /// The image that is asked for, as it is listed.
    pub(super) image: &'a Image,
    /// The keys of its layers by which they cross, the lowest first.
    pub(super) keys: Vec<LayerKey>,
    /// The parts that earlier transfers left of the image.
    partial: PartialBasis,
}

impl<'a> Transfer<'a> {
    pub(super) fn of(
        store: &'a dyn Store,
        held: &'a [Image],
        talk: Talk<'a>,
        what: &'a Receiving,
        workspace: &'a Workspace,
    ) -> Result<Self, EndpointError> {
        let untold =
            || EndpointError::Protocol("an image was asked for without the digest of its config".into());
        let config = what.image.config.ok_or_else(untold)?;
        what.attempt.begin(workspace);
        let (memory, image) = (Memory(workspace.memory), &what.image);
        Ok(Transfer {
            store,
            held,
            talk,
            what,
            workspace,
            memory,
            config,
            image,
            keys: image.tars().collect(),
            partial: PartialBasis::default(),
        })
    }

    /// Receives the proof of the config, where there is one. Returns the digest of the manifest that it leads over.
    pub(super) fn receive_proof(&mut self) -> Result<Option<Digest>, EndpointError> {
        if !self.what.prove {
            return Ok(None);
        }
        id_proof::receive(self.talk.step(Step::IdProof)?, &self.image.id, &self.config).map(Some)
    }

    /// Receives the documents of an image that keeps its ID; that of one platform must be the proven manifest.
    pub(super) fn receive_documents(
        &mut self,
        manifest: Option<Digest>,
    ) -> Result<Option<Documents>, EndpointError> {
        if self.what.preserved == Preserved::Content {
            return Ok(None);
        }
        let preserved = &self.what.preserved;
        let link = self.talk.step(Step::Documents)?;
        let package = documents::receive(link, self.image, &self.config, preserved)?;
        match manifest {
            Some(manifest) if *preserved != Preserved::Id && package.root() != manifest => {
                let (root, platform) = (package.root(), &self.image.platform);
                let reason = format!("the source sent {root} as the image of {platform}, not {manifest}");
                return Err(EndpointError::AnotherImage(reason));
            }
            Some(_) if *preserved == Preserved::Id && !package.shows(&self.config) => {
                let (id, config) = (self.image.id, self.config);
                let reason =
                    format!("the image {id} has the config {config} for another platform than this host's");
                return Err(EndpointError::AnotherImage(reason));
            }
            _ => {}
        }
        self.keys = package.layer_keys();
        let content = match &self.what.peering {
            Peering::Patch(given) if !self.store.has_packages() => {
                (given.as_content)(&package, &self.config, &self.workspace.folder)
            }
            _ => None,
        };
        Ok(Some(match content {
            Some(content) => Documents::Unpacked(package, content),
            None => Documents::Exact(package),
        }))
    }

    /// The image, if it is here.
    pub(super) fn find(&self, documents: Option<&Documents>) -> Option<&'a Image> {
        let is_it = |other: &&Image| match documents.and_then(Documents::id) {
            Some(id) => other.id == id,
            None => other.same_content(&self.what.image) == Some(true),
        };
        self.held.iter().find(is_it)
    }

    /// Gives an image that is here its names.
    pub(super) fn name(mut self, there: &Image) -> Result<Received, EndpointError> {
        want::send(self.talk.step(Step::Want)?, Want::Nothing)?;
        if !self.what.dry_run {
            self.store.tag(&there.id, &self.what.names)?;
            // A run may have ended between the load and the names.
            self.workspace.remove_partial(&self.owner());
        }
        let shared = LayerOutcome { state: LayerState::Shared, len: 0, reused: 0 };
        let layers = vec![shared; self.keys.len()];
        Ok(Received { id: *there.id.as_bytes(), layers, was_there: true, packed_again: 0 })
    }

    /// Plans where each layer comes from.
    pub(super) fn plan(&self, documents: Option<&Documents>) -> Result<Plan<'a>, EndpointError> {
        let layers = self.keys.len();
        if layers > limits::LAYERS {
            let most = limits::LAYERS;
            let reason = format!("an image of {layers} layers is refused: {most} are the most");
            return Err(EndpointError::Protocol(reason));
        }
        let (states, keeps_id) = match documents {
            Some(Documents::Exact(package)) => (form::states(self.store, self.held, package)?, true),
            _ => {
                let held = survey::Held::of(self.store, self.held);
                (held.states_in(self.image, &self.keys), false)
            }
        };
        Plan::of(states, self.held, &self.keys, self.what, keeps_id)
    }

    pub(super) fn send_want(&mut self, plan: &Plan<'_>) -> Result<(), EndpointError> {
        let want = plan.want(&self.keys, self.what);
        want::send(self.talk.step(Step::Want)?, want)
    }

    /// Opens the partial transfers of the image and adds them to the plan's basis. Returns the layers of this end, of which
    /// no others have been read yet. A full resend relies on no partial transfer.
    pub(super) fn layers(&mut self, plan: &mut Plan<'_>) -> Result<Layers<'a>, EndpointError> {
        let is_live = matches!(self.what.peering, Peering::Live { .. });
        if is_live && !plan.missing.is_empty() {
            self.partial = self.workspace.partial(self.talk.link(), &self.owner());
        }
        let cache = match self.what.attempt {
            Attempt::Delta => self.workspace.cache(self.talk.link()),
            Attempt::FullResend => None,
        };
        let mut own = Layers::new(self.store, self.workspace, cache)?;
        match self.what.attempt {
            Attempt::Delta => {
                let (there, left) = (self.partial.bytes(), self.partial.take_layers());
                if there > 0 {
                    self.talk.event(&Event::Partial(there));
                }
                left.into_iter()
                    .filter_map(|layer| own.add_partial(layer))
                    .for_each(|id| plan.add_partial(id));
            }
            Attempt::FullResend if !self.what.dry_run => self.partial.discard(),
            Attempt::FullResend => {}
        }
        Ok(own)
    }

    /// The image, as what is left of a transfer names it.
    fn owner(&self) -> Owner {
        Owner::new(&self.config, &self.what.names)
    }

    /// The writer of what arrives of the missing layers, in case that the transfer breaks off; none of a dry run.
    pub(super) fn partial_writer(&mut self) -> Option<PartialWriter> {
        if self.what.dry_run { None } else { self.partial.writer(&self.owner()) }
    }

    /// Reads the layers that are built from elsewhere in the store.
    pub(super) fn read_own(&self, own: &mut Layers<'_>, plan: &Plan<'_>) -> Result<(), EndpointError> {
        read_local(own, self.held, &plan.local)?;
        self.talk.notes(own.take_notes());
        Ok(())
    }

    /// Receives how layers are stored, of an image that keeps its ID and has no basis.
    pub(super) fn receive_form(
        &mut self,
        documents: Option<Documents>,
        plan: &mut Plan<'_>,
    ) -> Result<Form, EndpointError> {
        if documents.is_none() {
            return Ok(Form::Content);
        }
        let offer = offer::receive(self.talk.step(Step::Offer)?, 0)?;
        self.form(documents, &offer, plan)
    }

    /// Decides how the image is made, by how the source has its layers stored.
    pub(super) fn form(
        &mut self,
        documents: Option<Documents>,
        offer: &Offer,
        plan: &mut Plan<'_>,
    ) -> Result<Form, EndpointError> {
        Form::new(documents, &offer.stored, &mut self.keys, plan)
    }

    /// Reads the basis, and the layers that are built from elsewhere in the store, while the source reads what it has of
    /// the basis. Returns what the source offers.
    pub(super) fn read_basis(
        &mut self,
        own: &mut Layers<'_>,
        plan: &Plan<'_>,
    ) -> Result<Offer, EndpointError> {
        let held = self.held;
        let key = match &self.what.peering {
            Peering::Live { key } => Some(*key),
            Peering::Patch(_) => None,
        };
        let of_image: HashSet<LayerKey> = self.keys.iter().copied().collect();
        let to_spool = |key: &LayerKey| !of_image.contains(key) || plan.local.contains(key);
        let outbox = self.talk.step(Step::Possession)?.outbox.clone();
        let link = self.talk.step(Step::Offer)?;
        let (read, offer) = thread::scope(|scope| {
            let reading = scope.spawn(|| -> Result<(), EndpointError> {
                let mut learn = || -> Result<(), EndpointError> {
                    for basis in &plan.basis {
                        own.learn(&basis.id, basis.tars(), &to_spool)?;
                    }
                    read_local(own, held, &plan.local)
                };
                let learnt = learn();
                // After a failure, too: the source waits for them, and this end for what it says then.
                if let Some(key) = &key {
                    possession::send(&outbox, own, &plan.basis_ids, key)?;
                }
                learnt
            });
            let offer = offer::receive(link, plan.basis_ids.len());
            (reading.join(), offer)
        });
        let ended = || EndpointError::Broken("the reader of the basis ended early".into());
        read.unwrap_or_else(|_| Err(ended()))?;
        let offer = offer?;
        self.talk.notes(own.take_notes());
        Ok(offer)
    }

    /// All that both ends know of the basis.
    pub(super) fn agree(
        &mut self,
        offer: &Offer,
        own: &Layers<'_>,
        plan: &Plan<'_>,
    ) -> Result<SharedBasis, EndpointError> {
        let mut basis = SharedBasis::of(offer, own, &plan.basis_ids)?;
        if offer.asks() {
            basis.reconcile(self.talk.step(Step::Reconcile)?, self.memory)?;
        }
        Ok(basis)
    }

    /// Receives the config and the headers of the wanted layers.
    pub(super) fn receive_headers(
        &mut self,
        basis: SharedBasis,
        plan: &Plan<'_>,
    ) -> Result<Offered, EndpointError> {
        let (mode, memory) = (mode(self.what.attempt), self.memory);
        let link = self.talk.step(Step::Headers)?;
        let headers = headers::receive(link, &plan.missing, &indexes(&basis.chunk_maps), mode, memory)?;
        Ok(Offered::new(headers, basis))
    }

    /// Finds the parts of literals that are here, where the source cannot read all of the basis.
    pub(super) fn find_parts(
        &mut self,
        offer: &Offer,
        own: &mut Layers<'_>,
        offered: &Offered,
        plan: &Plan<'_>,
    ) -> Result<PartMatches, EndpointError> {
        if offer.has_all() {
            return Ok(PartMatches::default());
        }
        let left = self.memory.for_coding(own.taken() + offered.taken(), offered.literals.len());
        let left = left.saturating_sub(Memory::divided(offered.new_layers()));
        offered.find_parts(self.talk.step(Step::Parts)?, own, &plan.basis, left)
    }

    /// Hands the image over to the store, and then lets the names move.
    pub(super) fn commit(
        &mut self,
        import: Box<dyn Import + '_>,
        config: &[u8],
    ) -> Result<ImageId, EndpointError> {
        self.talk.event(&Event::Phase(Phase::Load));
        let id = import.commit(config, &self.what.names)?;
        std::mem::take(&mut self.partial).complete();
        // Parts of an earlier run were not opened where no layer was missing.
        self.workspace.remove_partial(&self.owner());
        Ok(id)
    }

    /// The account of a transfer.
    pub(super) fn account(&self, id: ImageId, layers: Vec<LayerOutcome>, form: &Form) -> Received {
        let packed_again = form.packed_again(&self.keys, &layers);
        Received { id: *id.as_bytes(), layers, was_there: false, packed_again }
    }
}

/// Checks that there is room for an import of this size.
pub(super) fn check_room(
    store: &dyn Store,
    workspace: &Workspace,
    size: &ImportSize,
) -> Result<(), EndpointError> {
    Ok(workspace.disks.check(&store.demands(size))?)
}

/// Reads layers that are needed from elsewhere in the store.
fn read_local(own: &mut Layers<'_>, held: &[Image], local: &[LayerKey]) -> Result<(), EndpointError> {
    for key in local {
        if own.spooled(&key.digest()).is_none() {
            let image = held.iter().find(|image| image.has_tar(key));
            let image = image.ok_or_else(|| EndpointError::Broken(format!("layer {key} is gone")))?;
            let named = local.iter().copied().filter(|key| image.has_tar(key));
            own.spool(&image.id, named, Role::Basis)?;
        }
    }
    Ok(())
}

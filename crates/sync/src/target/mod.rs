//! The target's side of a transfer: says which layers it wants, builds them of its own chunks and of those that arrive,
//! and checks the image before a name moves.
//!
//! [`take`] has the steps; [`conversation`](crate::conversation) has what crosses in each.

mod arrivals;
mod build;
mod cold;
mod contents;
mod form;
mod job;
mod offered;
mod plan;
mod recompress;
mod transfer;

use dsync_core::Image;
use dsync_engine::Store;
use dsync_proto::{FailureKind, LayerOutcome, Received, Reply};

use crate::conversation::{Preserved, Step, Talk};
use crate::failure::EndpointError;
use crate::inventory::survey;
use crate::layers::workspace::Workspace;
use crate::link::Link;
use crate::partial::BasisKind;
use arrivals::Incoming;
use build::check_config;
use contents::Contents;
use transfer::{Transfer, check_room};

pub(crate) use job::{AsContent, PatchContents, Peering, Receiving};

/// Takes an image from the source at the other end of the link.
pub(crate) fn receive(
    store: &dyn Store,
    link: &mut Link,
    what: &Receiving,
    workspace: &Workspace,
) -> Result<Reply, EndpointError> {
    store.must_take()?;
    let mut held = store.list()?.images;
    if what.preserved == Preserved::Content || !store.has_packages() {
        survey::learn_configs(store, &mut held, std::slice::from_ref(&what.image))?;
    }
    let transfer = Transfer::of(store, &held, Talk::over(link), what, workspace)?;
    let received = take(transfer).map_err(|error| match error.kind() {
        FailureKind::Broken | FailureKind::NoSuchImage | FailureKind::Other if has_lost(store, &held) => {
            EndpointError::Changed(error.into())
        }
        _ => error,
    });
    received.map(Reply::Received)
}

/// True if an image is no longer there.
fn has_lost(store: &dyn Store, held: &[Image]) -> bool {
    let is_lost = |now: &[Image]| held.iter().any(|image| now.iter().all(|other| other.id != image.id));
    store.list().is_ok_and(|now| is_lost(&now.images))
}

/// The steps of a transfer.
fn take(mut transfer: Transfer<'_>) -> Result<Received, EndpointError> {
    let manifest = transfer.receive_proof()?;
    let documents = transfer.receive_documents(manifest)?;
    if let Some(there) = transfer.find(documents.as_ref()) {
        return transfer.name(there);
    }
    let mut plan = transfer.plan(documents.as_ref())?;
    let mut own = transfer.layers(&mut plan)?;
    transfer.send_want(&plan)?;
    if plan.basis_ids.is_empty() && transfer.what.is_patch_tried() {
        let layers = plan.states.iter().map(|&state| LayerOutcome { state, len: 0, reused: 0 }).collect();
        return Ok(Received { id: *transfer.image.id.as_bytes(), layers, was_there: false, packed_again: 0 });
    }
    if plan.basis_ids.is_empty() {
        transfer.read_own(&mut own, &plan)?;
        let form = transfer.receive_form(documents, &mut plan)?;
        return cold::receive(transfer, &own, &form, &plan);
    }
    let offer = transfer.read_basis(&mut own, &plan)?;
    let form = transfer.form(documents, &offer, &mut plan)?;
    let basis = transfer.agree(&offer, &own, &plan)?;
    let mut offered = transfer.receive_headers(basis, &plan)?;
    if form.has_own_config() {
        check_config(&offered.config, transfer.image, &transfer.config)?;
    }
    let size = form.size(&transfer.keys, &plan.states, |key| offered.size(key, &own));
    check_room(transfer.store, transfer.workspace, &size)?;
    if transfer.what.is_patch_tried() {
        let layers = offered.summary(&transfer.keys, &plan.states, &own);
        return Ok(transfer.account(transfer.image.id, layers, &form));
    }
    let parts = transfer.find_parts(&offer, &mut own, &offered, &plan)?;
    let mut partial_writer = transfer.partial_writer();
    let outbox = transfer.talk.outbox();
    let incoming = Incoming { stream: transfer.talk.step(Step::Contents)?.data_reader(), outbox };
    let contents = Contents::begin(incoming, &mut offered, &parts)?;
    let basis_kind = match (plan.basis.is_empty(), parts.is_empty()) {
        (true, _) => BasisKind::None,
        (false, true) => BasisKind::Image,
        (false, false) => BasisKind::ImageAndRanges,
    };
    drop(parts);
    let layers = offered.summary(&transfer.keys, &plan.states, &own);
    if transfer.what.dry_run {
        contents.skip(&offered, transfer.workspace)?;
        return Ok(transfer.account(transfer.image.id, layers, &form));
    }
    if let Some(partial_writer) = &mut partial_writer {
        offered.add_layers_to(partial_writer, &transfer.keys, basis_kind);
    }
    let contents = contents.prepare(&mut own, &offered, &plan.basis, transfer.workspace)?;
    let mut import = form.begin(transfer.store, transfer.config)?;
    contents.build(&transfer.keys, &plan.states, partial_writer, &mut *import)?;
    let id = transfer.commit(import, form.config(&offered.config))?;
    Ok(transfer.account(id, layers, &form))
}

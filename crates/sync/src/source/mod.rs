//! The source's side of a transfer: reads layers, describes them to the target, and sends what the target lacks.
//!
//! [`send`] has the steps; [`conversation`](crate::conversation) has what crosses in each.

mod basis;
mod batch_encoder;
mod code;
mod cold;
mod contents;
mod divide;
pub(crate) mod effort;
mod executables;
mod explain;
mod recipes;
mod transfer;

use std::sync::Arc;

use dsync_core::{Image, ImageId, LayerKey};
use dsync_delta::LayerIndex;
use dsync_engine::Store;
use dsync_proto::Reply;

use crate::conversation::Talk;
use crate::failure::EndpointError;
use crate::layers::workspace::Workspace;
use crate::layers::{Layers, Role};
use crate::link::Link;
use contents::Contents;
use transfer::Transfer;

pub(crate) use transfer::Sending;

/// Sends an image to the target at the other end of the link. `held` are the images of the store.
pub(crate) fn send(
    store: &dyn Store,
    held: &[Image],
    link: &mut Link,
    image: &ImageId,
    how: &Sending,
    workspace: &Workspace,
) -> Result<Reply, EndpointError> {
    let mut transfer = Transfer::of(store, held, Talk::over(link), image, how, workspace)?;
    transfer.prove()?;
    let package = transfer.send_documents()?;
    let Some(want) = transfer.receive_want()? else { return Ok(transfer.account(0, 0, Vec::new())) };
    let (want, stored) = transfer.find_stored(want, package.as_ref())?;

    transfer.check_room(&want)?;
    let mut own = transfer.layers(&want)?;
    if want.basis.is_empty() {
        transfer.offer(&[], stored)?;
        return cold::send(transfer, &mut own, &want);
    }
    let config = own.spool(&transfer.image.id, want.layers.iter().copied(), Role::New)?.config;
    let basis = transfer.find_basis(&mut own, &want)?;
    transfer.offer(&basis.known(), stored)?;
    let new = indexes_of(&own, &want.layers)?;
    let mut old = transfer.reconcile(&own, &basis, &want, &new)?;
    let literals = transfer.send_headers(&config, &new, &old, want.attempt)?;
    transfer.leave_for_coding(&own, &old, &literals);
    let parts = transfer.find_parts(&own, &basis, &new, &literals)?;
    let sent = divide::divide(&new, &literals, &parts.ranges, &mut old);
    drop(literals);
    let contents = Contents::prepare(&transfer, &mut own, &new, &sent, &old, &basis)?;
    contents.send(&mut transfer, &parts.encoded)
}

fn indexes_of(own: &Layers<'_>, layers: &[LayerKey]) -> Result<Vec<Arc<LayerIndex>>, EndpointError> {
    let missing = |key: &LayerKey| EndpointError::Broken(format!("the store did not give layer {key}"));
    layers.iter().map(|key| own.index(&key.digest()).cloned().ok_or_else(|| missing(key))).collect()
}

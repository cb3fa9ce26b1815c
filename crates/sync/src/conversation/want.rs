//! The layers that a target wants, and the basis that it has for them.

use std::collections::HashSet;

use dsync_core::{DiffId, Image};
use dsync_proto::{Need, Peer, ShortId, limits};

use crate::failure::{Breach, EndpointError};
use crate::link::Link;

const SILENT: &str = "the target did not say what it needs";
const LOST: &str = "the source did not send what it offered";

/// The layers that a target wants, as its source hears it.
pub(crate) struct Want {
    /// The layers to send.
    pub(crate) layers: Vec<DiffId>,
    /// Layers that the target builds of its own, and that it must be told how they are stored.
    pub(crate) local: Vec<DiffId>,
    /// Whether every content is to be sent.
    pub(crate) whole: bool,
    /// The layers of the target's basis.
    pub(crate) basis: Vec<ShortId>,
}

/// The target's half.
pub(crate) fn send(link: &Link, need: Need) -> Result<(), EndpointError> {
    link.send_peer(&Peer::Need(need)).map_err(EndpointError::io(LOST))
}

/// The source's half. Returns `None` where the target has the image.
pub(crate) fn receive(link: &mut Link, image: &Image) -> Result<Option<Want>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(SILENT))? {
        Peer::Need(Need::Nothing) => Ok(None),
        Peer::Need(Need::Layers { basis, .. }) if basis.len() > limits::LAYERS => {
            let (asked, most) = (basis.len(), limits::LAYERS);
            Err(Breach(format!("the target wants to build on {asked} layers; {most} are the most")).into())
        }
        Peer::Need(Need::Layers { layers, whole, basis, local }) => {
            let diff_id = |layer: u32| {
                let layer = usize::try_from(layer).ok().and_then(|layer| image.diff_ids.get(layer));
                layer
                    .copied()
                    .ok_or_else(|| EndpointError::Protocol(format!("image {} has no such layer", image.id)))
            };
            if layers.len().saturating_add(local.len()) > limits::LAYERS {
                let (asked, most) = (layers.len().saturating_add(local.len()), limits::LAYERS);
                return Err(Breach(format!("the target asks for {asked} layers; {most} are the most")).into());
            }
            let layers: Vec<DiffId> = layers.into_iter().map(diff_id).collect::<Result<_, _>>()?;
            let local: Vec<DiffId> = local.into_iter().map(diff_id).collect::<Result<_, _>>()?;
            let mut seen = HashSet::new();
            if !layers.iter().chain(&local).all(|id| seen.insert(*id)) {
                return Err(Breach("the target asks for a layer twice".into()).into());
            }
            Ok(Some(Want { layers, local, whole, basis }))
        }
        _ => Err(EndpointError::Protocol(SILENT.into())),
    }
}

//! The layers that a target wants, and the basis that it has for them. [`Want`] is the message.

use std::collections::HashSet;

use dsync_core::{Digest, ImageId, LayerKey};
use dsync_proto::{Peer, ShortId, Want, limits};

use super::{Attempt, Step};
use crate::failure::{Breach, EndpointError};
use crate::link::Link;

/// The layers that a target wants, as its source hears it.
pub(crate) struct WantedLayers {
    /// The layers to send.
    pub(crate) layers: Vec<LayerKey>,
    /// Layers that the target builds of its own, of which it must hear how they are stored.
    pub(crate) described: Vec<LayerKey>,
    pub(crate) attempt: Attempt,
    /// The layers of the target's basis.
    pub(crate) basis: Vec<ShortId>,
    /// The number of the last of them that are parts of layers, left by a transfer that broke off.
    pub(crate) partial: usize,
}

impl WantedLayers {
    /// True if the target has no older image to build on.
    pub(crate) fn is_first(&self) -> bool {
        self.basis.len() <= self.partial
    }
}

/// The target's half.
pub(crate) fn send(link: &Link, want: Want) -> Result<(), EndpointError> {
    link.send_peer(&Peer::Want(want)).map_err(EndpointError::io(Step::Want.sent()))
}

/// The source's half, of an image with these layers. Returns `None` where the target has the image.
pub(crate) fn receive(
    link: &mut Link,
    image: &ImageId,
    keys: &[LayerKey],
) -> Result<Option<WantedLayers>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(Step::Want.awaited()))? {
        Peer::Want(Want::Nothing) => Ok(None),
        Peer::Want(Want::Layers { basis, .. }) if basis.len() > limits::LAYERS => {
            let (asked, most) = (basis.len(), limits::LAYERS);
            Err(Breach(format!("the target wants to build on {asked} layers; {most} are the most")).into())
        }
        Peer::Want(Want::Layers { layers, without_basis, basis, partial, described }) => {
            let key = |layer: u32| {
                let layer = usize::try_from(layer).ok().and_then(|layer| keys.get(layer));
                layer
                    .copied()
                    .ok_or_else(|| EndpointError::Protocol(format!("image {image} has no such layer")))
            };
            if layers.len().saturating_add(described.len()) > limits::LAYERS {
                let (asked, most) = (layers.len().saturating_add(described.len()), limits::LAYERS);
                return Err(Breach(format!("the target asks for {asked} layers; {most} are the most")).into());
            }
            let layers: Vec<LayerKey> = layers.into_iter().map(key).collect::<Result<_, _>>()?;
            let described: Vec<LayerKey> = described.into_iter().map(key).collect::<Result<_, _>>()?;
            let mut seen = HashSet::new();
            if !layers.iter().chain(&described).all(|id| seen.insert(*id)) {
                return Err(Breach("the target asks for a layer twice".into()).into());
            }
            let partial = usize::try_from(partial).unwrap_or(usize::MAX);
            Ok(Some(WantedLayers { layers, described, attempt: Attempt::new(without_basis), basis, partial }))
        }
        _ => Err(Step::Want.unexpected()),
    }
}

/// The name of a layer of the basis, by the beginning of its digest.
pub(crate) fn short_id(digest: &Digest) -> ShortId {
    let [a, b, c, d, e, ..] = *digest.as_bytes();
    [a, b, c, d, e]
}

#[cfg(test)]
mod tests;

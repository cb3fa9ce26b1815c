//! The layers of the basis that the source knows, and how it has the wanted layers stored.

use dsync_proto::{Offer, Peer, encode};

use super::Step;
use crate::failure::EndpointError;
use crate::link::Link;

/// The source's half. Returns how many bytes it took.
pub(crate) fn send(link: &Link, offer: &Offer) -> Result<u64, EndpointError> {
    let len = encode(offer).map_err(|error| EndpointError::Broken(error.to_string()))?.len();
    link.send_peer(&Peer::Offer(offer.clone())).map_err(EndpointError::io(Step::Offer.sent()))?;
    Ok(len as u64)
}

/// The target's half, for a basis of `layers` layers.
pub(crate) fn receive(link: &mut Link, layers: usize) -> Result<Offer, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(Step::Offer.awaited()))? {
        Peer::Offer(offer) if offer.basis.len() == layers => Ok(offer),
        _ => Err(Step::Offer.unexpected()),
    }
}

#[cfg(test)]
mod tests;

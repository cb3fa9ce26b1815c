//! The layers of the basis that both ends know.
//!
//! The target proves that it has the layers that it named, and the source says which of them it knows. Both read their
//! stores at the same time.

use dsync_core::DiffId;
use dsync_proto::{Channel, LayerProof, Offer, Peer, encode};

use super::Step;
use crate::failure::EndpointError;
use crate::layers::Layers;
use crate::link::{Link, Outbox};

/// The target's half of the proofs: one for each layer of its basis.
pub(crate) fn send_proofs(
    outbox: &Outbox,
    own: &Layers<'_>,
    basis: &[DiffId],
    key: &[u8; 16],
) -> Result<(), EndpointError> {
    // A layer that cannot be read is no basis, and that is proven by nothing.
    let proof = |id: &DiffId| own.index(&id.digest()).map_or([0; 3], |index| index.proof(key));
    let proofs = Peer::Proofs(basis.iter().map(proof).collect());
    outbox.send_message(Channel::Peer, &proofs).map_err(EndpointError::io(Step::Possession.sent()))
}

/// The source's half of the proofs.
pub(crate) fn receive_proofs(link: &mut Link) -> Result<Vec<LayerProof>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(Step::Possession.awaited()))? {
        Peer::Proofs(proofs) => Ok(proofs),
        _ => Err(Step::Possession.unexpected()),
    }
}

/// The source's half of the offer. Returns how many bytes it took.
pub(crate) fn send(link: &Link, offer: &Offer) -> Result<u64, EndpointError> {
    let len = encode(offer).map_err(|error| EndpointError::Broken(error.to_string()))?.len();
    link.send_peer(&Peer::Offer(offer.clone())).map_err(EndpointError::io(Step::Offer.sent()))?;
    Ok(len as u64)
}

/// The target's half of the offer, for a basis of `layers` layers.
pub(crate) fn receive(link: &mut Link, layers: usize) -> Result<Offer, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(Step::Offer.awaited()))? {
        Peer::Offer(offer) if offer.basis.len() == layers => Ok(offer),
        _ => Err(Step::Offer.unexpected()),
    }
}

#[cfg(test)]
mod tests;

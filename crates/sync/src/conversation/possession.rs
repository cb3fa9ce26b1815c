//! The proofs of possession: a hash over each layer of the basis, which only a host that has the layer can compute.
//!
//! The target reads its store for them while the source reads its own.

use dsync_core::Digest;
use dsync_proto::{Channel, Peer, PossessionProof};

use super::Step;
use crate::failure::EndpointError;
use crate::layers::Layers;
use crate::link::{Link, Outbox};

/// The target's half: a proof for each layer of its basis.
pub(crate) fn send(
    outbox: &Outbox,
    own: &Layers<'_>,
    basis: &[Digest],
    key: &[u8; 16],
) -> Result<(), EndpointError> {
    // A layer that cannot be read is no basis, and that is proven by nothing.
    let proof = |id: &Digest| own.index(id).map_or([0; 3], |index| index.possession_proof(key));
    let proofs = Peer::Proofs(basis.iter().map(proof).collect());
    outbox.send_message(Channel::Peer, &proofs).map_err(EndpointError::io(Step::Possession.sent()))
}

/// The source's half.
pub(crate) fn receive(link: &mut Link) -> Result<Vec<PossessionProof>, EndpointError> {
    match link.expect_peer().map_err(EndpointError::io(Step::Possession.awaited()))? {
        Peer::Proofs(proofs) => Ok(proofs),
        _ => Err(Step::Possession.unexpected()),
    }
}

#[cfg(test)]
mod tests;

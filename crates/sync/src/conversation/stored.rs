//! How layers are stored at the source, which both ends go by from the offer on.

use dsync_core::DiffId;
use dsync_engine::Package;
use dsync_proto::Stored;

/// What both sides come to when it is known how layers are stored: those that cross as they are go by the digest of
/// that, and all that cross are in the order of the image.
pub(crate) fn settle(
    stack: &mut [DiffId],
    package: &Package,
    layers: &mut Vec<DiffId>,
    local: &[DiffId],
    (asked, stored): (usize, &[Stored]),
) {
    let mut sent: Vec<(usize, DiffId)> = Vec::new();
    for (number, (id, stored)) in layers.iter().chain(local).zip(stored).enumerate() {
        let Some(at) = stack.iter().position(|other| other == id) else { continue };
        if *stored == Stored::Opaque {
            let raw = DiffId::from_bytes(*package.layers()[at].blob.digest.as_bytes());
            sent.push((at, raw));
        } else if number < asked {
            sent.push((at, *id));
        }
    }
    sent.sort_unstable();
    for (at, id) in &sent {
        stack[*at] = *id;
    }
    *layers = sent.into_iter().map(|(_, id)| id).collect();
}

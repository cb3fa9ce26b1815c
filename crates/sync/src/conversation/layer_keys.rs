//! The keys of layers: from the offer on, a layer that crosses as it is stored goes by the digest of its blob, at both ends.

use dsync_core::LayerKey;
use dsync_engine::Package;
use dsync_proto::Stored;

/// Brings both ends to the same keys when it is known how layers are stored: opaque ones cross as blobs, and all that
/// cross are in the order of the image.
pub(crate) fn assign(
    keys: &mut [LayerKey],
    package: &Package,
    layers: &mut Vec<LayerKey>,
    described: &[LayerKey],
    stored: &[Stored],
) {
    let asked = layers.len();
    let mut sent: Vec<(usize, LayerKey)> = Vec::new();
    for (number, (key, stored)) in layers.iter().chain(described).zip(stored).enumerate() {
        let Some(at) = keys.iter().position(|other| other == key) else { continue };
        if *stored == Stored::Opaque {
            sent.push((at, LayerKey::Blob(package.layers()[at].blob.digest)));
        } else if number < asked {
            sent.push((at, *key));
        }
    }
    sent.sort_unstable();
    for (at, key) in &sent {
        keys[*at] = *key;
    }
    *layers = sent.into_iter().map(|(_, key)| key).collect();
}

#[cfg(test)]
mod tests;

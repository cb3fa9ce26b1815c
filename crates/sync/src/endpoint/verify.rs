//! Reads an image of the target again, and sees that every byte is what its digest says.

use std::collections::HashSet;
use std::io::{self, Read};

use dsync_core::{Config, DiffId, Digest, Image, LayerKey};
use dsync_engine::{IdOf, LayerSink, Store, StoreError};
use sha2::{Digest as _, Sha256};

use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::inventory::survey;
use crate::layers::blocks;

/// Proves that the store has this image of the source, under all its names or else at all: its config to the byte, its
/// layers, and where the store names images by manifests these and all stored blobs. Returns how many bytes were read.
pub(crate) fn verify(
    store: &dyn Store,
    mut held: Vec<Image>,
    image: &Image,
    interrupt: &Interrupt,
) -> Result<u64, EndpointError> {
    survey::learn_configs(store, &mut held, std::slice::from_ref(image))?;
    let is_it = |other: &&Image| other.same_content(image) == Some(true);
    let found = match &image.names[..] {
        [] => held.iter().find(is_it),
        [first, names @ ..] => {
            let named = |name| held.iter().find(|other| other.is_named(name));
            let found = named(first);
            let id = found.map(|found| found.id);
            let elsewhere = names.iter().find(|name| named(name).map(|other| other.id) != id);
            if let Some(name) = elsewhere {
                return Err(EndpointError::AnotherImage(format!("the target has another image as {name}")));
            }
            found
        }
    };
    let found = found.ok_or_else(|| StoreError::NoSuchImage { image: image.id.to_string() })?;
    let broken =
        |reason: String| EndpointError::Broken(format!("the image {} is not whole: {reason}", found.id));
    let mut wanted: HashSet<LayerKey> = image.tars().collect();
    // Documents are read by their digests; a damaged one is not read at all.
    if let Some(package) = store.package(&found.id, None)? {
        let layers = package.layers();
        // An uncompressed blob is the tar itself: it is read once.
        let plain: HashSet<LayerKey> = layers
            .iter()
            .filter(|layer| layer.is_plain())
            .filter_map(|layer| layer.diff_id.map(LayerKey::Tar))
            .collect();
        wanted.retain(|key| !plain.contains(key));
        wanted.extend(layers.iter().map(|layer| LayerKey::Blob(layer.blob.digest)));
    }
    let mut layers_read = ReadLayers { interrupt: interrupt.clone(), read: HashSet::new(), bytes: 0 };
    let export = store.export(&found.id, &wanted, &mut layers_read)?;
    let config = Config::parse(&export.config).map_err(|error| broken(error.to_string()))?;
    if image.config.is_some_and(|asked| asked != config.digest) {
        return Err(EndpointError::AnotherImage(format!(
            "the target's image {} has the config {}, the source's another one",
            found.id, config.digest
        )));
    }
    if config.diff_ids != image.diff_ids {
        return Err(broken("its config names other layers than the source's image has".into()));
    }
    if store.describe().kind.id_of() == IdOf::Config && config.digest != found.id.digest() {
        return Err(broken(format!("its config is {}", config.digest)));
    }
    match wanted.iter().find(|key| !layers_read.read.contains(*key)) {
        Some(key) => Err(broken(format!("layer {key} is missing"))),
        None => Ok(layers_read.bytes),
    }
}

/// The layers that were read, by their real digests.
struct ReadLayers {
    interrupt: Interrupt,
    read: HashSet<LayerKey>,
    bytes: u64,
}

impl LayerSink for ReadLayers {
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        let mut hasher = Sha256::new();
        blocks(bytes, &self.interrupt.clone(), &mut |block| {
            hasher.update(block);
            self.bytes += block.len() as u64;
            Ok(())
        })?;
        let found: [u8; 32] = hasher.finalize().into();
        let key = key.unwrap_or(LayerKey::Tar(DiffId::from_bytes(found)));
        if *key.digest().as_bytes() != found {
            let found = Digest::from_bytes(found);
            let reason = format!("layer {key} of the target reads as {found}: its store is damaged");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        self.read.insert(key);
        Ok(())
    }
}

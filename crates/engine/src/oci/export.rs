//! Reads an image of a layout.

use std::collections::HashSet;

use dsync_core::{DiffId, Digest};

use super::layout::Layout;
use super::resolve::Found;
use crate::archive::{Watched, decoded};
use crate::store::{Export, LayerSink, StoreError};

/// The config, and the wanted layers uncompressed, the lowest first.
pub(super) fn export(
    layout: &Layout,
    found: &Found,
    wanted: &HashSet<DiffId>,
    sink: &mut dyn LayerSink,
) -> Result<Export, StoreError> {
    let mut missing = wanted.clone();
    for (layer, id) in found.layers.iter().zip(&found.image.diff_ids) {
        if !missing.remove(id) {
            continue;
        }
        let file = layout.open_blob(&layer.digest)?;
        let passed_on =
            |error| StoreError::Io { what: format!("the layer {id} cannot be passed on"), source: error };
        if layer.is_plain(id) {
            sink.layer(Some(*id), &mut { file }).map_err(passed_on)?;
            continue;
        }
        let unreadable =
            |error| layout.broken(format!("the blob {} cannot be decompressed: {error}", layer.digest));
        let mut plain = Watched::new(decoded(file).map_err(|error| unreadable(error.to_string()))?);
        let taken = sink.layer(Some(*id), &mut plain);
        if let Some(error) = plain.failure() {
            return Err(unreadable(error));
        }
        taken.map_err(passed_on)?;
    }
    match missing.iter().next() {
        Some(id) => Err(layout.broken(format!("the image {} has no layer {id}", found.image.id))),
        None => {
            let config = layout.document(&Digest::from_bytes(*found.image.id.as_bytes()))?;
            Ok(Export { config })
        }
    }
}

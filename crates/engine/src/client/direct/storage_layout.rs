//! The places of an image's parts in an engine's storage, as far as all engines have them alike.

use std::io;
use std::path::PathBuf;

use dsync_core::{DiffId, ImageId};

/// The paths of configs and layers in an engine's storage.
pub(super) trait StorageLayout {
    /// The file with an image's config.
    fn config(&self, id: &ImageId) -> PathBuf;

    /// The two parts of a layer of an image, by its number from the lowest.
    fn layer(&self, id: &ImageId, diff_ids: &[DiffId], at: usize) -> io::Result<LayerPaths>;
}

/// The two parts of a layer.
pub(super) struct LayerPaths {
    /// Its headers and the bytes between files, in tar-split's form.
    pub(super) tar_split: PathBuf,
    /// The folder with its files.
    pub(super) contents: PathBuf,
}

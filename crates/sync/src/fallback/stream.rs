//! The store of an engine on another host, whose layers come and go as a stream. Those that came whole are saved until
//! their image has arrived.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};
use dsync_engine::{
    BlobRef, Demand, Description, DistantStore, Export, Holdings, Import, ImportIdentity, ImportSize,
    LayerSink, Nested, Package, Store, StoreError,
};

use super::partial_images::{PartialImage, PartialImages, SavingSink};

/// The store of an engine on another host.
pub(super) struct StreamStore {
    distant: DistantStore,
    /// The folder for temporary files of this host, where one was named.
    tmpfolder: Option<PathBuf>,
    /// The images that were listed last, for their names.
    listed: Mutex<Vec<Image>>,
}

impl StreamStore {
    pub(super) fn new(distant: DistantStore, tmpfolder: Option<PathBuf>) -> Self {
        StreamStore { distant, tmpfolder, listed: Mutex::default() }
    }

    /// The partial transfer of the image; `None` where there can be none, or another run has it.
    fn partial(&self, id: &ImageId) -> Option<PartialImage> {
        let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let image = listed.iter().find(|image| image.id == *id)?;
        PartialImages::locate(self.tmpfolder.as_deref()).ok()?.begin(image).ok()?
    }
}

/// Gives the layers of a partial transfer. Returns those that are left.
fn give(
    partial: &PartialImage,
    wanted: &HashSet<LayerKey>,
    sink: &mut dyn LayerSink,
) -> io::Result<HashSet<LayerKey>> {
    let mut left = wanted.clone();
    for (key, path) in partial.layers(wanted) {
        let Ok(mut layer) = File::open(&path) else { continue };
        match sink.layer(Some(key), &mut layer) {
            Ok(()) => {
                left.remove(&key);
            }
            // It is damaged.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => fs::remove_file(&path)?,
            Err(error) => return Err(error),
        }
    }
    if left.len() < wanted.len() {
        sink.note(&format!("{} of {} layers are here from before", wanted.len() - left.len(), wanted.len()));
    }
    Ok(left)
}

impl Store for StreamStore {
    fn describe(&self) -> Description {
        self.distant.describe()
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let all = self.distant.list()?;
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&all.images);
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        self.distant.configs(ids)
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        self.distant.nested(digest)
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        self.distant.holdings(held)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let Some(partial) = self.partial(id).filter(|_| !wanted.is_empty()) else {
            return self.distant.export(id, wanted, sink);
        };
        let what = || format!("a layer of {id} cannot be passed on");
        let left = give(&partial, wanted, sink).map_err(|source| StoreError::Io { what: what(), source })?;
        self.distant.export(id, &left, &mut SavingSink { sink, partial: &partial })
    }

    fn has_packages(&self) -> bool {
        self.distant.has_packages()
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        self.distant.package(id, platform)
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        self.distant.has(blobs)
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.distant.blob(blob)
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        self.distant.layer_sizes(image)
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        self.distant.demands(size)
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        self.distant.cannot_run(platform)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        self.distant.import(identity)
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.distant.tag(id, names)
    }
}

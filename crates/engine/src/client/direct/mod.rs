//! Reads layers of Docker's classic store where the engine keeps them, past the engine.
//!
//! `docker save` copies a whole image before it says a first byte, also when one layer is wanted. Who may
//! read the engine's storage needs none of that. It is a short cut and never more: nothing is written,
//! everything is checked, and whatever is not as expected is left to `save`.

mod tar_split;
mod tree;

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use dsync_core::{ChainId, Config, DiffId, Digest, ImageId};
use flate2::bufread::GzDecoder;

use crate::archive::Watched;
use crate::store::{Export, LayerSink};
use tar_split::TarSplit;
use tree::Tree;

/// The folder of an engine with the `overlay2` driver.
#[derive(Debug)]
pub(super) struct Storage {
    root: PathBuf,
}

/// Why an export ended early.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The storage cannot be read so; the engine itself may do better.
    Storage(String),
    /// The sink takes no more.
    Sink(io::Error),
}

impl Storage {
    /// The storage below this folder, if there is one on this host that this process may read.
    ///
    /// The engine that named the folder may still be on another host: each image shows that anew.
    pub(super) fn open(root: &Path) -> Option<Self> {
        let storage = Self { root: root.into() };
        [storage.images(), storage.layers(), storage.contents()]
            .iter()
            .all(|folder| fs::read_dir(folder).is_ok())
            .then_some(storage)
    }

    /// Gives the missing layers of an image to the sink, and takes each of them out of the set.
    pub(super) fn export(
        &self,
        id: &ImageId,
        missing: &mut HashSet<DiffId>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, Stopped> {
        let path = self.images().join(id.hex());
        let config = fs::read(&path).map_err(unreadable(&path))?;
        // So the image is the one that is meant, whatever engine this storage belongs to.
        if Digest::of(&config).as_bytes() != id.as_bytes() {
            return Err(Stopped::Storage(format!("{} is damaged", path.display())));
        }
        let diff_ids = Config::parse(&config).map_err(unreadable(&path))?.diff_ids;
        if let Some(unknown) = missing.iter().find(|id| !diff_ids.contains(id)) {
            return Err(Stopped::Storage(format!("{id} has no layer {unknown}")));
        }
        for (diff_id, chain_id) in diff_ids.iter().zip(ChainId::chain(&diff_ids)) {
            if missing.contains(diff_id) {
                self.layer(diff_id, &chain_id, sink)?;
                missing.remove(diff_id);
            }
        }
        Ok(Export { config })
    }

    fn layer(&self, diff_id: &DiffId, chain_id: &ChainId, sink: &mut dyn LayerSink) -> Result<(), Stopped> {
        let broken = |reason: &dyn Display| Stopped::Storage(format!("layer {diff_id}: {reason}"));
        let mut tar = Watched::new(self.tar(diff_id, chain_id).map_err(|error| broken(&error))?);
        let taken = sink.layer(Some(*diff_id), &mut tar);
        match (tar.failure(), taken) {
            (Some(reason), _) => Err(broken(&reason)),
            (None, Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(broken(&error)),
            (None, taken) => taken.map_err(Stopped::Sink),
        }
    }

    /// The tar of a layer, as it was when the engine got it.
    fn tar(&self, diff_id: &DiffId, chain_id: &ChainId) -> io::Result<impl Read> {
        let folder = self.layers().join(chain_id.hex());
        if fs::read_to_string(folder.join("diff"))?.trim_end().parse() != Ok(*diff_id) {
            return Err(io::Error::other("the storage has another one in its place"));
        }
        let cache_id = fs::read_to_string(folder.join("cache-id"))?;
        let cache_id = cache_id.trim_end();
        if cache_id.is_empty() || !cache_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(io::Error::other("its cache-id is no name of a folder"));
        }
        let tree = Tree::open(&self.contents().join(cache_id).join("diff"))?;
        let packed = BufReader::with_capacity(64 << 10, File::open(folder.join("tar-split.json.gz"))?);
        Ok(TarSplit::new(BufReader::with_capacity(64 << 10, GzDecoder::new(packed)), tree))
    }

    fn images(&self) -> PathBuf {
        self.root.join("image/overlay2/imagedb/content/sha256")
    }

    fn layers(&self) -> PathBuf {
        self.root.join("image/overlay2/layerdb/sha256")
    }

    fn contents(&self) -> PathBuf {
        self.root.join("overlay2")
    }
}

fn unreadable<E: Display>(path: &Path) -> impl Fn(E) -> Stopped + '_ {
    move |error| Stopped::Storage(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;

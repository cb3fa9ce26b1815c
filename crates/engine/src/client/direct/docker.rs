//! The folder of Docker's classic store with the `overlay2` driver.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dsync_core::{ChainId, DiffId, ImageId};

use super::storage_layout::{LayerPaths, StorageLayout};

/// Images by their configs, layers by their chain ids.
#[derive(Debug)]
pub(in crate::client) struct Docker {
    root: PathBuf,
}

impl Docker {
    /// The folder, if it is on this host and this process may read it.
    ///
    /// The engine that named it may still be on another host: each image shows that anew.
    pub(in crate::client) fn open(root: &Path) -> Option<Self> {
        let docker = Self::at(root);
        [docker.images(), docker.layers(), docker.contents()]
            .iter()
            .all(|folder| fs::read_dir(folder).is_ok())
            .then_some(docker)
    }

    pub(super) fn at(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn images(&self) -> PathBuf {
        self.root.join("image/overlay2/imagedb/content/sha256")
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.root.join("image/overlay2/layerdb/sha256")
    }

    fn contents(&self) -> PathBuf {
        self.root.join("overlay2")
    }
}

impl StorageLayout for Docker {
    fn config(&self, id: &ImageId) -> PathBuf {
        self.images().join(id.hex())
    }

    fn layer(&self, _: &ImageId, diff_ids: &[DiffId], at: usize) -> io::Result<LayerPaths> {
        let chain = ChainId::chain(&diff_ids[..=at]);
        let folder = self.layers().join(chain[at].hex());
        if fs::read_to_string(folder.join("diff"))?.trim_end().parse() != Ok(diff_ids[at]) {
            return Err(io::Error::other("the storage has another one in its place"));
        }
        let cache_id = fs::read_to_string(folder.join("cache-id"))?;
        let cache_id = cache_id.trim_end();
        if cache_id.is_empty() || !cache_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(io::Error::other("its cache-id is no name of a folder"));
        }
        let contents = self.contents().join(cache_id).join("diff");
        Ok(LayerPaths { tar_split: folder.join("tar-split.json.gz"), contents })
    }
}

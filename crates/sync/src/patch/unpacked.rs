//! An image of a package, in a store that does not name images by manifests.
//!
//! A patch may hold an image with all that its ID is made of, and be applied where IDs are made of the config alone. What
//! crosses is the same; of it only the layers of one image are taken, and those that cross as they are stored are
//! uncompressed.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use dsync_core::{DiffId, Digest, HashingWriter, ImageId, ImageRef, LayerKey};
use dsync_engine::archive::decoded;
use dsync_engine::{Import, Package, PackedLayer, StoreError};

use crate::target::AsContent;

/// The image that is made.
struct Content {
    config: Vec<u8>,
    diff_ids: Vec<DiffId>,
    /// The directory in which layers are uncompressed.
    folder: PathBuf,
}

/// The image of the package with this config.
pub(crate) fn as_content(package: &Package, config: &Digest, folder: &Path) -> Option<Box<dyn AsContent>> {
    let diff_ids = package.config(config)?.diff_ids.clone();
    let config = package.document(config)?.to_vec();
    Some(Box::new(Content { config, diff_ids, folder: folder.to_owned() }))
}

impl AsContent for Content {
    fn config(&self) -> &[u8] {
        &self.config
    }

    fn begin<'a>(&'a self, package: &Package, import: Box<dyn Import + 'a>) -> Box<dyn Import + 'a> {
        let stored = |layer: &PackedLayer| {
            Some((layer.blob.digest, layer.diff_id.filter(|id| self.diff_ids.contains(id))?))
        };
        let stored = package.layers().iter().filter_map(stored).collect();
        Box::new(Unpacking { import, content: self, stored, given: HashSet::new() })
    }
}

struct Unpacking<'a> {
    import: Box<dyn Import + 'a>,
    content: &'a Content,
    /// The layers of the image by the digests of their blobs.
    stored: HashMap<Digest, DiffId>,
    /// The layers that the store has got.
    given: HashSet<DiffId>,
}

impl Import for Unpacking<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let failed = |source| StoreError::Io { what: format!("layer {key} cannot be uncompressed"), source };
        let diff_id = match key {
            LayerKey::Tar(diff_id) => Some(*diff_id).filter(|id| self.content.diff_ids.contains(id)),
            LayerKey::Blob(digest) => self.stored.get(digest).copied(),
        };
        // The others are of another platform, or said of an image, or a second form of a layer.
        let Some(diff_id) = diff_id.filter(|diff_id| self.given.insert(*diff_id)) else {
            return write(&mut io::sink()).map_err(failed);
        };
        if let LayerKey::Tar(_) = key {
            return self.import.layer(key, len, write);
        }
        let mut packed = tempfile::tempfile_in(&self.content.folder).map_err(failed)?;
        write(&mut packed).map_err(failed)?;
        let mut plain = || {
            packed.seek(SeekFrom::Start(0))?;
            decoded(BufReader::new(packed.try_clone()?))
        };
        let mut hashed = HashingWriter::new(io::sink());
        let len = io::copy(&mut plain().map_err(failed)?, &mut hashed).map_err(failed)?;
        if hashed.digest().0 != diff_id.digest() {
            return Err(failed(io::Error::other(format!("what comes out is not {diff_id}"))));
        }
        self.import.layer(&diff_id.into(), len, &mut |out| io::copy(&mut plain()?.take(len), out).map(drop))
    }

    fn commit(self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        self.import.commit(config, names)
    }
}

#[cfg(test)]
mod tests;

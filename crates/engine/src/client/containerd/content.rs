//! The blobs in containerd's content store, which are files under their digests (containerd's `docs/content-flow.md`).
//!
//! They are read past the engine, and never written. Each is checked against its digest, so what is read is right or
//! refused, whichever engine the files belong to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::{Digest, Image, ImageId, Inventory, Platform};

use super::database::Database;
use super::images::{Content, image};
use crate::blob::BlobRef;
use crate::client::identify::Engine;
use crate::client::list;
use crate::command::Program;
use crate::layers::Blobs;
use crate::store::StoreError;

/// The folder of blobs, below the root of a content store.
const BLOBS: &str = "blobs/sha256";
/// The root of the content store, below that of a containerd.
const CONTENT: &str = "io.containerd.content.v1.content";
/// The root of a containerd that Docker did not start itself.
const SYSTEM: &str = "/var/lib/containerd";

/// A folder of blobs.
#[derive(Debug)]
pub(crate) struct BlobFolder(PathBuf);

/// The blobs of Docker.
#[derive(Debug)]
pub(crate) struct ContentStore {
    folder: BlobFolder,
    database: Option<Database>,
}

impl ContentStore {
    /// The blobs of this engine, if they are on this host and may be read.
    pub(crate) fn open(engine: &Engine) -> Option<Self> {
        let own = engine.root.as_ref()?.join("containerd/daemon");
        [own, PathBuf::from(SYSTEM)].into_iter().find_map(|root| {
            let folder = BlobFolder::open(&root.join(CONTENT))?;
            Some(Self { folder, database: Database::of(engine, &root, root == Path::new(SYSTEM)) })
        })
    }

    /// The folder of the blobs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// True if an image is here.
    pub(crate) fn has_image(&self, id: &ImageId) -> bool {
        self.folder.size(&id.digest()).is_some()
    }

    /// All images that the engine shows, by their documents: `inspect` takes 40 ms for each, and `images` 5.
    pub(crate) fn list(&self, program: &Program, platform: &Platform) -> Result<Inventory, StoreError> {
        let listed = match self.database.as_ref().and_then(|database| database.names(program).ok().flatten())
        {
            Some(names) => names,
            None => list::names(program)?,
        };
        let mut images = Vec::with_capacity(listed.len());
        let mut others: Vec<String> = Vec::new();
        for (id, names) in listed {
            match image(self, &id, platform) {
                Ok(Some(image)) => images.push(Image { names, ..image }),
                // Of another platform alone, broken, or elsewhere: the engine is asked.
                Ok(None) | Err(_) => others.push(id.to_string()),
            }
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let mut all = list::inspect_all(program, &others)?;
        all.images.extend(images);
        Ok(all)
    }
}

impl BlobFolder {
    /// The folder of a content store with this root, if it may be read.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        Some(Self(root.join(BLOBS))).filter(|folder| fs::read_dir(&folder.0).is_ok())
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The length of a blob, if it is there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs::metadata(self.0.join(digest.hex())).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    /// The bytes of a blob.
    pub(crate) fn file(&self, digest: &Digest) -> Result<File, StoreError> {
        File::open(self.0.join(digest.hex())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => broken(format!("the blob {digest} is missing")),
            _ => StoreError::Io { what: format!("the blob {digest} cannot be read"), source: error },
        })
    }
}

impl Blobs for ContentStore {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(self.folder.file(&blob.digest)?))
    }

    fn broken(&self, reason: String) -> StoreError {
        broken(reason)
    }
}

impl Content for ContentStore {
    fn size(&self, digest: &Digest) -> Option<u64> {
        self.folder.size(digest)
    }

    fn has(&self, blob: &BlobRef) -> bool {
        self.folder.size(&blob.digest) == Some(blob.size)
    }
}

/// The error for a store whose blobs are not as they must be.
pub(crate) fn broken(reason: String) -> StoreError {
    StoreError::Broken { what: "the containerd image store".into(), reason }
}

//! The blobs in containerd's content store, which are files under their digests (containerd's `docs/content-flow.md`).
//!
//! They are read past the engine, and never written. Each is checked against its digest, so what is read is right or
//! refused, whichever engine the files belong to.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::{Digest, Image, ImageId, Inventory, Platform};

use super::database::Database;
use crate::blob::BlobRef;
use crate::client::identify::Engine;
use crate::client::list;
use crate::command::Program;
use crate::layers::Blobs;
use crate::nested::{Places, nested};
use crate::package::{DocumentSource, LARGEST_DOCUMENT, Package, PackageError, total_size};
use crate::store::{Nested, StoreError};

/// The folder of blobs, below the root of a containerd.
const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256";
/// The root of a containerd that Docker did not start itself.
const SYSTEM: &str = "/var/lib/containerd";

/// The blobs of an engine.
#[derive(Debug)]
pub(crate) struct ContentStore {
    folder: PathBuf,
    database: Option<Database>,
}

impl ContentStore {
    /// The blobs of this engine, if they are on this host and may be read.
    pub(crate) fn open(engine: &Engine) -> Option<Self> {
        let own = engine.root.as_ref()?.join("containerd/daemon");
        [own, PathBuf::from(SYSTEM)]
            .into_iter()
            .map(|root| Self {
                folder: root.join(BLOBS),
                database: Database::of(engine, &root, root == Path::new(SYSTEM)),
            })
            .find(|content| fs::read_dir(&content.folder).is_ok())
    }

    /// The folder of the blobs.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// True if an image is here.
    pub(crate) fn has_image(&self, id: &ImageId) -> bool {
        self.size(&id.digest()).is_some()
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
            match self.image(&id, platform) {
                Some(image) => images.push(Image { names, ..image }),
                // Of another platform alone, broken, or elsewhere: the engine is asked.
                None => others.push(id.to_string()),
            }
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let mut all = list::inspect_all(program, &others)?;
        all.images.extend(images);
        Ok(all)
    }

    /// The digest of the config of an image.
    pub(crate) fn config(&self, id: &ImageId, platform: &Platform) -> Option<Digest> {
        self.image(id, platform)?.config
    }

    fn image(&self, id: &ImageId, platform: &Platform) -> Option<Image> {
        let digest = id.digest();
        let root = BlobRef { digest, size: self.size(&digest)? };
        let package = Package::collect(&root, None, &mut Whole(self)).ok()?;
        let (config, layers) = package.image(platform)?;
        Some(Image::unnamed(*id, config, total_size(&layers)))
    }

    /// The document with this digest that the index of one of these images names.
    pub(crate) fn nested(
        &self,
        digest: &Digest,
        images: &[ImageId],
        platform: &Platform,
    ) -> Result<Option<Nested>, StoreError> {
        let mut places = Places::default();
        for id in images {
            if let Some(entry) = self.package(id, None).ok().and_then(|package| package.entry_of(digest)) {
                places.add(*id, entry);
            }
        }
        nested(places, platform, &mut |root| Package::collect(root, None, &mut Whole(self)))
    }

    /// All that names an image.
    pub(crate) fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Package, StoreError> {
        let digest = id.digest();
        let size = self.size(&digest).ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })?;
        let package = Package::collect(&BlobRef { digest, size }, platform, &mut Whole(self));
        package.map_err(|error| match error {
            PackageError::Source(error) => error,
            PackageError::Broken(reason) => self.broken(format!("{id}: {reason}")),
        })
    }

    /// The blobs of layers that these images have: the engine keeps them as long as the images.
    pub(crate) fn held(&self, images: &[Image]) -> HashSet<Digest> {
        // An image that cannot be read has nothing that could be relied on.
        let packages = images.iter().filter_map(|image| self.package(&image.id, None).ok());
        packages
            .flat_map(|package| package.layers().iter().map(|l| l.blob.digest).collect::<Vec<_>>())
            .collect()
    }

    /// The length of a blob, if it is there.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs::metadata(self.folder.join(digest.hex())).ok()?;
        metadata.is_file().then_some(metadata.len())
    }

    fn file(&self, digest: &Digest) -> Result<File, StoreError> {
        File::open(self.folder.join(digest.hex())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.broken(format!("the blob {digest} is missing")),
            _ => StoreError::Io { what: format!("the blob {digest} cannot be read"), source: error },
        })
    }
}

impl Blobs for ContentStore {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(self.file(&blob.digest)?))
    }

    fn broken(&self, reason: String) -> StoreError {
        StoreError::Broken { what: "the containerd image store".into(), reason }
    }
}

struct Whole<'a>(&'a ContentStore);

impl DocumentSource for Whole<'_> {
    type Error = StoreError;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        let Self(content) = self;
        if content.size(&blob.digest) != Some(blob.size) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let read = content.file(&blob.digest)?.take(LARGEST_DOCUMENT).read_to_end(&mut bytes);
        read.map_err(|source| StoreError::Io { what: format!("{} cannot be read", blob.digest), source })?;
        match Digest::of(&bytes) == blob.digest {
            true => Ok(Some(bytes)),
            false => Err(content.broken(format!("the blob {} has another digest", blob.digest))),
        }
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(blobs.iter().all(|blob| self.0.size(&blob.digest) == Some(blob.size)))
    }
}

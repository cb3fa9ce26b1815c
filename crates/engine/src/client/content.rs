//! The content store of containerd, which has the blobs of Docker's containerd image store as files.
//!
//! Blobs are read past the engine, and never written. Each is a file under its digest, so whatever engine the files
//! belong to, what is read is right or refused.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::{Digest, Image, ImageId, Platform};

use super::list;
use crate::command::Program;
use crate::package::{BlobRef, Blobs, Documents, LARGEST_DOCUMENT, Package, PackageError};
use crate::store::StoreError;

/// Below the folder of a containerd (containerd's `docs/content-flow.md`).
const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256";
/// Of a containerd that Docker did not start itself.
const SYSTEM: &str = "/var/lib/containerd";

/// The blobs of an engine.
#[derive(Debug)]
pub(super) struct Content {
    folder: PathBuf,
}

impl Content {
    /// Those of the engine with this folder, if they are on this host and may be read.
    pub(super) fn open(root: &Path) -> Option<Self> {
        let own = root.join("containerd/daemon");
        [own, PathBuf::from(SYSTEM)]
            .into_iter()
            .map(|place| Self { folder: place.join(BLOBS) })
            .find(|content| fs::read_dir(&content.folder).is_ok())
    }

    /// Whether an image is here.
    pub(super) fn has_image(&self, id: &ImageId) -> bool {
        self.size(&Digest::from_bytes(*id.as_bytes())).is_some()
    }

    /// All images that the engine shows, by their documents: `inspect` takes 40 ms for each.
    pub(super) fn list(&self, program: &Program, platform: &Platform) -> Result<Vec<Image>, StoreError> {
        let listed = list::names(program)?;
        let mut images = Vec::with_capacity(listed.len());
        let mut others: Vec<String> = Vec::new();
        for (id, names) in listed {
            match self.image(&id, platform) {
                Some(image) => images.push(Image { names, ..image }),
                // Of another platform alone, broken, or elsewhere: the engine says what it makes of it.
                None => others.push(id.to_string()),
            }
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        images.extend(list::inspect_all(program, &others)?);
        Ok(images)
    }

    fn image(&self, id: &ImageId, platform: &Platform) -> Option<Image> {
        let digest = Digest::from_bytes(*id.as_bytes());
        let root = BlobRef { digest, size: self.size(&digest)? };
        let package = Package::collect(&root, None, &mut Whole(self)).ok()?;
        let (config, layers) = package.image(platform)?;
        Some(Image {
            id: *id,
            names: Vec::new(),
            diff_ids: config.diff_ids.clone(),
            platform: config.platform.clone(),
            size: layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.blob.size)),
            created: config.created.clone(),
        })
    }

    /// All that names an image.
    pub(super) fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Package, StoreError> {
        let digest = Digest::from_bytes(*id.as_bytes());
        let size = self.size(&digest).ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })?;
        let package = Package::collect(&BlobRef { digest, size }, platform, &mut Whole(self));
        package.map_err(|error| match error {
            PackageError::Source(error) => error,
            PackageError::Broken(reason) => self.broken(format!("{id}: {reason}")),
        })
    }

    /// The blobs of layers that these images have: the engine keeps them as long as the images.
    pub(super) fn held(&self, images: &[Image]) -> HashSet<Digest> {
        // An image that cannot be read has nothing that could be relied on.
        let packages = images.iter().filter_map(|image| self.package(&image.id, None).ok());
        packages
            .flat_map(|package| package.layers().iter().map(|l| l.blob.digest).collect::<Vec<_>>())
            .collect()
    }

    /// How long a blob is, if it is there.
    pub(super) fn size(&self, digest: &Digest) -> Option<u64> {
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

impl Blobs for Content {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(self.file(&blob.digest)?))
    }

    fn broken(&self, reason: String) -> StoreError {
        StoreError::Broken { what: "the containerd image store".into(), reason }
    }
}

struct Whole<'a>(&'a Content);

impl Documents for Whole<'_> {
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
            false => Err(content.broken(format!("the blob {} has other contents", blob.digest))),
        }
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(blobs.iter().all(|blob| self.0.size(&blob.digest) == Some(blob.size)))
    }
}

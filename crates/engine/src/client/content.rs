//! The content store of containerd, which has the blobs of Docker's containerd image store as files.
//!
//! Blobs are read past the engine, and never written. Each is a file under its digest, so whatever engine the files
//! belong to, what is read is right or refused. The names of images are in a database beside them, which is read only
//! where it is certain that it is this engine's.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, Platform};

use super::bolt::{Bolt, Value};
use super::identify::Engine;
use super::list;
use crate::blob::BlobRef;
use crate::command::Program;
use crate::layers::Blobs;
use crate::package::{Documents, LARGEST_DOCUMENT, Package, PackageError};
use crate::store::StoreError;

/// Below the folder of a containerd (containerd's `docs/content-flow.md`).
const BLOBS: &str = "io.containerd.content.v1.content/blobs/sha256";
/// The same for what it knows of images (containerd's `core/metadata/buckets.go`).
const METADATA: &str = "io.containerd.metadata.v1.bolt/meta.db";
/// Of a containerd that Docker did not start itself.
const SYSTEM: &str = "/var/lib/containerd";
/// Where that listens.
const SYSTEM_SOCKET: &str = "/run/containerd/containerd.sock";
/// Attempts to read the database while it changes.
const ATTEMPTS: usize = 4;

/// The blobs of an engine.
#[derive(Debug)]
pub(super) struct Content {
    folder: PathBuf,
    database: Option<Database>,
}

/// Where Docker has its images unless it says otherwise.
const NAMESPACE: &str = "moby";

/// The database of the engine's containerd.
#[derive(Debug)]
struct Database {
    file: PathBuf,
    namespace: String,
    /// The number of names that it must have to be the engine's, where the engine does not say which is.
    names: Option<u64>,
}

type Names = BTreeMap<ImageId, Vec<ImageRef>>;

impl Content {
    /// Those of this engine, if they are on this host and may be read.
    pub(super) fn open(engine: &Engine) -> Option<Self> {
        let own = engine.root.as_ref()?.join("containerd/daemon");
        [own, PathBuf::from(SYSTEM)]
            .into_iter()
            .map(|place| Self { folder: place.join(BLOBS), database: Database::of(engine, &place) })
            .find(|content| fs::read_dir(&content.folder).is_ok())
    }

    /// True if an image is here.
    pub(super) fn has_image(&self, id: &ImageId) -> bool {
        self.size(&id.digest()).is_some()
    }

    /// All images that the engine shows, by their documents: `inspect` takes 40 ms for each, and `images` 5.
    pub(super) fn list(&self, program: &Program, platform: &Platform) -> Result<Inventory, StoreError> {
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
                // Of another platform alone, broken, or elsewhere: the engine says what it makes of it.
                None => others.push(id.to_string()),
            }
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let mut all = list::inspect_all(program, &others)?;
        all.images.extend(images);
        Ok(all)
    }

    /// The digest of the config of an image.
    pub(super) fn config(&self, id: &ImageId, platform: &Platform) -> Option<Digest> {
        self.image(id, platform)?.config
    }

    fn image(&self, id: &ImageId, platform: &Platform) -> Option<Image> {
        let digest = id.digest();
        let root = BlobRef { digest, size: self.size(&digest)? };
        let package = Package::collect(&root, None, &mut Whole(self)).ok()?;
        let (config, layers) = package.image(platform)?;
        Some(Image {
            id: *id,
            config: Some(config.digest),
            names: Vec::new(),
            digests: Vec::new(),
            diff_ids: config.diff_ids.clone(),
            platform: config.platform.clone(),
            size: layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.blob.size)),
            created: config.created.clone(),
        })
    }

    /// All that names an image.
    pub(super) fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Package, StoreError> {
        let digest = id.digest();
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

    /// The length of a blob, if it is there.
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

impl Database {
    /// That of a containerd in this place, if there is no doubt that this engine uses it: a client may talk to an engine
    /// elsewhere, and its folders have the same names as those here.
    fn of(engine: &Engine, place: &Path) -> Option<Self> {
        let is_system = place == Path::new(SYSTEM);
        let id = fs::read_to_string(engine.root.as_ref()?.join("engine-id")).ok()?;
        let (is_its, namespace, names) = match &engine.containerd {
            Some(told) => ((told.address == SYSTEM_SOCKET) == is_system, told.namespace.as_str(), None),
            None => (true, NAMESPACE, Some(engine.images)),
        };
        let database = Self { file: place.join(METADATA), namespace: namespace.to_owned(), names };
        (is_its && id.trim() == engine.id).then_some(database)
    }

    /// The IDs of all images with their names; `None` when it changes all the time, or is not the engine's.
    fn names(&self, program: &Program) -> io::Result<Option<Names>> {
        for _ in 0..ATTEMPTS {
            let database = Bolt::open(&self.file)?;
            // A database that changes reads as anything, a failure too.
            let read = read_names(&database, &self.namespace);
            if database.is_unchanged()? {
                let (names, count) = read?;
                return Ok(self.is_told(program, &names, count).then_some(names));
            }
        }
        Ok(None)
    }

    /// True if these are the engine's names, as far as can be seen without asking for all.
    fn is_told(&self, program: &Program, names: &Names, count: u64) -> bool {
        let Some(told) = self.names else { return true };
        let one = names.iter().find_map(|(id, names)| Some((id.to_string(), names.first()?.to_string())));
        let is_there = |(id, name): (String, String)| {
            let output = program.run(&["image", "inspect", "--format", "{{.Id}}", &name], None);
            output.is_ok_and(|output| output.stdout.trim_ascii() == id.as_bytes())
        };
        told == count && one.is_some_and(is_there)
    }
}

/// The names, and how many there are with those that are none for us.
fn read_names(database: &Bolt, namespace: &str) -> io::Result<(Names, u64)> {
    let (mut names, mut count) = (Names::new(), 0);
    let Some(images) = database.bucket(&["v1", namespace, "images"])? else { return Ok((names, 0)) };
    database.each(&images, &mut |name, image| {
        let Value::Bucket(image) = image else { return Ok(()) };
        let Some(target) = database.inner(&image, "target")? else { return Ok(()) };
        let digest = database.bytes(&target, "digest")?.and_then(|bytes| String::from_utf8(bytes).ok());
        let id = digest.and_then(|digest| digest.parse::<ImageId>().ok());
        let id = id.ok_or_else(|| io::Error::other("an image has no digest of a kind that is known"))?;
        // An image that nobody names has a name there all the same, which is none for us.
        let name = str::from_utf8(name).ok().and_then(|name| name.parse::<ImageRef>().ok());
        names.entry(id).or_default().extend(name);
        count += 1;
        Ok(())
    })?;
    names.values_mut().for_each(|names| names.sort_unstable());
    Ok((names, count))
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

//! Single blobs of Docker's containerd image store, by the engine alone, for who may not read its files.
//!
//! The engine saves whole images only, and takes for an image whatever a manifest names. So a small manifest that names
//! the wanted blobs is loaded, saved and removed. Docker from 26 to 28 gives every blob of its content store in this
//! way; where one is not there, it gives none.

use std::collections::HashMap;
use std::io::{self, Read};

use dsync_core::{Digest, ImageId, Platform};
use serde_json::Value;

use super::temporary_names::TemporaryName;
use crate::archive::{PartialArchive, ReadError, TarEntries};
use crate::blob::BlobRef;
use crate::command::{Program, Reading};
use crate::layers::Blobs;
use crate::manifest::{MANIFEST, probe};
use crate::nested::{Places, nested};
use crate::package::{self, DocumentSource, LARGEST_DOCUMENT, Package, PackageError};
use crate::store::{Nested, StoreError};

/// The beginning of an engine's error in an archive that it could not go on with.
const ERROR: &[u8] = b"{\"errorDetail\"";

/// Attempts to have an archive saved while others prune.
const ATTEMPTS: usize = 20;

/// The blobs of an engine, through its client.
#[derive(Clone, Copy)]
pub(super) struct Fetch<'a>(pub(super) &'a Program);

impl<'a> Fetch<'a> {
    /// All that names an image.
    pub(super) fn package(self, id: &ImageId, platform: Option<&Platform>) -> Result<Package, StoreError> {
        let digest = id.digest();
        let measured = |bytes: Vec<u8>| (bytes.len() as u64, Some(bytes));
        let (size, known) = match self.size(id) {
            Ok(Some(size)) => (size, None),
            Ok(None) => measured(self.unmeasured(&digest)?),
            // The engine shows no document that only the index of an image names, and gives its blob.
            Err(missing @ StoreError::NoSuchImage { .. }) => match self.unmeasured(&digest) {
                Err(StoreError::Broken { .. }) => return Err(missing),
                bytes => measured(bytes?),
            },
            Err(error) => return Err(error),
        };
        let mut whole = Whole { from: self, root: known };
        Package::collect(&BlobRef { digest, size }, platform, &mut whole).map_err(|error| match error {
            PackageError::Source(error) => error,
            PackageError::Broken(reason) => self.broken(format!("{id}: {reason}")),
        })
    }

    /// The document with this digest that the index of one of these images names; one in an index that an index names
    /// is not found.
    pub(super) fn nested(
        self,
        digest: &Digest,
        ids: &[ImageId],
        platform: &Platform,
    ) -> Result<Option<Nested>, StoreError> {
        let mut places = Places::default();
        let sizes = self.roots(ids)?;
        let mut documents = self.documents(&sizes.iter().map(|(_, blob)| *blob).collect::<Vec<_>>())?;
        for id in ids {
            let unmeasured = || serde_json::from_slice(&self.unmeasured(&id.digest()).ok()?).ok();
            let Some(index) = documents.remove(&id.digest()).or_else(unmeasured) else { continue };
            if let Some(entry) = package::entry_of(&index, digest) {
                places.add(*id, entry.clone());
            }
        }
        nested(places, platform, &mut |root| {
            Package::collect(root, None, &mut Whole { from: self, root: None })
        })
    }

    /// The digests of the configs of these images: one save for all their manifests and indexes, and one for the
    /// manifests that indexes name for the platform. An image that this leaves open is looked at alone.
    pub(super) fn configs(
        self,
        ids: &[ImageId],
        platform: &Platform,
    ) -> Result<Vec<Option<Digest>>, StoreError> {
        let mut configs: HashMap<ImageId, Digest> = HashMap::new();
        let mut wanted = self.roots(ids)?;
        for _ in 0..2 {
            let mut documents = self.documents(&wanted.iter().map(|(_, blob)| *blob).collect::<Vec<_>>())?;
            let mut named = Vec::new();
            for (id, blob) in wanted {
                let Some(json) = documents.remove(&blob.digest) else { continue };
                match json.get("config").and_then(BlobRef::parse) {
                    Some(config) => drop(configs.insert(id, config.digest)),
                    None => named.extend(package::for_platform(&json, platform).map(|blob| (id, blob))),
                }
            }
            wanted = named;
        }
        let alone = |id: &ImageId| {
            let package = self.package(id, None).ok()?;
            package.image(platform).map(|(config, _)| config.digest)
        };
        Ok(ids.iter().map(|id| configs.get(id).copied().or_else(|| alone(id))).collect())
    }

    /// The blobs that IDs name, of those images whose size the engine shows.
    fn roots(self, ids: &[ImageId]) -> Result<Vec<(ImageId, BlobRef)>, StoreError> {
        let texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let words: Vec<&str> =
            ["image", "inspect"].into_iter().chain(texts.iter().map(String::as_str)).collect();
        let output = self.0.output(&words)?;
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let roots = json.as_array().map(Vec::as_slice).unwrap_or_default().iter().filter_map(|image| {
            let id: ImageId = image.get("Id")?.as_str()?.parse().ok()?;
            let size = image.pointer("/Descriptor/size")?.as_u64()?;
            Some((id, BlobRef { digest: id.digest(), size }))
        });
        Ok(roots.collect())
    }

    /// These documents as JSON. None where one is not there: then the engine gives none.
    fn documents(self, blobs: &[BlobRef]) -> Result<HashMap<Digest, Value>, StoreError> {
        let mut documents = HashMap::new();
        let mut room = LARGEST_DOCUMENT;
        let mut fits = |blob: &&BlobRef| {
            room = room.saturating_sub(blob.size);
            room > 0
        };
        let blobs: Vec<BlobRef> = blobs.iter().take_while(|blob| fits(blob)).copied().collect();
        if blobs.is_empty() {
            return Ok(documents);
        }
        let mut saved = self.save(&blobs)?;
        while saved.find(|digest| {
            blobs.iter().any(|blob| blob.digest == *digest) && !documents.contains_key(digest)
        })? {
            let mut bytes = Vec::new();
            let unread = |source| StoreError::Io { what: "a manifest cannot be read".into(), source };
            (&mut saved).take(LARGEST_DOCUMENT).read_to_end(&mut bytes).map_err(unread)?;
            documents.insert(Digest::of(&bytes), serde_json::from_slice(&bytes).unwrap_or_default());
        }
        Ok(documents)
    }

    /// For each of these blobs whether it is there.
    pub(super) fn has(self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        if blobs.is_empty() || self.has_all(blobs)? {
            return Ok(vec![true; blobs.len()]);
        }
        let (low, high) = blobs.split_at(blobs.len() / 2);
        match low.is_empty() {
            true => Ok(vec![false]),
            false => Ok([self.has(low)?, self.has(high)?].concat()),
        }
    }

    fn has_all(self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        // The engine truncates a blob to its declared size and appends an error.
        let short: Vec<BlobRef> = blobs.iter().map(|blob| BlobRef { digest: blob.digest, size: 1 }).collect();
        let mut saved = self.save(&short)?;
        let found = saved.find(|digest| blobs.iter().any(|blob| blob.digest == *digest))?;
        saved.is_read = true;
        Ok(found)
    }

    /// The size of the document that an ID names; engines before 28 do not show it.
    fn size(self, id: &ImageId) -> Result<Option<u64>, StoreError> {
        let text = id.to_string();
        let output = self.0.output(&["image", "inspect", "--format", "{{json .}}", &text])?;
        if !output.success() {
            return Err(output.failure(Some(&text)));
        }
        let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Ok(json.pointer("/Descriptor/size").and_then(Value::as_u64))
    }

    /// A document of unknown length. The declared size is too large, so the engine gives all there is, then an error.
    fn unmeasured(self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let mut saved = self.save(&[BlobRef { digest: *digest, size: LARGEST_DOCUMENT }])?;
        let mut bytes = Vec::new();
        if saved.find(|other| other == digest)? {
            // It ends with the stream, without the end of an archive.
            let _ = saved.entries.read_to_end(&mut bytes);
        }
        let ends = (0..bytes.len()).rev().filter(|at| bytes[*at..].starts_with(ERROR));
        let end = ends.chain([bytes.len()]).find(|end| Digest::of(&bytes[..*end]) == *digest);
        let end = end.ok_or_else(|| self.broken(format!("the engine does not give {digest}")))?;
        bytes.truncate(end);
        Ok(bytes)
    }

    /// Lets the engine save these blobs.
    fn save(self, blobs: &[BlobRef]) -> Result<Saved<'a>, StoreError> {
        let (manifest, config) = probe(blobs);
        // Others may prune the store while the blobs are read.
        let name = TemporaryName::of(&Digest::of(&manifest)).name;
        let unsent = |source| StoreError::Io { what: "the engine stopped reading a manifest".into(), source };
        let mut archive = PartialArchive::new(Vec::new());
        let documents = [(&Digest::of(&manifest), &manifest[..]), (&Digest::of(&config), &config[..])];
        archive
            .finish_documents(documents.into_iter(), MANIFEST, Some(&name))
            .map_err(|error| unsent(io::Error::other(error)))?;
        let probe = Probe { program: self.0, name: name.to_string() };
        let mut load = self.0.feed(&["load", "--quiet"])?;
        let written = io::Write::write_all(&mut load, &archive.into_inner());
        load.finish()?;
        written.map_err(unsent)?;
        let mut attempts = 0;
        let archive = loop {
            attempts += 1;
            match self.begun(&probe.name) {
                Err(error) if attempts < ATTEMPTS && is_a_lost_lease(&error) => {}
                begun => break begun?,
            }
        };
        Ok(Saved { entries: TarEntries::new(archive), is_read: false, _probe: probe })
    }

    /// A save that has given something: one that gives nothing has failed, and says why.
    fn begun(self, name: &str) -> Result<Begun, StoreError> {
        let mut reading = self.0.read(&["save", name])?;
        let mut first = [0; 512];
        let unread = |source| StoreError::Io { what: "the engine's archive cannot be read".into(), source };
        match reading.read(&mut first).map_err(unread)? {
            0 => {
                reading.finish(Some(name))?;
                Err(self.broken("the engine saves nothing".into()))
            }
            count => Ok(io::Cursor::new(first[..count].to_vec()).chain(reading)),
        }
    }
}

/// An archive of the engine, of which the beginning was read.
type Begun = io::Chain<io::Cursor<Vec<u8>>, Reading>;

/// True if a prune at the same time took the lease by which the engine keeps what it saves (Docker 28.5 with containerd
/// 2.1). It has another one the next time.
fn is_a_lost_lease(error: &StoreError) -> bool {
    matches!(error, StoreError::Failed { message, .. } if message.contains("lease") && message.contains("not found"))
}

impl<'a> Fetch<'a> {
    /// The bytes of a blob.
    pub(super) fn take(self, blob: &BlobRef) -> Result<Saved<'a>, StoreError> {
        let mut saved = self.save(std::slice::from_ref(blob))?;
        match saved.find(|digest| *digest == blob.digest)? {
            true => Ok(saved),
            false => {
                Err(self
                    .broken(format!("the blob {} is missing; pull or build the image again", blob.digest)))
            }
        }
    }
}

impl Blobs for Fetch<'_> {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(self.take(blob)?))
    }

    fn broken(&self, reason: String) -> StoreError {
        StoreError::Broken { what: "the containerd image store".into(), reason }
    }
}

/// The manifest that was made for the question, which goes when it is answered.
struct Probe<'a> {
    program: &'a Program,
    name: String,
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        // One that cannot be removed is small.
        let _ = self.program.output(&["rmi", &self.name]);
    }
}

/// The archive that the engine saves.
pub(super) struct Saved<'a> {
    // The order matters: the engine reads what the probe names.
    entries: TarEntries<Begun>,
    /// All wanted blobs came; nothing long follows.
    is_read: bool,
    _probe: Probe<'a>,
}

impl Drop for Saved<'_> {
    fn drop(&mut self) {
        // Docker 26 keeps a lease on all that a save was to give which nobody reads to its end: not that of the
        // archive, after which the engine still reports that it is done.
        while self.is_read && self.entries.next().is_ok_and(|entry| entry.is_some()) {}
        if self.is_read {
            // Flaws of an archive that served its purpose are of no interest.
            let _ = self.entries.drain();
        }
    }
}

impl Saved<'_> {
    /// Goes to the contents of a blob; false where there is none.
    fn find(&mut self, is_it: impl Fn(&Digest) -> bool) -> Result<bool, StoreError> {
        let read = |error: ReadError| StoreError::Broken {
            what: "the archive that the engine saves".into(),
            reason: error.to_string(),
        };
        while let Some(entry) = self.entries.next().map_err(read)? {
            let digest = entry.path.strip_prefix("blobs/sha256/").and_then(|hex| hex.parse().ok());
            if digest.is_some_and(|digest| is_it(&digest)) {
                return Ok(true);
            }
        }
        self.is_read = true;
        Ok(false)
    }
}

impl Read for Saved<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.entries.read(buffer)?;
        self.is_read |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

struct Whole<'a> {
    from: Fetch<'a>,
    root: Option<Vec<u8>>,
}

impl DocumentSource for Whole<'_> {
    type Error = StoreError;

    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.root.take_if(|bytes| Digest::of(bytes) == blob.digest) {
            return Ok(Some(bytes));
        }
        let mut saved = self.from.save(std::slice::from_ref(blob))?;
        if !saved.find(|digest| *digest == blob.digest)? {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let unread =
            |source| StoreError::Io { what: format!("the blob {} cannot be read", blob.digest), source };
        saved.read_to_end(&mut bytes).map_err(unread)?;
        match Digest::of(&bytes) == blob.digest {
            true => Ok(Some(bytes)),
            false => Err(self.from.broken(format!("the blob {} has another digest", blob.digest))),
        }
    }

    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, StoreError> {
        Ok(blobs.is_empty() || self.from.has_all(blobs)?)
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;

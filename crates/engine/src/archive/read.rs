//! Takes the config and the wanted layers out of a saved image, in one pass.
//!
//! The forms, by what saved it: Docker before 25 (`V1ID/layer.tar`, links for layers that occur twice),
//! Docker from 25 on (`blobs/sha256/DIFFID`), the containerd image store (`blobs/sha256/` with layers as they are
//! stored, mostly gzip), podman (`DIFFID.tar`). All have a `manifest.json` (Docker image specification 1.2), mostly at
//! the end; it is checked against the entries before it.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use dsync_core::{Config, DiffId, Digest, LayerKey};

use super::decode::{decoded, is_gzip, is_zstd, peek};
use super::entry::{TarEntries, TarEntry, TarEntryKind};
use super::error::ReadError;
use super::listed::parse_manifest;
use super::v1::v1_ids;
use crate::store::{Export, LayerSink};
use crate::watched::WatchedReader;

/// Configs of real images have a few hundred kilobytes at most.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// Bytes of documents that are kept until the manifest names the config.
const ALL_DOCUMENTS: usize = 64 << 20;

/// Known properties of the image in an archive, and the layers that are wanted.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveRequest<'a> {
    /// The digest that its config must have, where it is known.
    pub config: Option<Digest>,
    /// Its layers, the lowest first; may be empty when nobody knows them yet.
    pub diff_ids: &'a [DiffId],
    /// The layers to give to the sink.
    pub wanted: &'a HashSet<DiffId>,
}

/// Reads one saved image. Each wanted layer is given once, in the order of the archive; one whose diff id
/// is not known is given with `None`, whether it is wanted or not.
pub fn read(
    archive: impl Read,
    request: &ArchiveRequest<'_>,
    sink: &mut dyn LayerSink,
) -> Result<Export, ReadError> {
    let mut entries = TarEntries::new(archive);
    let mut seen = SeenEntries::new(request);
    while let Some(entry) = entries.next()? {
        seen.entry(&entry, &mut entries, sink)?;
    }
    entries.drain()?;
    seen.conclude()
}

/// The entries that were seen so far.
struct SeenEntries<'a> {
    request: &'a ArchiveRequest<'a>,
    /// The layer that lies in each directory of an old archive.
    v1: HashMap<String, DiffId>,
    documents: HashMap<String, Vec<u8>>,
    kept: usize,
    links: HashMap<String, String>,
    /// The paths of the layers that went into the sink.
    given: HashSet<String>,
}

/// The kind of an entry by its name.
enum Name {
    Document,
    Layer(Option<DiffId>),
    Blob(Digest),
    Unused,
}

impl<'a> SeenEntries<'a> {
    fn new(request: &'a ArchiveRequest<'a>) -> Self {
        Self {
            request,
            v1: v1_ids(request.diff_ids).into_iter().zip(request.diff_ids.iter().copied()).collect(),
            documents: HashMap::new(),
            kept: 0,
            links: HashMap::new(),
            given: HashSet::new(),
        }
    }

    fn entry<R: Read>(
        &mut self,
        entry: &TarEntry,
        contents: &mut TarEntries<R>,
        sink: &mut dyn LayerSink,
    ) -> Result<(), ReadError> {
        match &entry.kind {
            TarEntryKind::File => self.file(entry, contents, sink)?,
            TarEntryKind::Symlink(target) => {
                self.links.insert(entry.path.clone(), resolved(&entry.path, target));
            }
            TarEntryKind::Hardlink(target) => {
                self.links.insert(entry.path.clone(), target.clone());
            }
            TarEntryKind::Other => {}
        }
        Ok(())
    }

    fn name(&self, path: &str) -> Name {
        if let Some(hex) = path.strip_prefix("blobs/sha256/") {
            return hex.parse().map_or(Name::Unused, Name::Blob);
        }
        if let Some(directory) = path.strip_suffix("/layer.tar") {
            return Name::Layer(self.v1.get(directory).copied());
        }
        if let Some(stem) = path.strip_suffix(".tar").or_else(|| path.strip_suffix(".tar.gz")) {
            return Name::Layer(stem.parse().ok());
        }
        if path.ends_with(".json") && !path.contains('/') { Name::Document } else { Name::Unused }
    }

    fn file<R: Read>(
        &mut self,
        entry: &TarEntry,
        contents: &mut TarEntries<R>,
        sink: &mut dyn LayerSink,
    ) -> Result<(), ReadError> {
        let wanted = self.request.wanted;
        match self.name(&entry.path) {
            Name::Document => self.keep(entry, &[], contents),
            Name::Layer(Some(id)) if !wanted.contains(&id) => Ok(()),
            Name::Layer(id) if !wanted.is_empty() => self.give(entry, id, &[], contents, sink),
            Name::Blob(digest) => self.blob(entry, digest, contents, sink),
            Name::Layer(_) | Name::Unused => Ok(()),
        }
    }

    /// A blob's name is its digest; whether it is a layer or a document shows in its first bytes.
    fn blob<R: Read>(
        &mut self,
        entry: &TarEntry,
        digest: Digest,
        contents: &mut TarEntries<R>,
        sink: &mut dyn LayerSink,
    ) -> Result<(), ReadError> {
        let is_it = |id: &&DiffId| id.digest() == digest;
        if let Some(id) = self.request.wanted.iter().find(is_it) {
            return self.give(entry, Some(*id), &[], contents, sink);
        }
        if self.request.diff_ids.iter().any(|id| is_it(&id)) {
            return Ok(());
        }
        let start = peek(contents).map_err(|error| contents.failure().unwrap_or(ReadError::Source(error)))?;
        if self.request.config == Some(digest) || start.first() == Some(&b'{') {
            self.keep(entry, &start, contents)
        } else if (is_gzip(&start) || is_zstd(&start)) && !self.request.wanted.is_empty() {
            self.give(entry, None, &start, contents, sink)
        } else {
            Ok(())
        }
    }

    /// Keeps a document. One that is too large is no config or manifest; `conclude` reports it as missing.
    fn keep<R: Read>(
        &mut self,
        entry: &TarEntry,
        start: &[u8],
        contents: &mut TarEntries<R>,
    ) -> Result<(), ReadError> {
        if entry.size > LARGEST_DOCUMENT {
            return Ok(());
        }
        let mut document = start.to_vec();
        let read = contents.read_to_end(&mut document);
        read.map_err(|error| contents.failure().unwrap_or(ReadError::Source(error)))?;
        self.kept += document.len();
        if self.kept > ALL_DOCUMENTS {
            return Err(ReadError::Broken(format!("it has more than {ALL_DOCUMENTS} bytes of metadata")));
        }
        self.documents.insert(entry.path.clone(), document);
        Ok(())
    }

    fn give<R: Read>(
        &mut self,
        entry: &TarEntry,
        id: Option<DiffId>,
        start: &[u8],
        contents: &mut TarEntries<R>,
        sink: &mut dyn LayerSink,
    ) -> Result<(), ReadError> {
        if !self.given.insert(entry.path.clone()) {
            return Ok(());
        }
        let blob = io::Cursor::new(start).chain(&mut *contents);
        let (taken, decoding) = match id {
            // The name is the digest of these very bytes, whatever they look like.
            Some(id) if entry.path.ends_with(&id.hex()) => (sink.layer(Some(id.into()), &mut { blob }), None),
            _ => match decoded(blob) {
                Ok(plain) => {
                    let mut plain = WatchedReader::new(plain);
                    (
                        sink.layer(id.map(LayerKey::Tar), &mut plain),
                        plain.failure().map(|error| error.to_string()),
                    )
                }
                Err(error) => (Ok(()), Some(error.to_string())),
            },
        };
        match (contents.failure(), decoding) {
            (Some(error), _) => Err(error),
            (None, Some(error)) => {
                Err(ReadError::Broken(format!("{} cannot be decompressed: {error}", entry.path)))
            }
            (None, None) => taken.map_err(ReadError::Sink),
        }
    }

    /// After the last entry: finds the config, and checks that every wanted layer was given.
    fn conclude(self) -> Result<Export, ReadError> {
        let broken = |reason: String| Err(ReadError::Broken(reason));
        let Some(manifest) = self.documents.get("manifest.json") else {
            return broken("it has no manifest.json".into());
        };
        let Some(images) = parse_manifest(manifest).filter(|images| !images.is_empty()) else {
            return broken("its manifest.json names no config and layers".into());
        };
        let mut configs =
            images.iter().map(|listed| self.config(&listed.config)).collect::<Result<Vec<_>, _>>()?;
        let is_it = |(_, config): &(_, Config)| Some(config.digest) == self.request.config;
        let at = configs.iter().position(is_it).unwrap_or(0);
        let (bytes, config) = configs.swap_remove(at);
        let layers = &images[at].layers;
        if let Some(expected) = self.request.config.filter(|expected| *expected != config.digest) {
            return broken(format!("its config is {}, not {expected}", config.digest));
        }
        if config.diff_ids.len() != layers.len() {
            let (named, listed) = (config.diff_ids.len(), layers.len());
            return broken(format!("its config names {named} layers, its manifest {listed}"));
        }
        for wanted in self.request.wanted {
            let mut at = config.diff_ids.iter().zip(layers).filter(|(id, _)| *id == wanted).peekable();
            if at.peek().is_none() {
                return broken(format!("the image has no layer {wanted}"));
            }
            if !at.any(|(_, path)| self.given.contains(self.target(path))) {
                return broken(format!(
                    "the layer {wanted} is missing; when the engine itself no longer has it, pull or build the image again"
                ));
            }
        }
        Ok(Export { config: bytes.to_vec() })
    }

    /// The bytes of a config, and its fields.
    fn config(&self, path: &str) -> Result<(&[u8], Config), ReadError> {
        let bytes = self.documents.get(self.target(path));
        let bytes = bytes.ok_or_else(|| ReadError::Broken(format!("the config {path} is missing")))?;
        let config = Config::parse(bytes).map_err(|error| ReadError::Broken(error.to_string()))?;
        Ok((bytes, config))
    }

    /// The path at the end of a chain of links; one that goes round ends at a path that is no file.
    fn target<'p>(&'p self, path: &'p str) -> &'p str {
        (0..8).fold(path, |path, _| self.links.get(path).map_or(path, String::as_str))
    }
}

/// `../b/layer.tar`, seen from `a/layer.tar`, is `b/layer.tar`.
pub(super) fn resolved(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

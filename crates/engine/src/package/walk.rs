//! Follows the documents of an image from its root: what is there, and what is wrong with it.
//!
//! Documents are read through [`DocumentSource`]; no store is known.

use std::collections::HashMap;
use std::fmt::Display;

use dsync_core::{Config, DiffId, Digest, Platform};
use serde_json::Value;

use super::descriptor::{elsewhere, entries, is_attestation, is_config, platform};
use crate::blob::BlobRef;

/// No document is larger, in bytes: registries take at least 4 MiB of a manifest, and JSON takes up to 30 times its
/// length in memory.
pub(crate) const LARGEST_DOCUMENT: u64 = 4 << 20;
/// All documents of an image together are not larger, in bytes.
const ALL_DOCUMENTS: u64 = 16 << 20;
/// An index in an index in an index is no image that anybody made on purpose.
pub(super) const DEEPEST: usize = 4;
/// More manifests are in no image.
const MOST_MANIFESTS: usize = 1024;

/// A layer as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLayer {
    /// The stored bytes.
    pub blob: BlobRef,
    /// The digest of the uncompressed tar, where a config names it.
    pub diff_id: Option<DiffId>,
}

impl PackedLayer {
    /// True if the stored bytes are the tar itself.
    pub fn is_plain(&self) -> bool {
        self.diff_id.is_some_and(|id| self.blob.is_plain(&id))
    }
}

/// The stored bytes of these layers.
pub(crate) fn total_size(layers: &[&PackedLayer]) -> u64 {
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.blob.size))
}

/// One image of a package, for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) manifest: Digest,
    pub(super) config: Config,
    /// The positions of its layers in [`Package::layers`], the lowest first.
    pub(super) layers: Vec<usize>,
}

/// A failure to collect the documents of an image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError<E: Display> {
    /// They cannot be read.
    #[error("{0}")]
    Source(E),
    /// The documents cannot be used.
    #[error("{0}")]
    Broken(String),
}

/// A source of documents and blobs.
pub(crate) trait DocumentSource {
    /// The failure to read one.
    type Error: Display;

    /// A document with this digest, checked; `None` where it is not there, or not in this size.
    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, Self::Error>;

    /// True if all these blobs are there.
    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, Self::Error>;
}

/// Reads a document as JSON.
pub(super) fn parse<E: Display>(digest: &Digest, bytes: &[u8]) -> Result<Value, PackageError<E>> {
    serde_json::from_slice(bytes)
        .map_err(|error| PackageError::Broken(format!("{digest} is not JSON: {error}")))
}

/// On the way through documents.
pub(super) struct Walk<'a, D> {
    from: &'a mut D,
    pub(super) documents: Vec<(Digest, Vec<u8>)>,
    bytes: u64,
    pub(super) layers: Vec<PackedLayer>,
    numbers: HashMap<Digest, usize>,
    pub(super) images: Vec<Member>,
    pub(super) absent: Vec<String>,
    pub(super) flaws: Vec<String>,
    /// A layer that the last manifest names and that is not there, as it may not be distributed with it.
    pub(super) foreign: Option<String>,
    /// The walk is below an attestation, which is no image.
    beside: bool,
}

impl<'a, D: DocumentSource> Walk<'a, D> {
    pub(super) fn new(from: &'a mut D) -> Self {
        Self {
            from,
            documents: Vec::new(),
            bytes: 0,
            layers: Vec::new(),
            numbers: HashMap::new(),
            images: Vec::new(),
            absent: Vec::new(),
            flaws: Vec::new(),
            foreign: None,
            beside: false,
        }
    }

    pub(super) fn fetch(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, PackageError<D::Error>> {
        self.bytes = self.bytes.saturating_add(blob.size);
        if blob.size > LARGEST_DOCUMENT || self.bytes > ALL_DOCUMENTS {
            return Err(PackageError::Broken(format!("the document {} is too large", blob.digest)));
        }
        let bytes = self.from.document(blob).map_err(PackageError::Source)?;
        Ok(bytes.filter(|bytes| bytes.len() as u64 == blob.size))
    }

    fn keep(&mut self, digest: Digest, bytes: Vec<u8>) {
        if self.documents.iter().all(|(other, _)| *other != digest) {
            self.documents.push((digest, bytes));
        }
    }

    /// A document that was met before. Of another size than the descriptor's, it is not the one that is named.
    fn kept(&self, blob: &BlobRef) -> Option<&[u8]> {
        let mut documents = self.documents.iter();
        let (_, bytes) = documents.find(|(digest, _)| *digest == blob.digest)?;
        Some(&bytes[..]).filter(|bytes| bytes.len() as u64 == blob.size)
    }

    /// The manifest for a platform.
    pub(super) fn choose(
        &mut self,
        index: &Value,
        wanted: &Platform,
        depth: usize,
    ) -> Result<(BlobRef, Vec<u8>), PackageError<D::Error>> {
        for descriptor in entries(index) {
            let Some(blob) = BlobRef::parse(descriptor).filter(|_| !is_attestation(descriptor)) else {
                continue;
            };
            let fits = platform(descriptor).is_none_or(|has| has.satisfies(wanted));
            let Some(bytes) = (if fits { self.fetch(&blob)? } else { None }) else { continue };
            let json: Value = parse(&blob.digest, &bytes)?;
            if json.get("manifests").is_none() {
                return Ok((blob, bytes));
            }
            if depth > 0 {
                return self.choose(&json, wanted, depth - 1);
            }
        }
        Err(PackageError::Broken(format!("it has no image for {wanted}")))
    }

    /// Takes a document and all that it names. False where that is not all there.
    pub(super) fn document(
        &mut self,
        blob: &BlobRef,
        bytes: Vec<u8>,
        json: &Value,
        depth: usize,
    ) -> Result<bool, PackageError<D::Error>> {
        if json.get("manifests").is_none() {
            return self.manifest(blob, bytes, json);
        }
        self.keep(blob.digest, bytes);
        if depth == 0 {
            return Ok(true);
        }
        for descriptor in entries(json) {
            if self.documents.len() > 2 * MOST_MANIFESTS {
                return Err(PackageError::Broken("it has too many manifests".into()));
            }
            let Some(child) = BlobRef::parse(descriptor) else {
                return Err(PackageError::Broken(format!(
                    "an entry of {} has no digest and size",
                    blob.digest
                )));
            };
            if self.kept(&child).is_some() {
                continue;
            }
            self.beside = is_attestation(descriptor);
            let there = match self.fetch(&child)? {
                Some(bytes) => {
                    let json = parse(&child.digest, &bytes)?;
                    self.document(&child, bytes, &json, depth - 1)?
                }
                None => false,
            };
            if !there && !self.beside {
                let name = platform(descriptor).map_or_else(|| child.digest.to_string(), |p| p.to_string());
                self.absent.push(match self.foreign.take() {
                    Some(foreign) => format!("{name}: {foreign}"),
                    None => name,
                });
            }
        }
        Ok(true)
    }

    fn manifest(
        &mut self,
        blob: &BlobRef,
        bytes: Vec<u8>,
        json: &Value,
    ) -> Result<bool, PackageError<D::Error>> {
        let broken = |reason: &str| PackageError::Broken(format!("the manifest {} {reason}", blob.digest));
        let config = json.get("config").and_then(BlobRef::parse).ok_or_else(|| broken("names no config"))?;
        let layers: Option<Vec<BlobRef>> = match json.get("layers") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(layers) => layers.as_array().and_then(|list| list.iter().map(BlobRef::parse).collect()),
        };
        let layers = layers.ok_or_else(|| broken("has a layer without digest and size"))?;
        if !self.from.has(&layers).map_err(PackageError::Source)? {
            self.foreign = self.foreign(json)?;
            return Ok(false);
        }
        let text = match self.kept(&config) {
            Some(bytes) => bytes.to_vec(),
            None => match self.fetch(&config)? {
                Some(bytes) => bytes,
                None => return Ok(false),
            },
        };
        let parsed = match Config::parse(&text) {
            Ok(parsed) if parsed.diff_ids.len() == layers.len() => Ok(parsed),
            Ok(parsed) => {
                Err(format!("it names {} layers, its manifest {}", parsed.diff_ids.len(), layers.len()))
            }
            Err(error) => Err(error.to_string()),
        };
        if let (Err(reason), false, true) = (&parsed, self.beside, is_config(json)) {
            self.flaws.push(format!("its config {} cannot be used: {reason}", config.digest));
        }
        let parsed = parsed.ok();
        self.keep(blob.digest, bytes);
        self.keep(config.digest, text);
        let mut numbers = Vec::with_capacity(layers.len());
        for (at, layer) in layers.into_iter().enumerate() {
            let diff_id = parsed.as_ref().map(|config| config.diff_ids[at]);
            let number = *self.numbers.entry(layer.digest).or_insert_with(|| {
                self.layers.push(PackedLayer { blob: layer, diff_id });
                self.layers.len() - 1
            });
            numbers.push(number);
        }
        // An attestation has a config too.
        if let Some(config) = parsed.filter(|_| !self.beside) {
            self.images.push(Member { manifest: blob.digest, config, layers: numbers });
        }
        Ok(true)
    }
}

impl<D: DocumentSource> Walk<'_, D> {
    /// The first layer of a manifest that is not there since it is to be had elsewhere (OCI image specification,
    /// "Non-Distributable Layers").
    fn foreign(&mut self, manifest: &Value) -> Result<Option<String>, PackageError<D::Error>> {
        for layer in manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default() {
            let media_type = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
            let urls = layer.get("urls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let is_foreign = media_type.contains("nondistributable") || media_type.contains(".foreign.");
            let Some(blob) = BlobRef::parse(layer).filter(|_| is_foreign || !urls.is_empty()) else {
                continue;
            };
            if !self.from.has(&[blob]).map_err(PackageError::Source)? {
                let urls: Vec<String> = urls.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                return Ok(Some(elsewhere(blob.digest, &urls)));
            }
        }
        Ok(None)
    }
}

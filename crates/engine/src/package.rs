//! The documents of an image where manifests name images, and the blobs that they list.
//!
//! The containerd image store, an OCI image layout and a registry all name an image by the digest of a manifest, or of
//! an index of manifests (OCI image specification, "Image Manifest" and "Image Index"). Whoever has all these
//! documents to the byte and the blobs they list has the same image, under the same ID.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Display;

use dsync_core::{Config, DiffId, Digest, LayerKey, Platform};
use serde_json::Value;

use crate::archive::{INDEX, MANIFEST};
use crate::blob::BlobRef;
use crate::host;

/// No document is larger, in bytes: registries take at least 4 MiB of a manifest, and JSON takes up to 30 times its length in
/// memory.
pub(crate) const LARGEST_DOCUMENT: u64 = 4 << 20;
/// All documents of an image together are not larger, in bytes.
const ALL_DOCUMENTS: u64 = 16 << 20;
/// An index in an index in an index is no image that anybody made on purpose.
const DEEPEST: usize = 4;
/// More manifests are in no image.
const MOST_MANIFESTS: usize = 1024;

/// A layer as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedLayer {
    /// The stored bytes.
    pub blob: BlobRef,
    /// Of the uncompressed tar, where a config tells.
    pub diff_id: Option<DiffId>,
}

impl PackedLayer {
    /// True if the stored bytes are the tar itself.
    pub fn is_plain(&self) -> bool {
        self.diff_id.is_some_and(|id| self.blob.is_plain(&id))
    }
}

/// All of an image but the contents of its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    root: Digest,
    media_type: String,
    /// The root first.
    documents: Vec<(Digest, Vec<u8>)>,
    images: Vec<Member>,
    layers: Vec<PackedLayer>,
    absent: Vec<String>,
    flaws: Vec<String>,
}

/// One image of a package, for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    manifest: Digest,
    config: Config,
    /// Which of the layers are its, the lowest first.
    layers: Vec<usize>,
}

/// Why there is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError<E: Display> {
    /// Where the documents are.
    #[error("{0}")]
    Source(E),
    /// The documents cannot be used.
    #[error("{0}")]
    Broken(String),
}

/// Where documents come from.
pub trait Documents {
    /// Why one could not be read.
    type Error: Display;

    /// A document with this digest, checked; `None` where it is not there, or not in this size.
    fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, Self::Error>;

    /// True if all these blobs are there.
    fn has(&mut self, blobs: &[BlobRef]) -> Result<bool, Self::Error>;
}

impl Package {
    /// Follows an index or a manifest to all that is there. Of an index with a platform, only the manifest for it.
    ///
    /// Documents that an index names and that are not there do not belong to the package.
    pub fn collect<D: Documents>(
        root: &BlobRef,
        platform: Option<&Platform>,
        from: &mut D,
    ) -> Result<Self, PackageError<D::Error>> {
        let mut walk = Walk::new(from);
        let bytes = walk.fetch(root)?;
        let bytes = bytes.ok_or_else(|| PackageError::Broken(format!("{} is missing", root.digest)))?;
        let json = parse(&root.digest, &bytes)?;
        let chosen = match platform {
            Some(wanted) if json.get("manifests").is_some() => Some(walk.choose(&json, wanted, DEEPEST)?),
            _ => None,
        };
        let (root, bytes, json) = match chosen {
            Some((blob, bytes)) => {
                let json = parse(&blob.digest, &bytes)?;
                (blob, bytes, json)
            }
            None => (*root, bytes, json),
        };
        let media_type = media_type(&json);
        let there = walk.document(&root, bytes, &json, DEEPEST)?;
        if !there {
            let missing = || {
                format!("blobs of {} are missing in the store; pull or build the image again", root.digest)
            };
            return Err(PackageError::Broken(walk.foreign.unwrap_or_else(missing)));
        }
        let Walk { documents, layers, images, absent, flaws, .. } = walk;
        Ok(Self { root: root.digest, media_type, documents, images, layers, absent, flaws })
    }

    /// Puts together what [`Package::documents`] said on another host.
    pub fn assemble(documents: Vec<Vec<u8>>) -> Result<Self, String> {
        struct Given(BTreeMap<Digest, Vec<u8>>);
        impl Documents for Given {
            type Error = String;

            fn document(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, String> {
                let size = self.0.get(&blob.digest).map(|bytes| bytes.len() as u64);
                Ok(size.filter(|size| *size == blob.size).and_then(|_| self.0.remove(&blob.digest)))
            }

            fn has(&mut self, _: &[BlobRef]) -> Result<bool, String> {
                Ok(true)
            }
        }
        let first = documents.first().ok_or("it has no documents")?;
        let root = BlobRef { digest: Digest::of(first), size: first.len() as u64 };
        let given = documents.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect();
        let mut given = Given(given);
        let package = Self::collect(&root, None, &mut given).map_err(|error| error.to_string())?;
        match given.0.keys().next() {
            None => Ok(package),
            Some(digest) => Err(format!("nothing names its document {digest}")),
        }
    }

    /// The digest that names the image.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The media type of the root.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Index, manifests and configs, the root first.
    pub fn documents(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.documents.iter().map(|(digest, bytes)| (digest, &bytes[..]))
    }

    /// The layers of all its images, each blob once.
    pub fn layers(&self) -> &[PackedLayer] {
        &self.layers
    }

    /// The platforms that its index names and that are not there.
    pub fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Why images of it cannot be used.
    pub(crate) fn flaws(&self) -> &[String] {
        &self.flaws
    }

    /// That it has an image at all, and not only what is said of one.
    pub(crate) fn check(self) -> Result<Self, String> {
        match (self.images.is_empty(), &self.absent[..]) {
            (false, _) => Ok(self),
            (true, []) => Err(self.flaws.first().cloned().unwrap_or_else(|| "it is no image".into())),
            (true, absent) => Err(format!(
                "the store has blobs of none of its platforms ({}); pull or build the image again",
                absent.join(", ")
            )),
        }
    }

    /// The config with this digest, if one of its images has it.
    pub fn config(&self, digest: &Digest) -> Option<&Config> {
        self.images.iter().map(|image| &image.config).find(|config| config.digest == *digest)
    }

    /// The index, indexes in it and the manifest that lead from the root to an image with this config, in this order:
    /// each names the digest of the next, and the last that of the config.
    pub fn path_to(&self, config: &Digest) -> Option<Vec<&[u8]>> {
        let (digest, bytes) = self.documents.first()?;
        let mut path = Vec::new();
        self.descend(digest, bytes, config, DEEPEST, &mut path).then_some(path)
    }

    fn descend<'a>(
        &'a self,
        digest: &Digest,
        bytes: &'a [u8],
        config: &Digest,
        depth: usize,
        path: &mut Vec<&'a [u8]>,
    ) -> bool {
        let Ok(json) = serde_json::from_slice::<Value>(bytes) else { return false };
        path.push(bytes);
        let leads = match json.get("manifests") {
            None => {
                self.images.iter().any(|image| image.manifest == *digest && image.config.digest == *config)
            }
            Some(_) if depth == 0 => false,
            Some(_) => entries(&json).iter().filter_map(BlobRef::parse).any(|child| {
                self.document(&child.digest)
                    .is_some_and(|bytes| self.descend(&child.digest, bytes, config, depth - 1, path))
            }),
        };
        if !leads {
            path.pop();
        }
        leads
    }

    /// True where the config with this digest is that of the image that this host uses.
    pub fn shows(&self, config: &Digest) -> bool {
        self.image(&host::platform()).is_some_and(|(shown, _)| shown.digest == *config)
    }

    /// The image for a platform, or the only one: its config, and the layers, the lowest first.
    pub(crate) fn image(&self, platform: &Platform) -> Option<(&Config, Vec<&PackedLayer>)> {
        let image = match &self.images[..] {
            [only] => only,
            several => several.iter().find(|image| image.config.platform.satisfies(platform))?,
        };
        Some((&image.config, image.layers.iter().map(|at| &self.layers[*at]).collect()))
    }

    /// The platforms that it has images for, each once.
    pub(crate) fn platforms(&self) -> Vec<String> {
        let mut platforms: Vec<String> =
            self.images.iter().map(|image| image.config.platform.to_string()).collect();
        platforms.sort_unstable();
        platforms.dedup();
        platforms
    }

    /// The bytes of a document.
    pub fn document(&self, digest: &Digest) -> Option<&[u8]> {
        let mut documents = self.documents.iter();
        documents.find(|(other, _)| other == digest).map(|(_, bytes)| &bytes[..])
    }

    /// The key of each layer, all different: its tar; the blob where its diff id is not known, or where another blob of
    /// the same layer goes by that.
    ///
    /// An uncompressed blob always goes by its diff id. An image can have one layer in several forms: Buildah puts
    /// uncompressed layers on a compressed base, and both may have the empty layer.
    pub fn stack(&self) -> Vec<LayerKey> {
        let plain = self.layers.iter().filter(|layer| layer.is_plain());
        let mut seen: HashSet<DiffId> = plain.filter_map(|layer| layer.diff_id).collect();
        let own = |layer: &PackedLayer| match layer.diff_id {
            Some(id) if layer.is_plain() || seen.insert(id) => LayerKey::Tar(id),
            _ => LayerKey::Blob(layer.blob.digest),
        };
        self.layers.iter().map(own).collect()
    }
}

fn parse<E: Display>(digest: &Digest, bytes: &[u8]) -> Result<Value, PackageError<E>> {
    serde_json::from_slice(bytes)
        .map_err(|error| PackageError::Broken(format!("{digest} is not JSON: {error}")))
}

/// On the way through documents.
struct Walk<'a, D> {
    from: &'a mut D,
    documents: Vec<(Digest, Vec<u8>)>,
    bytes: u64,
    layers: Vec<PackedLayer>,
    numbers: HashMap<Digest, usize>,
    images: Vec<Member>,
    absent: Vec<String>,
    flaws: Vec<String>,
    /// A layer that the last manifest names and that is not there, as it may not be distributed with it.
    foreign: Option<String>,
    /// The walk is below an attestation, which is no image.
    beside: bool,
}

impl<'a, D: Documents> Walk<'a, D> {
    fn new(from: &'a mut D) -> Self {
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

    fn fetch(&mut self, blob: &BlobRef) -> Result<Option<Vec<u8>>, PackageError<D::Error>> {
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
    fn choose(
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
    fn document(
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

impl<D: Documents> Walk<'_, D> {
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

/// The media type of a document. Older ones need not have it.
fn media_type(json: &Value) -> String {
    let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.+-".contains(&b));
    let default = if json.get("manifests").is_some() { INDEX } else { MANIFEST };
    json.get("mediaType").and_then(Value::as_str).filter(plain).unwrap_or(default).to_owned()
}

/// True if the config of a manifest is an image's; that of a chart or a signature is something else.
fn is_config(manifest: &Value) -> bool {
    let media_type = manifest.pointer("/config/mediaType").and_then(Value::as_str);
    media_type.is_none_or(|media_type| {
        matches!(
            media_type,
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }) && manifest.get("artifactType").is_none()
}

fn entries(index: &Value) -> &[Value] {
    index.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The first manifest of an index that may be for the platform.
pub(crate) fn for_platform(index: &Value, wanted: &Platform) -> Option<BlobRef> {
    let fits = |entry: &&Value| {
        !is_attestation(entry) && platform(entry).is_none_or(|platform| platform.satisfies(wanted))
    };
    entries(index).iter().find(fits).and_then(BlobRef::parse)
}

/// True for an attestation, which a builder lists beside the image.
pub(crate) fn is_attestation(descriptor: &Value) -> bool {
    descriptor.pointer("/annotations/vnd.docker.reference.type").is_some()
}

pub(crate) fn platform(descriptor: &Value) -> Option<Platform> {
    let platform = descriptor.get("platform")?;
    let text = |key: &str| platform.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") })
}

/// Why a layer is not there that may not be distributed with its image.
pub(crate) fn elsewhere(layer: impl Display, urls: &[String]) -> String {
    let place = if urls.is_empty() { "elsewhere".into() } else { format!("at {}", urls.join(", ")) };
    format!(
        "its layer {layer} is foreign: it is not kept with the image but to be had {place}, which is not read here"
    )
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;

//! The documents of an image in a store that names images by manifests, and the blobs that they list.
//!
//! The containerd image store, an OCI image layout and a registry name an image by the digest of a manifest or of an
//! index (OCI image specification, "Image Manifest" and "Image Index"). Two stores that have the same documents to the
//! byte and the blobs that these list have the same image, under the same ID.

mod descriptor;
mod walk;

use std::collections::{BTreeMap, HashSet};

use dsync_core::{Config, DiffId, Digest, LayerKey, Platform};
use serde_json::Value;

use crate::blob::BlobRef;
use crate::host;
use descriptor::entries;
use walk::{DEEPEST, Member, Walk, parse};

pub(crate) use descriptor::{
    elsewhere, entry_of, for_platform, is_attestation, media_type, members, platform,
};
pub use walk::PackedLayer;
pub(crate) use walk::{DocumentSource, LARGEST_DOCUMENT, PackageError, total_size};

/// Index, manifests and configs of an image, and the list of its layers: all of it but the layers' bytes.
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

impl Package {
    /// Follows an index or a manifest to all that is there. Of an index with a platform, only the manifest for it.
    ///
    /// Documents that an index names and that are not there do not belong to the package.
    pub(crate) fn collect<D: DocumentSource>(
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

    /// Makes a package of the [`Package::documents`] of another host.
    pub fn assemble(documents: Vec<Vec<u8>>) -> Result<Self, String> {
        struct GivenDocument(BTreeMap<Digest, Vec<u8>>);
        impl DocumentSource for GivenDocument {
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
        let mut given = GivenDocument(given);
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

    /// True if its root is an index.
    pub(crate) fn is_index(&self) -> bool {
        self.images.iter().all(|image| image.manifest != self.root)
    }

    /// Each of its documents with the digests that it names and that belong to it.
    pub(crate) fn references(&self) -> Vec<(Digest, Vec<Digest>)> {
        let is_there = |digest: &Digest| {
            self.document(digest).is_some() || self.layers.iter().any(|layer| layer.blob.digest == *digest)
        };
        let named = |(digest, bytes): &(Digest, Vec<u8>)| {
            let json: Value = serde_json::from_slice(bytes).ok()?;
            let layers = json.get("layers").and_then(Value::as_array).into_iter().flatten();
            let all = entries(&json).iter().chain(layers).chain(json.get("config"));
            let named: Vec<Digest> =
                all.filter_map(BlobRef::parse).map(|blob| blob.digest).filter(is_there).collect();
            (!named.is_empty()).then_some((*digest, named))
        };
        self.documents.iter().filter_map(named).collect()
    }

    /// True if it is no image, and nothing that could be one: a signature, a chart.
    pub(crate) fn is_artifact(&self) -> bool {
        self.images.is_empty() && self.absent.is_empty() && self.flaws.is_empty()
    }

    /// The reasons for which images of it cannot be used.
    pub(crate) fn flaws(&self) -> &[String] {
        &self.flaws
    }

    /// Checks that it has an image, and not only attestations.
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

    /// The entry for this digest in an index of the package.
    pub(crate) fn entry_of(&self, digest: &Digest) -> Option<Value> {
        let mut indexes = self.documents.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok());
        indexes.find_map(|index: Value| entry_of(&index, digest).cloned())
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

    /// The key under which each of [`Package::layers`] crosses, all different: its tar, or its blob where the diff id
    /// is not known or is the key of another blob of the same layer.
    ///
    /// The key of an uncompressed blob is always its diff id. An image can have one layer in several forms: Buildah
    /// puts uncompressed layers on a compressed base, and both may have the empty layer.
    pub fn layer_keys(&self) -> Vec<LayerKey> {
        let plain = self.layers.iter().filter(|layer| layer.is_plain());
        let mut seen: HashSet<DiffId> = plain.filter_map(|layer| layer.diff_id).collect();
        let own = |layer: &PackedLayer| match layer.diff_id {
            Some(id) if layer.is_plain() || seen.insert(id) => LayerKey::Tar(id),
            _ => LayerKey::Blob(layer.blob.digest),
        };
        self.layers.iter().map(own).collect()
    }
}

#[cfg(test)]
mod tests;

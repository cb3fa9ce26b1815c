//! An image, and what a store of manifests has under one name: described, and as bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::ConfigSpec;
use crate::files::LayerSpec;
use crate::packing::Packing;
use crate::sha256;

/// An image of layers and a config.
#[derive(Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// The layers, the lowest first.
    pub layers: Vec<LayerSpec>,
    /// The packing of each layer where layers may be compressed; layers after the last packing are plain.
    pub packing: Vec<Packing>,
    /// All else.
    pub config: ConfigSpec,
    /// Documents have the media types of Docker, not those of OCI.
    pub docker: bool,
    /// The manifest is on many lines, and has annotations and fields that nobody knows.
    pub annotated: bool,
}

/// The root of one entry in a layout's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSpec {
    /// One image.
    Image(ImageSpec),
    /// An index.
    Index(IndexSpec),
}

/// An index of images for several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexSpec {
    /// The images; each says its platform in its config.
    pub images: Vec<ImageSpec>,
    /// Each image has an attestation, as BuildKit makes them.
    pub attested: bool,
    /// The index names an image for one more platform, of which nothing is there.
    pub absent: bool,
}

/// An item of a store: one root, under these names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its names, `repository:tag`; none for an image without a name.
    pub names: Vec<String>,
    /// The root with these names.
    pub root: RootSpec,
}

/// A blob that is a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An item as bytes.
#[derive(Debug, Clone)]
pub struct Built {
    /// The names.
    pub names: Vec<String>,
    /// The root that they name.
    pub root: Document,
    /// The images, in the order of the index.
    pub images: Vec<BuiltImage>,
    /// All blobs by digest, the documents among them.
    pub blobs: BTreeMap<String, Arc<Vec<u8>>>,
}

/// An image as bytes.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// `os/architecture[/variant]`, as its config says it; parts may be empty.
    pub platform: String,
    /// The digest of its manifest.
    pub manifest: String,
    /// The config.
    pub config: Vec<u8>,
    /// The layers, uncompressed.
    pub layers: Vec<Arc<Vec<u8>>>,
    /// Their digests.
    pub diff_ids: Vec<String>,
    /// The layers as they are stored, with their media types.
    pub stored: Vec<(String, Arc<Vec<u8>>)>,
}

/// Only what is not usual.
impl fmt::Debug for ImageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Image");
        shown.field("layers", &self.layers);
        if self.packing.iter().any(|packing| *packing != Packing::Plain) {
            shown.field("packing", &self.packing);
        }
        if self.config != ConfigSpec::default() {
            shown.field("config", &self.config);
        }
        for (name, is_set) in [("docker", self.docker), ("annotated", self.annotated)] {
            if is_set {
                shown.field(name, &true);
            }
        }
        shown.finish()
    }
}

impl Document {
    fn new(media_type: &str, bytes: Vec<u8>) -> Document {
        Document { media_type: media_type.to_owned(), digest: sha256(&bytes), bytes }
    }

    /// As another document names it.
    pub fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.digest, self.bytes.len())
    }
}

fn descriptor(media_type: &str, digest: &str, size: usize) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

impl ImageSpec {
    /// An image with a usual config, its layers plain.
    pub fn of(layers: Vec<LayerSpec>) -> ImageSpec {
        ImageSpec {
            layers,
            packing: Vec::new(),
            config: ConfigSpec::default(),
            docker: false,
            annotated: false,
        }
    }

    /// The same image with another config.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut ConfigSpec)) -> ImageSpec {
        change(&mut self.config);
        self
    }

    /// The same image with all layers in this packing.
    #[must_use]
    pub fn packed(mut self, packing: Packing) -> ImageSpec {
        self.packing = vec![packing; self.layers.len()];
        self
    }

    fn build(&self, blobs: &mut BTreeMap<String, Arc<Vec<u8>>>) -> (BuiltImage, Document) {
        let layers: Vec<Arc<Vec<u8>>> = self.layers.iter().map(|layer| Arc::new(layer.tar())).collect();
        let diff_ids: Vec<String> = layers.iter().map(|tar| sha256(tar)).collect();
        let (config_type, layer_type, manifest_type) = match self.docker {
            true => (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar",
                "application/vnd.docker.distribution.manifest.v2+json",
            ),
            false => (
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar",
                "application/vnd.oci.image.manifest.v1+json",
            ),
        };
        let packings = self.packing.iter().copied().chain(std::iter::repeat(Packing::Plain));
        let store = |(tar, packing): (&Arc<Vec<u8>>, Packing)| {
            let bytes = if packing == Packing::Plain { Arc::clone(tar) } else { Arc::new(packing.pack(tar)) };
            (format!("{layer_type}{}", packing.suffix(self.docker)), bytes)
        };
        let stored: Vec<(String, Arc<Vec<u8>>)> = layers.iter().zip(packings).map(store).collect();
        let config = Document::new(config_type, self.config.json(&diff_ids));
        let mut described = Vec::new();
        for (media_type, bytes) in &stored {
            let digest = sha256(bytes);
            described.push(descriptor(media_type, &digest, bytes.len()));
            blobs.insert(digest, Arc::clone(bytes));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": config.descriptor(),
            "layers": described,
        });
        let manifest = match self.annotated {
            true => {
                let mut manifest = manifest;
                manifest["annotations"] =
                    json!({"org.opencontainers.image.base.name": "docker.io/library/x:1"});
                manifest["unknown"] = json!([1, null, {"a": "<b>"}]);
                format!("{manifest:#}\n")
            }
            false => manifest.to_string(),
        };
        let manifest = Document::new(manifest_type, manifest.into_bytes());
        keep(blobs, &config);
        keep(blobs, &manifest);
        let platform = self.config.platform.clone();
        let digest = manifest.digest.clone();
        (BuiltImage { platform, manifest: digest, config: config.bytes, layers, diff_ids, stored }, manifest)
    }
}

fn keep(blobs: &mut BTreeMap<String, Arc<Vec<u8>>>, document: &Document) {
    blobs.insert(document.digest.clone(), Arc::new(document.bytes.clone()));
}

impl IndexSpec {
    fn build(&self, blobs: &mut BTreeMap<String, Arc<Vec<u8>>>) -> (Vec<BuiltImage>, Document) {
        const INDEX: &str = "application/vnd.oci.image.index.v1+json";
        let (mut images, mut entries, mut attestations) = (Vec::new(), Vec::new(), Vec::new());
        for spec in &self.images {
            let (image, manifest) = spec.build(blobs);
            let mut entry = manifest.descriptor();
            let [os, architecture, variant] = spec.config.platform_parts();
            entry["platform"] = json!({"os": os, "architecture": architecture});
            if !variant.is_empty() {
                entry["platform"]["variant"] = json!(variant);
            }
            entries.push(entry);
            if self.attested {
                attestations.push(attestation(&manifest, blobs));
            }
            images.push(image);
        }
        if self.absent {
            let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &sha256(b"absent"), 406);
            entry["platform"] = json!({"os": "linux", "architecture": "s390x"});
            entries.push(entry);
        }
        entries.extend(attestations);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
        let index = Document::new(INDEX, index.to_string().into_bytes());
        keep(blobs, &index);
        (images, index)
    }
}

/// The entry of a manifest of an attestation, as BuildKit makes it.
fn attestation(of: &Document, blobs: &mut BTreeMap<String, Arc<Vec<u8>>>) -> Value {
    let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": [{"digest": of.digest}]});
    let statement = Document::new("application/vnd.in-toto+json", statement.to_string().into_bytes());
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [statement.digest]},
    });
    let config = Document::new("application/vnd.oci.image.config.v1+json", config.to_string().into_bytes());
    let mut layer = statement.descriptor();
    layer["annotations"] = json!({"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"});
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type, "config": config.descriptor(), "layers": [layer],
    });
    let manifest = Document::new(media_type, manifest.to_string().into_bytes());
    for document in [&statement, &config, &manifest] {
        keep(blobs, document);
    }
    let mut entry = manifest.descriptor();
    entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": of.digest,
    });
    entry
}

impl Item {
    /// One image under one name.
    pub fn named(name: &str, image: ImageSpec) -> Item {
        Item { names: vec![name.to_owned()], root: RootSpec::Image(image) }
    }

    /// Its bytes.
    pub fn build(&self) -> Built {
        let mut blobs = BTreeMap::new();
        let (images, root) = match &self.root {
            RootSpec::Image(image) => {
                let (image, manifest) = image.build(&mut blobs);
                (vec![image], manifest)
            }
            RootSpec::Index(index) => index.build(&mut blobs),
        };
        Built { names: self.names.clone(), root, images, blobs }
    }

    /// The images that it is made of.
    pub fn images(&self) -> &[ImageSpec] {
        match &self.root {
            RootSpec::Image(image) => std::slice::from_ref(image),
            RootSpec::Index(index) => &index.images,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_names_every_blob_that_it_has() {
        let image = ImageSpec::of(vec![LayerSpec::text(1, 100), LayerSpec::Empty]);
        let arm = image.clone().packed(Packing::Zstd).with(|c| c.platform = "linux/arm64/v8".to_owned());
        let index = IndexSpec { images: vec![image, arm], attested: true, absent: true };
        let built = Item { names: Vec::new(), root: RootSpec::Index(index) }.build();
        let all = built.blobs.values().map(|bytes| String::from_utf8_lossy(bytes)).collect::<String>();
        for (digest, bytes) in &built.blobs {
            assert_eq!(*digest, sha256(bytes));
            assert!(all.contains(digest.as_str()) || *digest == built.root.digest, "{digest}");
        }
        // An index, two images of a manifest, a config and two layers, of which none is shared, and two attestations.
        assert_eq!(built.blobs.len(), 1 + 2 * 4 + 2 * 3);
        assert_eq!(built.images[1].platform, "linux/arm64/v8");
        assert_eq!(built.images[0].diff_ids, built.images[1].diff_ids);
    }
}

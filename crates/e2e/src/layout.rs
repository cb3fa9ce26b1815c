//! OCI layout directories: written for tests, and read again by somebody other than the program under test.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use dsync_core::{DiffId, Digest};
use dsync_lab::images::Image;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// The form in which layers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Plain,
    /// Compressed, by an encoder that docker-sync does not know.
    Gzip,
    /// Compressed by the `gzip` program at this level.
    Gnu(u8),
    /// Compressed by `gzip --rsyncable`, which docker-sync makes with corrections.
    Rsyncable,
    /// Compressed with zstd, by skopeo.
    Zstd,
    /// Compressed with zstd, by the `zstd` program, which docker-sync does not know.
    OtherZstd,
}

/// A layer as a store of manifests keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their compression.
    pub packing: Packing,
}

/// The compression that a media type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// It is a tar.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Packing {
    /// The packing of a layer, by its descriptor in a manifest.
    pub fn of(layer: &Value) -> Packing {
        let media = layer["mediaType"].as_str().unwrap();
        match () {
            _ if media.ends_with("gzip") => Packing::Gzip,
            _ if media.ends_with("zstd") => Packing::Zstd,
            _ => Packing::Plain,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Packing::Plain => "",
            Packing::Gzip => "+gzip",
            Packing::Zstd => "+zstd",
        }
    }
}

impl Form {
    /// A layer in this form.
    pub fn store(self, tar: &[u8]) -> Stored {
        let (packing, bytes) = match self {
            Form::Plain => (Packing::Plain, tar.to_vec()),
            Form::Gzip => (Packing::Gzip, gzip(tar)),
            Form::Gnu(level) => (Packing::Gzip, gnu(tar, level)),
            Form::Rsyncable => (Packing::Gzip, piped("gzip", &["-n", "-c", "--rsyncable"], tar)),
            Form::Zstd => (Packing::Zstd, skopeo_zstd(tar)),
            Form::OtherZstd => (Packing::Zstd, piped("zstd", &["-q", "-c", "-3"], tar)),
        };
        Stored { bytes, packing }
    }
}

impl Stored {
    /// The tar that it is.
    pub fn plain(&self) -> Cow<'_, [u8]> {
        match self.packing {
            Packing::Plain => Cow::Borrowed(&self.bytes),
            Packing::Gzip => {
                let mut tar = Vec::new();
                GzDecoder::new(&self.bytes[..]).read_to_end(&mut tar).unwrap();
                Cow::Owned(tar)
            }
            Packing::Zstd => Cow::Owned(piped("zstd", &["-q", "-d", "-c"], &self.bytes)),
        }
    }
}

/// An image as it is in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The digest of the config.
    pub id: String,
    /// The digest of the manifest.
    pub manifest: String,
    /// The layers, after any compression is taken off.
    pub diff_ids: Vec<DiffId>,
    /// The number of compressed layers.
    pub packed: usize,
}

/// A layout directory.
pub struct Layout(PathBuf);

impl Layout {
    /// The one in this directory, which need not be there yet.
    pub fn at(dir: PathBuf) -> Layout {
        Layout(dir)
    }

    /// The name of the store: `oci:DIR`.
    pub fn spec(&self) -> String {
        format!("oci:{}", self.0.display())
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Adds an image under a name.
    pub fn put(&self, name: &str, image: &Image, form: Form) {
        let layers: Vec<&[u8]> = image.layers().iter().map(|layer| layer.tar()).collect();
        self.put_parts(name, &image.config_json(), &layers, form);
    }

    /// Adds an image of this config and these layers, the lowest first.
    pub fn put_parts(&self, name: &str, config: &[u8], layers: &[&[u8]], form: Form) {
        let layers: Vec<Stored> = layers.iter().map(|tar| form.store(tar)).collect();
        self.put_stored(name, config, &layers);
    }

    /// The same, of layers as they are stored.
    pub fn put_stored(&self, name: &str, config: &[u8], layers: &[Stored]) {
        let mut entry = self.manifest(config, layers);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.add(entry);
    }

    /// Adds an index under a name, of images for several platforms and of one that is not there.
    pub fn put_index(&self, name: &str, images: &[&Image], form: Form) {
        let mut manifests: Vec<Value> = images
            .iter()
            .map(|image| {
                let config: Value = serde_json::from_slice(&image.config_json()).unwrap();
                let layers: Vec<Stored> =
                    image.layers().iter().map(|layer| form.store(layer.tar())).collect();
                let mut entry = self.manifest(&image.config_json(), &layers);
                entry["platform"] = json!({"os": config["os"], "architecture": config["architecture"]});
                entry
            })
            .collect();
        manifests.push(json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": Digest::of(b"absent").to_string(),
            "size": 6,
            "platform": {"os": "linux", "architecture": "s390x"},
        }));
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
            "annotations": {"made.by": "a test"},
        });
        let mut entry = self.blob("index.v1+json", index.to_string().as_bytes());
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.add(entry);
    }

    /// The digest that an image of this name has for its ID.
    #[track_caller]
    pub fn root(&self, name: &str) -> String {
        let entries = self.entries();
        let named = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
        let entry = entries.iter().find(named).unwrap_or_else(|| panic!("no {name} among {entries:?}"));
        entry["digest"].as_str().unwrap().to_owned()
    }

    /// The IDs of all images.
    pub fn roots(&self) -> BTreeSet<String> {
        self.entries().iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    }

    /// The names of all blobs, each of which must be what its name says.
    pub fn blobs(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.0.join("blobs/sha256")).unwrap();
        let name = |file: io::Result<fs::DirEntry>| {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            assert_eq!(Digest::of(&fs::read(file.path()).unwrap()).hex(), name);
            name
        };
        files.map(name).collect()
    }

    fn add(&self, entry: Value) {
        let mut entries = self.entries();
        entries.push(entry);
        fs::write(self.0.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let index = json!({"schemaVersion": 2, "manifests": entries});
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }

    /// Writes an image; the descriptor of its manifest.
    fn manifest(&self, config: &[u8], layers: &[Stored]) -> Value {
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| self.blob(&format!("layer.v1.tar{}", layer.packing.suffix()), &layer.bytes))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob("config.v1+json", config),
            "layers": layers,
        });
        self.blob("manifest.v1+json", manifest.to_string().as_bytes())
    }

    /// All images by name. Each blob is looked at: it must be what its name says.
    pub fn images(&self) -> BTreeMap<String, Kept> {
        let named = |entry: &Value| {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or("-");
            (name.to_owned(), self.image(entry))
        };
        self.entries().iter().map(named).collect()
    }

    /// The image of this name, if there is one. Each of its blobs is looked at.
    pub fn named(&self, name: &str) -> Option<Kept> {
        let is_meant = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
        self.entries().iter().find(is_meant).map(|entry| self.image(entry))
    }

    /// The image of this name must be just this one.
    #[track_caller]
    pub fn assert_is(&self, name: &str, image: &Image) {
        let images = self.images();
        let kept = images.get(name).unwrap_or_else(|| panic!("no {name} among {images:?}"));
        assert_eq!(kept.id, image.id().to_string(), "{name}");
        let diff_ids: Vec<DiffId> = image.layers().iter().map(|layer| layer.diff_id()).collect();
        assert_eq!(kept.diff_ids, diff_ids, "{name}");
    }

    fn image(&self, entry: &Value) -> Kept {
        let manifest: Value = serde_json::from_slice(&self.read(entry)).unwrap();
        self.read(&manifest["config"]);
        let id = manifest["config"]["digest"].as_str().unwrap().to_owned();
        let layers = manifest["layers"].as_array().unwrap();
        let packed = layers.iter().filter(|layer| Packing::of(layer) != Packing::Plain).count();
        let diff_id = |layer: &Value| {
            DiffId::of(&Stored { bytes: self.read(layer), packing: Packing::of(layer) }.plain())
        };
        let name = entry["digest"].as_str().unwrap().to_owned();
        Kept { id, manifest: name, diff_ids: layers.iter().map(diff_id).collect(), packed }
    }

    fn entries(&self) -> Vec<Value> {
        let Ok(index) = fs::read(self.0.join("index.json")) else { return Vec::new() };
        let index: Value = serde_json::from_slice(&index).unwrap();
        index["manifests"].as_array().unwrap().clone()
    }

    /// Writes a blob; its descriptor.
    fn blob(&self, media: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        let dir = self.0.join("blobs/sha256");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(digest.hex()), bytes).unwrap();
        json!({
            "mediaType": format!("application/vnd.oci.image.{media}"),
            "digest": digest.to_string(),
            "size": bytes.len(),
        })
    }

    fn read(&self, descriptor: &Value) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let file = self.0.join("blobs").join(digest.replace(':', "/"));
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(Digest::of(&bytes).to_string(), digest);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }
}

/// A layer as skopeo compresses it on its way from one layout to another.
fn skopeo_zstd(tar: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let [plain, packed] = ["plain", "packed"].map(|name| Layout(folder.path().join(name)));
    let diff_ids = json!({"type": "layers", "diff_ids": [DiffId::of(tar).to_string()]});
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": diff_ids});
    plain.put_parts("layer", config.to_string().as_bytes(), &[tar], Form::Plain);
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "-q", "--insecure-policy", "--dest-compress", "--dest-compress-format", "zstd"]);
    skopeo.args([plain.spec(), packed.spec() + ":layer"]);
    let said = skopeo.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let manifest: Value = serde_json::from_slice(&packed.read(&packed.entries()[0])).unwrap();
    packed.read(&manifest["layers"][0])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gnu(bytes: &[u8], level: u8) -> Vec<u8> {
    piped("gzip", &["-n", "-c", &format!("-{level}")], bytes)
}

/// The output of a program for an input.
fn piped(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).unwrap());
        child.wait_with_output().unwrap().stdout
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_of_the_same_layer() {
        let tar = b"a layer, a layer, a layer".repeat(9);
        for (form, is_packed) in [(Form::Plain, false), (Form::Gzip, true), (Form::Gnu(6), true)] {
            let stored = form.store(&tar);
            assert_eq!(
                (stored.packing != Packing::Plain, stored.bytes.len() < tar.len()),
                (is_packed, is_packed),
                "{form:?}"
            );
            assert_eq!(stored.plain(), &tar[..], "{form:?}");
        }
    }
}

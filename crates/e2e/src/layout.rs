//! OCI layout directories: written for tests, and read again by somebody other than the program under test.

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

/// How layers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As they are.
    Plain,
    /// Compressed, by an encoder that docker-sync does not know.
    Gzip,
    /// Compressed by the `gzip` program at this level.
    Gnu(u8),
    /// Compressed with zstd, by skopeo.
    Zstd,
    /// Compressed with zstd, by the `zstd` program, which docker-sync does not know.
    OtherZstd,
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
    /// How many of the layers are compressed.
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
        let mut entry = self.manifest(config, layers, form);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.add(entry);
    }

    /// Adds an index under a name, of images for several platforms and of one that is not there.
    pub fn put_index(&self, name: &str, images: &[&Image], form: Form) {
        let mut manifests: Vec<Value> = images
            .iter()
            .map(|image| {
                let config: Value = serde_json::from_slice(&image.config_json()).unwrap();
                let layers: Vec<&[u8]> = image.layers().iter().map(|layer| layer.tar()).collect();
                let mut entry = self.manifest(&image.config_json(), &layers, form);
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
    fn manifest(&self, config: &[u8], layers: &[&[u8]], form: Form) -> Value {
        let layers: Vec<Value> = layers
            .iter()
            .map(|tar| match form {
                Form::Plain => self.blob("layer.v1.tar", tar),
                Form::Gzip => self.blob("layer.v1.tar+gzip", &gzip(tar)),
                Form::Gnu(level) => self.blob("layer.v1.tar+gzip", &gnu(tar, level)),
                Form::Zstd => self.blob("layer.v1.tar+zstd", &self.zstd(tar)),
                Form::OtherZstd => self.blob("layer.v1.tar+zstd", &piped("zstd", &["-q", "-c", "-3"], tar)),
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob("config.v1+json", config),
            "layers": layers,
        });
        self.blob("manifest.v1+json", manifest.to_string().as_bytes())
    }

    /// A layer as skopeo compresses it on its way from one layout to another.
    fn zstd(&self, tar: &[u8]) -> Vec<u8> {
        let [plain, packed] = ["plain", "packed"].map(|name| Layout(self.0.with_extension(name)));
        let diff_ids = json!({"type": "layers", "diff_ids": [DiffId::of(tar).to_string()]});
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": diff_ids});
        plain.put_parts("layer", config.to_string().as_bytes(), &[tar], Form::Plain);
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["copy", "-q", "--insecure-policy", "--dest-compress", "--dest-compress-format", "zstd"]);
        skopeo.args([plain.spec(), packed.spec() + ":layer"]);
        let said = skopeo.output().unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let manifest: Value = serde_json::from_slice(&packed.read(&packed.entries()[0])).unwrap();
        let blob = packed.read(&manifest["layers"][0]);
        [plain, packed].iter().for_each(|layout| fs::remove_dir_all(layout.dir()).unwrap());
        blob
    }

    /// All images by name. Each blob is looked at: it must be what its name says.
    pub fn images(&self) -> BTreeMap<String, Kept> {
        let named = |entry: &Value| {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or("-");
            (name.to_owned(), self.image(entry))
        };
        self.entries().iter().map(named).collect()
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
        let packed = layers.iter().filter(|layer| is_packed(layer)).count();
        let diff_id = |layer: &Value| {
            let mut tar = self.read(layer);
            if has_media(layer, "+gzip") {
                let stored = std::mem::take(&mut tar);
                GzDecoder::new(&stored[..]).read_to_end(&mut tar).unwrap();
            } else if has_media(layer, "+zstd") {
                tar = piped("zstd", &["-q", "-d", "-c"], &tar);
            }
            DiffId::of(&tar)
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

fn is_packed(layer: &Value) -> bool {
    has_media(layer, "+gzip") || has_media(layer, "+zstd")
}

fn has_media(layer: &Value, end: &str) -> bool {
    layer["mediaType"].as_str().is_some_and(|media| media.ends_with(end))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gnu(bytes: &[u8], level: u8) -> Vec<u8> {
    piped("gzip", &["-n", "-c", &format!("-{level}")], bytes)
}

/// What a program makes of its input.
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

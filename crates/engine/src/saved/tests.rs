//! Archives as people bring them: packed or not, of either form or both, saved by name or by ID.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use dsync_core::{DiffId, Digest, LayerKey};
use serde_json::{Value, json};

use super::*;
use crate::archive::file_header;
use crate::store::{ImportIdentity, LayerSink, StoreKind};

/// Files of an archive in the making.
#[derive(Default, Clone)]
struct Made(Vec<(String, Vec<u8>)>);

impl Made {
    fn file(&mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) {
        self.0.push((path.into(), contents.into()));
    }

    /// A blob, and its descriptor.
    fn blob(&mut self, contents: &[u8]) -> Value {
        let digest = Digest::of(contents);
        self.file(format!("blobs/sha256/{}", digest.hex()), contents);
        json!({"digest": digest.to_string(), "size": contents.len()})
    }

    fn bytes(&self) -> Vec<u8> {
        let mut tar = Vec::new();
        for (path, contents) in &self.0 {
            tar.extend_from_slice(&file_header(path, contents.len() as u64));
            tar.extend_from_slice(contents);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1024, 0);
        tar
    }
}

const LAYERS: [&[u8]; 2] = [b"low layer", b"top layer"];

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| DiffId::of(layer).to_string()).collect();
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ids}})
        .to_string()
        .into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn manifest(images: &[(&[&str], &str, &[String])]) -> Vec<u8> {
    let images: Vec<Value> = images
        .iter()
        .map(|(names, config, layers)| json!({"Config": config, "RepoTags": names, "Layers": layers}))
        .collect();
    serde_json::to_vec(&images).unwrap()
}

/// The form without a layout, as podman and old Docker write it.
fn docker(names: &[&str]) -> Made {
    let mut made = Made::default();
    let layers: Vec<String> = LAYERS.iter().map(|layer| format!("{}.tar", DiffId::of(layer).hex())).collect();
    for (path, layer) in layers.iter().zip(LAYERS) {
        made.file(path, layer);
    }
    made.file("config.json", config(&LAYERS));
    made.file("manifest.json", manifest(&[(names, "config.json", &layers)]));
    made
}

/// A layout with one image, whose layers are in gzip, named by these annotations.
fn layout(annotations: Value) -> (Made, Digest) {
    let mut made = Made::default();
    let layers: Vec<Value> = LAYERS.iter().map(|layer| made.blob(&gzip(layer))).collect();
    let config = made.blob(&config(&LAYERS));
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
    let mut entry = made.blob(manifest.as_bytes());
    entry["annotations"] = annotations;
    made.file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    made.file("index.json", json!({"manifests": [entry]}).to_string());
    (made, Digest::of(manifest.as_bytes()))
}

/// A file in a folder of its own; its temporary files go there, too.
struct Saved(tempfile::TempDir);

impl Saved {
    fn new(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("x"), bytes).unwrap();
        Self(folder)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("x")
    }

    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        open(&self.path(), "docker-archive:x".into(), self.0.path())
    }
}

fn opened(bytes: &[u8]) -> Box<dyn Store> {
    Saved::new(bytes).open().unwrap()
}

fn reason(bytes: &[u8]) -> String {
    Saved::new(bytes).open().err().expect("it is refused").to_string()
}

fn names(store: &dyn Store) -> Vec<String> {
    store.list().unwrap().images.iter().flat_map(|image| &image.names).map(ToString::to_string).collect()
}

#[derive(Default)]
struct Kept(Vec<(Option<LayerKey>, Vec<u8>)>);

impl LayerSink for Kept {
    fn layer(&mut self, id: Option<LayerKey>, tar: &mut dyn std::io::Read) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)?;
        self.0.push((id, bytes));
        Ok(())
    }
}

/// The layers of the only image, and its config.
fn export(store: &dyn Store) -> Result<(Vec<Vec<u8>>, Vec<u8>), StoreError> {
    let image = store.list()?.images.remove(0);
    let wanted: HashSet<LayerKey> = image.diff_ids.iter().copied().map(LayerKey::Tar).collect();
    let mut kept = Kept::default();
    let export = store.export(&image.id, &wanted, &mut kept)?;
    assert!(
        kept.0.iter().all(|(id, bytes)| *id == Some(DiffId::of(bytes).into())),
        "each comes under its diff id"
    );
    Ok((kept.0.into_iter().map(|(_, bytes)| bytes).collect(), export.config))
}

fn assert_whole(store: &dyn Store) {
    let (layers, config) = export(store).unwrap();
    assert_eq!(layers, LAYERS);
    assert_eq!(config, self::config(&LAYERS));
}

#[test]
fn compressed_archives_are_read_as_others() {
    let plain = docker(&["web:1"]).bytes();
    for packed in [plain.clone(), gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        let saved = Saved::new(&packed);
        let store = saved.open().unwrap();
        assert_eq!(names(&*store), ["web:1"]);
        assert_whole(&*store);
        assert_eq!(store.describe().kind, StoreKind::DockerArchive);
        assert_eq!(fs::read_dir(saved.0.path()).unwrap().count(), 1, "what it is unpacked to has no name");
    }
    let (layout, _) = layout(json!({}));
    assert_whole(&*opened(&gzip(&layout.bytes())));
}

#[test]
fn an_archive_may_come_through_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || fs::write(path, docker(&["web:1"]).bytes()))
    };
    let store = open(&path, "docker-archive:pipe".into(), folder.path()).unwrap();
    writer.join().unwrap().unwrap();
    assert_whole(&*store);
    assert_whole(&*store);
}

#[test]
fn what_is_not_read_is_named_with_what_unpacks_it() {
    let said = |bytes: &[u8]| reason(&[bytes, &[0; 600]].concat());
    assert!(said(b"\xfd7zXZ\0").starts_with("docker-archive:x is compressed with xz"));
    assert!(said(b"\xfd7zXZ\0").contains("unpack it first: xz -d /"));
    assert!(said(b"BZh91AY").contains("bzip2 -d"));
    assert!(said(b"PK\x03\x04").contains("zip"));
    assert!(said(b"hello").contains("is no tar archive"));
    assert!(reason(b"").contains("is empty"));
    let mut container = Made::default();
    container.file("etc/passwd", "root");
    assert!(reason(&container.bytes()).contains("`docker export` does not"));
}

#[test]
fn what_was_cut_is_said_to_be() {
    let plain = docker(&["web:1"]).bytes();
    for packed in [plain.clone(), gzip(&plain), zstd::encode_all(&plain[..], 1).unwrap()] {
        for left in [20, packed.len() / 2, packed.len() - 5] {
            let said = reason(&packed[..left]);
            assert!(
                said.contains("is truncated") || said.contains("is no tar archive") && left == 20,
                "{left}: {said}"
            );
        }
    }
}

#[test]
fn a_place_without_room_is_told_as_one() {
    let saved = Saved::new(&gzip(&docker(&["web:1"]).bytes()));
    let nowhere = saved.0.path().join("nowhere");
    let error = open(&saved.path(), "docker-archive:x".into(), &nowhere).err().unwrap();
    assert!(error.to_string().contains("cannot be unpacked to a temporary file in"), "{error}");
    assert!(matches!(error, StoreError::Io { .. }));
}

#[test]
fn what_is_not_there_is_no_damaged_archive() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| open(path, "docker-archive:x".into(), folder.path()).err().unwrap();
    let error = open(&folder.path().join("none"));
    assert!(
        matches!(&error, StoreError::NoStore { message } if message.contains("there is no file")),
        "{error}"
    );
    let error = open(folder.path());
    assert!(matches!(&error, StoreError::NoStore { message } if message.contains("oci:")), "{error}");
}

#[test]
fn a_layout_in_an_archive_is_one() {
    let (made, digest) = layout(json!({"org.opencontainers.image.ref.name": "docker.io/shop/web:1"}));
    let store = opened(&made.bytes());
    assert_eq!(names(&*store), ["shop/web:1"]);
    let image = store.list().unwrap().images.remove(0);
    assert_eq!(image.id.as_bytes(), digest.as_bytes(), "its ID is the manifest's digest");
    assert_whole(&*store);
    let package = store.package(&image.id, None).unwrap().unwrap();
    assert_eq!((package.root(), package.layers().len()), (digest, 2));
    assert!(matches!(
        store.import(ImportIdentity::Content(Digest::of(b"{}"))).err(),
        Some(StoreError::ReadOnly { .. })
    ));
    assert!(matches!(store.tag(&image.id, &[]), Err(StoreError::ReadOnly { .. })));
    store.must_exist().unwrap();
    // `tar -C DIR .` writes it so.
    let dotted = made.0.iter().map(|(path, contents)| (format!("./{path}"), contents.clone()));
    assert_whole(&*opened(&Made(dotted.collect()).bytes()));
}

#[test]
fn of_both_forms_the_layout_is_read() {
    let (mut made, digest) = layout(json!({"io.containerd.image.name": "docker.io/library/web:1"}));
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let layers = LAYERS.map(|layer| blob(&gzip(layer)));
    made.file("manifest.json", manifest(&[(&["web:1"], &blob(&config(&LAYERS)), &layers)]));
    let store = opened(&made.bytes());
    assert_eq!(store.list().unwrap().images[0].id.as_bytes(), digest.as_bytes());
    assert_eq!(names(&*store), ["web:1"]);
    assert_whole(&*store);

    // Where that is not whole, the manifest still says what there is.
    let gone = format!("blobs/sha256/{}", digest.hex());
    made.0.retain(|(path, _)| *path != gone);
    let store = opened(&made.bytes());
    assert_eq!(store.list().unwrap().images[0].id.as_bytes(), Digest::of(&config(&LAYERS)).as_bytes());
    assert_whole(&*store);
}

#[test]
fn images_that_were_saved_by_id_are_listed() {
    for bytes in [docker(&[]).bytes(), layout(json!({})).0.bytes()] {
        let images = opened(&bytes).list().unwrap().images;
        assert_eq!((images.len(), images[0].names.len()), (1, 0));
    }
}

/// As crane, jib and ko write archives: layers are named by the digests of what they are compressed to.
#[test]
fn layers_that_are_named_by_other_digests_are_found() {
    let mut made = Made::default();
    let packed = LAYERS.map(gzip);
    let paths: Vec<String> =
        packed.iter().map(|layer| format!("{}.tar.gz", Digest::of(layer).hex())).collect();
    for (path, layer) in paths.iter().zip(&packed) {
        made.file(path, &layer[..]);
    }
    made.file("sha256:abc", config(&LAYERS));
    made.file("manifest.json", manifest(&[(&["web:1"], "sha256:abc", &paths)]));
    assert_whole(&*opened(&made.bytes()));
}

#[test]
fn a_layer_that_looks_compressed_and_is_not_comes_as_it_is() {
    let layer = gzip(b"a layer that somebody made of a compressed file");
    let hex = DiffId::of(&layer).hex();
    for path in [format!("{hex}.tar"), "x/layer.tar".into(), format!("blobs/sha256/{hex}")] {
        let mut made = Made::default();
        made.file(&path, &layer[..]);
        made.file("config.json", config(&[&layer]));
        made.file("manifest.json", manifest(&[(&["web:1"], "config.json", std::slice::from_ref(&path))]));
        let store = opened(&made.bytes());
        // A sink that knows what it wants, as all of a sync do.
        struct Strict(Vec<u8>);
        impl LayerSink for Strict {
            fn layer(&mut self, id: Option<LayerKey>, tar: &mut dyn std::io::Read) -> std::io::Result<()> {
                self.0.clear();
                tar.read_to_end(&mut self.0)?;
                let is_it = id == Some(DiffId::of(&self.0).into());
                if is_it { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
            }
        }
        let mut strict = Strict(Vec::new());
        let image = store.list().unwrap().images.remove(0);
        store
            .export(&image.id, &image.diff_ids.iter().copied().map(LayerKey::Tar).collect(), &mut strict)
            .unwrap();
        assert_eq!(strict.0, layer, "{path}");
    }
}

#[test]
fn a_name_that_is_listed_twice_means_the_last_image() {
    let mut made = docker(&[]);
    let low = format!("{}.tar", DiffId::of(LAYERS[0]).hex());
    let top = format!("{}.tar", DiffId::of(LAYERS[1]).hex());
    made.0.pop();
    made.file("other.json", config(&LAYERS[..1]));
    let both = [low.clone(), top];
    made.file(
        "manifest.json",
        manifest(&[
            (&["web:1", "web:2"], "config.json", &both),
            (&["web:1"], "other.json", &[low]),
            (&["web:3"], "config.json", &both),
        ]),
    );
    let images = opened(&made.bytes()).list().unwrap().images;
    let named: Vec<Vec<String>> =
        images.iter().map(|image| image.names.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(named, [vec!["web:2".to_owned(), "web:3".to_owned()], vec!["web:1".to_owned()]]);
}

#[test]
fn a_name_that_an_image_has_several_times_is_one() {
    let made = docker(&["web:1", "docker.io/library/web:1", "a:1", "web:1"]);
    assert_eq!(names(&*opened(&made.bytes())), ["a:1", "web:1"]);
}

#[test]
fn a_layer_that_is_not_there_is_said() {
    let mut made = docker(&["web:1"]);
    made.0.remove(0);
    let error = export(&*opened(&made.bytes())).unwrap_err().to_string();
    assert!(error.contains(&format!("the layer {} is missing", DiffId::of(LAYERS[0]))), "{error}");

    // Windows' base layers are not in archives.
    let id = DiffId::of(LAYERS[0]).to_string();
    made.0.pop();
    let layers: Vec<String> = LAYERS.iter().map(|layer| format!("{}.tar", DiffId::of(layer).hex())).collect();
    let manifest = json!([{
        "Config": "config.json", "RepoTags": ["web:1"], "Layers": layers,
        "LayerSources": {&id: {"digest": &id, "size": 1, "urls": ["https://example.com/base"]}},
    }]);
    made.file("manifest.json", manifest.to_string());
    let error = export(&*opened(&made.bytes())).unwrap_err().to_string();
    assert!(error.contains(&format!("its layer {id} is foreign")), "{error}");
    assert!(error.contains("at https://example.com/base"), "{error}");
}

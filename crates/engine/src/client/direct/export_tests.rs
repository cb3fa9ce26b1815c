//! A store of one image, made by hand as Docker keeps it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dsync_core::{ChainId, LayerKey};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::*;
use crate::client::ClientStore;
use crate::client::identify::identify;
use crate::client::temporary_names::TemporaryNames;
use crate::command::Program;
use crate::store::Store as _;

/// A sink as strict as the real one, which may be full.
#[derive(Default)]
pub(in crate::client::direct) struct Kept {
    pub(in crate::client::direct) layers: Vec<(DiffId, Vec<u8>)>,
    full: bool,
    notes: Vec<String>,
}

impl LayerSink for Kept {
    fn layer(&mut self, diff_id: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)?;
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if diff_id != Some(DiffId::of(&bytes).into()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.layers.push((DiffId::of(&bytes), bytes));
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.notes.push(text.into());
    }
}

/// A tar with all that is special: hard links, whiteouts, long names, names that are not UTF-8.
pub(in crate::client::direct) fn special() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind, name: &[u8], contents: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(contents.len() as u64);
        let name = Path::new(OsStr::from_bytes(name));
        match kind {
            tar::EntryType::Link => builder.append_link(&mut header, name, "folder/file").unwrap(),
            _ => builder.append_data(&mut header, name, contents).unwrap(),
        }
    };
    add(tar::EntryType::Directory, b"folder/", b"");
    add(tar::EntryType::Regular, b"folder/file", &b"0123456789".repeat(30_000));
    add(tar::EntryType::Link, b"folder/link", b"");
    add(tar::EntryType::Regular, b"folder/.wh.gone", b"");
    add(tar::EntryType::Regular, b"folder/<\"caf\xc3\xa9\">", b"escaped in JSON");
    add(tar::EntryType::Regular, b"folder/caf\xe9", b"latin");
    add(tar::EntryType::Regular, &[b"folder/", &b"x".repeat(200)[..]].concat(), &[7; 512]);
    builder.into_inner().unwrap()
}

pub(in crate::client::direct) fn plain(name: &str, contents: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(contents.len() as u64);
    builder.append_data(&mut header, name, contents.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

fn verbatim(bytes: &[u8]) -> Value {
    json!({"type": 2, "payload": BASE64_STANDARD.encode(bytes), "position": 0})
}

/// The lines for a tar, while its files go into the folder.
pub(in crate::client::direct) fn split(tar: &[u8], folder: &Path) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut done = 0;
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let at = usize::try_from(entry.raw_file_position()).unwrap();
        lines.push(verbatim(&tar[done..at]));
        done = at + usize::try_from(entry.size()).unwrap();
        let name = entry.path_bytes().into_owned();
        let mut line = match std::str::from_utf8(&name) {
            Ok(name) => json!({"type": 1, "name": name}),
            Err(_) => json!({"type": 1, "name_raw": BASE64_STANDARD.encode(&name)}),
        };
        line["payload"] = Value::Null;
        if entry.size() > 0 {
            line["size"] = entry.size().into();
            line["payload"] = "AAAAAAAAAAA=".into();
            let path = folder.join(OsStr::from_bytes(&name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            io::copy(&mut entry, &mut File::create(path).unwrap()).unwrap();
        }
        lines.push(line);
    }
    lines.push(verbatim(&tar[done..]));
    lines
}

/// The lines as an engine keeps them.
pub(in crate::client::direct) fn packed(lines: &[Value]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    lines.iter().for_each(|line| writeln!(packed, "{line}").unwrap());
    packed.finish().unwrap()
}

struct Made {
    root: tempfile::TempDir,
    storage: Docker,
    id: ImageId,
    config: Vec<u8>,
    diff_ids: Vec<DiffId>,
}

impl Made {
    fn new(layers: &[Vec<u8>]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let storage = Docker::at(root.path());
        let diff_ids: Vec<DiffId> = layers.iter().map(|layer| DiffId::of(layer)).collect();
        let texts: Vec<String> = diff_ids.iter().map(DiffId::to_string).collect();
        let config = json!({"os": "linux", "rootfs": {"type": "layers", "diff_ids": texts}});
        let config = config.to_string().into_bytes();
        let id = ImageId::of(&config);
        fs::create_dir_all(storage.images()).unwrap();
        fs::write(storage.images().join(id.hex()), &config).unwrap();
        let made = Self { root, storage, id, config, diff_ids };
        for (at, layer) in layers.iter().enumerate() {
            fs::create_dir_all(made.contents(at)).unwrap();
            fs::create_dir_all(made.layer(at)).unwrap();
            fs::write(made.layer(at).join("diff"), &texts[at]).unwrap();
            fs::write(made.layer(at).join("cache-id"), format!("cache{at}")).unwrap();
            made.write_lines(at, &split(layer, &made.contents(at)));
        }
        made
    }

    fn layer(&self, at: usize) -> PathBuf {
        self.storage.layers().join(ChainId::chain(&self.diff_ids)[at].hex())
    }

    fn contents(&self, at: usize) -> PathBuf {
        self.root.path().join(format!("overlay2/cache{at}/diff"))
    }

    fn write_lines(&self, at: usize, lines: &[Value]) {
        fs::write(self.layer(at).join("tar-split.json.gz"), packed(lines)).unwrap();
    }

    /// Exports all layers: which are still missing, and how it ended.
    fn export(&self, sink: &mut Kept) -> (HashSet<DiffId>, Result<Export, Stopped>) {
        let mut missing = self.diff_ids.iter().copied().collect();
        let ended = export(&self.storage, &self.id, &mut missing, sink);
        (missing, ended)
    }

    /// The reason for which the top layer is left to the engine.
    fn refused(&self) -> String {
        let mut sink = Kept::default();
        let (missing, ended) = self.export(&mut sink);
        assert_eq!(missing, HashSet::from([self.diff_ids[1]]));
        assert_eq!(sink.layers.len(), 1);
        match ended {
            Err(Stopped::Storage(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn layers_come_out_bit_for_bit_and_each_once() {
    let layers = [plain("a", "first"), vec![0; 1024], special(), vec![0; 1024]];
    let made = Made::new(&layers);
    assert!(Docker::open(made.root.path()).is_some());
    let mut sink = Kept::default();
    let (missing, ended) = made.export(&mut sink);
    assert_eq!(ended.unwrap().config, made.config);
    assert!(missing.is_empty());
    let given: Vec<&[u8]> = sink.layers.iter().map(|(_, bytes)| &bytes[..]).collect();
    assert_eq!(given, [&layers[0][..], &layers[1], &layers[2]]);
}

#[test]
fn only_what_is_wanted_is_read() {
    let made = Made::new(&[plain("a", "low"), plain("b", "top")]);
    fs::remove_dir_all(made.contents(0)).unwrap();
    let mut sink = Kept::default();
    let mut missing = HashSet::from([made.diff_ids[1]]);
    export(&made.storage, &made.id, &mut missing, &mut sink).unwrap();
    assert_eq!(sink.layers, [(made.diff_ids[1], plain("b", "top"))]);
    fs::remove_dir_all(made.storage.layers()).unwrap();
    let export = export(&made.storage, &made.id, &mut HashSet::new(), &mut sink).unwrap();
    assert_eq!(export.config, made.config, "without layers the config alone is enough");
}

#[test]
fn a_storage_of_another_engine_is_none() {
    let made = Made::new(&[plain("a", "low")]);
    let other = ImageId::of(b"an image of another host");
    let mut missing = HashSet::new();
    let export = |id, missing: &mut _| export(&made.storage, id, missing, &mut Kept::default());
    assert!(matches!(export(&other, &mut missing), Err(Stopped::Storage(_))));
    fs::copy(made.storage.images().join(made.id.hex()), made.storage.images().join(other.hex())).unwrap();
    assert!(matches!(export(&other, &mut missing), Err(Stopped::Storage(_))));
    let mut unknown = HashSet::from([DiffId::of(b"not in this image")]);
    assert!(matches!(export(&made.id, &mut unknown), Err(Stopped::Storage(_))));
    assert!(Docker::open(&made.root.path().join("absent")).is_none());
}

#[test]
fn what_is_not_as_expected_is_left_to_the_engine() {
    let whole = || Made::new(&[plain("a", "low"), plain("folder/b", "top layer")]);
    let file = |made: &Made| made.contents(1).join("folder/b");

    let made = whole();
    fs::remove_file(file(&made)).unwrap();
    assert!(made.refused().contains("folder/b: No such file"), "{}", made.refused());

    let made = whole();
    fs::write(file(&made), "short").unwrap();
    assert!(made.refused().contains("folder/b: is no file of 9 bytes"), "{}", made.refused());

    let made = whole();
    fs::write(file(&made), "TOP layer").unwrap();
    assert!(made.refused().contains("invalid data"), "{}", made.refused());

    let made = whole();
    fs::write(made.layer(1).join("diff"), made.diff_ids[0].to_string()).unwrap();
    made.refused();

    let made = whole();
    let lines = fs::read(made.layer(1).join("tar-split.json.gz")).unwrap();
    fs::write(made.layer(1).join("tar-split.json.gz"), &lines[..lines.len() - 9]).unwrap();
    made.refused();

    for cache_id in ["", "..", "../overlay2/cache1", "/etc", "absent"] {
        let made = whole();
        fs::write(made.layer(1).join("cache-id"), cache_id).unwrap();
        made.refused();
    }
}

#[test]
fn lines_that_lead_elsewhere_or_make_no_sense_are_refused() {
    let made = Made::new(&[plain("a", "low"), plain("b", "top layer")]);
    fs::write(made.root.path().join("secret"), "top layer").unwrap();
    let absolute = made.contents(1).join("b");
    for line in [
        json!({"type": 1, "name": "../../../secret", "size": 9}),
        json!({"type": 1, "name": absolute, "size": 9}),
        json!({"type": 1, "name_raw": BASE64_STANDARD.encode("../diff/b"), "size": 9}),
        json!({"type": 1, "name_raw": "?", "size": 9}),
        json!({"type": 1, "size": 9}),
        json!({"type": 1, "name": "b", "size": -1}),
        json!({"type": 1, "name": "b", "size": u64::MAX}),
        json!({"type": 2, "payload": "?"}),
        json!({"type": 3}),
        json!("text"),
    ] {
        let mut lines = split(&plain("b", "top layer"), &made.contents(1));
        lines[1] = line;
        made.write_lines(1, &lines);
        made.refused();
    }
}

#[test]
fn a_full_sink_is_not_the_fault_of_the_storage() {
    let made = Made::new(&[plain("a", "low")]);
    let (_, ended) = made.export(&mut Kept { full: true, ..Kept::default() });
    assert!(matches!(ended, Err(Stopped::Sink(error)) if error.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn the_engine_gives_what_the_storage_does_not() {
    let layers = [plain("a", "low"), plain("b", "top layer")];
    let made = Made::new(&layers);
    fs::remove_file(made.contents(1).join("b")).unwrap();

    // An engine that saves the image, and forgets the layer that need not come from it.
    let saved = made.root.path().join("saved.tar");
    let blob = |hex: String| format!("blobs/sha256/{hex}");
    let (config, low, top) =
        (blob(made.id.hex()), blob(made.diff_ids[0].hex()), blob(made.diff_ids[1].hex()));
    let manifest = json!([{"Config": config, "RepoTags": null, "Layers": [low, top]}]).to_string();
    let mut builder = tar::Builder::new(File::create(&saved).unwrap());
    for (name, bytes) in
        [(&config[..], &made.config[..]), (&top, &layers[1]), ("manifest.json", manifest.as_bytes())]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes).unwrap();
    }
    builder.into_inner().unwrap();

    let words = ["sh", "-c", &format!("cat '{}'", saved.display()), "docker"].map(str::to_owned);
    let info = json!({"Driver": "overlay2", "ServerVersion": "26.1.5", "DockerRootDir": made.root.path()});
    let program = Program::find(&words).unwrap();
    let store = ClientStore {
        temporary_names: TemporaryNames::of(&program),
        program,
        engine: identify(info.to_string().as_bytes(), "").unwrap(),
        storage: Docker::open(made.root.path()).map(Storage::Docker),
        content: None,
        platform: crate::host::platform(),
        host: Default::default(),
        _copies: None,
    };
    assert_eq!(store.describe().name, "docker 26.1.5, overlay2, storage readable");
    let mut sink = Kept::default();
    let wanted = made.diff_ids.iter().copied().map(LayerKey::Tar).collect();
    assert_eq!(store.export(&made.id, &wanted, &mut sink).unwrap().config, made.config);
    let given: Vec<&[u8]> = sink.layers.iter().map(|(_, bytes)| &bytes[..]).collect();
    assert_eq!(given, [&layers[0][..], &layers[1]]);
    assert!(sink.notes[0].contains("b: No such file"), "{:?}", sink.notes);
}

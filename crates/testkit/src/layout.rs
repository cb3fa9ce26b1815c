//! Writes what a store has as files: an OCI layout directory, or an archive as engines save it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::digest::hex;
use crate::image::{Built, BuiltImage};
use crate::layer::Layer;
use crate::sha256;

/// An annotation with the name of an index entry.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// An annotation that nobody knows, and that must stay.
const KEPT: &str = "org.example.kept";
const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// A kind of files that images are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// An OCI layout directory.
    Layout,
    /// The output of `docker save` before Docker 25: a directory for each layer.
    DockerOld,
    /// The output of `docker save` from Docker 25 on: an OCI layout with a `manifest.json`.
    Docker,
    /// The output of `podman save`: a `.tar` for each layer.
    Podman,
    /// An OCI layout in a tar.
    OciArchive,
}

/// The compression of a whole archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrap {
    /// Nothing.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Files {
    /// True if the ID of an image in these files is the digest of its manifest.
    pub const fn by_manifest(self) -> bool {
        matches!(self, Files::Layout | Files::Docker | Files::OciArchive)
    }

    /// Writes these items to a new directory or file, and returns the name of the store.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub fn write(self, wrap: Wrap, items: &[Built], path: &Path) -> io::Result<String> {
        let archive = match self {
            Files::Layout => {
                write_layout(items, path)?;
                return Ok(format!("oci:{}", path.display()));
            }
            Files::DockerOld => docker_old(items),
            Files::Docker => docker(items, true),
            Files::Podman => podman(items),
            Files::OciArchive => docker(items, false),
        };
        fs::write(path, wrap.wrap(&archive)?)?;
        let kind = if self == Files::OciArchive { "oci-archive" } else { "docker-archive" };
        Ok(format!("{kind}:{}", path.display()))
    }
}

impl Wrap {
    fn wrap(self, archive: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Wrap::None => Ok(archive.to_vec()),
            Wrap::Gzip => Ok(crate::Packing::Go(6).pack(archive)),
            Wrap::Zstd => zstd::bulk::compress(archive, 3),
        }
    }
}

/// Adds an artifact with this text to a layout directory, as other tools do, under this name if there is one. Returns its
/// descriptor.
///
/// # Errors
///
/// Fails if the layout cannot be read or written.
pub fn add_artifact(
    layout: &Path,
    text: &str,
    subject: Option<&Value>,
    name: Option<&str>,
) -> io::Result<Value> {
    let blob = |bytes: &[u8], media_type: &str| {
        let digest = hex(&sha256(bytes)).to_owned();
        fs::write(layout.join("blobs/sha256").join(&digest), bytes)?;
        io::Result::Ok(
            json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()}),
        )
    };
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "artifactType": "application/vnd.example",
        "config": blob(b"{}", "application/vnd.oci.empty.v1+json")?,
        "layers": [blob(text.as_bytes(), "text/plain")?],
    });
    if let Some(subject) = subject {
        manifest["subject"] = subject.clone();
    }
    let descriptor = blob(manifest.to_string().as_bytes(), media_type)?;
    let mut entry = descriptor.clone();
    if let Some(name) = name {
        entry["annotations"] = json!({REF_NAME: name});
    }
    let index = layout.join("index.json");
    let mut entries: Value = serde_json::from_slice(&fs::read(&index)?)?;
    if let Some(entries) = entries["manifests"].as_array_mut() {
        entries.push(entry);
    }
    fs::write(index, entries.to_string())?;
    Ok(descriptor)
}

/// The `index.json` of these items. Names are written as containerd does, or the first of an item as skopeo does.
fn index(items: &[Built], as_skopeo: bool) -> Value {
    let mut entries = Vec::new();
    for item in items {
        let mut root = item.root.descriptor();
        if as_skopeo {
            root["annotations"] = json!({KEPT: item.root.digest});
        }
        if item.names.is_empty() {
            entries.push(root.clone());
        }
        for (at, name) in item.names.iter().enumerate() {
            let mut entry = root.clone();
            match at % 2 {
                0 if as_skopeo => entry["annotations"][REF_NAME] = json!(name),
                _ => {
                    entry["annotations"][CONTAINERD_NAME] = json!(qualified(name));
                    entry["annotations"][REF_NAME] = json!(name.rsplit(':').next());
                }
            }
            entries.push(entry);
        }
    }
    let mut index = json!({"schemaVersion": 2, "manifests": entries});
    if as_skopeo {
        index["annotations"] = json!({KEPT: "index"});
    }
    index
}

/// The name with its registry.
fn qualified(name: &str) -> String {
    let has_registry =
        name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost");
    match (has_registry, name.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    }
}

/// The name without what every name has: the opposite of [`qualified`], for any name.
pub(crate) fn familiar(name: &str) -> String {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.strip_prefix("library/").filter(|rest| !rest.contains('/')).unwrap_or(name);
    let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if is_tagged { name.to_owned() } else { format!("{name}:latest") }
}

/// An entry of an index without its name.
pub(crate) fn nameless(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(annotations) = entry.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(REF_NAME);
        annotations.remove(CONTAINERD_NAME);
        if annotations.is_empty()
            && let Some(entry) = entry.as_object_mut()
        {
            entry.remove("annotations");
        }
    }
    entry
}

/// The name of an entry of an index, if it has one.
pub(crate) fn name_of(entry: &Value) -> Option<String> {
    let annotation = |key: &str| entry["annotations"][key].as_str();
    annotation(CONTAINERD_NAME).or_else(|| annotation(REF_NAME)).map(familiar)
}

fn write_layout(items: &[Built], dir: &Path) -> io::Result<()> {
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    fs::write(dir.join("oci-layout"), VERSION)?;
    fs::write(dir.join("index.json"), index(items, true).to_string())?;
    for (digest, bytes) in items.iter().flat_map(|item| &item.blobs) {
        fs::write(blobs.join(hex(digest)), &**bytes)?;
    }
    Ok(())
}

/// A layout, with a `manifest.json` if it is for `docker load`; metadata is last.
fn docker(items: &[Built], with_manifest: bool) -> Vec<u8> {
    let (mut archive, mut there) = (Layer::builder(), BTreeSet::new());
    for (digest, bytes) in items.iter().flat_map(|item| &item.blobs) {
        if there.insert(digest) {
            archive = archive.file(blob(digest), bytes.as_slice());
        }
    }
    archive = archive.file("index.json", index(items, false).to_string());
    if with_manifest {
        let entries = manifest(items, |config| blob(&sha256(config)), |stored, _| blob(&sha256(stored)));
        archive = archive.file("manifest.json", entries.to_string());
    }
    archive.file("oci-layout", VERSION).build().tar().to_vec()
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{}", hex(digest))
}

/// The image of each item that an archive has: engines save that of one platform.
fn saved(items: &[Built]) -> impl Iterator<Item = (&Built, &BuiltImage)> {
    items.iter().filter_map(|item| Some((item, item.meant(None)?)))
}

/// The `manifest.json` of these items.
fn manifest(
    items: &[Built],
    config: impl Fn(&[u8]) -> String,
    layer: impl Fn(&[u8], &str) -> String,
) -> Value {
    let mut entries = Vec::new();
    for (item, image) in saved(items) {
        let stored = image.stored.iter().zip(&image.diff_ids);
        let layers: Vec<String> = stored.map(|((_, bytes), diff_id)| layer(bytes, diff_id)).collect();
        entries.push(json!({
            "Config": config(&image.config),
            "RepoTags": if item.names.is_empty() { Value::Null } else { json!(item.names) },
            "Layers": layers,
        }));
    }
    json!(entries)
}

/// As `podman save` has it: layers and configs by their digests, a link for each layer besides.
fn podman(items: &[Built]) -> Vec<u8> {
    let (mut archive, mut there) = (Layer::builder(), BTreeSet::new());
    for (_, image) in saved(items) {
        for (tar, diff_id) in image.layers.iter().zip(&image.diff_ids) {
            if there.insert(diff_id.clone()) {
                archive = archive.file(format!("{}.tar", hex(diff_id)), tar.as_slice());
            }
        }
        let config = sha256(&image.config);
        if there.insert(config.clone()) {
            archive = archive.file(format!("{}.json", hex(&config)), &image.config);
        }
    }
    let entries = manifest(
        items,
        |config| format!("{}.json", hex(&sha256(config))),
        |_, diff_id| format!("{}.tar", hex(diff_id)),
    );
    archive.file("manifest.json", entries.to_string()).build().tar().to_vec()
}

/// The names of the directories of an image's layers, as Docker makes them: by all layers below, that of the top layer by
/// the config, too.
fn v1_ids(image: &BuiltImage) -> Vec<String> {
    const NOTHING: &str = concat!(
        r#"{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"#,
        r#""AttachStderr":false,"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"#,
        r#""Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null}"#
    );
    let mut chain: Option<String> = None;
    let mut ids: Vec<String> = Vec::new();
    for (at, diff_id) in image.diff_ids.iter().enumerate() {
        let own =
            chain.map_or_else(|| diff_id.clone(), |below| sha256(format!("{below} {diff_id}").as_bytes()));
        let parent = ids.last().map(|below| format!(r#","parent":"sha256:{below}""#)).unwrap_or_default();
        let top = if at + 1 == image.diff_ids.len() { sha256(&image.config) } else { String::new() };
        let described = format!(
            r#"{{"container_config":{NOTHING},"created":"1970-01-01T00:00:00Z","layer_id":"{own}"{parent}}}{top}"#
        );
        ids.push(hex(&sha256(described.as_bytes())).to_owned());
        chain = Some(own);
    }
    ids
}

/// As Docker before 25 saves: each layer in a directory of its own, a layer that comes again as a link, and configs among
/// them by name.
fn docker_old(items: &[Built]) -> Vec<u8> {
    let mut archive = Layer::builder();
    let mut kept: Vec<(String, String)> = Vec::new();
    let mut configs = BTreeSet::new();
    for (_, image) in saved(items) {
        let directories = v1_ids(image);
        for ((tar, diff_id), own) in image.layers.iter().zip(&image.diff_ids).zip(directories) {
            if kept.iter().any(|(_, there)| *there == own) {
                continue;
            }
            archive =
                archive.dir(&own).file(format!("{own}/VERSION"), "1.0").file(format!("{own}/json"), "{}");
            let path = format!("{own}/layer.tar");
            archive = match kept.iter().find(|(known, _)| known == diff_id) {
                Some((_, there)) => archive.symlink(path, format!("../{there}/layer.tar")),
                None => archive.file(path, tar.as_slice()),
            };
            kept.push((diff_id.clone(), own));
        }
        let config = sha256(&image.config);
        if configs.insert(config.clone()) {
            archive = archive.file(format!("{}.json", hex(&config)), &image.config);
        }
    }
    let mut entries =
        manifest(items, |config| format!("{}.json", hex(&sha256(config))), |_, _| String::new());
    for (entry, (_, image)) in entries.as_array_mut().into_iter().flatten().zip(saved(items)) {
        let layers = v1_ids(image).into_iter().map(|directory| directory + "/layer.tar");
        entry["Layers"] = json!(layers.collect::<Vec<_>>());
    }
    archive.file("manifest.json", entries.to_string()).file("repositories", "{}").build().tar().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSpec, Item, LayerSpec};

    #[test]
    fn names_go_from_one_form_to_the_other() {
        for (short, long) in [
            ("alpine:3", "docker.io/library/alpine:3"),
            ("shop/web:1", "docker.io/shop/web:1"),
            ("localhost/x:1", "localhost/x:1"),
            ("registry.example:5000/x:1", "registry.example:5000/x:1"),
        ] {
            assert_eq!(qualified(short), long);
            assert_eq!((familiar(short), familiar(long)), (short.to_owned(), short.to_owned()));
        }
        assert_eq!(familiar("registry.example:5000/x"), "registry.example:5000/x:latest");
    }

    /// The paths in an archive.
    fn paths(archive: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(archive);
        let entries = archive.entries().unwrap();
        entries.map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn every_archive_has_each_layer_once() {
        let layers = vec![LayerSpec::text(1, 100), LayerSpec::Empty, LayerSpec::text(1, 100)];
        let image = Item::named("shop/web:1", ImageSpec::of(layers)).build();
        let old = docker_old(std::slice::from_ref(&image));
        let entries = |kind: &str| paths(&old).into_iter().filter(|path| path.ends_with(kind)).count();
        assert_eq!((entries("/layer.tar"), entries("/json"), entries(".json")), (3, 3, 2));
        let mut archive = tar::Archive::new(&old[..]);
        let is_link =
            |entry: io::Result<tar::Entry<'_, &[u8]>>| entry.unwrap().header().entry_type().is_symlink();
        assert_eq!(archive.entries().unwrap().map(is_link).filter(|link| *link).count(), 1);
        assert_eq!(paths(&podman(std::slice::from_ref(&image))).len(), 2 + 1 + 1);
        let new = paths(&docker(std::slice::from_ref(&image), true));
        assert_eq!(new.len(), 2 + 2 + 3);
        assert_eq!(new.last().map(String::as_str), Some("oci-layout"));
    }
}

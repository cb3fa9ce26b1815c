//! Images made up in memory: layers and a config, as an archive that every engine loads.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use dsync_core::{Digest, ImageRef};
use serde_json::{Value, json};

use dsync_testkit::Layer;

pub use dsync_core::Platform;

/// An image made up of layers.
#[derive(Debug, Clone)]
pub struct Image {
    names: Vec<ImageRef>,
    layers: Vec<Layer>,
    platform: Platform,
    created: String,
    config: Value,
    steps: Vec<String>,
}

impl Image {
    /// An image of this name, `name:tag`, with no layers yet.
    ///
    /// # Panics
    /// The text is no name for an image.
    pub fn named(name: &str) -> Image {
        let mut image = Image::untagged();
        image.names.push(ImageRef::from_str(name).unwrap_or_else(|error| panic!("{error}")));
        image
    }

    /// An image that has no name.
    pub fn untagged() -> Image {
        Image {
            names: Vec::new(),
            layers: Vec::new(),
            platform: Platform { os: "linux".into(), architecture: native().into(), variant: String::new() },
            created: "2023-11-14T22:13:20Z".to_owned(),
            config: json!({"Cmd": ["/bin/sh"]}),
            steps: Vec::new(),
        }
    }

    /// One more layer on top; the same one may come again.
    pub fn layer(mut self, layer: &Layer) -> Image {
        self.layers.push(layer.clone());
        self
    }

    /// For this platform, `os/architecture[/variant]`, instead of the machine's own.
    ///
    /// # Panics
    /// The text is no platform.
    pub fn platform(mut self, platform: &str) -> Image {
        self.platform = Platform::from_str(platform).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// Created at another time, RFC 3339: another image with the same layers.
    pub fn created(mut self, time: &str) -> Image {
        time.clone_into(&mut self.created);
        self
    }

    /// The `config` of the config: `Cmd`, `Env` and the like.
    pub fn config(mut self, config: Value) -> Image {
        self.config = config;
        self
    }

    /// Built by these instructions, of which those that add files have made a layer each.
    pub fn built_by(mut self, steps: &[&str]) -> Image {
        self.steps = steps.iter().map(|&step| step.to_owned()).collect();
        self
    }

    /// The config as it is in the archive. Its digest is the image ID of a classic engine.
    pub fn config_json(&self) -> Vec<u8> {
        let diff_ids: Vec<String> = self.layers.iter().map(|layer| layer.diff_id().to_string()).collect();
        let layers = (0..self.layers.len()).map(|n| format!("ADD layer {n} of a test"));
        let steps = if self.steps.is_empty() { layers.collect() } else { self.steps.clone() };
        let history = steps.iter().map(|step| {
            let mut told = json!({"created": self.created, "created_by": step});
            if !["ADD", "COPY", "RUN"].iter().any(|makes_a_layer| step.starts_with(makes_a_layer)) {
                told["empty_layer"] = json!(true);
            }
            told
        });
        let mut config = json!({
            "architecture": self.platform.architecture,
            "config": self.config,
            "created": self.created,
            "history": history.collect::<Vec<Value>>(),
            "os": self.platform.os,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if !self.platform.variant.is_empty() {
            config["variant"] = json!(self.platform.variant);
        }
        config.to_string().into_bytes()
    }

    /// The digest of the config.
    pub fn id(&self) -> Digest {
        Digest::of(&self.config_json())
    }

    /// The layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The image as an archive for `load`: an OCI layout and a `manifest.json`, which every engine reads.
    pub fn archive(&self) -> Vec<u8> {
        archive_of(std::slice::from_ref(self))
    }

    /// Its blobs, the manifest last.
    fn blobs(&self) -> Vec<Vec<u8>> {
        let config = self.config_json();
        let layers: Vec<Value> =
            self.layers.iter().map(|layer| descriptor("layer.v1.tar", layer.tar())).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config),
            "layers": layers,
        });
        let layers = self.layers.iter().map(|layer| layer.tar().to_vec());
        layers.chain([config, manifest.to_string().into_bytes()]).collect()
    }

    /// Its entries in an index, one for each of its names.
    fn entries(&self, manifest: &[u8]) -> Vec<Value> {
        let mut entries = vec![descriptor("manifest.v1+json", manifest); self.names.len().max(1)];
        for (entry, name) in entries.iter_mut().zip(&self.names) {
            entry["annotations"] = json!({
                "io.containerd.image.name": name.qualified(),
                "org.opencontainers.image.ref.name": name.tag(),
            });
        }
        entries
    }
}

/// Images as one archive for `load`. A layer that comes more than once is in it once.
pub fn archive_of(images: &[Image]) -> Vec<u8> {
    archive(images, true)
}

/// The same without an index, from which podman takes one image only.
pub fn archive_without_index(images: &[Image]) -> Vec<u8> {
    archive(images, false)
}

fn archive(images: &[Image], is_layout: bool) -> Vec<u8> {
    let (mut archive, mut there) = (Layer::builder(), BTreeSet::new());
    let (mut manifests, mut docker) = (Vec::new(), Vec::new());
    for image in images {
        let blobs = image.blobs();
        manifests.extend(image.entries(blobs.last().map(Vec::as_slice).unwrap_or_default()));
        docker.push(json!({
            "Config": blob(&image.config_json()),
            // podman would make another of a short name.
            "RepoTags": image.names.iter().map(|name| if is_layout { name.to_string() } else { name.qualified() })
                .collect::<Vec<_>>(),
            "Layers": image.layers.iter().map(|layer| blob(layer.tar())).collect::<Vec<_>>(),
        }));
        for bytes in blobs {
            let name = blob(&bytes);
            if there.insert(name.clone()) {
                archive = archive.file(name, bytes);
            }
        }
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    });
    archive = archive.file("manifest.json", Value::from(docker).to_string());
    if is_layout {
        archive = archive
            .file("index.json", index.to_string())
            .file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    }
    archive.build().tar().to_vec()
}

fn descriptor(media: &str, bytes: &[u8]) -> Value {
    json!({
        "mediaType": format!("application/vnd.oci.image.{media}"),
        "digest": Digest::of(bytes).to_string(),
        "size": bytes.len(),
    })
}

/// The path of a blob in an archive.
fn blob(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

/// This machine's architecture as Go names it.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_comes_twice_is_in_the_archive_once_and_metadata_is_last() {
        let layer = Layer::builder().file("a", "a").build();
        let image = Image::named("test/a:1").layer(&layer).layer(&Layer::empty()).layer(&layer);
        let archive = image.archive();
        let mut archive = tar::Archive::new(&archive[..]);
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names.len(), 2 + 2 + 3, "{names:?}");
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert_eq!(names[4..], ["manifest.json", "index.json", "oci-layout"]);
    }

    #[test]
    fn images_of_one_archive_share_their_layers() {
        let layer = Layer::builder().file("a", "a").build();
        let images = ["1", "2"]
            .map(|tag| Image::named(&format!("test/a:{tag}")).config(json!({"Env": [tag]})).layer(&layer));
        let bytes = archive_of(&images);
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut files = 0;
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.path().unwrap().ends_with("manifest.json") {
                let list: Value = serde_json::from_reader(&mut entry).unwrap();
                assert_eq!([&list[0]["RepoTags"][0], &list[1]["RepoTags"][0]], ["test/a:1", "test/a:2"]);
                assert_ne!(list[0]["Config"], list[1]["Config"]);
            }
            files += 1;
        }
        assert_eq!(files, 1 + 2 * 2 + 3);
    }

    #[test]
    fn the_id_covers_what_the_config_says() {
        let image = Image::named("test/a:1");
        assert_eq!(image.id(), Image::named("test/b:2").id(), "a name is not part of an image");
        assert_ne!(image.id(), Image::untagged().platform("linux/arm/v7").id());
        assert_ne!(image.id(), Image::untagged().created("2024-01-01T00:00:00Z").id());
    }
}

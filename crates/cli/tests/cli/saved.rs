//! Images in files, as other tools write them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use dsync_core::{DiffId, Digest};
use serde_json::{Value, json};

/// When images are built that do not say otherwise.
pub(crate) const CREATED: &str = "2024-02-29T12:00:00Z";

/// An image with one layer of one file.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
}

impl Image {
    pub(crate) fn new(contents: &str, created: &str) -> Image {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, "file", contents.as_bytes()).unwrap();
        let layer = builder.into_inner().unwrap();
        let config = json!({
            "os": "linux", "architecture": "amd64", "created": created,
            "rootfs": {"type": "layers", "diff_ids": [DiffId::of(&layer).to_string()]},
        });
        Image { config: config.to_string().into_bytes(), layer }
    }

    /// The ID that the classic store of Docker and podman show.
    pub(crate) fn config_id(&self) -> Digest {
        Digest::of(&self.config)
    }
}

/// The files of an archive or a layout, by their paths.
#[derive(Default, Clone)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    /// An archive as `docker save` before version 25 and `podman save` write it.
    pub(crate) fn saved(images: &[(&Image, &[&str])]) -> Files {
        let mut files = Files::default();
        let mut manifest = Vec::new();
        for (image, names) in images {
            let config = format!("{}.json", image.config_id().hex());
            let layer = format!("{}/layer.tar", DiffId::of(&image.layer).hex());
            manifest.push(json!({"Config": config, "RepoTags": names, "Layers": [layer]}));
            files.0.insert(config, image.config.clone());
            files.0.insert(layer, image.layer.clone());
        }
        files.0.insert("manifest.json".into(), Value::from(manifest).to_string().into_bytes());
        files
    }

    /// An OCI image layout; names are references.
    pub(crate) fn layout(images: &[(&Image, Option<&str>)]) -> Files {
        let mut files = Files::default();
        let mut entries = Vec::new();
        for (image, name) in images {
            let layers = [files.blob("application/vnd.oci.image.layer.v1.tar+gzip", &gzip(&image.layer))];
            let config = files.blob("application/vnd.oci.image.config.v1+json", &image.config);
            let media_type = "application/vnd.oci.image.manifest.v1+json";
            let manifest =
                json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
            let mut entry = files.blob(media_type, manifest.to_string().as_bytes());
            if let Some(name) = name {
                entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
            }
            entries.push(entry);
        }
        files.0.insert("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        let index = json!({"schemaVersion": 2, "manifests": entries});
        files.0.insert("index.json".into(), index.to_string().into_bytes());
        files
    }

    fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        self.0.insert(format!("blobs/sha256/{}", digest.hex()), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
    }

    /// The IDs of a layout's images.
    pub(crate) fn ids(&self) -> Vec<String> {
        let index: Value = serde_json::from_slice(&self.0["index.json"]).unwrap();
        let entries = index["manifests"].as_array().unwrap().iter();
        entries.map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
    }

    /// As an archive.
    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, contents) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_size(contents.len() as u64);
            builder.append_data(&mut header, path, &contents[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    /// As a directory.
    pub(crate) fn write(&self, directory: &Path) {
        for (path, contents) in &self.0 {
            let file = directory.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, contents).unwrap();
        }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

//! Things in a layout that are no image, or none that can be understood. They must not be in the way of the others.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::digest::hex;
use crate::sha256;

/// Something in a layout that is no image, or none that can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Junk {
    /// An index that has attestations only.
    Attestations,
    /// A manifest of something else, as a chart.
    Artifact,
    /// An entry whose document is not there.
    Absent,
    /// A document that is no JSON.
    NoJson,
    /// An image whose config is no JSON.
    BadConfig,
    /// An image of which a layer is not there.
    LayerAbsent,
    /// An image with a layer that is to be had elsewhere only.
    Foreign,
    /// An entry without a digest.
    NoDigest,
    /// An index that names itself as often as it can: by an index of an index.
    Nested,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

impl Junk {
    /// All kinds.
    pub const ALL: [Junk; 9] = [
        Junk::Attestations,
        Junk::Artifact,
        Junk::Absent,
        Junk::NoJson,
        Junk::BadConfig,
        Junk::LayerAbsent,
        Junk::Foreign,
        Junk::NoDigest,
        Junk::Nested,
    ];

    /// Its entry in the index, without a name. Its blobs go to `blobs`.
    fn entry(self, blobs: &mut Vec<Vec<u8>>) -> Value {
        let mut blob = |media_type: &str, bytes: Vec<u8>| {
            let descriptor = json!({"mediaType": media_type, "digest": sha256(&bytes), "size": bytes.len()});
            blobs.push(bytes);
            descriptor
        };
        let absent =
            |media_type: &str| json!({"mediaType": media_type, "digest": sha256(b"nobody"), "size": 6});
        let manifest = |config: Value, layers: Value| {
            let manifest =
                json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
            manifest.to_string().into_bytes()
        };
        let config = || {
            let id = sha256(b"nobody");
            json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [id]}})
                .to_string()
                .into_bytes()
        };
        match self {
            Junk::NoDigest => json!({"mediaType": MANIFEST, "size": 7}),
            Junk::Absent => absent(MANIFEST),
            Junk::NoJson => blob(MANIFEST, b"<html>not found</html>".to_vec()),
            Junk::Artifact => {
                let config =
                    blob("application/vnd.cncf.helm.config.v1+json", b"{\"name\":\"chart\"}".to_vec());
                let layer = blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"a chart".to_vec());
                blob(MANIFEST, manifest(config, json!([layer])))
            }
            Junk::BadConfig => {
                let config = blob(CONFIG, b"{\"rootfs\":".to_vec());
                blob(MANIFEST, manifest(config, json!([])))
            }
            Junk::LayerAbsent => {
                let config = blob(CONFIG, config());
                blob(MANIFEST, manifest(config, json!([absent(LAYER)])))
            }
            Junk::Foreign => {
                let config = blob(CONFIG, config());
                let mut layer = absent("application/vnd.oci.image.layer.nondistributable.v1.tar");
                layer["urls"] = json!(["https://example.invalid/layer"]);
                blob(MANIFEST, manifest(config, json!([layer])))
            }
            Junk::Attestations => {
                let statement = blob("application/vnd.in-toto+json", b"{\"_type\":\"statement\"}".to_vec());
                let config = blob(
                    CONFIG,
                    json!({
                        "os": "unknown", "architecture": "unknown",
                        "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]},
                    })
                    .to_string()
                    .into_bytes(),
                );
                let mut entry = blob(MANIFEST, manifest(config, json!([statement])));
                entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
                entry["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
                let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
                blob(INDEX, index.to_string().into_bytes())
            }
            Junk::Nested => {
                let mut entry = absent(INDEX);
                for _ in 0..30 {
                    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
                    entry = blob(INDEX, index.to_string().into_bytes());
                }
                entry
            }
        }
    }

    /// Puts it into a layout, before or after what is there, under this name.
    pub(crate) fn add(self, dir: &Path, name: Option<&str>, first: bool) -> io::Result<()> {
        let mut blobs = Vec::new();
        let mut entry = self.entry(&mut blobs);
        if let Some(name) = name {
            entry["annotations"]["org.opencontainers.image.ref.name"] = json!(name);
        }
        for bytes in blobs {
            fs::write(dir.join("blobs/sha256").join(hex(&sha256(&bytes))), bytes)?;
        }
        let file = dir.join("index.json");
        let mut index: Value = serde_json::from_slice(&fs::read(&file)?)?;
        if let Some(entries) = index["manifests"].as_array_mut() {
            let at = if first { 0 } else { entries.len() };
            entries.insert(at, entry);
        }
        fs::write(file, index.to_string())
    }
}

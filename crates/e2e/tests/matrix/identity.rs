//! What an image is, and how much of it stays the same on the way from one kind of store to another.

use std::fs;
use std::path::Path;

use dsync_core::Digest;
use dsync_lab::{Engine, EngineKind, ImageStore};
use serde_json::Value;

/// What stores say of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// By which the store calls it.
    pub(crate) id: String,
    /// The digest of its config.
    pub(crate) config: String,
    /// Its layers, the lowest first.
    pub(crate) diff_ids: Vec<String>,
}

/// How much of an image must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sameness {
    /// Config and layers: what it is when it runs.
    Content,
    /// The ID as well.
    Id,
}

/// What must be the same on the way between these kinds of store.
pub(crate) fn expected(source: &str, target: &str) -> Sameness {
    // By its manifest, in which the compression of layers counts, or by its config.
    let by_manifest = |kind: &str| kind.ends_with("-containerd") || kind == "oci";
    if by_manifest(source) == by_manifest(target) { Sameness::Id } else { Sameness::Content }
}

/// The image must be the same in so far.
#[track_caller]
pub(crate) fn assert_same(expected: Sameness, source: &Identity, target: &Identity) {
    assert_eq!(source.config, target.config, "config");
    assert_eq!(source.diff_ids, target.diff_ids, "layers");
    if expected == Sameness::Id {
        assert_eq!(source.id, target.id, "ID");
    }
}

/// What an engine has under a name, if it has anything.
pub(crate) fn in_engine(engine: &Engine, name: &str) -> Option<Identity> {
    // podman leaves the name of the hash out.
    let id = engine.image_id(name)?;
    let id = if id.contains(':') { id } else { format!("sha256:{id}") };
    let format = "{{range .RootFS.Layers}}{{println .}}{{end}}";
    let said = engine.client().args(["image", "inspect", "--format", format, name]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let diff_ids = String::from_utf8_lossy(&said.stdout).split_whitespace().map(str::to_owned).collect();
    let config = match engine.kind() {
        EngineKind::DockerOf(_, ImageStore::Containerd) => {
            let content = "containerd/daemon/io.containerd.content.v1.content/blobs";
            config_of(&engine.root().join(content), &id)
        }
        _ => id.clone(),
    };
    Some(Identity { id, config, diff_ids })
}

/// The config of a manifest, or of the first manifest of an index. Each blob must be what its name says.
fn config_of(blobs: &Path, digest: &str) -> String {
    let bytes = fs::read(blobs.join(digest.replace(':', "/"))).unwrap();
    assert_eq!(Digest::of(&bytes).to_string(), digest);
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    match json["manifests"][0]["digest"].as_str() {
        Some(manifest) => config_of(blobs, manifest),
        None => json["config"]["digest"].as_str().unwrap().to_owned(),
    }
}

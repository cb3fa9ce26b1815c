//! The identity of images, and how much of it survives the way from one kind of store to another.

use std::fs;
use std::path::Path;

use dsync_core::Digest;
use dsync_lab::{Engine, EngineKind, ImageStore};
use serde_json::Value;

/// An image as stores show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// By which the store calls it.
    pub id: String,
    /// The digest of its config.
    pub config: String,
    /// Its layers, the lowest first.
    pub diff_ids: Vec<String>,
}

/// The part of an image that must stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Config and layers: what it is when it runs.
    Content,
    /// The ID as well.
    Id,
}

/// True if this kind of store names an image by its manifest, in which the compression of layers counts, and not by its
/// config.
pub fn is_by_manifest(kind: &str) -> bool {
    kind.ends_with("-containerd") || kind.starts_with("containerd-") || kind == "oci"
}

impl Sameness {
    /// The part that must stay the same on the way between these kinds of store.
    pub fn expected(source: &str, target: &str) -> Sameness {
        if is_by_manifest(source) == is_by_manifest(target) { Sameness::Id } else { Sameness::Content }
    }

    /// The part of two images that is the same; `None` if they are different images.
    pub fn of(source: &Identity, target: &Identity) -> Option<Sameness> {
        let content = source.config == target.config && source.diff_ids == target.diff_ids;
        content.then_some(if source.id == target.id { Sameness::Id } else { Sameness::Content })
    }

    /// The image must be the same in so far, at least.
    #[track_caller]
    pub fn assert_holds(self, source: &Identity, target: &Identity) {
        assert_eq!(source.config, target.config, "config");
        assert_eq!(source.diff_ids, target.diff_ids, "layers");
        if self == Sameness::Id {
            assert_eq!(source.id, target.id, "ID");
        }
    }
}

/// The image that an engine has under a name, if there is one.
pub(crate) fn in_engine(engine: &Engine, name: &str) -> Option<Identity> {
    // podman leaves the name of the hash out.
    let id = engine.image_id(name)?;
    let id = if id.contains(':') { id } else { format!("sha256:{id}") };
    if engine.is_containerd() {
        let blobs = engine.root().join("io.containerd.content.v1.content/blobs");
        let config = config_of(&blobs, &id);
        let json: Value =
            serde_json::from_slice(&fs::read(blobs.join(config.replace(':', "/"))).ok()?).ok()?;
        let layers = json["rootfs"]["diff_ids"].as_array()?.iter().filter_map(Value::as_str);
        return Some(Identity { diff_ids: layers.map(str::to_owned).collect(), id, config });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_same_by_its_id_or_by_its_content() {
        let image = |id: &str, config: &str, layer: &str| Identity {
            id: id.to_owned(),
            config: config.to_owned(),
            diff_ids: vec![layer.to_owned()],
        };
        let source = image("a", "c", "l");
        assert_eq!(Sameness::of(&source, &source), Some(Sameness::Id));
        assert_eq!(Sameness::of(&source, &image("b", "c", "l")), Some(Sameness::Content));
        assert_eq!(Sameness::of(&source, &image("a", "d", "l")), None);
        assert_eq!(Sameness::of(&source, &image("a", "c", "m")), None);
    }

    #[test]
    fn ids_are_those_of_configs_or_of_manifests() {
        for (source, target, expected) in [
            ("docker", "podman-5.4", Sameness::Id),
            ("oci", "docker-28-containerd", Sameness::Id),
            ("containerd-1.6", "docker-28-containerd", Sameness::Id),
            ("docker-26-classic", "docker-26-containerd", Sameness::Content),
            ("oci", "podman", Sameness::Content),
        ] {
            assert_eq!(Sameness::expected(source, target), expected, "{source} to {target}");
        }
    }
}

//! Layouts as other tools write them, in small.

use std::fs;

use dsync_core::{DiffId, Digest};

use super::*;
use crate::oci::directory::Directory;

struct Made {
    directory: tempfile::TempDir,
    entries: Vec<Value>,
}

impl Made {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Directory::new(directory.path()).create().unwrap();
        Self { directory, entries: Vec::new() }
    }

    fn blob(&self, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.directory.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        serde_json::json!({"digest": digest.to_string(), "size": bytes.len()})
    }

    fn image(&self, platform: &str, layers: &[&str]) -> (Value, ImageId) {
        let ids: Vec<String> = layers.iter().map(|layer| DiffId::of(layer.as_bytes()).to_string()).collect();
        let platform: Platform = platform.parse().unwrap();
        let config = serde_json::json!({
            "os": platform.os, "architecture": platform.architecture, "rootfs": {"diff_ids": ids},
        });
        let config = config.to_string();
        let blobs: Vec<Value> = layers.iter().map(|layer| self.blob(layer.as_bytes())).collect();
        let manifest = serde_json::json!({"config": self.blob(config.as_bytes()), "layers": blobs});
        let mut entry = self.blob(manifest.to_string().as_bytes());
        entry["platform"] = serde_json::json!({"os": platform.os, "architecture": platform.architecture});
        let id = ImageId::of(manifest.to_string().as_bytes());
        (entry, id)
    }

    fn index(&self, entries: &[Value]) -> Value {
        self.blob(serde_json::json!({"manifests": entries}).to_string().as_bytes())
    }

    /// The ID of the image that an entry names.
    fn id(entry: &Value) -> ImageId {
        entry["digest"].as_str().unwrap().parse().unwrap()
    }

    fn add(&mut self, mut entry: Value, name: Option<&str>) {
        if let Some(name) = name {
            entry["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": name});
        }
        self.entries.push(entry);
    }

    fn resolve(&self) -> Result<Resolved, StoreError> {
        let index = serde_json::json!({"manifests": self.entries}).to_string();
        fs::write(self.directory.path().join("index.json"), index).unwrap();
        resolve(&Layout::open(self.directory.path())?)
    }

    fn unreadable(&self) -> Vec<String> {
        self.resolve().unwrap().unreadable.into_iter().map(|image| image.reason).collect()
    }

    fn shown(&self) -> Vec<(ImageId, Vec<String>)> {
        let found = self.resolve().unwrap().images.into_iter();
        found.map(|f| (f.image.id, f.image.names.iter().map(ToString::to_string).collect())).collect()
    }
}

fn host() -> String {
    crate::host::platform().to_string()
}

#[test]
fn entries_of_one_image_are_one() {
    let mut made = Made::new();
    let (entry, id) = made.image("linux/amd64", &["low", "top"]);
    made.add(entry.clone(), Some("b"));
    made.add(entry.clone(), None);
    made.add(entry, Some("a:1"));
    assert_eq!(made.shown(), [(id, vec!["a:1".to_owned(), "b:latest".to_owned()])]);
    let found = made.resolve().unwrap().images.remove(0);
    assert_eq!((found.entry, found.image.size, found.layers.len()), (Some(0), 6, 2));
}

#[test]
fn of_several_platforms_this_hosts_is_taken() {
    let mut made = Made::new();
    let (other, _) = made.image("plan9/mips", &["x"]);
    let (own, _) = made.image(&host(), &["y"]);
    let (mut attestation, _) = made.image(&host(), &["z"]);
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    let both = made.index(&[other.clone(), attestation.clone(), own.clone()]);
    let both_id = Made::id(&both);
    made.add(both, Some("both"));
    assert_eq!(made.shown(), [(both_id, vec!["both:latest".to_owned()])]);
    assert_eq!(made.resolve().unwrap().images[0].image.diff_ids, [DiffId::of(b"y")]);
    let absent = serde_json::json!({"digest": Digest::of(b"absent").to_string(), "size": 6});
    made.entries = vec![made.index(&[absent, attestation, other.clone()])];
    let found = made.resolve().unwrap().images.remove(0);
    assert_eq!(found.image.platform.os, "plan9", "the only one is taken");
    let (third, _) = made.image("plan9/arm", &["x"]);
    made.entries = vec![made.index(&[other, third])];
    assert_eq!(made.shown(), []);
}

#[test]
fn what_a_builder_says_of_an_image_is_none() {
    let mut made = Made::new();
    let (mut attestation, _) = made.image("unknown/unknown", &["said"]);
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    // In the index of the layout itself, and alone in an index of its own.
    made.entries = vec![attestation.clone()];
    assert_eq!(made.shown(), []);
    let alone = made.index(&[attestation]);
    made.entries.clear();
    made.add(alone, Some("alone"));
    assert_eq!(made.shown(), []);
}

#[test]
fn one_name_is_one_image() {
    let mut made = Made::new();
    let (other, other_id) = made.image("plan9/mips", &["x"]);
    let (own, own_id) = made.image(&host(), &["y"]);
    let named = vec!["app:latest".to_owned()];
    made.add(other.clone(), Some("app"));
    made.add(own.clone(), Some("app"));
    assert_eq!(made.shown(), [(other_id, vec![]), (own_id, named.clone())]);
    made.entries.reverse();
    assert_eq!(made.shown(), [(own_id, named), (other_id, vec![])]);
}

#[test]
fn a_name_means_the_platform_that_was_asked_for() {
    let mut made = Made::new();
    let (other, other_id) = made.image("plan9/mips", &["x"]);
    let (own, own_id) = made.image(&host(), &["y"]);
    let both = made.index(&[other.clone(), own.clone()]);
    made.add(own, Some("app"));
    made.add(other, Some("app"));
    let both_id = Made::id(&both);
    made.add(both, Some("both"));
    let (app, both) = (vec!["app:latest".to_owned()], vec!["both:latest".to_owned()]);
    assert_eq!(made.shown(), [(own_id, app.clone()), (other_id, vec![]), (both_id, both.clone())]);
    let mut layout = Layout::open(made.directory.path()).unwrap();
    layout.platform = "plan9/mips".parse().unwrap();
    let found = resolve(&layout).unwrap().images;
    let names = |id: ImageId| {
        let image = &found.iter().find(|found| found.image.id == id).unwrap().image;
        image.names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!((names(other_id), names(both_id)), (app, both));
    assert_eq!(found[2].image.platform.os, "plan9");
}

#[test]
fn what_is_no_image_is_passed_over_and_what_is_broken_is_not() {
    let mut made = Made::new();
    let empty = made.blob(b"{}");
    let chart = serde_json::json!({"artifactType": "x/chart", "config": empty, "layers": []}).to_string();
    let chart = made.blob(chart.as_bytes());
    made.add(chart, Some("chart"));
    assert_eq!(made.shown(), []);
    let (entry, _) = made.image("linux/amd64", &["x"]);
    made.add(entry.clone(), None);
    let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
    fs::remove_file(made.directory.path().join("blobs/sha256").join(digest.hex())).unwrap();
    assert!(made.unreadable()[0].contains("is missing"));
    made.entries.push(serde_json::json!({"digest": "sha256:../../x", "size": 1}));
    let (other, id) = made.image("linux/amd64", &["y"]);
    made.add(other, Some("other"));
    assert!(made.unreadable()[1].contains("no valid digest"));
    assert_eq!(made.shown(), [(id, vec!["other:latest".to_owned()])], "the others are there");
}

#[test]
fn an_index_with_nothing_for_this_host_is_said_with_what_it_has() {
    let mut made = Made::new();
    let several = [made.image("linux/s390x", &["x"]).0, made.image("plan9/mips", &["y"]).0];
    let index = made.index(&several);
    made.add(index, Some("elsewhere"));
    let only = made.index(&several[..1]);
    let id = Made::id(&only);
    made.add(only, Some("only"));
    assert_eq!(
        made.shown(),
        [(id, vec!["only:latest".to_owned()])],
        "the only image is the one that is meant"
    );
    let reason =
        format!("it has no image for {}, only for linux/s390x, plan9/mips: --platform chooses one", host());
    assert_eq!(made.unreadable(), [reason]);
}

#[test]
fn a_config_that_cannot_be_used_is_said() {
    let mut made = Made::new();
    for config in ["x", "{}", r#"{"rootfs":{"diff_ids":["sha256:0"]}}"#, r#"{"rootfs":{"diff_ids":[]}}"#] {
        let layers = [made.blob(b"layer")];
        let manifest = serde_json::json!({"config": made.blob(config.as_bytes()), "layers": layers});
        let entry = made.blob(manifest.to_string().as_bytes());
        made.add(entry, Some("bad"));
    }
    assert_eq!(made.shown(), []);
    let said = made.unreadable();
    assert_eq!(said.len(), 4);
    assert!(said.iter().all(|reason| reason.contains("cannot be used")), "{said:?}");
    assert!(said[3].ends_with("it names 0 layers, its manifest 1"), "{}", said[3]);
}

#[test]
fn a_document_inside_an_index_is_found_by_its_digest() {
    use crate::oci::OciStore;
    use crate::store::{Nested, Store as _};

    let mut made = Made::new();
    let (own, own_id) = made.image(&host(), &["y"]);
    let (other, other_id) = made.image("plan9/mips", &["x", "z"]);
    let (mut attestation, attestation_id) = made.image("unknown/unknown", &["said"]);
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    let absent = serde_json::json!({
        "digest": Digest::of(b"absent").to_string(), "size": 6, "platform": {"os": "plan9", "architecture": "arm"},
    });
    let inner = made.index(&[own.clone(), other]);
    let inner_id = Made::id(&inner);
    let outer = made.index(&[inner, attestation, absent]);
    let again = made.index(&[own]);
    let ids = [Made::id(&outer), Made::id(&again)];
    made.add(outer, Some("app"));
    made.add(again, None);
    assert_eq!(made.shown().len(), 2);
    let store = OciStore::open(made.directory.path()).unwrap();
    let nested = |digest: Digest| store.nested(&digest).unwrap();
    let found = |id: ImageId| {
        let Nested { within, image } = nested(id.digest()).unwrap();
        (within, image.map(|image| (image.id, image.diff_ids)))
    };
    let diff_ids = |layers: &[&str]| layers.iter().map(|l| DiffId::of(l.as_bytes())).collect::<Vec<_>>();
    assert_eq!(found(own_id), (ids.to_vec(), Ok((own_id, diff_ids(&["y"])))));
    assert_eq!(found(other_id), (vec![ids[0]], Ok((other_id, diff_ids(&["x", "z"])))));
    assert_eq!(found(inner_id), (vec![ids[0]], Ok((inner_id, diff_ids(&["y"])))));
    assert_eq!(found(attestation_id).1, Err("an attestation of it, and no image".into()));
    let reason = found(ImageId::of(b"absent")).1.unwrap_err();
    assert!(reason.starts_with("its manifest for plan9/arm, which is not to be had there"), "{reason}");
    assert_eq!(nested(Digest::of(b"nothing")), None);
    assert_eq!(nested(ids[0].digest()), None, "an image that is listed is in no index");

    // It is read as any image is, and takes no name: nothing lists it.
    let package = store.package(&other_id, None).unwrap().unwrap();
    assert_eq!((package.root(), package.layers().len()), (other_id.digest(), 2));
    let image = nested(other_id.digest()).unwrap().image.unwrap();
    assert_eq!(store.layer_sizes(&image).unwrap(), Some(vec![1, 1]));
    let refused = store.tag(&other_id, &["app:2".parse().unwrap()]).unwrap_err();
    assert!(matches!(refused, StoreError::NoSuchImage { .. }), "{refused}");
    assert!(matches!(store.package(&ImageId::of(b"absent"), None), Err(StoreError::NoSuchImage { .. })));
}

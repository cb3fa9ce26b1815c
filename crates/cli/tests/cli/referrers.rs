//! Signatures and attestations beside an image.

use std::fs;
use std::path::{Path, PathBuf};

use dsync_core::Digest;
use dsync_testkit::add_artifact;
use serde_json::{Value, json};

use crate::environment::{Environment, Ran};
use crate::saved::{CREATED, Files, Image};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An OCI image layout as other tools write artifacts to it.
struct Layout(PathBuf);

impl Layout {
    fn artifact(&self, text: &str, subject: Option<&Value>, name: Option<&str>) -> Value {
        add_artifact(&self.0, text, subject, name).unwrap()
    }

    fn index(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.0.join("index.json")).unwrap()).unwrap()
    }

    /// `DIGEST=NAME` of each entry, sorted.
    fn entries(&self) -> Vec<String> {
        let index = self.index();
        let entry = |entry: &Value| {
            let name = entry["annotations"][REF_NAME].as_str().unwrap_or_default();
            format!("{}={name}", entry["digest"].as_str().unwrap())
        };
        let mut entries: Vec<String> = index["manifests"].as_array().unwrap().iter().map(entry).collect();
        entries.sort_unstable();
        entries
    }

    fn has(&self, text: &str) -> bool {
        self.0.join("blobs/sha256").join(Digest::of(text.as_bytes()).hex()).exists()
    }
}

/// A layout with an image `shop/web:1`, a signature by its tag, a bill by its subject and a signature of the bill.
fn signed(path: &Path) -> (Layout, Value) {
    let image = Image::new("one", CREATED);
    let files = Files::layout(&[(&image, Some("docker.io/shop/web:1"))]);
    files.write(path);
    let layout = Layout(path.to_owned());
    let root = layout.index()["manifests"][0].clone();
    let root = json!({"mediaType": root["mediaType"], "digest": root["digest"], "size": root["size"]});
    let hex = files.ids()[0].strip_prefix("sha256:").unwrap().to_owned();
    layout.artifact("signature", None, Some(&format!("sha256-{hex}.sig")));
    let bill = layout.artifact("bill", Some(&root), None);
    layout.artifact("signature of the bill", Some(&bill), None);
    let other = json!({"digest": Digest::of(b"other").to_string(), "size": 5});
    layout.artifact("of another image", Some(&other), None);
    (layout, root)
}

fn run(environment: &Environment, arguments: &[&str]) -> Ran {
    environment.run(&[&["--docker", "oci:out"], arguments].concat())
}

#[test]
fn signatures_and_attestations_go_along() {
    let environment = Environment::new();
    let (source, root) = signed(&environment.path().join("in"));
    let target = Layout(environment.path().join("out"));
    let ran = run(&environment, &["oci:in", "shop/web:1"]);
    assert!(ran.exit == Some(0) && ran.err.contains("shop/web:1  added"), "{ran}");
    assert!(ran.err.contains(", with 3 referrers"), "{ran}");
    let hex = root["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let names: Vec<String> =
        target.entries().iter().map(|entry| entry.split_once('=').unwrap().1.to_owned()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&format!("shop/web:sha256-{hex}.sig")), "{names:?}");
    assert!(names.contains(&"shop/web:1".to_owned()), "{names:?}");
    for text in ["signature", "bill", "signature of the bill"] {
        assert!(target.has(text), "{text}");
    }
    assert!(!target.has("of another image"));

    // They are no images of the target.
    let ran = environment.run(&["--docker", "oci:empty", "oci:out"]);
    assert_eq!(ran.out.lines().count(), 1, "{ran}");

    // An image may be signed later; what is there stays as it is.
    let before = target.entries();
    let ran = run(&environment, &["oci:in", "shop/web:1"]);
    assert!(ran.err.contains("shop/web:1  current\n"), "{ran}");
    assert_eq!(target.entries(), before);
    source.artifact("later", Some(&root), None);
    let ran = run(&environment, &["--json", "oci:in", "shop/web:1"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["results"][0]["referrers"], 1, "{ran}");
    assert!(target.has("later"));
    assert_eq!(target.entries().len(), before.len() + 1);

    // A tag that means another signature moves.
    source.artifact("newer signature", None, Some(&format!("host:5000/x/web:sha256-{hex}.sig")));
    let index = source.index();
    let kept = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["annotations"][REF_NAME] != json!(format!("sha256-{hex}.sig")));
    let kept = json!({"schemaVersion": 2, "manifests": kept.collect::<Vec<_>>()});
    fs::write(source.0.join("index.json"), kept.to_string()).unwrap();
    let ran = run(&environment, &["oci:in", "shop/web:1"]);
    assert!(ran.err.contains("current, with 1 referrer\n"), "{ran}");
    assert!(target.has("newer signature") && target.has("signature"));
    let tagged = target.entries().into_iter().filter(|entry| entry.ends_with(".sig")).count();
    assert_eq!(tagged, 1, "{:?}", target.entries());
}

#[test]
fn an_image_without_a_name_keeps_the_tags_of_its_signatures() {
    let environment = Environment::new();
    let (source, root) = signed(&environment.path().join("in"));
    let mut index = source.index();
    index["manifests"][0].as_object_mut().unwrap().remove("annotations");
    fs::write(source.0.join("index.json"), index.to_string()).unwrap();
    let target = Layout(environment.path().join("out"));
    for again in [false, true] {
        let ran = run(&environment, &["oci:in", root["digest"].as_str().unwrap()]);
        assert!(ran.exit == Some(0) && ran.err.contains(", with 3 referrers") != again, "{ran}");
        let tagged = target.entries().into_iter().filter(|entry| entry.contains("=sha256-")).count();
        assert_eq!((tagged, target.entries().len()), (1, 4), "{:?}", target.entries());
    }
}

#[test]
fn signatures_stay_where_that_is_asked_for_and_are_no_reason_to_fail() {
    let environment = Environment::new();
    let (source, _) = signed(&environment.path().join("in"));
    let ran = run(&environment, &["--no-referrers", "oci:in", "shop/web:1"]);
    assert!(ran.exit == Some(0) && !ran.err.contains("referrer"), "{ran}");
    let target = Layout(environment.path().join("out"));
    assert_eq!(target.entries().len(), 1);

    // One platform is taken of it, under an ID of its own.
    let ran = run(&environment, &["--platform", "linux/amd64", "oci:in", "shop/web:1"]);
    assert!(ran.exit == Some(0) && ran.err.contains("shop/web:1  current\n"), "{ran}");

    // A part of one is missing: it is none.
    fs::remove_file(source.0.join("blobs/sha256").join(Digest::of(b"bill").hex())).unwrap();
    let ran = run(&environment, &["oci:in", "shop/web:1"]);
    assert!(ran.err.contains("current, with 1 referrer\n"), "{ran}");
}

#[test]
fn who_asks_for_signatures_gets_them_or_no_image() {
    let environment = Environment::new();
    signed(&environment.path().join("in"));
    let saved = Files::saved(&[(&Image::new("two", CREATED), &["two:1"])]);
    fs::write(environment.path().join("x.tar"), saved.tar()).unwrap();
    let ran = run(&environment, &["--with-referrers", "docker-archive:x.tar", "two:1"]);
    assert_eq!(ran.exit, Some(2), "{ran}");
    assert!(ran.err.contains("keeps no signatures and attestations beside images"), "{ran}");
    let ran = run(&environment, &["--with-referrers", "--identity", "content", "oci:in", "shop/web:1"]);
    assert_eq!(ran.exit, Some(2), "{ran}");
    assert!(ran.err.contains("--identity exact"), "{ran}");
    assert!(!environment.path().join("out/index.json").exists(), "nothing arrived");
    let ran = run(&environment, &["--with-referrers", "oci:in", "shop/web:1"]);
    assert!(ran.exit == Some(0) && ran.err.contains("with 3 referrers"), "{ran}");
}

//! Loads into engines that are scripts: what they print decides, whatever their exit status is.

use std::fs;

use serde_json::json;

use super::*;
use crate::client::ClientStore;
use crate::client::identify::identify;
use crate::client::temporary_names::{TemporaryName, TemporaryNames};
use crate::command::Program;
use crate::store::Store as _;

const LAYER: &[u8] = b"a layer";

fn config() -> Vec<u8> {
    let diff_ids = [DiffId::of(LAYER).to_string()];
    json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": diff_ids}}).to_string().into_bytes()
}

/// As `image inspect` prints an image with this config and this layer.
fn shown(layer: &[u8]) -> String {
    let layers = [DiffId::of(layer).to_string()];
    json!([{"Id": ImageId::of(&config()).to_string(), "RootFS": {"Layers": layers}}]).to_string()
}

/// A store whose client is a script; its arguments are `$1` and so on.
fn store(script: &str, info: &serde_json::Value) -> ClientStore {
    with_client(&["sh", "-c", script, "docker"], info)
}

fn with_client(words: &[&str], info: &serde_json::Value) -> ClientStore {
    let words: Vec<String> = words.iter().copied().map(str::to_owned).collect();
    let program = Program::find(&words).unwrap();
    ClientStore {
        temporary_names: TemporaryNames::of(&program),
        program,
        engine: identify(info.to_string().as_bytes(), "").unwrap(),
        storage: None,
        content: None,
        platform: crate::host::platform(),
        host: Default::default(),
        _copies: None,
    }
}

fn classic(script: &str) -> ClientStore {
    store(script, &json!({"Driver": "overlay2", "ServerVersion": "26.1.5"}))
}

fn imported(store: &ClientStore) -> Result<ImageId, StoreError> {
    named(store, &[])
}

fn named(store: &ClientStore, names: &[ImageRef]) -> Result<ImageId, StoreError> {
    let mut import = store.import(ImportIdentity::Content(Digest::of(&config())))?;
    import.layer(&DiffId::of(LAYER).into(), LAYER.len() as u64, &mut |out| out.write_all(LAYER))?;
    import.commit(&config(), names)
}

#[test]
fn an_image_counts_when_the_engine_shows_it() {
    let (image, other) = (shown(LAYER), shown(b"another layer"));
    let gone = "echo 'Error: No such image: x' >&2; exit 1";
    for (load, inspect, reason) in [
        ("exit 0".to_owned(), format!("echo '{image}'"), None),
        ("exit 0".into(), gone.into(), Some("somebody removed it")),
        ("exit 0".into(), format!("echo '{other}'"), Some("other layers")),
        (
            "echo 'Error unpacking image x: apply layer'; exit 0".into(),
            format!("echo '{image}'"),
            Some("apply layer"),
        ),
        (
            "echo 'invalid diffID for layer 0'; exit 1".into(),
            format!("echo '{image}'"),
            Some("invalid diffID"),
        ),
        (
            "echo 'write /x: no space left on device' >&2; exit 1".into(),
            format!("echo '{image}'"),
            Some("no space left"),
        ),
    ] {
        let script = format!("case $1 in load) cat >/dev/null; {load};; image) {inspect};; esac");
        let result = imported(&classic(&script));
        match reason {
            None => assert_eq!(result.unwrap(), ImageId::of(&config())),
            Some(reason) => {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(reason), "{load}; {inspect}: {error}");
            }
        }
    }
}

#[test]
fn an_engine_that_stops_reading_is_asked_why() {
    // The pipe takes some of it before the writer notices.
    let store = classic(
        "case $1 in load) head -c 100 >/dev/null; echo 'unauthorized: access denied' >&2; exit 1;; esac",
    );
    let large = vec![7; 4 << 20];
    let mut import = store.import(ImportIdentity::Content(Digest::of(b"config"))).unwrap();
    let error = import
        .layer(&DiffId::of(&large).into(), large.len() as u64, &mut |out| out.write_all(&large))
        .unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
    let error = import.commit(b"config", &[]).unwrap_err().to_string();
    assert!(error.contains("an earlier part of it failed"), "{error}");
}

#[test]
fn only_the_containerd_store_is_cleaned_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let status = json!([["driver-type", "io.containerd.snapshotter.v1"]]);
    let containerd = json!({"Driver": "overlayfs", "DriverStatus": status, "ServerVersion": "28.5.1"});
    let gone = "echo 'Error: No such image: x' >&2; exit 1";
    let image = format!("echo '{}'", shown(LAYER));
    let overlay2 = json!({"Driver": "overlay2", "ServerVersion": "26.1.5"});
    // An image that was there before the load stays.
    for (info, inspect, removed) in
        [(&containerd, gone, true), (&containerd, &image[..], false), (&overlay2, gone, false)]
    {
        fs::write(&log, "").unwrap();
        let log = log.display();
        let script = format!(
            "echo $1 >>'{log}'; case $1 in load) cat >/dev/null; echo broken >&2; exit 1;; image) {inspect};; esac"
        );
        assert!(imported(&store(&script, info)).unwrap_err().to_string().contains("broken"));
        let calls = fs::read_to_string(log.to_string()).unwrap();
        assert_eq!(calls.lines().any(|call| call == "rmi"), removed, "{info}: {calls}");
    }
}

#[test]
fn names_are_given_as_each_client_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!("echo $# $1 $3 $4 >>'{}'", log.display());
    let names = ["web:1", "shop/web:2"].map(|name| name.parse().unwrap());
    let podman = json!({"store": {"graphDriverName": "overlay"}, "version": {"Version": "5.4.2"}});
    for (store, calls) in [
        (classic(&script), "3 tag web:1\n3 tag shop/web:2\n"),
        (store(&script, &podman), "4 tag docker.io/library/web:1 docker.io/shop/web:2\n"),
    ] {
        fs::write(&log, "").unwrap();
        store.tag(&ImageId::of(b"x"), &names).unwrap();
        store.tag(&ImageId::of(b"x"), &[]).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), calls);
    }
    let failing = classic("echo 'Error response from daemon: No such image: x' >&2; exit 1");
    let error = failing.tag(&ImageId::of(b"x"), &names).unwrap_err();
    assert!(matches!(error, StoreError::NoSuchImage { .. }), "{error}");
}

/// An engine that keeps its images as files of the folder that is `$0`: the names of each, one a line.
const ENGINE: &str = r#"
cd "$0" || exit 1
id=$(cat id)
case $1 in
load)
    cat >archive
    sh ./before-load
    tar xOf archive manifest.json | tr -d '[]{}"' | tr ',' '\n' | sed -n 's/^RepoTags://p' | grep -v null >image
    cp image loaded
    sh ./after-load;;
images) [ ! -e image ] || echo "$id";;
image)
    [ -e image ] || { echo "Error: No such image: x" >&2; exit 1; }
    tags=$(sed 's/.*/"&"/' image | tr '\n' ',')
    printf '[{"Id":"%s","RepoTags":[%s],"RootFS":{"Layers":["%s"]}}]' "$id" "${tags%,}" "$(cat layer)";;
tag)
    [ -e image ] || { echo "Error response from daemon: No such image: $2" >&2; exit 1; }
    sh ./before-tag || exit 1
    echo "$3" >>image;;
rmi)
    grep -qx "$2" image 2>/dev/null || { echo "Error: No such image: $2" >&2; exit 1; }
    grep -vx "$2" image >rest; mv rest image
    [ -s image ] || rm image;;
esac
"#;

struct Engine {
    folder: tempfile::TempDir,
}

impl Engine {
    fn new() -> Self {
        let engine = Self { folder: tempfile::tempdir().unwrap() };
        engine.write("id", &ImageId::of(&config()).to_string());
        engine.write("layer", &DiffId::of(LAYER).to_string());
        ["before-load", "after-load", "before-tag"].iter().for_each(|moment| engine.write(moment, ""));
        engine
    }

    fn store(&self) -> ClientStore {
        let words = ["sh", "-c", ENGINE, self.folder.path().to_str().unwrap()];
        with_client(&words, &json!({"Driver": "overlay2", "ServerVersion": "26.1.5"}))
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// The names of the image, if it is there.
    fn names(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.folder.path().join("image")).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }

    /// The names with which it was loaded.
    fn loaded(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("loaded")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// A temporary name of a process that is gone, or of one that lives.
fn temporary(is_left: bool) -> String {
    let name = TemporaryName::of(&Digest::of(b"of another run")).name.to_string();
    // Not even Linux can be made to have processes with such numbers.
    let process = if is_left { i32::MAX.to_string() } else { std::process::id().to_string() };
    name.replace(&format!("-{}-", std::process::id()), &format!("-{process}-"))
}

fn app() -> [ImageRef; 2] {
    ["app:1", "app:latest"].map(|name| name.parse().unwrap())
}

/// As `docker image prune` does: an image without a name goes.
const PRUNE: &str = "[ -s image ] || rm -f image";

#[test]
fn an_image_that_gets_a_name_is_never_without_one() {
    let engine = Engine::new();
    engine.write("after-load", PRUNE);
    engine.write("before-tag", PRUNE);
    named(&engine.store(), &app()).unwrap();
    assert_eq!(engine.names().unwrap(), ["app:1", "app:latest"]);
    let [temporary] = &engine.loaded()[..] else { panic!("{:?}", engine.loaded()) };
    assert!(TemporaryName::parse(&temporary.parse().unwrap()).is_some(), "{temporary}");
    named(&engine.store(), &app()).unwrap();
    assert_ne!(&engine.loaded()[0], temporary, "each load has its own");
    // One that is to have no name has none at any time.
    engine.write("after-load", "");
    imported(&engine.store()).unwrap();
    assert_eq!(engine.loaded(), [""; 0]);
}

#[test]
fn an_image_that_somebody_removes_is_told_as_that() {
    for moment in ["after-load", "before-tag"] {
        let engine = Engine::new();
        let remove = if moment == "before-tag" {
            "rm image; echo 'Error response from daemon: No such image: x' >&2; exit 1"
        } else {
            "rm image"
        };
        engine.write(moment, remove);
        let error = named(&engine.store(), &app()).unwrap_err();
        assert!(matches!(error, StoreError::Removed { .. }), "{moment}: {error:?}");
        assert_eq!(engine.names(), None);
    }
}

#[test]
fn a_layer_is_given_once() {
    let store = Engine::new().store();
    let mut import = store.import(ImportIdentity::Content(Digest::of(&config()))).unwrap();
    let mut give =
        || import.layer(&DiffId::of(LAYER).into(), LAYER.len() as u64, &mut |out| out.write_all(LAYER));
    give().unwrap();
    let error = give().unwrap_err();
    assert!(error.to_string().contains("was given twice"), "{error}");
}

/// podman looks for the image that it made before it is done with the load.
#[test]
fn an_image_that_goes_while_it_is_loaded_is_told_as_removed() {
    let engine = Engine::new();
    let missing = |hex: &str| {
        format!(
            "rm image; echo 'saving signatures for image \"{hex}\": locating image with ID \"{hex}\": image not known' \
             >&2; exit 125"
        )
    };
    engine.write("after-load", &missing(&ImageId::of(&config()).hex()));
    let error = named(&engine.store(), &app()).unwrap_err();
    assert!(matches!(error, StoreError::Removed { .. }), "{error:?}");
    engine.write("after-load", &missing(&ImageId::of(b"another").hex()));
    let error = named(&engine.store(), &app()).unwrap_err();
    assert!(matches!(error, StoreError::Failed { .. }), "{error:?}");
}

#[test]
fn an_image_that_cannot_be_named_goes() {
    let engine = Engine::new();
    engine.write("before-tag", "echo 'write /x: no space left on device' >&2; exit 1");
    let error = named(&engine.store(), &app()).unwrap_err();
    assert!(matches!(error, StoreError::StorageFull { .. }), "{error:?}");
    assert_eq!(engine.names(), None);
}

#[test]
fn a_temporary_name_is_seen_by_nobody_and_goes_with_the_next_name() {
    for is_left in [true, false] {
        let engine = Engine::new();
        engine.write("image", &format!("app:0\n{}\n", temporary(is_left)));
        let store = engine.store();
        let images = store.list().unwrap().images;
        assert_eq!(images[0].names, ["app:0".parse().unwrap()]);
        store.tag(&images[0].id, &app()[..1]).unwrap();
        assert_eq!(engine.names().unwrap(), ["app:0", "app:1"], "it has a name, so it needs no other");
    }
}

/// The run may have been killed between the name and the end, and then the image is there for the next.
#[test]
fn a_spare_name_that_a_killed_run_left_goes_at_the_end_of_any_run() {
    for (is_left, others, stays) in [(true, "app:0\n", false), (false, "app:0\n", true), (true, "", true)] {
        let engine = Engine::new();
        engine.write("image", &format!("{others}{}\n", temporary(is_left)));
        let store = engine.store();
        store.list().unwrap();
        drop(store);
        let names = engine.names().unwrap();
        assert_eq!(names.iter().any(|name| name.starts_with("localhost/")), stays, "{names:?}");
        assert_eq!(names.contains(&"app:0".to_owned()), !others.is_empty());
    }
}

/// Nobody can use it: it is an image without layers, which Docker's containerd store does not list as it does others.
#[test]
fn a_probe_that_a_killed_run_left_goes_at_the_end_of_any_run() {
    for is_left in [true, false] {
        let engine = Engine::new();
        engine.write("layer", "none");
        engine.write("image", &format!("{}\n", temporary(is_left)));
        let store = engine.store();
        let listed = store.list().unwrap();
        assert!(listed.images.is_empty() && listed.unreadable.is_empty());
        drop(store);
        assert_eq!(engine.names().is_none(), is_left);
    }
}

#[test]
fn what_a_killed_run_left_goes_at_the_end_of_a_run_that_names_images() {
    for (is_left, names, stays) in [(true, &app()[..], false), (false, &app(), true), (true, &[], true)] {
        let engine = Engine::new();
        engine.write("image", &format!("{}\n", temporary(is_left)));
        let store = engine.store();
        store.list().unwrap();
        // Another image: this one is still what a later step of the run may ask for.
        let other = store.tag(&ImageId::of(b"another"), names);
        other.unwrap();
        let ours = |engine: &Engine| {
            let names = engine.names().unwrap_or_default();
            names.iter().filter(|name| name.starts_with("localhost/")).count()
        };
        assert_eq!(ours(&engine), 1);
        drop(store);
        assert_eq!(ours(&engine), usize::from(stays), "{is_left} {names:?}");
    }
}

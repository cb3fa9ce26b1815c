//! Loads into engines that are scripts: what they print decides, whatever their exit status is.

use std::fs;

use serde_json::json;

use super::*;
use crate::client::ClientStore;
use crate::client::identify::identify;
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
    let words = ["sh", "-c", script, "docker"].map(str::to_owned);
    ClientStore {
        program: Program::find(&words).unwrap(),
        engine: identify(info.to_string().as_bytes(), "").unwrap(),
        storage: None,
        content: None,
        platform: crate::host::platform(),
    }
}

fn classic(script: &str) -> ClientStore {
    store(script, &json!({"Driver": "overlay2", "ServerVersion": "26.1.5"}))
}

fn imported(store: &ClientStore) -> Result<ImageId, StoreError> {
    let mut import = store.import(Identity::Content(Digest::of(&config())))?;
    import.layer(&DiffId::of(LAYER).into(), LAYER.len() as u64, &mut |out| out.write_all(LAYER))?;
    import.commit(&config())
}

#[test]
fn an_image_counts_when_the_engine_shows_it() {
    let (image, other) = (shown(LAYER), shown(b"another layer"));
    let gone = "echo 'Error: No such image: x' >&2; exit 1";
    for (load, inspect, reason) in [
        ("exit 0".to_owned(), format!("echo '{image}'"), None),
        ("exit 0".into(), gone.into(), Some("does not show")),
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
    let mut import = store.import(Identity::Content(Digest::of(b"config"))).unwrap();
    let error = import
        .layer(&DiffId::of(&large).into(), large.len() as u64, &mut |out| out.write_all(&large))
        .unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
    let error = import.commit(b"config").unwrap_err().to_string();
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

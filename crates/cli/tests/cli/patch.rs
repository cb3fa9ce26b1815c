//! Patch files that cannot be applied, and images that cannot be found to make one.

use std::fs;

use crate::environment::{Environment, Ran};

/// The run of `apply` on a file with these bytes.
fn applied(bytes: &[u8]) -> Ran {
    let environment = Environment::new();
    fs::create_dir(environment.path().join("layout")).unwrap();
    fs::write(environment.path().join("x.patch"), bytes).unwrap();
    environment.run(&["apply", "--docker", "oci:layout", "x.patch"])
}

#[test]
fn a_file_that_is_no_patch() {
    insta::assert_snapshot!(applied(b"PATCH"), @"
    --- stderr
    error: x.patch is no patch of docker-sync
    --- exit 1
    ");
}

#[test]
fn a_patch_of_another_format() {
    let head = [&b"\0docker-syncp\xd5\x0d\x0a"[..], &[99, 0], &[0; 100]].concat();
    let said = applied(&head).to_string();
    let (format, rest) = said.split_once("reads format ").unwrap();
    let (_, rest) = rest.split_once(':').unwrap();
    insta::assert_snapshot!(format!("{format}reads format N:{rest}"), @"
    --- stderr
    error: x.patch has format 99, and this docker-sync reads format N: use the version that made it
    --- exit 1
    ");
}

#[test]
fn a_patch_that_is_damaged() {
    let other = applied(&[&b"\0docker-syncp\xd5\x0d\x0a"[..], &[99, 0], &[0; 100]].concat()).err;
    let (_, format) = other.split_once("reads format ").unwrap();
    let format: u8 = format.split_once(':').unwrap().0.parse().unwrap();
    insta::assert_snapshot!(applied(&[&b"\0docker-syncp\xd5\x0d\x0a"[..], &[format, 0], &[0; 100]].concat()), @"
    --- stderr
    error: x.patch is damaged or cut short: get it once more
    --- exit 7
    ");
}

#[test]
fn a_patch_of_images_that_are_not_there() {
    let environment = Environment::new();
    let layout = environment.path().join("layout");
    fs::create_dir(&layout).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(layout.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
    let ran = environment.run(&["diff", "--docker", "oci:layout", "web:1", "web:2", "-o", "x.patch"]);
    insta::assert_snapshot!(ran, @"
    --- stderr
    error: this host has no image web:1
    --- exit 5
    ");
    assert!(!environment.path().join("x.patch").exists());
}

/// An image layout with an image of this name, whose one layer has these files; it has no layer where there are none.
fn layout(environment: &Environment, folder: &str, name: &str, files: &[(&str, &str)]) {
    let mut layer = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        layer.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let layer = layer.into_inner().unwrap();
    let blob = |bytes: &[u8]| {
        let digest = dsync_core::Digest::of(bytes);
        let blobs = environment.path().join(folder).join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        (digest.to_string(), bytes.len())
    };
    let (diff_id, layer_size) = blob(&layer);
    let where_there_are_files = |text: String| if files.is_empty() { String::new() } else { text };
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        where_there_are_files(format!("\"{diff_id}\""))
    );
    let (config, config_size) = blob(config.as_bytes());
    let descriptor = |kind: &str, digest: &str, size: usize| {
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[{}]}}"#,
        descriptor("config.v1+json", &config, config_size),
        where_there_are_files(descriptor("layer.v1.tar", &diff_id, layer_size))
    );
    let (manifest, size) = blob(manifest.as_bytes());
    let entry = descriptor("manifest.v1+json", &manifest, size);
    let named = entry.trim_end_matches('}').to_owned()
        + &format!(r#","annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#);
    let folder = environment.path().join(folder);
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(folder.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{named}]}}"#)).unwrap();
}

/// Two layouts, with an old and a new image.
fn two_images() -> Environment {
    let environment = Environment::new();
    layout(&environment, "a", "web:1", &[("one", "1"), ("two", "2")]);
    layout(&environment, "b", "web:2", &[("one", "1"), ("two", "two")]);
    environment
}

const DIFF: [&str; 4] = ["diff", "oci:a:web:1", "oci:b:web:2", "-o"];

#[test]
fn a_patch_replaces_a_file_only_by_force() {
    let environment = two_images();
    fs::write(environment.path().join("x.patch"), "precious").unwrap();
    let ran = environment.run(&[&DIFF[..], &["x.patch"]].concat());
    insta::assert_snapshot!(ran, @"
    --- stderr
    error: x.patch is there already: --force replaces it
    --- exit 1
    ");
    assert_eq!(fs::read(environment.path().join("x.patch")).unwrap(), b"precious");
    assert_eq!(environment.run(&[&DIFF[..], &["x.patch", "--force"]].concat()).exit, Some(0));
    assert!(environment.run(&["patch", "info", "x.patch"]).out.contains("oci:a:web:1"));
}

#[test]
fn a_patch_says_what_it_is_made_of() {
    let environment = two_images();
    assert_eq!(environment.run(&[&DIFF[..], &["x.patch"]].concat()).exit, Some(0));
    let ran = environment.run(&["patch", "info", "x.patch"]).to_string();
    let size = fs::metadata(environment.path().join("x.patch")).unwrap().len();
    let ran = ran.replacen(&format!("{size} B"), "SIZE", 1);
    let (before, rest) = ran.split_once(" (").unwrap();
    let (_, after) = rest.split_once(')').unwrap();
    insta::assert_snapshot!(format!("{before} (SHARE){after}"), @r"
    old       oci:a:web:1
              1 layer that a host needs
    new       web:2
              sha256:6413f3945864164f63706ae6f346819d5735d76f0eae4065f0ee6b8a6718ae55
              linux/amd64, 3.1 kB, 1 layer
    patch     SIZE (SHARE), 1 layer in it
    identity  kept, with every manifest and every compressed layer
    --- stderr
    --- exit 0
    ");
    let document = environment.run(&["patch", "info", "--json", "x.patch"]).out;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["names"], serde_json::json!(["web:2"]));
    assert_eq!((&document["old"], &document["exact"]), (&"oci:a:web:1".into(), &true.into()));
    let ran = environment.run(&["apply", "--docker", "oci:b", "x.patch", "--dry-run"]);
    assert_eq!((ran.out.split(',').next(), ran.exit), (Some("web:2  was there"), Some(0)), "{ran}");
}

#[test]
fn patches_go_through_pipes() {
    let environment = two_images();
    let mut command = environment.command(crate::environment::PROGRAM);
    let made = command.args(DIFF).arg("-").output().unwrap();
    assert!(made.stdout.starts_with(b"\0docker-syncp"));
    let summary = String::from_utf8(made.stderr).unwrap();
    assert!(summary.starts_with("oci:b:web:2  "), "{summary}");
    let apply = |arguments: &[&str], patch: &[u8]| {
        fs::write(environment.path().join("in"), patch).unwrap();
        let mut command = environment.command(crate::environment::PROGRAM);
        command.args(["apply", "-", "--docker"]).args(arguments);
        command.stdin(fs::File::open(environment.path().join("in")).unwrap());
        Ran::from(command.output().unwrap())
    };
    let listed = || environment.run(&["oci:a", "--docker", "oci:none"]).out;
    let before = listed();
    let tried = apply(&["oci:a", "--dry-run"], &made.stdout);
    assert_eq!(
        (tried.out.split(',').next(), tried.exit),
        (Some("web:2  would be added"), Some(0)),
        "{tried}"
    );
    assert_eq!(listed(), before, "a dry run makes nothing");
    assert_eq!(apply(&["oci:a"], &made.stdout[..made.stdout.len() - 1]).exit, Some(7));
    assert_eq!(listed(), before);
    let applied = apply(&["oci:a"], &made.stdout);
    assert_eq!((applied.out.split(',').next(), applied.exit), (Some("web:2  added"), Some(0)), "{applied}");
    assert!(listed().contains("\tweb:2\t"));
}

#[test]
fn a_patch_of_any_size_can_be_tried() {
    let environment = two_images();
    // Bytes that do not compress, beside those that the images share.
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'0' + (state >> 26) as u8)
    };
    let noise: String = (0..400_000).map(|_| letter()).collect();
    layout(&environment, "b", "web:2", &[("one", "1"), ("two", &noise)]);
    layout(&environment, "none", "other:1", &[]);
    for (old, target) in [("oci:a:web:1", "oci:a"), ("oci:none:other:1", "oci:none")] {
        let made = environment.run(&["diff", old, "oci:b:web:2", "-o", "x.patch", "--force"]);
        assert_eq!(made.exit, Some(0), "{made}");
        let ran = environment.run(&["apply", "--docker", target, "x.patch", "--dry-run"]);
        assert_eq!((ran.out.split(',').next(), ran.exit), (Some("web:2  would be added"), Some(0)), "{ran}");
        let ran = environment.run(&["apply", "--docker", target, "x.patch"]);
        assert_eq!((ran.out.split(',').next(), ran.exit), (Some("web:2  added"), Some(0)), "{ran}");
    }
}

#[test]
fn a_host_without_the_old_image_is_told_which_it_was() {
    let environment = two_images();
    assert_eq!(environment.run(&[&DIFF[..], &["x.patch"]].concat()).exit, Some(0));
    layout(&environment, "c", "other:1", &[("x", "y")]);
    for dry_run in [&[][..], &["--dry-run"]] {
        let ran = environment.run(&[&["apply", "--docker", "oci:c", "x.patch"], dry_run].concat());
        assert!(ran.err.contains("it was made against oci:a:web:1"), "{ran}");
        assert_eq!(ran.exit, Some(5));
    }
}

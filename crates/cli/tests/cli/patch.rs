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
    error: on this host: this is no patch of docker-sync
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
    error: on this host: the patch has format 99, this docker-sync reads format N: use the version that made it
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
    error: on this host: the patch is damaged or cut short: get it once more
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
    error: on this host: this host has no image web:1
    --- exit 5
    ");
    assert!(!environment.path().join("x.patch").exists());
}

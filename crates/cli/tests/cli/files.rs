//! Archives and layouts as people bring them: what is taken, and what is said of what is not.

use std::fs;
use std::time::{Duration, Instant};

use crate::environment::{Environment, Ran};
use crate::saved::{CREATED, Files, Image, gzip};

/// Runs it with the layout `out` as the store of this host.
fn run(environment: &Environment, arguments: &[&str]) -> Ran {
    environment.run(&[&["--docker", "oci:out"], arguments].concat())
}

/// The lines of a report on a pipe, without sizes and times.
fn report(ran: &Ran) -> Vec<String> {
    assert_eq!((ran.err.as_str(), ran.exit), ("", Some(0)), "{ran}");
    let lines = ran.out.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    lines.map(|fields| [fields[0], fields[1], fields[5]].join(" ")).collect()
}

#[test]
fn archives_are_taken_however_they_are_packed() {
    let image = Image::new("one", CREATED);
    let tar = Files::saved(&[(&image, &["web:1"])]).tar();
    let archives =
        [("x.tar", tar.clone()), ("x", gzip(&tar)), ("x.tar.gz", zstd::encode_all(&tar[..], 1).unwrap())];
    for (name, bytes) in archives {
        let environment = Environment::new();
        fs::write(environment.path().join(name), bytes).unwrap();
        let archive = format!("docker-archive:{name}");
        assert_eq!(report(&run(&environment, &[&archive])), [format!("new web:1 {}", image.config_id())]);
        let ran = run(&environment, &["--verify", &archive, "web:1"]);
        assert!(ran.exit == Some(0) && ran.err.contains("web:1  added"), "{name}: {ran}");
        assert!(run(&environment, &[&archive]).out.starts_with("current\t"), "{name}");
        // Nothing that it was unpacked to stays: TMPDIR is this folder.
        let left: Vec<_> =
            fs::read_dir(environment.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "{left:?}: the archive, bin, out and .cache");
    }
}

#[test]
fn an_archive_that_is_a_layout_keeps_its_ids() {
    let image = Image::new("one", CREATED);
    let layout = Files::layout(&[(&image, Some("docker.io/shop/web:1"))]);
    // Docker from 25 on writes the older manifest beside it.
    let mut both = layout.clone();
    both.0.extend(Files::saved(&[(&image, &["shop/web:1"])]).0);
    for files in [layout, both] {
        let environment = Environment::new();
        fs::write(environment.path().join("x.tar"), files.tar()).unwrap();
        let expected = [format!("new shop/web:1 {}", files.ids()[0])];
        for kind in ["docker-archive:x.tar", "oci-archive:x.tar"] {
            assert_eq!(report(&run(&environment, &[kind])), expected);
        }
        let ran = run(&environment, &["oci-archive:x.tar", "shop/web:1"]);
        assert_eq!(ran.exit, Some(0), "{ran}");
        let index = fs::read_to_string(environment.path().join("out/index.json")).unwrap();
        assert!(index.contains(&files.ids()[0]), "{index}");
        // The ID that other engines show for it is one of its IDs, too.
        let ran = run(&environment, &["--report", "oci-archive:x.tar", &image.config_id().hex()[..12]]);
        assert_eq!(report(&ran), [format!("current - {}", files.ids()[0])]);
    }
    let environment = Environment::new();
    fs::write(environment.path().join("x.tar"), Files::saved(&[(&image, &["web:1"])]).tar()).unwrap();
    assert_eq!(run(&environment, &["oci-archive:x.tar", "web:1"]).exit, Some(0), "the other way around");
}

#[test]
fn images_without_a_name_are_selected_by_their_ids() {
    let (one, two) = (Image::new("one", CREATED), Image::new("two", CREATED));
    let saved = Files::saved(&[(&one, &[]), (&two, &["two:1"])]);
    let layout = Files::layout(&[(&one, None)]);
    let environment = Environment::new();
    fs::write(environment.path().join("x.tar"), saved.tar()).unwrap();
    layout.write(&environment.path().join("lay"));
    let (id, named) = (one.config_id().to_string(), format!("new two:1 {}", two.config_id()));
    assert_eq!(report(&run(&environment, &["docker-archive:x.tar"])), [format!("new - {id}"), named]);
    assert_eq!(report(&run(&environment, &["oci:lay"])), [format!("new - {}", layout.ids()[0])]);
    for selector in [&id, &id["sha256:".len()..], &id["sha256:".len()..][..12]] {
        let ran = run(&environment, &["docker-archive:x.tar", selector]);
        assert_eq!(ran.exit, Some(0), "{ran}");
    }
    assert_eq!(report(&run(&environment, &["docker-archive:x.tar"]))[0], format!("current - {id}"));
    // It can get a name on the way.
    let ran = run(&environment, &["docker-archive:x.tar", &format!("named/one:7@{id}")]);
    assert!(ran.err.contains("named/one:7  tagged"), "{ran}");

    // In a layout with names, images without one are what its own updates left.
    let mixed = Files::layout(&[(&one, None), (&two, Some("two:1"))]);
    mixed.write(&environment.path().join("mixed"));
    let lines = report(&run(&environment, &["oci:mixed"]));
    assert_eq!(lines, [format!("new two:1 {}", mixed.ids()[1])]);
}

#[test]
fn a_digest_is_what_is_meant_and_checked() {
    let (one, two) = (Image::new("one", CREATED), Image::new("two", CREATED));
    let environment = Environment::new();
    let saved = Files::saved(&[(&one, &["web:1"]), (&two, &["web:2"])]);
    fs::write(environment.path().join("x.tar"), saved.tar()).unwrap();
    let [one, two] = [&one, &two].map(Image::config_id);
    let run = |selectors: &[String]| {
        let selectors: Vec<&str> = selectors.iter().map(String::as_str).collect();
        run(&environment, &[&["docker-archive:x.tar"], &selectors[..]].concat())
    };
    let ran = run(&[format!("web:1@{one}"), format!("shop/web:3@{two}")]);
    assert!(ran.err.contains("web:1  added") && ran.err.contains("shop/web:3  added"), "{ran}");
    let unnamed = run(&[format!("any/name@{one}"), "--report".into()]);
    assert!(unnamed.out.starts_with("current\t-\t"), "{unnamed}");

    let expected = format!(
        "--- stderr\nerror: the source's web:2 is {two}, not {one}\n\
         hint: the source has that image under another name or none: {one}\n--- exit 5"
    );
    assert_eq!(run(&[format!("web:2@{one}")]).to_string(), expected);
    let none = "0".repeat(64);
    let ran = run(&[format!("web:2@sha256:{none}")]);
    assert!(ran.exit == Some(5) && ran.err.contains(&format!("the source's web:2 is {two}, not")), "{ran}");
    let ran = run(&[format!("zebra:9@sha256:{none}")]);
    assert!(ran.exit == Some(5) && ran.err.contains("the source keeps no manifests"), "{ran}");
    let ran = run(&[format!("x:1@{one}"), format!("x:1@{two}")]);
    assert!(ran.exit == Some(2) && ran.err.contains("x:1 is to be two images"), "{ran}");
    let ran = run(&["web:2@sha256:12".into()]);
    assert!(ran.exit == Some(2) && ran.err.contains("has no valid digest"), "{ran}");
}

#[test]
fn what_is_not_read_is_named_with_what_unpacks_it() {
    let environment = Environment::new();
    for (name, start) in [("x.tar.xz", &b"\xfd7zXZ\0"[..]), ("x.tar.bz2", b"BZh91AY"), ("x.tar", b"hello")] {
        fs::write(environment.path().join(name), [start, &[7; 2000]].concat()).unwrap();
    }
    insta::assert_snapshot!(run(&environment, &["docker-archive:x.tar.xz"]), @"
    --- stderr
    error: docker-archive:x.tar.xz is compressed with xz, which is not read here; unpack it first: xz -d x.tar.xz
    --- exit 1
    ");
    let ran = run(&environment, &["oci-archive:x.tar.bz2"]);
    assert!(ran.exit == Some(1) && ran.err.contains("bzip2 -d x.tar.bz2"), "{ran}");
    let ran = run(&environment, &["docker-archive:x.tar"]);
    assert!(ran.exit == Some(1) && ran.err.contains("is no tar archive"), "{ran}");
    let image = Image::new("one", CREATED);
    let tar = Files::saved(&[(&image, &["web:1"])]).tar();
    fs::write(environment.path().join("cut.tar"), &tar[..1000]).unwrap();
    insta::assert_snapshot!(run(&environment, &["docker-archive:cut.tar"]), @"
    --- stderr
    error: docker-archive:cut.tar is broken: it is truncated: the end is missing
    hint: it may be incomplete: save or copy it once more
    --- exit 1
    ");
}

#[test]
fn a_source_that_is_not_there_is_an_error() {
    let environment = Environment::new();
    insta::assert_snapshot!(run(&environment, &["oci:/nope"]), @"
    --- stderr
    error: there is no directory /nope, so no OCI image layout to take images from
    --- exit 4
    ");
    for none in ["docker-archive:/nope", "oci-archive:/nope", "oci:bin/docker"] {
        let ran = run(&environment, &[none]);
        assert!(ran.out.is_empty() && ran.exit == Some(4), "{ran}");
    }
    // With --push this host is the source.
    let ran = environment.run(&["--docker", "oci:nope", "--push", "oci:new"]);
    assert!(ran.exit == Some(4) && !environment.path().join("new").exists(), "{ran}");
    let ran = environment.run(&["diff", "oci:nope", "oci:nope", "-o", "x"]);
    assert_eq!(ran.exit, Some(4), "{ran}");
    // An empty directory is no layout; one with nothing in it is.
    fs::create_dir(environment.path().join("empty")).unwrap();
    assert_eq!(run(&environment, &["oci:empty"]).exit, Some(4));
    Files::layout(&[]).write(&environment.path().join("layout"));
    assert_eq!(run(&environment, &["oci:layout"]).to_string(), "--- stderr\n--- exit 0");
    assert!(!environment.path().join("out").exists(), "a report makes nothing");
}

#[test]
fn a_new_layout_of_umoci_is_an_empty_one() {
    let environment = Environment::new();
    let image = Image::new("one", CREATED);
    fs::write(environment.path().join("x.tar"), Files::saved(&[(&image, &["web:1"])]).tar()).unwrap();
    let mut new = Files::layout(&[]);
    new.0.insert("index.json".into(), br#"{"schemaVersion":2,"manifests":null}"#.to_vec());
    new.write(&environment.path().join("out"));
    assert_eq!(run(&environment, &["oci:out"]).to_string(), "--- stderr\n--- exit 0");
    assert_eq!(run(&environment, &["docker-archive:x.tar", "web:1"]).exit, Some(0));
    assert!(run(&environment, &["docker-archive:x.tar"]).out.starts_with("current\t"));
}

#[test]
fn a_layer_that_may_not_be_distributed_is_named() {
    let environment = Environment::new();
    let mut layout = Files::layout(&[(&Image::new("one", CREATED), Some("windows:1"))]);
    // Its manifest names where it is to be had; the blob is not there.
    let (path, manifest) = layout.0.iter().find(|(_, bytes)| bytes.starts_with(b"{\"config\"")).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    manifest["layers"][0]["mediaType"] =
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip".into();
    manifest["layers"][0]["urls"] = serde_json::json!(["https://example.com/base"]);
    let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let old = path.clone();
    layout.0.remove(&old);
    layout.0.remove(&format!("blobs/sha256/{}", &layer["sha256:".len()..]));
    let bytes = manifest.to_string().into_bytes();
    let digest = dsync_core::Digest::of(&bytes);
    let index = String::from_utf8(layout.0["index.json"].clone()).unwrap();
    let old_size =
        serde_json::from_str::<serde_json::Value>(&index).unwrap()["manifests"][0]["size"].to_string();
    let index = index.replace(&old["blobs/sha256/".len()..], &digest.hex());
    let index = index.replace(&format!("\"size\":{old_size}"), &format!("\"size\":{}", bytes.len()));
    layout.0.insert("index.json".into(), index.into_bytes());
    layout.0.insert(format!("blobs/sha256/{}", digest.hex()), bytes);
    layout.write(&environment.path().join("lay"));
    let ran = run(&environment, &["oci:lay", "windows:1"]);
    assert_eq!(ran.exit, Some(1), "{ran}");
    assert!(ran.err.contains(&format!("its layer {layer} is foreign")), "{ran}");
    assert!(ran.err.contains("https://example.com/base"), "{ran}");
}

#[test]
fn a_connection_is_no_faster_than_its_limit() {
    let environment = Environment::new();
    let image = Image::new("one", "2024-02-29T12:00:00Z");
    Files::layout(&[(&image, Some("web:1"))]).write(&environment.path().join("lay"));
    let mut most = [0, 0];
    for arguments in [&["--docker", "oci:out", "oci:lay"][..], &["--docker", "oci:lay", "push", "oci:other"]]
    {
        let begun = Instant::now();
        let ran = environment.run(&[arguments, &["web:1", "--limit", "1kB/s", "--json"]].concat());
        let took = begun.elapsed();
        assert_eq!(ran.exit, Some(0), "{ran}");
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let crossed = ["sent", "received"].map(|key| json["totals"][key].as_u64().unwrap());
        let [sent, received] = crossed;
        assert!(took >= Duration::from_millis(sent.max(received)), "{took:?} {crossed:?}");
        most = if sent > received { [sent, most[1]] } else { [most[0], received] };
    }
    assert!(most.iter().all(|bytes| *bytes > 500), "each direction had the most once: {most:?}");
    for (limit, says) in [("10B/s", "at least 1kB/s"), ("fast", "expected a rate such as 500kB/s")] {
        let ran = run(&environment, &["oci:lay", "web:1", "--limit", limit]);
        assert!(ran.exit == Some(2) && ran.err.contains(says), "{ran}");
    }
}

#[test]
fn an_image_gets_another_name_on_the_target() {
    let environment = Environment::new();
    let image = Image::new("one", "2024-02-29T12:00:00Z");
    let other = Image::new("two", "2024-02-29T12:00:00Z");
    Files::layout(&[(&image, Some("web:1")), (&other, Some("web:2"))]).write(&environment.path().join("lay"));
    let ran = run(&environment, &["oci:lay", "web:1=shop/web:prod"]);
    assert!(ran.exit == Some(0) && ran.err.starts_with("shop/web:prod  added"), "{ran}");
    let ran = run(&environment, &["oci:lay", "web:1=shop/web:prod"]);
    assert!(ran.err.starts_with("shop/web:prod  current"), "{ran}");
    let ran = run(&environment, &["oci:lay", "web:2=shop/web:prod"]);
    assert!(ran.err.starts_with("shop/web:prod  updated"), "{ran}");
    let ran = run(&environment, &["oci:lay", "web:1"]);
    assert!(ran.err.starts_with("web:1  "), "its own name is another: {ran}");
    let ran = run(&environment, &["oci:lay", "web:*=shop/web:both"]);
    assert_eq!(ran.exit, Some(2), "{ran}");
    assert!(ran.err.contains("shop/web:both is to be two images"), "{ran}");
    let ran = run(&environment, &["oci:lay", "web:9=shop/web:prod"]);
    assert!(ran.exit == Some(5) && ran.err.contains("web:9") && !ran.err.contains("web:9="), "{ran}");
    let ran = run(&environment, &["oci:lay", "web:1="]);
    assert_eq!(ran.exit, Some(2), "{ran}");
}

#[test]
fn an_older_image_over_a_newer_one_is_said() {
    let environment = Environment::new();
    // The later text is the earlier time.
    let old = Image::new("one", "2024-02-29T13:00:00+02:00");
    let new = Image::new("two", "2024-02-29T12:00:00Z");
    Files::layout(&[(&old, Some("web:1"))]).write(&environment.path().join("old"));
    Files::layout(&[(&new, Some("web:1"))]).write(&environment.path().join("out"));
    let ran = run(&environment, &["oci:old"]);
    let fields: Vec<&str> = ran.out.trim_end().split('\t').collect();
    assert_eq!(
        [fields[0], fields[3], fields[6]],
        ["need update", "2024-02-29T13:00:00+02:00", "2024-02-29T12:00:00Z"]
    );
    let json: serde_json::Value =
        serde_json::from_str(&run(&environment, &["oci:old", "--json"]).out).unwrap();
    assert_eq!(json["images"][0]["target_created"], "2024-02-29T12:00:00Z");
    let ran = run(&environment, &["oci:old", "--update"]);
    assert_eq!(ran.exit, Some(0), "{ran}");
    insta::assert_snapshot!(ran.err.lines().next().unwrap(), @"warning: web:1 is older than the target's, which it replaces: by 1 h 00 min");
    // And back, without a word.
    Files::layout(&[(&new, Some("web:1"))]).write(&environment.path().join("new"));
    let ran = run(&environment, &["oci:new", "web:1"]);
    assert!(ran.exit == Some(0) && !ran.err.contains("warning"), "{ran}");
}

#[test]
fn an_engine_that_cannot_be_told_is_an_error_of_engines() {
    let environment = Environment::new();
    Files::layout(&[]).write(&environment.path().join("lay"));
    let context = r#"Failed to initialize: unable to resolve docker endpoint: context "nope": context not found: open /x/meta.json: no such file or directory"#;
    environment.script("docker", &format!("echo '{context}' >&2; exit 1"));
    insta::assert_snapshot!(environment.run(&["--docker", "docker --context nope", "oci:lay"]), @"
    --- stderr
    error: on this host: there is no docker context 'nope' (`docker context ls` says which there are)
    --- exit 4
    ");
    assert_eq!(environment.run(&["oci:lay"]).exit, Some(4), "as DOCKER_CONTEXT names it");
}

#[test]
fn a_template_is_about_the_report_and_has_no_place_for_what_cannot_be_read() {
    let environment = Environment::new();
    let image = Image::new("one", "2024-02-29T12:00:00Z");
    Files::layout(&[(&image, Some("web:1"))]).write(&environment.path().join("lay"));
    let format = ["--format", "{{.Status}} {{.Name}}"];
    let ran = environment.run(&[&["--docker", "oci:out", "oci:lay"][..], &format].concat());
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.exit), ("new web:1\n", "", Some(0)), "{ran}");
    let ran = environment.run(&[&["--docker", "oci:out", "oci:lay", "web:1"][..], &format].concat());
    assert!(ran.exit == Some(2) && ran.err.contains("hint: add --report"), "{ran}");
    let ran = environment.run(&["oci:lay", "--format", "{{.Nmae}}"]);
    assert!(ran.exit == Some(2) && ran.err.contains("there are Status, Name"), "{ran}");
    let blobs = environment.path().join("lay/blobs/sha256");
    fs::remove_dir_all(&blobs).and_then(|()| fs::create_dir(&blobs)).unwrap();
    let ran = environment.run(&[&["--docker", "oci:out", "oci:lay"][..], &format].concat());
    assert!(ran.out.is_empty() && ran.err.contains("web:1 cannot be read and is left out"), "{ran}");
}

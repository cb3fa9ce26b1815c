//! Layers of every kind come out as the very same bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use dsync_e2e::{Bench, Form, layer, noise};
use dsync_lab::images::{Attributes, Image, Layer};

/// Pulls an image from engine to engine, and checks all that can be; how many bytes crossed.
fn pulled(bench: &Bench, image: &Image, at_most: u64) {
    bench.there().put(image);
    bench.pull(&[&bench.name("web:1")]).ok().wire_at_most(at_most);
    bench.here().assert_is("web:1", image);
    bench.assert_same("web:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_that_comes_twice_is_sent_once() {
    let bench = Bench::start();
    let twice = layer("content-twice", 50_000);
    let between = layer("content-between", 1_000);
    let image = bench.image("web:1").layer(&twice).layer(&between).layer(&twice).layer(&twice);
    pulled(&bench, &image, 64_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn empty_layers_are_layers() {
    // Other tests have this layer, too, and it would go with theirs.
    let bench = Bench::alone();
    let image = bench.image("web:1").layer(&Layer::empty()).layer(&layer("content-empty", 1_000));
    pulled(&bench, &image.layer(&Layer::empty()).layer(&Layer::empty()), 13_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_can_have_many_layers() {
    let bench = Bench::start();
    let layers = (0..40).map(|n| layer(&format!("content-many-{n}"), 500));
    let image = layers.fold(bench.image("web:1"), |image, layer| image.layer(&layer));
    pulled(&bench, &image, 42_000);
}

/// `setcap cap_net_bind_service+ep`, as the kernel stores it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn whatever_a_tar_can_say_of_a_file_arrives() {
    let bench = Bench::start();
    let long = format!("{}/name", ["long"; 100].join("/"));
    let (owned, plain) =
        (Attributes { mode: Some(0o6711), uid: 3_000_000, gid: 7, mtime: 1 }, Attributes::default());
    let below = Layer::builder()
        .dir("etc")
        .file("etc/keep", "keep")
        .file("etc/remove", "x")
        .dir("var")
        .file("var/old", "x");
    // Directories that no layer has would get the time at which the engine makes them.
    let long_dirs = (1..=100).fold(Layer::builder(), |layer, n| layer.dir(["long"; 100][..n].join("/")));
    let odd = long_dirs
        .file(&long, "a long name")
        .file(Path::new(OsStr::from_bytes(b"caf\xe9 \xff")), "a name that is not UTF-8")
        .file_named_in_pax("a name of pax", "pax")
        .file_with_xattrs("capable", "program", &[("security.capability", CAPABILITY)])
        .hard_link("again", &long)
        .symlink("link", "etc/keep")
        .fifo("fifo")
        .device("null", 1, 3)
        .attributes(owned)
        .file("setuid", "s")
        .attributes(plain)
        .file_sized_in_pax("size-in-pax", "12345")
        .file_sized_in_binary("size-in-binary", "123456")
        .file("empty", "");
    let changes = Layer::builder().whiteout("etc/remove").dir("var").opaque("var").file("var/new", "new");
    let image = bench.image("web:1").layer(&below.build()).layer(&odd.build()).layer(&changes.build());
    pulled(&bench, &image, 13_500);
    let tree = bench.here().tree("web:1");
    for (path, is_there) in
        [("etc/keep", true), ("etc/remove", false), ("var/old", false), (long.as_str(), true)]
    {
        assert_eq!(tree.get(path).is_some(), is_there, "{path}");
    }
    assert!(tree.get(b"caf\xe9 \xff").is_some());
    assert_eq!(tree.get("capable").unwrap().xattrs["security.capability"], CAPABILITY);
}

/// Layers that no engine gives away again, though some take them: a store that keeps bytes gives them.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn what_an_engine_only_takes_comes_from_a_directory() {
    let bench = Bench::start();
    let sparse =
        Layer::builder().sparse_file("sparse", 64 << 20, 32 << 20, b"in the middle of a hole").build();
    let link = Layer::builder().symlink_with_size("link", "to", 9 << 30).build();
    let image = bench.image("web:1").layer(&sparse).layer(&link);
    let source = bench.layout("source");
    source.put(&bench.name("web:1"), &image, Form::Plain);
    bench.push(&["--docker", &source.spec(), &bench.name("web:1")]).ok().wire_at_most(12_000);
    bench.there().assert_is("web:1", &image);

    // The same archive, loaded without docker-sync on the way, is the other side of the comparison.
    bench.here().put(&image);
    bench.assert_same("web:1");
    // The engine reports the layer that it cannot give, and nothing moves.
    bench.here().docker(&["image", "rm", &bench.name("web:1")]);
    bench.pull(&[&bench.name("web:1")]).exits(1).says("could not verify layer data");
    assert_eq!(bench.here().id("web:1"), None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_need_not_be_a_tar() {
    let bench = Bench::start();
    let source = bench.layout("source");
    let mut cut = Layer::builder().file("cut", noise("content-cut", 20_000)).build().tar().to_vec();
    cut.truncate(15_000);
    let mut large = tar::Header::new_gnu();
    large.set_path("large").unwrap();
    large.set_entry_type(tar::EntryType::Regular);
    large.set_size(9 << 30);
    let layers = [
        Layer::from_tar(noise("content-noise", 30_000)),
        Layer::from_tar(cut),
        Layer::from_tar(Vec::new()),
        Layer::builder().raw(&mut large, b"much less than 9 GiB").build(),
        Layer::builder().file("same", "1").file("same", "2").build(),
    ];
    let image = layers.iter().fold(bench.image("web:1"), |image, layer| image.layer(layer));
    source.put("web:1", &image, Form::Plain);
    // Over ssh from directory to directory: nothing of it is left out, or made up.
    let target = bench.layout("target");
    let specs = [source.spec(), target.spec()];
    bench.push(&["--docker", &specs[0], "--remote-docker", &specs[1], "web:1"]).ok().wire_at_most(58_000);
    target.assert_is("web:1", &image);
    // An engine refuses it, in its own words, and has nothing of it afterwards.
    bench.push(&["--docker", &specs[0], "web:1"]).exits(1).says("`docker load --quiet` failed");
    assert_eq!(bench.there().engine().image_id("web:1"), None);
    assert_eq!(bench.there().id(&image.id().to_string()), None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn one_tag_can_be_of_two_platforms() {
    let bench = Bench::start();
    let image = |platform| {
        bench.image("web:1").platform(platform).layer(&layer(&format!("content {platform}"), 20_000))
    };
    let (amd, arm) = (image("linux/amd64"), image("linux/arm64/v8"));
    bench.here().put(&amd);
    bench.there().put(&arm);
    let web = bench.name("web:1");
    bench.pull(&["--report", &web]).ok().says("need update\t");
    // Who asks for a platform gets that, or nothing.
    bench.pull(&["--platform", "linux/amd64", &web]).exits(5);
    bench.here().assert_is("web:1", &amd);
    bench.pull(&["--platform", "linux/arm64", &web]).ok().wire_at_least(20_000).wire_at_most(33_000);
    bench.here().assert_is("web:1", &arm);
    let format = "{{.Os}}/{{.Architecture}}/{{.Variant}}";
    assert_eq!(bench.here().docker(&["image", "inspect", "--format", format, &web]), "linux/arm64/v8");
    bench.assert_same("web:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_real_image_runs_where_it_came_to() {
    let bench = Bench::start();
    bench.here().put_real("tiny:1", "tiny:1");
    for (recipe, name) in [("lab/busybox:1", "busybox:1"), ("tiny:2", "tiny:2")] {
        bench.there().put_real(recipe, name);
    }
    let run = |name: &str, command: &[&str]| bench.here().engine().run(&bench.name(name), command).unwrap();
    // The base is here under another name, as part of an image.
    bench.pull(&[&bench.name("busybox:1")]).ok().wire_at_most(12_000);
    bench.assert_same("busybox:1");
    assert_eq!(run("busybox:1", &["sh", "-c", "echo $((6 * 7))"]), "42\n");
    bench.pull(&[&bench.name("tiny:2")]).ok().wire_at_most(60_000);
    bench.assert_same("tiny:2");
    assert_eq!(run("tiny:2", &["/app/run"]), "tiny 2: 20000 numbers\n");
}

//! Images keep their IDs between stores that name them by manifests: every document and every compressed layer arrives to
//! the byte, though only what is new in it crosses.

use std::fs;

use dsync_e2e::{Bench, Form, Layout, noise};
use dsync_lab::images::{Image, Layer};
use dsync_lab::packages;

/// Text, as most of an image is; it compresses.
fn text(seed: &str, len: usize) -> Vec<u8> {
    let mut text: Vec<u8> =
        noise(seed, len / 2).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    text.chunks_mut(64).filter_map(<[u8]>::last_mut).for_each(|byte| *byte = b'\n');
    text
}

/// A layer of twenty files, of which the changed one is another.
fn app(seed: &str, changed: usize) -> Layer {
    let file = |n: usize| {
        let version = if n == changed { "new" } else { "old" };
        (format!("srv/{n}.txt"), text(&format!("{seed} {n} {version}"), 20_000))
    };
    (0..20).map(file).fold(Layer::builder(), |layer, (name, text)| layer.file(name, text)).build()
}

/// Two versions of an image, and directories on both sides that have the first.
fn pair(bench: &Bench, seed: &str, form: Form) -> (Layout, Layout, Image, Image) {
    let base = Layer::builder().file("base", text(seed, 30_000)).build();
    let image = |changed| bench.image("web:1").layer(&base).layer(&app(seed, changed));
    let (old, new) = (image(99), image(7));
    let [here, there] = ["here", "there"].map(|name| bench.layout(&format!("{seed}-{name}")));
    there.put("web:1", &old, form);
    there.put("web:2", &new, form);
    here.put("web:1", &old, form);
    (here, there, old, new)
}

fn pull(bench: &Bench, here: &Layout, there: &Layout, args: &[&str]) -> dsync_e2e::Ran {
    bench.pull(&[&["--docker", &here.spec(), "--remote-docker", &there.spec()], args].concat())
}

#[test]
fn a_changed_layer_is_compressed_again_to_the_byte() {
    let Some(bench) = Bench::start() else { return };
    for level in [1, 6, 9] {
        let (here, there, _, new) = pair(&bench, &format!("identity-{level}"), Form::Gnu(level));
        // One file of 20 kB is other text, of which half is information; the compressed layer has 240 kB.
        pull(&bench, &here, &there, &["web:2"]).ok().wire_at_most(24_000);
        assert_eq!(here.root("web:2"), there.root("web:2"));
        assert_eq!(here.blobs(), there.blobs());
        here.assert_is("web:2", &new);
        pull(&bench, &here, &there, &["web:2"]).ok().says("current");
    }
}

#[test]
fn a_layer_of_a_near_encoder_is_corrected_to_the_byte() {
    let Some(bench) = Bench::start() else { return };
    let (here, there, _, new) = pair(&bench, "identity-near", Form::Rsyncable);
    // As much as with an encoder that is known, and a fiftieth of the blob at most.
    pull(&bench, &here, &there, &["web:2"]).ok().wire_at_most(24_000 + 240_000 / 50);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
    here.assert_is("web:2", &new);
    pull(&bench, &here, &there, &["--verify", "web:2"]).ok().says("current");
}

#[test]
fn a_layer_in_zstd_is_compressed_again_to_the_byte() {
    let Some(bench) = Bench::start() else { return };
    packages::require(&[("skopeo", "skopeo"), ("zstd", "zstd")]).unwrap();
    let (here, there, _, new) = pair(&bench, "identity-zstd", Form::Zstd);
    pull(&bench, &here, &there, &["web:2"]).ok().wire_at_most(24_000);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
    here.assert_is("web:2", &new);
    pull(&bench, &here, &there, &["web:2"]).ok().says("current");
    pull(&bench, &here, &there, &["--verify", "web:2"]).ok();

    // The zstd program's own encoder is not known: it crosses as it is.
    let (here, there, ..) = pair(&bench, "identity-zstd-other", Form::OtherZstd);
    pull(&bench, &here, &there, &["web:2"]).ok().wire_at_least(200_000);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
}

#[test]
fn an_empty_directory_gets_the_same_blobs() {
    let Some(bench) = Bench::start() else { return };
    let (_, there, _, _) = pair(&bench, "identity-cold", Form::Gnu(6));
    let cold = bench.layout("identity-cold-new");
    pull(&bench, &cold, &there, &["--all"]).ok();
    assert_eq!((cold.blobs(), cold.root("web:1")), (there.blobs(), there.root("web:1")));
    // What is uncompressed first is smaller in the end, where it is worth the time.
    let cold = bench.layout("identity-cold-max");
    pull(&bench, &cold, &there, &["--compression", "max", "--all"]).ok();
    assert_eq!((cold.blobs(), cold.root("web:1")), (there.blobs(), there.root("web:1")));
}

#[test]
fn a_layer_of_an_unknown_encoder_crosses_as_it_is() {
    let Some(bench) = Bench::start() else { return };
    let (here, there, _, new) = pair(&bench, "identity-opaque", Form::Gzip);
    pull(&bench, &here, &there, &["web:2"]).ok().wire_at_least(200_000);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));

    // Who cares for the content alone need not wait for that.
    let (here, there, ..) = pair(&bench, "identity-content", Form::Gzip);
    pull(&bench, &here, &there, &["--identity", "content", "web:2"]).ok().wire_at_most(24_000);
    assert_ne!(here.root("web:2"), there.root("web:2"));
    assert_eq!(here.images()["web:2"].diff_ids, there.images()["web:2"].diff_ids);
    drop(new);
    // It is another image until somebody wants the same one.
    pull(&bench, &here, &there, &["web:2"]).ok().says("updated");
    assert_eq!(here.root("web:2"), there.root("web:2"));
}

#[test]
fn a_recipe_that_is_wrong_is_found_out() {
    let Some(bench) = Bench::start() else { return };
    let (here, there, ..) = pair(&bench, "identity-wrong", Form::Gnu(6));
    let other = bench.layout("identity-wrong-other");
    other.put("web:2", &bench.image("web:2").layer(&app("identity-wrong", 3)), Form::Gnu(1));
    let empty = bench.layout("identity-wrong-empty");
    // What the source remembers of one layer is said of another.
    pull(&bench, &empty, &other, &["--compression", "max", "web:2"]).ok();
    let cache = bench.login().home().join(".cache/docker-sync/index");
    let recipe = |layout: &Layout, layers: usize| {
        let blobs = layout.blobs();
        let mut blobs: Vec<_> = blobs
            .iter()
            .map(|name| {
                (fs::metadata(layout.dir().join("blobs/sha256").join(name)).unwrap().len(), name.clone())
            })
            .collect();
        blobs.sort_unstable();
        blobs
            .split_off(blobs.len() - layers)
            .into_iter()
            .map(|(_, name)| cache.join(name + ".recipe"))
            .collect::<Vec<_>>()
    };
    let fast = recipe(&other, 1).remove(0);
    for file in recipe(&there, 2) {
        fs::copy(&fast, file).unwrap();
    }
    pull(&bench, &here, &there, &["web:2"]).ok().says("a layer came out wrong").wire_at_least(200_000);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
}

#[test]
fn all_platforms_that_are_there_go_over() {
    let Some(bench) = Bench::start() else { return };
    let [here, there] = ["here", "there"].map(|name| bench.layout(&format!("identity-platforms-{name}")));
    let shared = Layer::builder().file("shared", text("identity-platforms", 50_000)).build();
    let image = |platform: &str| {
        bench
            .image("web:1")
            .platform(platform)
            .layer(&shared)
            .layer(&app(&format!("identity {platform}"), 99))
    };
    let (amd, arm) = (image("linux/amd64"), image("linux/arm64"));
    there.put_index("web:1", &[&amd, &arm], Form::Gnu(6));
    let ran = pull(&bench, &here, &there, &["-v", "web:1"]).ok();
    let ran = ran.says("linux/s390x is named by");
    assert_eq!((here.root("web:1"), here.blobs()), (there.root("web:1"), there.blobs()), "{ran}");

    // And one of them, where that is asked for: the image that the index names for it.
    let one = bench.layout("identity-platforms-one");
    pull(&bench, &one, &there, &["--platform", "linux/arm64", "web:1"]).ok();
    one.assert_is("web:1", &arm);
    assert!(one.blobs().len() < there.blobs().len());
    pull(&bench, &one, &there, &["--platform", "linux/arm64", "web:1"]).ok().says("current");
    pull(&bench, &one, &there, &["--platform", "linux/riscv64", "web:1"]).exits(5);
}

#[test]
fn what_is_there_can_be_proven() {
    let Some(bench) = Bench::start() else { return };
    let (here, there, _, new) = pair(&bench, "identity-verify", Form::Gnu(6));
    pull(&bench, &here, &there, &["--verify", "web:2"]).ok().says("verified (");
    pull(&bench, &here, &there, &["--verify", "web:2"]).ok().says("current, verified (");

    // A bit falls over in each large layer.
    let files: Vec<_> = here.blobs().iter().map(|name| here.dir().join("blobs/sha256").join(name)).collect();
    let large = files.iter().filter(|file| fs::metadata(file).unwrap().len() > 50_000);
    for file in large.clone() {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    pull(&bench, &here, &there, &["--verify", "web:2"]).exits(1).says("its store is damaged");
    large.for_each(|file| fs::remove_file(file).unwrap());
    pull(&bench, &here, &there, &["--verify", "web:2"]).exits(1).says("missing");

    // An engine's own files are read as they lie on the disk.
    bench.there().put(&new);
    bench.pull(&["--verify", &bench.name("web:1")]).ok().says("verified (");
}

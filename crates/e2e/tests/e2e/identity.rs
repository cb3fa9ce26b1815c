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
#[ignore = "needs engines: cargo xtask test"]
fn a_changed_layer_is_compressed_again_to_the_byte() {
    let bench = Bench::start();
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
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_of_a_near_encoder_is_corrected_to_the_byte() {
    let bench = Bench::start();
    let (here, there, _, new) = pair(&bench, "identity-near", Form::Rsyncable);
    // As much as with an encoder that is known, and a fiftieth of the blob at most.
    pull(&bench, &here, &there, &["web:2"]).ok().wire_at_most(24_000 + 240_000 / 50);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
    here.assert_is("web:2", &new);
    pull(&bench, &here, &there, &["--verify", "web:2"]).ok().says("current");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_in_zstd_is_compressed_again_to_the_byte() {
    let bench = Bench::start();
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
#[ignore = "needs engines: cargo xtask test"]
fn an_empty_directory_gets_the_same_blobs() {
    let bench = Bench::start();
    let (_, there, _, _) = pair(&bench, "identity-cold", Form::Gnu(6));
    let cold = bench.layout("identity-cold-new");
    pull(&bench, &cold, &there, &["--all"]).ok();
    assert_eq!((cold.blobs(), cold.root("web:1")), (there.blobs(), there.root("web:1")));
    // Inflated contents take fewer bytes, where the time allows it.
    let cold = bench.layout("identity-cold-max");
    pull(&bench, &cold, &there, &["--compression", "max", "--all"]).ok();
    assert_eq!((cold.blobs(), cold.root("web:1")), (there.blobs(), there.root("web:1")));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_of_an_unknown_encoder_crosses_as_it_is() {
    let bench = Bench::start();
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
#[ignore = "needs engines: cargo xtask test"]
fn a_recipe_that_is_wrong_is_found_out() {
    let bench = Bench::start();
    let (here, there, ..) = pair(&bench, "identity-wrong", Form::Gnu(6));
    let other = bench.layout("identity-wrong-other");
    other.put("web:2", &bench.image("web:2").layer(&app("identity-wrong", 3)), Form::Gnu(1));
    let empty = bench.layout("identity-wrong-empty");
    // The source's cached recipe of one layer is given for another.
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
    pull(&bench, &here, &there, &["web:2"])
        .ok()
        .says("a layer could not be rebuilt from what both sides have")
        .wire_at_least(200_000);
    assert_eq!((here.root("web:2"), here.blobs()), (there.root("web:2"), there.blobs()));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn all_platforms_that_are_there_go_over() {
    let bench = Bench::start();
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
#[ignore = "needs engines: cargo xtask test"]
fn what_is_there_can_be_proven() {
    let bench = Bench::start();
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

/// The images of a patch, in a directory, and a file for the patch.
fn for_a_patch(bench: &Bench, seed: &str, form: Form) -> (Layout, Image, Image, String) {
    let base = Layer::builder().file("base", text(seed, 30_000)).build();
    let small = Layer::builder().file("small", seed).build();
    let there = bench.layout(&format!("{seed}-there"));
    let build = |name: &str, changed| {
        let image = bench.image(name).layer(&base).layer(&app(seed, changed)).layer(&small);
        there.put(&bench.name(name), &image, form);
        image
    };
    let (old, new) = (build("web:1", 99), build("web:2", 7));
    (there, old, new, format!("{}/{seed}.patch", bench.work().display()))
}

fn here(bench: &Bench, args: &[&str]) -> dsync_e2e::Ran {
    let mut command = bench.bare_command(dsync_e2e::program());
    command.args(args);
    bench.run_command(command)
}

fn diff(bench: &Bench, there: &Layout, file: &str, args: &[&str]) -> u64 {
    let [old, new] = ["web:1", "web:2"].map(|name| format!("{}:{}", there.spec(), bench.name(name)));
    here(bench, &[&["diff", "--force", &old, &new, "-o", file], args].concat()).ok();
    fs::metadata(file).unwrap().len()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_patch_keeps_the_id() {
    let bench = Bench::start();
    let web = bench.name("web:2");
    for (seed, form, most) in [("patch-known", Form::Gnu(6), 24_000), ("patch-unknown", Form::Gzip, 300_000)]
    {
        let (there, old, new, file) = for_a_patch(&bench, seed, form);
        let size = diff(&bench, &there, &file, &[]);
        assert!(size < most, "{size}");
        let target = bench.layout(&format!("{seed}-here"));
        target.put(&bench.name("web:1"), &old, form);
        let apply = |target: &Layout| here(&bench, &["apply", &file, "--docker", &target.spec()]);
        apply(&target).ok().says("added");
        assert_eq!((target.root(&web), target.blobs()), (there.root(&web), there.blobs()));
        apply(&target).ok().says("was there");

        // Where an ID is the digest of the config, that is what comes of it.
        bench.here().put(&old);
        here(&bench, &["apply", &file]).ok().says("added");
        bench.here().assert_is("web:2", &new);
        here(&bench, &["apply", &file]).ok().says("was there");
        bench.here().docker(&["rmi", &web, &bench.name("web:1")]);

        // The old image is there, but in another stored form.
        let other = bench.layout(&format!("{seed}-other"));
        other.put(&bench.name("web:1"), &old, Form::Gnu(9));
        apply(&other).exits(5).says("in another form than the patch was made against");
        assert_eq!(other.images().len(), 1);

        // For such hosts there are patches that leave it at the content.
        diff(&bench, &there, &file, &["--identity", "content"]);
        apply(&other).ok().says("added");
        assert_ne!(other.root(&web), there.root(&web));
        other.assert_is(&web, &new);
        fs::remove_file(file).unwrap();
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_patch_has_all_platforms_and_tells_how_layers_are_stored() {
    let bench = Bench::start();
    let [one, two] = ["web:1", "web:2"].map(|name| bench.name(name));
    let shared = Layer::builder().file("shared", text("patch-platforms", 50_000)).build();
    let image = |platform: &str, changed| {
        let app = app(&format!("patch {platform}"), changed);
        bench.image("web:2").platform(platform).layer(&shared).layer(&app)
    };
    let native = Image::untagged().config_json();
    let is_arm = String::from_utf8_lossy(&native).contains("arm64");
    let [own, other] = if is_arm { ["linux/arm64", "linux/amd64"] } else { ["linux/amd64", "linux/arm64"] };
    let (old, new) = ([image(own, 99), image(other, 99)], [image(own, 7), image(other, 8)]);
    let there = bench.layout("patch-platforms-there");
    there.put_index(&one, &[&old[0], &old[1]], Form::Gnu(6));
    // Compressed anew, so that of what both have the patch has to tell how it is stored.
    there.put_index(&two, &[&new[0], &new[1]], Form::Gnu(9));
    let file = format!("{}/platforms.patch", bench.work().display());
    diff(&bench, &there, &file, &[]);
    let target = bench.layout("patch-platforms-here");
    target.put_index(&one, &[&old[0], &old[1]], Form::Gnu(6));
    here(&bench, &["apply", &file, "--docker", &target.spec()]).ok().says("added");
    assert_eq!((target.root(&two), target.blobs()), (there.root(&two), there.blobs()));

    bench.here().put(&old[0]);
    bench.here().docker(&["tag", &two, &one]);
    bench.here().docker(&["rmi", &two]);
    here(&bench, &["apply", &file]).ok().says("added");
    bench.here().assert_is("web:2", &new[0]);
    fs::remove_file(file).unwrap();
}

//! OCI layout directories and podman as stores, with and without docker on the other side.

use std::fs;

use dsync_e2e::{Bench, Form, layer};
use dsync_lab::images::Image;
use dsync_lab::{EngineKind, EngineOptions, LoginOptions, User};

/// An image with something to be sent, and something that is there twice.
fn image(bench: &Bench, seed: &str) -> Image {
    let base = layer(&format!("{seed}-base"), 50_000);
    bench.image("web:1").layer(&base).layer(&layer(seed, 20_000)).layer(&base)
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_directory_is_the_remote_with_no_ssh_at_all() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "oci-remote"), bench.name("web:1"));
    bench.here().put(&image);
    let layout = bench.layout("new/layout");
    let ran = bench.run(&["--push", &layout.spec(), &web]).ok();
    assert_eq!(ran.wire.connections, 0);
    layout.assert_is(&web, &image);

    bench.here().docker(&["image", "rm", &web]);
    bench.run(&[&layout.spec()]).ok().says("new\t");
    bench.run(&[&layout.spec(), &web]).ok();
    bench.here().assert_is("web:1", &image);
    bench.run(&[&layout.spec(), &web]).ok().says("current");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_saved_archive_is_a_remote_to_take_images_from() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "archive-remote"), bench.name("web:1"));
    bench.here().put(&image);
    let file = bench.work().join("web.tar");
    bench.here().docker(&["save", "-o", file.to_str().unwrap(), &web]);
    let archive = format!("docker-archive:{}", file.display());
    bench.run(&[&archive]).ok().says("current\t");

    bench.here().docker(&["image", "rm", &web]);
    bench.run(&[&archive, &web]).ok();
    bench.here().assert_is("web:1", &image);
    // It takes nothing.
    let other = bench.image("web:2").layer(&layer("archive-other", 1_000));
    bench.here().put(&other);
    bench.run(&["--push", &archive, &bench.name("web:2")]).exits(2).says("can be read, not written");
    fs::write(&file, &fs::read(&file).unwrap()[..20_000]).unwrap();
    bench.run(&[&archive]).exits(1).says("web.tar");
    fs::remove_file(&file).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_directory_is_the_store_here() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "oci-here"), bench.name("web:1"));
    let layout = bench.layout("layout");
    layout.put(&web, &image, Form::Plain);
    let docker = ["--docker", &layout.spec()];
    bench.push(&[&docker[..], &[&web]].concat()).ok().wire_at_least(70_000).wire_at_most(84_000);
    bench.there().assert_is("web:1", &image);
    bench.push(&[&docker[..], &[&web]].concat()).ok().says("current").wire_at_most(10_000);

    // And back: the target is a directory that knows the base, for a new build.
    let new = bench.image("web:1").layer(&image.layers()[0]).layer(&layer("oci-here-2", 20_000));
    bench.there().put(&new);
    bench
        .pull(&[&docker[..], &[&web]].concat())
        .ok()
        .says("updated")
        .wire_at_least(20_000)
        .wire_at_most(34_000);
    layout.assert_is(&web, &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_directory_is_the_store_there() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "oci-there"), bench.name("web:1"));
    bench.here().put(&image);
    let layout = bench.layout("there");
    let docker = ["--remote-docker", &layout.spec()];
    bench.push(&[&docker[..], &[&web]].concat()).ok().wire_at_least(70_000).wire_at_most(84_000);
    layout.assert_is(&web, &image);

    let new = bench.image("web:1").layer(&image.layers()[0]).layer(&layer("oci-there-2", 20_000));
    layout.put(&bench.name("web:2"), &new, Form::Plain);
    bench
        .pull(&[&docker[..], &[&bench.name("web:2")]].concat())
        .ok()
        .wire_at_least(20_000)
        .wire_at_most(34_000);
    bench.here().assert_is("web:2", &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn directories_are_on_both_sides() {
    let bench = Bench::start();
    let (image, [from, to]) = (image(&bench, "oci-both"), ["from", "to"].map(|name| bench.layout(name)));
    from.put("web:1", &image, Form::Plain);
    let [here, there] = [from.spec(), to.spec()];
    let ran = bench.run(&["--docker", &here, "--push", &there, "--all"]).ok();
    assert_eq!(ran.wire.connections, 0);
    to.assert_is("web:1", &image);
    fs::remove_dir_all(to.dir()).unwrap();
    bench.push(&["--docker", &here, "--remote-docker", &there, "web:1"]).ok().wire_at_most(84_000);
    to.assert_is("web:1", &image);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_name_that_platforms_share_means_the_one_that_is_asked_for() {
    let bench = Bench::start();
    let layout = bench.layout("both");
    let image = |platform: &str| bench.image("web:1").platform(platform).layer(&layer(platform, 1_000));
    let (amd, arm) = (image("linux/amd64"), image("linux/arm64"));
    layout.put(&bench.name("web:1"), &amd, Form::Plain);
    layout.put(&bench.name("web:1"), &arm, Form::Gzip);
    let push =
        |platform| bench.push(&["--docker", &layout.spec(), "--platform", platform, &bench.name("web:1")]);
    push("linux/arm64").ok();
    bench.there().assert_is("web:1", &arm);
    push("linux/amd64").ok().says("updated");
    bench.there().assert_is("web:1", &amd);
    push("linux/riscv64").exits(5);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_that_are_gzip_are_compared_by_what_is_in_them() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "oci-gzip"), bench.name("web:1"));
    let layout = bench.layout("gzip");
    layout.put(&web, &image, Form::Gzip);
    assert_eq!(layout.images()[&web].packed, 3);
    let docker = ["--docker", &layout.spec()];
    bench.push(&[&docker[..], &[&web]].concat()).ok().wire_at_least(70_000).wire_at_most(84_000);
    bench.there().assert_is("web:1", &image);
    bench.here().put(&image);
    bench.assert_same("web:1");

    // As a target it has these layers, however they are kept.
    let new = bench.image("web:2").layer(&image.layers()[0]).layer(&layer("oci-gzip-2", 5_000));
    bench.there().put(&new);
    bench
        .pull(&[&docker[..], &[&bench.name("web:2")]].concat())
        .ok()
        .wire_at_least(5_000)
        .wire_at_most(18_000);
    layout.assert_is(&bench.name("web:2"), &new);
}

/// podman with its own two directories, as a person gives it on the command line.
fn podman(bench: &Bench) -> String {
    dsync_lab::packages::require(&[("podman", "podman")]).expect("podman can be installed");
    format!("podman --root {0}/root --runroot {0}/run --storage-driver vfs", bench.work().display())
}

/// The output of a command of that podman.
fn run_podman(bench: &Bench, args: &[&str]) -> String {
    let words = podman(bench);
    let mut words = words.split(' ');
    let mut command = bench.bare_command(words.next().unwrap_or_default());
    // podman takes it that there is a config.json in it.
    command.env_remove("DOCKER_CONFIG");
    let output = command.args(words).args(args).output().expect("podman can be run");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_is_a_store_here_by_its_own_words() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "podman-words"), bench.name("web:1"));
    bench.there().put(&image);
    let store = ["--docker", &podman(&bench)];
    bench.pull(&[&store[..], &[&web]].concat()).ok().wire_at_least(70_000).wire_at_most(84_000);
    let there = run_podman(&bench, &["image", "inspect", "--format", "{{.Id}} {{.RootFS.Layers}}", &web]);
    let diff_ids: Vec<String> = image.layers().iter().map(|layer| layer.diff_id().to_string()).collect();
    assert_eq!(there, format!("{} [{}]", image.id().hex(), diff_ids.join(" ")));
    bench.pull(&[&store[..], &[&web]].concat()).ok().says("current").wire_at_most(10_000);
    // Its own files are read, whatever keeps them.
    let ran =
        bench.push(&[&store[..], &["-v", "--remote-docker", &bench.layout("vfs").spec(), &web]].concat());
    let ran = ran.ok().says("storage readable").wire_at_least(70_000);
    assert!(!ran.err.contains("not read directly"), "{ran}");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn what_podman_writes_as_a_layout_is_one() {
    let bench = Bench::start();
    let (image, web) = (image(&bench, "podman-layout"), bench.name("web:1"));
    let archive = bench.work().join("image.tar");
    fs::write(&archive, image.archive()).unwrap();
    run_podman(&bench, &["load", "--input", archive.to_str().unwrap()]);
    let layout = bench.layout("layout");
    run_podman(&bench, &["push", &web, &format!("{}:{web}", layout.spec())]);
    let kept = layout.images().remove(&web).unwrap();
    assert_eq!(kept.packed, 3, "podman compresses layers");
    bench.push(&["--docker", &layout.spec(), &web]).ok().wire_at_least(70_000).wire_at_most(84_000);
    assert_eq!(bench.there().id("web:1"), Some(kept.id));
    bench.here().put(&image);
    assert_eq!(bench.here().layers("web:1"), bench.there().layers("web:1"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_and_docker_exchange_images_both_ways() {
    let podman = EngineOptions { kind: EngineKind::Podman, ..EngineOptions::default() };
    let bench = Bench::builder().engines(EngineOptions::default(), podman).start();
    let (image, web) = (image(&bench, "podman-docker"), bench.name("web:1"));
    bench.here().put(&image);
    let push = || bench.push(&["--remote-docker", "podman", &web]);
    push().ok().wire_at_least(70_000).wire_at_most(84_000);
    push().ok().says("current").wire_at_most(10_000);

    let new = bench.image("web:2").layer(&image.layers()[0]).layer(&layer("podman-docker-2", 20_000));
    bench.there().put(&new);
    bench
        .pull(&["--remote-docker", "podman", &bench.name("web:2")])
        .ok()
        .wire_at_least(20_000)
        .wire_at_most(34_000);
    bench.here().assert_is("web:2", &new);
    let there =
        |name: &str| bench.there().docker(&["image", "inspect", "--format", "{{.Id}}", &bench.name(name)]);
    assert_eq!(format!("sha256:{}", there("web:1")), image.id().to_string());
    // Each engine has files of its own in a container; those of the image are the same.
    let trees = [bench.here().tree("web:1"), bench.there().tree("web:1")];
    for file in ["podman-docker", "podman-docker-base"] {
        assert!(trees[0].get(file).is_some());
        assert_eq!(trees[0].get(file), trees[1].get(file));
    }
}

/// Without root: podman of somebody who may not speak to the engine, with its storage below its home.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_of_a_guest_takes_and_gives_images() {
    let podman = EngineOptions { kind: EngineKind::Podman, ..EngineOptions::default() };
    let none = |name: &str| (name.to_owned(), "/dev/null".to_owned());
    let guest = LoginOptions {
        user: User::Guest,
        env: vec![none("CONTAINERS_CONF"), none("CONTAINERS_STORAGE_CONF"), none("REGISTRY_AUTH_FILE")],
        ..LoginOptions::default()
    };
    let builder = Bench::builder().engines(EngineOptions::default(), podman).login(guest).fresh();
    let bench = builder.start();
    dsync_lab::packages::require(&[("newuidmap", "uidmap")]).expect("uidmap can be installed");
    let (image, web) = (image(&bench, "podman-guest"), bench.name("web:1"));
    bench.here().put(&image);
    // Its storage is in its home, among the files that a run must not leave.
    let run = |args: &[&str]| {
        let mut command = bench.command();
        command.args(["--remote-docker", "podman", bench.remote()]).args(args);
        bench.spawn(command).finish_untidily()
    };
    run(&["--push", &web]).ok().wire_at_least(70_000);
    run(&["--push", &web]).ok().says("current").wire_at_most(10_000);
    let there =
        bench.login().ssh(&format!("podman image inspect --format '{{{{.Id}}}}' {web}")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&there.stdout).trim(), image.id().hex(), "{there:?}");
    assert!(bench.login().home().join(".local/share/containers/storage").is_dir());
    assert_eq!(bench.there().id("web:1"), None, "it is another store than root's");

    bench.here().docker(&["image", "rm", &web]);
    let ran = run(&["-v", &web]).ok().says("storage readable").wire_at_least(70_000).wire_at_most(84_000);
    assert!(!ran.err.contains("not read directly"), "{ran}");
    bench.here().assert_is("web:1", &image);
}

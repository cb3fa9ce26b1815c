//! Engines of newer Debians: they start, a login finds their clients, they take an image, and nothing is left.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dsync_lab::images::{self, Image, Layer};
use dsync_lab::{EngineKind, EngineOptions, Lab, LoginOptions};

/// The output of a program that must succeed.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// The output of `info` by this template, with `ROOT` for the engine's folder.
fn engine_works(name: &str, [template, expected]: [&str; 2]) {
    let kind = EngineKind::named(name).unwrap();
    let client = if name.starts_with("podman") { "podman" } else { "docker" };
    let options = EngineOptions { kind: kind.clone(), ..Default::default() };
    let lab = Lab::builder().host_with("alpha", options, LoginOptions::default()).start();
    let lab = lab.unwrap_or_else(|error| panic!("{error}"));
    let host = lab.host("alpha");
    let info = said(&mut host.ssh(&format!("{client} info -f '{template}'")));
    assert_eq!(info, expected.replace("ROOT", host.engine().root().to_str().unwrap()), "{kind:?}");
    assert_eq!(said(host.engine().client().args(["info", "-f", template])), info);
    let version = said(&mut host.ssh(&format!("{client} --version")));
    assert_eq!(said(host.engine().client().arg("--version")), version);

    let layer = Layer::builder().file("f", "f").build();
    let image = Image::named("localhost/test:1").layer(&layer).layer(&Layer::empty());
    host.engine().load(&image.archive()).unwrap();
    let layers = said(
        &mut host.ssh(&format!("{client} image inspect -f '{{{{len .RootFS.Layers}}}}' localhost/test:1")),
    );
    assert_eq!(layers, "2", "{kind:?}");
    images::get(host.engine(), "tiny:1").unwrap();
    assert_eq!(host.engine().run("tiny:1", &["/app/run"]).unwrap().trim(), "tiny 1: 20000 numbers");
    // The engine's files are where it reports them, for everybody on this machine; and they go with the images.
    let holdings = host.engine().holdings().unwrap();
    for what in ["image ", "contents "] {
        assert!(holdings.iter().any(|line| line.starts_with(what)), "{kind:?}: {holdings:?}");
    }
    for image in ["localhost/test:1", "tiny:1"] {
        host.engine().remove_image(image).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !host.engine().holdings().unwrap().is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(host.engine().holdings().unwrap(), BTreeSet::new(), "{kind:?}");

    // Last, since Docker 26.1 leaks the layer of each container of which it gives the files.
    host.engine().load(&image.archive()).unwrap();
    let tree = images::export_tree(host.engine(), "localhost/test:1").unwrap();
    assert!(tree.get("f").is_some(), "{tree:?}");

    let dir = lab.dir().to_owned();
    lab.stop().unwrap();
    assert!(!dir.exists());
    assert_eq!(processes_of(&dir), Vec::<String>::new());
}

fn processes_of(dir: &Path) -> Vec<String> {
    let text = dir.display().to_string();
    let read = |pid: &Path, name: &str| {
        String::from_utf8_lossy(&fs::read(pid.join(name)).unwrap_or_default()).replace('\0', " ")
    };
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let own = pids
        .filter(|pid| ["cmdline", "environ", "mountinfo"].iter().any(|name| read(pid, name).contains(&text)));
    own.map(|pid| read(&pid, "cmdline")).collect()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_with_images_in_containerd() {
    let info = [
        "{{slice .ServerVersion 0 5}} {{.DriverStatus}} {{.DockerRootDir}}",
        "28.5. [[driver-type io.containerd.snapshotter.v1]] ROOT",
    ];
    engine_works("docker-28-containerd", info);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_5_8() {
    let info = ["{{slice .Version.Version 0 3}} {{.Store.GraphRoot}}", "5.8 ROOT"];
    engine_works("podman-5.8", info);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_28_classic() {
    let info = ["{{slice .ServerVersion 0 5}} {{.Driver}} {{.DockerRootDir}}", "28.5. overlay2 ROOT"];
    engine_works("docker-28-classic", info);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_classic() {
    let info = ["{{slice .ServerVersion 0 5}} {{.Driver}} {{.DockerRootDir}}", "26.1. overlay2 ROOT"];
    engine_works("docker-26-classic", info);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_with_images_in_containerd() {
    let info = [
        "{{slice .ServerVersion 0 5}} {{.DriverStatus}} {{.DockerRootDir}}",
        "26.1. [[driver-type io.containerd.snapshotter.v1]] ROOT",
    ];
    engine_works("docker-26-containerd", info);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn podman_5_4() {
    let info = ["{{slice .Version.Version 0 3}} {{.Store.GraphRoot}}", "5.4 ROOT"];
    engine_works("podman-5.4", info);
}

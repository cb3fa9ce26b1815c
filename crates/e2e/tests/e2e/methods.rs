//! Remotes on which no agent runs: rsync of partial archives, or a stream of the missing layers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use dsync_e2e::{Bench, Ran, layer, noise};
use dsync_lab::images::{Image, Layer};
use dsync_lab::{LoginOptions, Place};

/// An old and a new build: half a megabyte of the layer is as before.
fn rebuilt(bench: &Bench, tag: &str) -> [Image; 2] {
    let base = layer(&format!("{tag}-base"), 300_000);
    let build = |version: &str| {
        let kept = noise(&format!("{tag}-kept"), 500_000);
        let changed = noise(&format!("{tag}-{version}"), 30_000);
        let layer: Layer = Layer::builder().file("kept", kept).file("changed", changed).build();
        bench.image("web:1").layer(&base).layer(&layer)
    };
    [build("1"), build("2")]
}

/// An update by one of the ways without an agent: one connection, the right image, and no file is left.
fn update(method: &str, push: bool) -> Ran {
    let bench = Bench::start();
    let direction = if push { "push" } else { "pull" };
    let [old, new] = rebuilt(&bench, &format!("{method}-{direction}"));
    let (source, target) = if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
    target.put(&old);
    source.put(&new);
    let args = ["--method", method, &bench.name("web:1")];
    let ran = if push { bench.push(&args) } else { bench.pull(&args) }.ok();
    assert_eq!(ran.wire.connections, 1, "{ran}");
    bench.assert_same("web:1");
    target.assert_is("web:1", &new);
    assert_folders_are_empty(&bench);
    ran
}

/// Not even an empty directory is left, on either side.
#[track_caller]
fn assert_folders_are_empty(bench: &Bench) {
    for folder in [bench.tmp(), bench.login().tmp()] {
        let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

/// The missing layer goes whole, and the shared one does not go; the list of all images of the engine crosses, too.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_stream_is_pulled() {
    let ran = update("stream", false);
    let _ = ran.wire_at_least(530_000).wire_at_most(700_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_stream_is_pushed() {
    let ran = update("stream", true);
    let _ = ran.wire_at_least(530_000).wire_at_most(700_000);
}

/// Unchanged contents of the missing layer do not cross either.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn rsync_pulls() {
    let ran = update("rsync", false);
    let _ = ran.wire_at_least(30_000).wire_at_most(200_000);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn rsync_pushes() {
    let ran = update("rsync", true);
    let _ = ran.wire_at_least(30_000).wire_at_most(200_000);
}

/// rsync takes files of one size and one second for equal.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn rsync_sends_what_has_the_size_of_its_basis() {
    let bench = Bench::start();
    let [old, new] = ["old", "new"].map(|seed| {
        let contents = noise(&format!("rsync-same-size-{seed}"), 50_000);
        bench.image("web:1").layer(&Layer::builder().file("app", contents).build())
    });
    bench.there().put(&old);
    bench.here().put(&new);
    bench.push(&["--method", "rsync", &bench.name("web:1")]).ok().wire_at_least(50_000);
    bench.there().assert_is("web:1", &new);
}

/// A program of this name in front of the real one.
fn script(bench: &Bench, name: &str, text: &str) {
    let file = bench.login().bin().join(name);
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A host for whose kind there is no agent.
fn strange_host(options: LoginOptions) -> Bench {
    let bench = Bench::builder().login(options).fresh().start();
    script(&bench, "uname", "case $1 in -s) echo Plan9;; *) echo mips;; esac");
    bench
}

/// Without being told, it finds a way, and says which and why. The second connection is the one that counts.
fn falls_back(bench: &Bench, tag: &str, reason: &str, way: &str) -> Ran {
    let [old, new] = rebuilt(bench, tag);
    bench.here().put(&old);
    bench.there().put(&new);
    let remote = bench.remote();
    let sentence = format!("warning: no agent can run on {remote} ({reason}); falling back to {way}\n");
    let ran = bench.pull(&[&bench.name("web:1")]).ok().says(&sentence);
    assert_eq!(ran.wire.connections, 2, "{ran}");
    bench.here().assert_is("web:1", &new);
    assert_folders_are_empty(bench);
    ran
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn where_there_is_no_agent_for_the_platform_rsync_is_used() {
    let bench = strange_host(LoginOptions::default());
    let reason = "this docker-sync is for Linux x86_64, the host is Plan9 mips";
    let ran = falls_back(&bench, "fallback-rsync", reason, "rsync of the missing layers");
    assert!(ran.wire.bytes() < 200_000, "{ran}");
    let _ =
        bench.run(&["--method", "delta", bench.remote()]).exits(1).says(reason).says("leave out --method");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn where_no_directory_runs_programs_rsync_is_used() {
    let places = ["/var/tmp", "/tmp", "/dev/shm"].map(|place| Place::Path(place.into()));
    let no_exec = [vec![Place::Home], places.into()].concat();
    let login = LoginOptions { no_exec, ..LoginOptions::default() };
    let bench = Bench::builder().login(login).fresh().start();
    let reason = "no directory in which a program may run";
    let _ = falls_back(&bench, "fallback-noexec", reason, "rsync of the missing layers");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn where_there_is_no_rsync_either_a_stream_goes() {
    let login = LoginOptions { hide: vec!["rsync".into()], ..LoginOptions::default() };
    let bench = strange_host(login);
    let reason = "this docker-sync is for Linux x86_64, the host is Plan9 mips";
    let _ = falls_back(&bench, "fallback-stream", reason, "a stream of the missing layers");
}

/// rsync would take the banner for what the other rsync says.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn behind_a_banner_a_stream_goes() {
    let login = LoginOptions { banner: Some("Welcome!\n".into()), ..LoginOptions::default() };
    let bench = strange_host(login);
    let reason = "this docker-sync is for Linux x86_64, the host is Plan9 mips";
    let _ = falls_back(&bench, "fallback-banner", reason, "a stream of the missing layers");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn without_gnu_tar_the_stream_has_all_layers_and_still_works() {
    let bench = Bench::start();
    script(&bench, "tar", "exec busybox tar \"$@\"");
    let [old, new] = rebuilt(&bench, "stream-busybox");
    bench.here().put(&old);
    bench.there().put(&new);
    let ran = bench.pull(&["--method", "stream", &bench.name("web:1")]).ok();
    let _ = ran.wire_at_least(830_000).wire_at_most(950_000);
    bench.here().assert_is("web:1", &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_rsync_that_falls_silent_is_given_up() {
    let bench = Bench::start();
    script(&bench, "rsync", "exec cat >/dev/null");
    let [old, new] = rebuilt(&bench, "rsync-silent");
    bench.here().put(&old);
    bench.there().put(&new);
    let ran = bench.pull(&["--method", "rsync", "--timeout", "3", &bench.name("web:1")]);
    let ran = ran.exits(3).says("run the same command again");
    assert!(ran.took < Duration::from_secs(30), "{ran}");
    bench.here().assert_is("web:1", &old);
}

//! Remotes on which no agent runs: rsync of partial archives, or a stream of the missing layers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use dsync_e2e::{Bench, layer, noise};
use dsync_lab::LoginOptions;
use dsync_lab::images::Layer;

/// An old and a new build: half a megabyte of the layer is as before.
fn rebuilt(bench: &Bench, tag: &str) -> [dsync_lab::images::Image; 2] {
    let base = layer(&format!("{tag}-base"), 300_000);
    let build = |version: &str| {
        let kept = noise(&format!("{tag}-kept"), 500_000);
        let changed = noise(&format!("{tag}-{version}"), 30_000);
        let layer: Layer = Layer::builder().file("kept", kept).file("changed", changed).build();
        bench.image("web:1").layer(&base).layer(&layer)
    };
    [build("1"), build("2")]
}

fn stream(method: &[&str], tag: &str, push: bool) {
    let Some(bench) = Bench::start() else { return };
    let [old, new] = rebuilt(&bench, tag);
    let (source, target) = if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
    target.put(&old);
    source.put(&new);
    let direction: &[&str] = if push { &["--push"] } else { &[] };
    let name = bench.name("web:1");
    // The missing layer goes whole, the shared one does not go.
    let ran = bench.run(&[direction, method, &[bench.remote(), &name]].concat()).ok();
    ran.wire_at_least(530_000).wire_at_most(575_000);
    bench.assert_same("web:1");
    target.assert_is("web:1", &new);
}

#[test]
fn a_stream_is_pulled() {
    stream(&["--method", "stream"], "stream-pull", false);
}

#[test]
fn a_stream_is_pushed() {
    stream(&["--method", "stream"], "stream-push", true);
}

fn rsync(tag: &str, push: bool) {
    let Some(bench) = Bench::start() else { return };
    let [old, new] = rebuilt(&bench, tag);
    let (source, target) = if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
    target.put(&old);
    source.put(&new);
    let direction: &[&str] = if push { &["--push"] } else { &[] };
    let name = bench.name("web:1");
    let ran = bench.run(&[direction, &["--method", "rsync", bench.remote(), &name]].concat()).ok();
    // What is as before in the missing layer does not go either.
    // The list of all images of a shared engine crosses as docker prints it.
    ran.wire_at_least(30_000).wire_at_most(300_000);
    bench.assert_same("web:1");
    target.assert_is("web:1", &new);
}

#[test]
fn rsync_pulls() {
    rsync("rsync-pull", false);
}

#[test]
fn rsync_pushes() {
    rsync("rsync-push", true);
}

/// A host for whose kind there is no agent.
fn strange_host(options: LoginOptions) -> Option<Bench> {
    let bench = Bench::builder().login(options).fresh().start()?;
    let uname = bench.login().bin().join("uname");
    fs::write(&uname, "#!/bin/sh\ncase $1 in -s) echo Plan9;; *) echo mips;; esac\n").unwrap();
    fs::set_permissions(&uname, fs::Permissions::from_mode(0o755)).unwrap();
    Some(bench)
}

#[test]
fn where_no_agent_can_run_it_falls_back_to_rsync_and_says_so() {
    let Some(bench) = strange_host(LoginOptions::default()) else { return };
    let [old, new] = rebuilt(&bench, "fallback-rsync");
    bench.here().put(&old);
    bench.there().put(&new);
    let ran = bench.pull(&[&bench.name("web:1")]).ok().says("Plan9 mips").says("falling back to rsync");
    assert!(ran.wire.bytes() < 95_000, "{ran}");
    bench.here().assert_is("web:1", &new);
    bench.run(&["--method", "delta", bench.remote()]).exits(1).says("Plan9 mips");
}

#[test]
fn where_there_is_no_rsync_either_a_stream_goes() {
    let Some(bench) = strange_host(LoginOptions { hide: vec!["rsync".into()], ..LoginOptions::default() })
    else {
        return;
    };
    let [old, new] = rebuilt(&bench, "fallback-stream");
    bench.here().put(&old);
    bench.there().put(&new);
    bench.pull(&[&bench.name("web:1")]).ok().says("falling back to a stream");
    bench.here().assert_is("web:1", &new);
}

#[test]
fn without_gnu_tar_the_stream_has_all_layers_and_still_works() {
    let Some(bench) = Bench::start() else { return };
    let tar = bench.login().bin().join("tar");
    fs::write(&tar, "#!/bin/sh\nexec busybox tar \"$@\"\n").unwrap();
    fs::set_permissions(&tar, fs::Permissions::from_mode(0o755)).unwrap();
    let [old, new] = rebuilt(&bench, "stream-busybox");
    bench.here().put(&old);
    bench.there().put(&new);
    let ran = bench.run(&["--method", "stream", bench.remote(), &bench.name("web:1")]).ok();
    ran.wire_at_least(830_000);
    bench.here().assert_is("web:1", &new);
}

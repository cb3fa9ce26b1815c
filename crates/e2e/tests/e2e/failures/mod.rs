//! What goes wrong: each failure has its sentence and its exit code, and the target is as it was.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{Bench, Running, layer};
use dsync_lab::{EngineOptions, Link, LoginOptions, User};

#[test]
fn no_engine_here() {
    let Some(bench) = Bench::start() else { return };
    bench
        .run(&["--docker", "no-such-docker", bench.remote()])
        .exits(4)
        .says("no-such-docker")
        .says("on this host");
    let nowhere = "docker -H unix:///no/such.sock";
    bench.run(&["--docker", nowhere, bench.remote()]).exits(4).says("does not answer").says("hint: ");
}

#[test]
fn no_engine_there() {
    let Some(bench) = Bench::start() else { return };
    let there = |docker| bench.run(&["--remote-docker", docker, bench.remote()]);
    there("no-such-docker").exits(4).says("no-such-docker").says(bench.remote());
    there("docker -H unix:///no/such.sock").exits(4).says("does not answer");
}

#[test]
fn no_permission_there() {
    let login = LoginOptions { user: User::Guest, ..LoginOptions::default() };
    let Some(bench) = Bench::builder().login(login).fresh().start() else { return };
    bench.pull(&[]).exits(4).says("permission").says("docker group");
}

#[test]
fn an_image_that_is_not_there_names_those_that_are_near() {
    let Some(bench) = Bench::start() else { return };
    bench.there().put(&bench.image("website:1").layer(&layer("failures-near", 1_000)));
    let name = bench.name("website:1");
    bench.pull(&[&bench.name("web-site:1")]).exits(5).says("did you mean").says(&name);
}

/// An image there of which another version is here, and a slow way to it.
fn slow_update(tag: &str) -> Option<(Bench, String)> {
    let bench = Bench::start()?;
    bench.here().put(&bench.image("web:1").layer(&layer(&format!("{tag}-old"), 1_000)));
    bench.there().put(&bench.image("web:1").layer(&layer(&format!("{tag}-new"), 4_000_000)));
    let remote = bench.login().link("slow", &Link { rate_mbit: 8.0, ..Link::default() }).unwrap();
    Some((bench, remote))
}

/// Starts the update and waits until the agent is at it.
fn start<'a>(bench: &'a Bench, remote: &str) -> Running<'a> {
    let mut command = bench.command();
    command.args([remote, &bench.name("web:1")]);
    let running = bench.spawn(command);
    let deadline = Instant::now() + Duration::from_secs(20);
    while agent(bench).is_none() {
        assert!(Instant::now() < deadline, "no agent came up");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_secs(1));
    running
}

fn agent(bench: &Bench) -> Option<String> {
    let processes = bench.login().processes();
    let agent = processes.iter().find(|line| line.contains("/agent-") && line.ends_with("agent"))?;
    agent.split_whitespace().next().map(str::to_owned)
}

fn signal(name: &str, pid: &str) {
    assert!(Command::new("kill").args([name, pid]).status().unwrap().success());
}

#[test]
fn a_killed_agent_changes_nothing() {
    let Some((bench, remote)) = slow_update("killed-agent") else { return };
    let before = bench.here().id("web:1");
    let running = start(&bench, &remote);
    signal("-KILL", &agent(&bench).unwrap());
    running.finish().exits(3).says("was lost");
    assert_eq!(bench.here().id("web:1"), before);
    bench.pull(&[&bench.name("web:1")]).ok();
    bench.assert_same("web:1");
}

#[test]
fn a_cut_cable_changes_nothing() {
    let Some((bench, _)) = slow_update("cut-cable") else { return };
    let before = bench.here().id("web:1");
    let remote = bench.login().link("cut", &Link { cut_down: Some(1_000_000), ..Link::default() }).unwrap();
    bench.run(&[&remote, &bench.name("web:1")]).exits(3).says("was lost");
    assert_eq!(bench.here().id("web:1"), before);
    bench.pull(&[&bench.name("web:1")]).ok();
    bench.assert_same("web:1");
}

fn interrupted(name: &str, code: i32, tag: &str) {
    let Some((bench, remote)) = slow_update(tag) else { return };
    let before = bench.here().id("web:1");
    let running = start(&bench, &remote);
    let sent = Instant::now();
    signal(name, &running.child.id().to_string());
    running.finish().exits(code);
    assert!(sent.elapsed() < Duration::from_secs(8), "it took {:?} to end", sent.elapsed());
    assert_eq!(bench.here().id("web:1"), before);
}

#[test]
fn an_interrupt_leaves_both_sides_clean() {
    interrupted("-INT", 130, "interrupt");
}

#[test]
fn a_termination_leaves_both_sides_clean() {
    interrupted("-TERM", 143, "terminate");
}

#[test]
fn a_killed_client_leaves_both_sides_clean() {
    let Some((bench, remote)) = slow_update("killed-client") else { return };
    let before = bench.here().id("web:1");
    let running = start(&bench, &remote);
    signal("-KILL", &running.child.id().to_string());
    assert_eq!(running.finish().exit, None);
    assert_eq!(bench.here().id("web:1"), before);
}

#[test]
fn a_full_disk_of_the_engine_changes_nothing() {
    let small = EngineOptions { root_limit_mb: Some(48), ..EngineOptions::default() };
    let Some(bench) = Bench::builder().engines(small, EngineOptions::default()).start() else { return };
    let old = bench.image("web:1").layer(&layer("full-old", 1_000));
    bench.here().put(&old);
    bench.there().put(&bench.image("web:1").layer(&layer("full-new", 60_000_000)));
    bench.pull(&[&bench.name("web:1")]).exits(6).says("no space left");
    bench.here().assert_is("web:1", &old);
    let images = bench.here().docker(&["images", "--quiet", "--all"]);
    assert_eq!(images.lines().count(), 1, "{images}");
    // There is room again for something smaller.
    bench.there().put(&bench.image("web:1").layer(&layer("full-small", 1_000_000)));
    bench.pull(&[&bench.name("web:1")]).ok();
    bench.assert_same("web:1");
}

#[test]
fn a_full_temporary_folder_is_named() {
    let login = LoginOptions { tmp_limit_mb: Some(2), ..LoginOptions::default() };
    let Some(bench) = Bench::builder().login(login).start() else { return };
    bench.there().put(&bench.image("web:1").layer(&layer("full-tmp", 6_000_000)));
    bench.pull(&[&bench.name("web:1")]).exits(6).says("--tmpfolder");
    assert_eq!(bench.here().id("web:1"), None);
}

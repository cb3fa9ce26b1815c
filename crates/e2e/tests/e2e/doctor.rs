//! `docker-sync doctor` over a real ssh.

use dsync_e2e::{Bench, Ran};
use dsync_lab::{LoginOptions, Place};
use serde_json::Value;

/// `docker-sync doctor` with these arguments, and with options before it.
fn examine(bench: &Bench, args: &[&str]) -> Ran {
    bench.run(&[&["doctor", bench.remote()], args].concat())
}

/// Name and state of each thing that was looked at, of this host or of the remote.
fn states(ran: &Ran, is_remote: bool) -> Vec<(String, String)> {
    let document = ran.json();
    let checks = document["checks"].as_array().unwrap().iter();
    let of_host = checks.filter(|check| check["host"].is_string() == is_remote);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_host.map(|check| (text(&check["name"]), text(&check["state"]))).collect()
}

fn state<'a>(states: &'a [(String, String)], name: &str) -> Option<&'a str> {
    Some(&*states.iter().find(|(other, _)| other == name)?.1)
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_host_is_examined_and_nothing_moves() {
    let bench = Bench::builder().fresh().start();
    let ran = examine(&bench, &["--json"]).ok();
    for is_remote in [false, true] {
        let states = states(&ran, is_remote);
        assert!(states.iter().all(|(_, state)| state == "good"), "{ran}");
        assert_eq!(state(&states, "engine"), Some("good"), "{ran}");
    }
    assert_eq!(state(&states(&ran, true), "clock"), Some("good"), "{ran}");
    let link = &ran.json()["link"];
    assert!(link["up"].as_u64().unwrap() > 1_000_000 && link["down"].as_u64().unwrap() > 1_000_000, "{ran}");
    assert_eq!(ran.wire.connections, 1, "{ran}");
    let ran = examine(&bench, &[]).ok();
    assert!(ran.out.contains("  ✓ agent    runs; it was there already\n"), "{ran}");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_engine_that_is_down_is_told_beside_all_that_is_well() {
    let bench = Bench::start();
    let nowhere = "docker -H unix:///nowhere.sock";
    let ran = examine(&bench, &["--remote-docker", nowhere, "--json"]).exits(4);
    let there = states(&ran, true);
    assert_eq!(
        ["ssh", "agent", "engine", "link"].map(|name| state(&there, name).unwrap()),
        ["good", "good", "bad", "good"]
    );
    assert_eq!(state(&states(&ran, false), "engine"), Some("good"), "{ran}");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_host_that_lets_no_agent_run_is_told_with_the_way_that_is_left() {
    let places = ["/var/tmp", "/tmp", "/dev/shm"].map(|place| Place::Path(place.into()));
    let no_exec = [vec![Place::Home], places.into()].concat();
    let login = LoginOptions { no_exec, ..LoginOptions::default() };
    let bench = Bench::builder().login(login).fresh().start();
    let ran = examine(&bench, &[]).ok();
    assert!(ran.out.contains("no directory in which a program may run"), "{ran}");
    assert!(ran.out.contains("falling back to rsync of the missing layers"), "{ran}");
}

//! The agent's life: how it gets there, where it stays, and when it goes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use dsync_e2e::{Bench, agent, agent_file, layer, program};
use dsync_lab::Link;

/// The cost of the upload at most, in bytes on the wire.
const UPLOAD: u64 = 1_600_000;

/// The directory of the agents in a login's home.
fn cache(bench: &Bench) -> PathBuf {
    bench.login().home().join(".cache/docker-sync")
}

/// The sizes of all files in it.
fn sizes(bench: &Bench) -> Vec<u64> {
    let entries = fs::read_dir(cache(bench)).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).collect()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn it_is_uploaded_once_over_the_same_connection() {
    let bench = Bench::builder().fresh().start();
    let first = bench.pull(&[]).ok();
    assert_eq!(first.wire.connections, 1, "{first}");
    assert!(first.wire.up > 500_000 && first.wire.up <= UPLOAD, "{first}");
    let second = bench.pull(&[]).ok();
    assert!(second.wire.up < 10_000, "{second}");
    let cache = cache(&bench);
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o7777, 0o700);
    let files: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [agent_file()]);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn one_on_path_of_the_same_version_is_used() {
    let bench = Bench::builder().fresh().start();
    symlink(program(), bench.login().bin().join("docker-sync")).unwrap();
    bench.pull(&[]).ok().wire_at_most(30_000);
    assert!(!cache(&bench).exists());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_damaged_one_is_replaced() {
    let bench = Bench::builder().fresh().start();
    bench.pull(&[]).ok();
    let agent = cache(&bench).join(agent_file());
    let whole = fs::read(&agent).unwrap();
    fs::write(&agent, &whole[..whole.len() / 2]).unwrap();
    bench.pull(&[]).ok();
    assert!(fs::read(&agent).unwrap() == whole);
}

/// A place in the home that another user could have made, with an agent in it that must not run.
fn a_place_not_to_be_trusted(make: fn(&Bench, place: &Path)) {
    let bench = Bench::builder().fresh().start();
    let (cache, evidence) = (bench.login().home().join(".cache"), bench.work().join("evidence"));
    fs::create_dir_all(&cache).unwrap();
    make(&bench, &cache.join("docker-sync"));
    let planted = cache.join("docker-sync").join(agent_file());
    fs::write(&planted, format!("#!/bin/sh\ntouch {}\n", evidence.display())).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
    // In the next place that is possible, there is one of our own then.
    for upload in [true, false] {
        let ran = bench.pull(&[]).ok();
        assert_eq!(ran.wire.up > 500_000, upload, "{ran}");
    }
    assert!(bench.login().var_tmp().join("docker-sync-0").join(agent_file()).exists());
    assert!(!evidence.exists());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_directory_that_is_a_link_is_not_trusted() {
    a_place_not_to_be_trusted(|bench, place| symlink(bench.login().shm(), place).unwrap());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_directory_of_somebody_else_is_not_trusted() {
    a_place_not_to_be_trusted(|_, place| {
        fs::create_dir(place).unwrap();
        chown(place, Some(64_230), Some(64_230)).unwrap();
    });
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn old_ones_go() {
    let bench = Bench::builder().fresh().start();
    let cache = cache(&bench);
    bench.pull(&[]).ok();
    let day = Duration::from_secs(24 * 3600);
    for (name, days) in [("agent-old", 31), ("agent-a", 1), ("agent-b", 2), ("agent-c", 3), ("agent-d", 4)] {
        let file = fs::File::create(cache.join(name)).unwrap();
        file.set_modified(SystemTime::now() - day * days).unwrap();
    }
    bench.pull(&[]).ok();
    let mut left: Vec<_> = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let mut expected =
        vec!["agent-a".to_owned(), "agent-b".into(), "agent-c".into(), agent_file().to_owned()];
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn two_at_once_on_a_host_that_has_none_both_succeed() {
    let bench = Bench::builder().fresh().start();
    let image = bench.image("web:1").layer(&layer("agent-two", 20_000));
    bench.there().put(&image);
    let run = || {
        let mut command = bench.command();
        command.args([bench.remote(), &bench.name("web:1")]);
        bench.spawn(command)
    };
    let (one, other) = (run(), run());
    for ran in [one.finish_untidily(), other.finish_untidily()] {
        ran.ok();
    }
    bench.here().assert_is("web:1", &image);
}

/// ssh may have taken over all of it by then; a part of it is no agent and goes.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_upload_whose_client_is_killed_leaves_no_part_of_it() {
    let bench = Bench::builder().fresh().start();
    let remote = bench.login().link("slow", &Link { rate_mbit: 4.0, ..Link::default() }).unwrap();
    let mut command = bench.command();
    command.arg(remote);
    let mut running = bench.spawn(command);
    let begin = Instant::now();
    while !sizes(&bench).iter().any(|size| (200_000..2_000_000).contains(size)) {
        assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", sizes(&bench));
        thread::sleep(Duration::from_millis(5));
    }
    running.child.kill().unwrap();
    let _ = running.finish();
    assert!(sizes(&bench).iter().all(|size| *size == fs::metadata(agent()).unwrap().len()));
    bench.pull(&[]).ok();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_upload_that_is_cut_leaves_nothing() {
    let bench = Bench::builder().fresh().start();
    let remote = bench.login().link("cut", &Link { cut_up: Some(700_000), ..Link::default() }).unwrap();
    let _ = bench.run(&[&remote]).exits(3);
    assert_eq!(sizes(&bench), Vec::<u64>::new());
    bench.pull(&[]).ok();
}

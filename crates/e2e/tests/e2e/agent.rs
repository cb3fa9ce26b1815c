//! The agent's life: how it gets there, where it stays, and when it goes.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use dsync_e2e::{Bench, agent_file, layer};

/// What the upload may cost, in bytes on the wire.
const UPLOAD: u64 = 1_500_000;

#[test]
fn it_is_uploaded_once_over_the_same_connection() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
    let first = bench.pull(&[]).ok();
    assert_eq!(first.wire.connections, 1, "{first}");
    assert!(first.wire.up > 500_000 && first.wire.up <= UPLOAD, "{first}");
    let second = bench.pull(&[]).ok();
    assert!(second.wire.up < 10_000, "{second}");
    let cache = bench.login().home().join(".cache/docker-sync");
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o7777, 0o700);
    let files: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [agent_file()]);
}

#[test]
fn one_on_path_of_the_same_version_is_used() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
    symlink(dsync_e2e::program(), bench.login().bin().join("docker-sync")).unwrap();
    bench.pull(&[]).ok().wire_at_most(30_000);
    assert!(!bench.login().home().join(".cache/docker-sync").exists());
}

#[test]
fn a_damaged_one_is_replaced() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
    bench.pull(&[]).ok();
    let agent = bench.login().home().join(".cache/docker-sync").join(agent_file());
    let whole = fs::read(&agent).unwrap();
    fs::write(&agent, &whole[..whole.len() / 2]).unwrap();
    bench.pull(&[]).ok();
    assert!(fs::read(&agent).unwrap() == whole);
}

#[test]
fn a_directory_that_is_a_link_is_not_trusted() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
    let (home, elsewhere) = (bench.login().home(), bench.login().tmp().join("elsewhere"));
    fs::create_dir_all(home.join(".cache")).unwrap();
    fs::create_dir_all(&elsewhere).unwrap();
    symlink(&elsewhere, home.join(".cache/docker-sync")).unwrap();
    bench.pull(&[]).ok();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    fs::remove_dir(&elsewhere).unwrap();
}

#[test]
fn old_ones_go() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
    let cache = bench.login().home().join(".cache/docker-sync");
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
fn two_at_once_on_a_host_that_has_none_both_succeed() {
    let Some(bench) = Bench::builder().fresh().start() else { return };
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

//! A host with another machine on either side: Debian for arm64, whose programs an emulator runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dsync_e2e::{Bench, Form, Ran, agent, arm64};
use dsync_lab::LoginOptions;
use dsync_lab::arm64::{Release, image};
use dsync_lab::images::{Image, Layer, Machine, linked};

/// The cost of an ssh login and of the messages of a sync.
const OVERHEAD: u64 = 11_000;

/// The time limit of a run, and that of silence: programs take their time under the emulator.
const PATIENCE: Duration = Duration::from_secs(900);
const TIMEOUT: &str = "600";

/// A bench whose remote has nothing but programs for arm64, and has never seen one of ours.
fn remote() -> Bench {
    let login = LoginOptions { arm64: true, ..LoginOptions::default() };
    let bench = Bench::builder().login(login).fresh().patience(PATIENCE).start();
    place(&bench, &arm64("docker-sync-agent"), "Linux-aarch64");
    bench
}

/// Makes an agent one that a client gives to hosts of this kind.
fn place(bench: &Bench, agent: &Path, platform: &str) {
    fs::create_dir(bench.work().join("agents")).unwrap();
    symlink(agent, bench.work().join(format!("agents/docker-sync-{platform}"))).unwrap();
}

/// A client that finds the agents of the bench.
fn run(bench: &Bench, program: &Path, args: &[&str]) -> Ran {
    let mut command: Command = bench.bare_command(program);
    command.arg("--ssh").arg(bench.ssh()).args(["--timeout", TIMEOUT]).args(args);
    command.env("DOCKER_SYNC_AGENTS", bench.work().join("agents"));
    bench.run_command(command)
}

/// The program of the tests here, against a remote with arm64.
fn from_here(bench: &Bench, args: &[&str]) -> Ran {
    run(bench, dsync_e2e::program(), args)
}

/// The same packages of two releases of Debian.
fn releases(bench: &Bench) -> [Image; 2] {
    [("deb:12", Release::Old), ("deb:13", Release::New)]
        .map(|(name, release)| image(&bench.name(name), release).unwrap_or_else(|error| panic!("{error}")))
}

fn size(image: &Image) -> u64 {
    image.layers().iter().map(|layer| layer.tar().len() as u64).sum()
}

/// The bytes that an update to an image may take.
fn small(image: &Image) -> u64 {
    OVERHEAD + size(image) / 12
}

/// Status and name of each image of a report.
fn lines(report: &Ran) -> Vec<String> {
    report.out.lines().map(|line| line.split('\t').take(2).collect::<Vec<_>>().join(" ")).collect()
}

/// The host must have been given this agent, and no other.
#[track_caller]
fn assert_given(bench: &Bench, agent: &Path) {
    let entries = fs::read_dir(bench.login().home().join(".cache/docker-sync")).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    let agents: Vec<_> =
        files.filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with("agent-")).collect();
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert!(fs::read(&agents[0]).unwrap() == fs::read(agent).unwrap(), "{agents:?}");
}

#[test]
#[ignore = "needs programs for arm64: cargo xtask test"]
fn a_remote_with_arm64_is_given_its_agent_and_reports() {
    let bench = remote();
    let said = bench.login().ssh("uname -sm; command -v sh; ls /lib").output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said, "Linux aarch64\n/usr/bin/sh\naarch64-linux-gnu\nld-linux-aarch64.so.1\n");

    let [old, new] = releases(&bench);
    let there = bench.layout("there");
    there.put(&bench.name("deb:12"), &old, Form::Plain);
    there.put(&bench.name("web:1"), &new, Form::Plain);
    bench.here().put(&old);
    bench.here().put(&bench.image("web:1").layer(&Layer::empty()));
    let report = || from_here(&bench, &["--remote-docker", &there.spec(), bench.remote()]).ok();
    let first = report().wire_at_least(500_000).wire_at_most(2_000_000);
    assert_given(&bench, &arm64("docker-sync-agent"));
    let second = report().wire_at_most(OVERHEAD);
    assert_eq!(first.out, second.out);
    let [current, outdated] = ["deb:12", "web:1"].map(|name| bench.name(name));
    assert_eq!(lines(&second), [format!("current {current}"), format!("need update {outdated}")]);
}

/// The address maps of the old executables are what makes the difference between the levels.
#[test]
#[ignore = "needs programs for arm64: cargo xtask test"]
fn packages_for_arm64_are_updated_from_a_remote_with_arm64_and_on_it() {
    let bench = remote();
    let [old, new] = releases(&bench);
    let (there, web) = (bench.layout("there"), bench.name("deb:13"));
    let spec = there.spec();
    there.put(&bench.name("deb:12"), &old, Form::Plain);
    there.put(&web, &new, Form::Plain);
    bench.here().put(&old);
    let sync = |args: &[&str]| {
        let fixed = ["--remote-docker", &spec, bench.remote(), &web];
        from_here(&bench, &[args, &fixed].concat()).ok()
    };
    sync(&["--dry-run"]).wire_at_least(500_000);
    sync(&["--compression", "12"]).says("added").wire_at_most(small(&new));
    bench.here().assert_is("deb:13", &new);

    fs::remove_dir_all(there.dir()).unwrap();
    there.put(&bench.name("deb:12"), &old, Form::Plain);
    sync(&["--push", "--compression", "1"]).says("added").wire_at_least(size(&new) / 9);
    there.assert_is(&web, &new);
    fs::remove_dir_all(there.dir()).unwrap();
    there.put(&bench.name("deb:12"), &old, Form::Plain);
    sync(&["--push", "--compression", "12"]).says("added").wire_at_most(small(&new));
    there.assert_is(&web, &new);
}

#[test]
#[ignore = "needs programs for arm64: cargo xtask test"]
fn a_client_for_arm64_reports_and_updates_from_this_machine_and_on_it() {
    let bench = Bench::builder().fresh().patience(PATIENCE).start();
    place(&bench, &agent(), "Linux-x86_64");
    let [old, new] = releases(&bench);
    let (here, web) = (bench.layout("here"), bench.name("deb:13"));
    here.put(&bench.name("deb:12"), &old, Form::Plain);
    bench.there().put(&old);
    bench.there().put(&new);
    let sync = |args: &[&str]| {
        let fixed = ["--docker", &here.spec(), bench.remote()];
        run(&bench, &arm64("docker-sync"), &[&fixed, args].concat()).ok()
    };
    let report = sync(&["--report", &bench.name("deb:*")]).wire_at_least(500_000);
    assert_eq!(lines(&report), [format!("current {}", bench.name("deb:12")), format!("new {web}")]);
    assert_given(&bench, &agent());
    let bytes = sync(&["--compression", "12", &web]).says("added").wire_at_most(small(&new)).wire.bytes();
    assert!(bytes > 50_000, "{bytes}");
    here.assert_is(&web, &new);

    bench.there().docker(&["rmi", &web]);
    sync(&["--push", "--compression", "12", &web]).says("added").wire_at_most(small(&new));
    bench.there().assert_is("deb:13", &new);
}

/// An executable that nobody has an old version of: in its calls, the source puts addresses, and the target distances.
/// A file of a machine that is not known, with the same code, crosses as it is.
#[test]
#[ignore = "needs programs for arm64: cargo xtask test"]
fn the_branch_filter_for_arm64_is_undone_by_the_other_machine() {
    const MACHINE: usize = 18;
    const RISC_V: u8 = 243;
    let bench = remote();
    let known = linked(Machine::Aarch64, &bench.name("linked"), 3000, &[]);
    let mut unknown = known.clone();
    unknown[MACHINE] = RISC_V;
    let there = bench.layout("there");
    let sync = |args: &[&str]| {
        let fixed = ["--compression", "9", "--remote-docker", &there.spec(), bench.remote()];
        from_here(&bench, &[&fixed, args].concat()).ok().wire.bytes()
    };
    let [filtered, plain] = [("known:1", known), ("unknown:1", unknown)].map(|(name, program)| {
        let layer = Layer::builder().dir("bin").file("bin/tool", program).build();
        let new = bench.image(name).platform("linux/arm64").layer(&layer);
        let name = bench.name(name);
        there.put(&name, &new, Form::Plain);
        sync(&["--dry-run", &name]);
        let pulled = sync(&[&name]);
        bench.here().assert_is(name.rsplit('/').next().unwrap(), &new);
        fs::remove_dir_all(there.dir()).unwrap();
        let pushed = sync(&["--push", &name]);
        there.assert_is(&name, &new);
        // Nobody is to have a program that is nearly the next one.
        bench.here().docker(&["rmi", &name]);
        fs::remove_dir_all(there.dir()).unwrap();
        [pulled, pushed]
    });
    for (filtered, plain) in filtered.into_iter().zip(plain) {
        assert!(filtered + 10_000 < plain, "{filtered} bytes with the filter, {plain} without");
    }
}

//! As a plugin of the real docker client: `docker sync …`.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use dsync_e2e::{Bench, layer, program};

/// `docker` with the plugin where a person links it, and a home in which nothing else is set up.
fn docker(bench: &Bench) -> Command {
    let plugins = bench.home().join(".docker/cli-plugins");
    fs::create_dir_all(&plugins).expect("a home can be written to");
    let link = plugins.join("docker-sync");
    if !link.exists() {
        symlink(program(), link).expect("a home can be written to");
    }
    let mut docker = bench.bare_command("docker");
    docker.env_remove("DOCKER_CONFIG");
    docker
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_sync_syncs() {
    let bench = Bench::start();
    let (image, web) = (bench.image("web:1").layer(&layer("plugin", 50_000)), bench.name("web:1"));
    bench.there().put(&image);
    let sync = |globals: &[&str], words: &[&str]| {
        let mut docker = docker(&bench);
        docker.args(globals).arg("sync").args(["--ssh", &bench.ssh(), bench.remote()]).args(words);
        docker
    };
    let report = bench.run_command(sync(&[], &["--report", &web])).ok().wire_at_most(10_000);
    assert!(report.out.starts_with(&format!("new\t{web}\t")), "{report}");
    bench.run_command(sync(&[], &[&web])).ok().wire_at_least(50_000).wire_at_most(64_000);
    bench.here().assert_is("web:1", &image);
    bench.assert_same("web:1");

    // The engine that docker was told to use is the one that is synchronised, whatever the environment says.
    let there = bench.there().engine().docker_host();
    bench.run_command(sync(&["--host", &there], &["--report", &web])).ok().says("current\t");
    let mut other = sync(&["--host", &bench.here().engine().docker_host()], &[&web]);
    other.env_remove("DOCKER_HOST");
    bench.run_command(other).ok().says("current");
    bench.run_command(sync(&[], &["nowhere:1"])).exits(5);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_knows_the_plugin_and_its_help() {
    let bench = Bench::start();
    let run = |words: &[&str]| {
        let mut docker = docker(&bench);
        docker.args(words);
        bench.run_command(docker).ok()
    };
    run(&["--help"]).says("sync*");
    run(&["sync", "--help"]).says("Usage: docker sync [OPTIONS] REMOTE [IMAGE]...");
    run(&["help", "sync"]).says("docker sync --push");
    run(&["sync", "--version"]).says("docker-sync ");
}

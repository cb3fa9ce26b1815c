//! A patch that one engine's host made and another's applies: the image has the ID that a sync would give it.

use std::fs;

use dsync_e2e::{Bench, Form, Sameness, Store};

use crate::stations::{Stations, tiny};

fn goes_over(source_kind: &'static str, target_kind: &'static str) {
    let (from, to, [old, new]) = (Stations::get(source_kind), Stations::get(target_kind), tiny());
    let (source_host, _source_alone) = from.source();
    let (target_host, _target_alone) = to.target();
    let dir = source_host.lab.dir().join(format!("patch-to-{target_kind}"));
    let source = Store::new(source_kind, &source_host, dir.join("source"));
    let target = Store::new(target_kind, &target_host, dir.join("target"));
    let [one, two] = [1, 2].map(|tag| format!("matrix/patch-from-{source_kind}-to-{target_kind}:{tag}"));
    source.put(&one, &old, Form::Gnu(6));
    source.put(&two, &new, Form::Gnu(6));
    target.put(&one, &old, Form::Gnu(6));
    let first = [&source, &target].map(|store| store.identity(&one).expect("the image has its name"));

    let hosts = [(&source_host, &target_host), (&target_host, &source_host)];
    let [at_source, at_target] = hosts.map(|(here, there)| Bench::builder().between(here, there).start());
    let run = |bench: &Bench, args: &[&str]| {
        let mut command = bench.bare_command(dsync_e2e::program());
        command.args(args);
        bench.run_command(command).ok()
    };
    let file = dir.join("tiny.patch");
    let path = file.to_str().unwrap();
    run(&at_source, &["diff", &one, &two, "-o", path, "--docker", &source.spec()]);
    assert!(fs::metadata(&file).unwrap().len() < 20_000, "{:?}", fs::metadata(&file));
    run(&at_target, &["apply", path, "--docker", &target.spec()]).says("added");
    let second = [&source, &target].map(|store| store.identity(&two).expect("the image has its name"));
    Sameness::expected(source_kind, target_kind).assert_holds(&second[0], &second[1]);
    target.assert_runs(&two, "tiny 2: 20000 numbers");
    assert!(target.has(&first[1]), "the old image is gone");
    run(&at_target, &["apply", path, "--docker", &target.spec()]).says("was there");

    let [[old_source, old_target], [new_source, new_target]] = [first, second];
    let left = [source.end(&[old_source, new_source]), target.end(&[old_target, new_target])];
    assert_eq!(left, [Vec::<String>::new(), Vec::new()], "left behind by the source, and by the target");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn from_docker_28_containerd_to_docker_28_containerd() {
    goes_over("docker-28-containerd", "docker-28-containerd");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn from_docker_28_containerd_to_podman_4() {
    goes_over("docker-28-containerd", "podman");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn from_docker_20_to_docker_28_containerd() {
    goes_over("docker", "docker-28-containerd");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn from_docker_26_containerd_to_docker_28_containerd() {
    goes_over("docker-26-containerd", "docker-28-containerd");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn from_docker_28_containerd_to_docker_26_classic() {
    goes_over("docker-28-containerd", "docker-26-classic");
}

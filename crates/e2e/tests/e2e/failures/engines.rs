//! Engines that are missing, down, closed to this user, or break; and images that are not there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use dsync_e2e::{Bench, layer, program};
use dsync_lab::{LoginOptions, User};

/// All programs of this machine that would be found as an engine's client.
fn clients() -> Vec<PathBuf> {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/snap/bin", "/opt/bin"];
    let names = ["docker", "podman"].map(|name| places.map(|place| Path::new(place).join(name)));
    let mut files: Vec<_> = names.iter().flatten().filter_map(|file| file.canonicalize().ok()).collect();
    files.sort();
    files.dedup();
    files
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_engine_here() {
    let bench = Bench::start();
    // As on a machine that has none: in a mount namespace of its own, they are no programs.
    let hide = clients().into_iter().map(|file| format!("mount --bind /dev/null {}; ", file.display()));
    let script = format!("set -e; {}exec \"$@\"", hide.collect::<String>());
    let mut command = bench.bare_command("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(program());
    command.args(["--ssh", &bench.ssh(), bench.remote()]);
    bench
        .run_command(command)
        .exits(4)
        .says("error: on this host: 'docker' or 'podman' was not found on PATH or in the usual places\n")
        .says("hint: install docker or podman on this host, or name its path: --docker /path/to/docker");
    bench
        .run(&["--docker", "no-such-docker", bench.remote()])
        .exits(4)
        .says("error: on this host: 'no-such-docker' was not found on PATH or in the usual places\n");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn no_engine_there() {
    let login = LoginOptions { absent: clients(), ..LoginOptions::default() };
    let bench = Bench::builder().login(login).start();
    let remote = bench.remote();
    for method in ["delta", "stream"] {
        bench
            .pull(&["--method", method])
            .exits(4)
            .says(&format!(
                "error: on {remote}: 'docker' or 'podman' was not found on PATH or in the usual places\n"
            ))
            .says(&format!("hint: install docker or podman on {remote}, or name its path: --remote-docker "));
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_engine_that_is_down() {
    let bench = Bench::start();
    let (remote, down) = (bench.remote(), "docker -H unix:///no/such.sock");
    let sentence = "the container engine does not answer: Cannot connect to the Docker daemon";
    bench
        .run(&["--docker", down, remote])
        .exits(4)
        .says(&format!("error: on this host: {sentence}"))
        .says("hint: start it (sudo systemctl start docker)");
    for method in ["delta", "stream"] {
        bench
            .run(&["--remote-docker", down, "--method", method, remote])
            .exits(4)
            .says(&format!("error: on {remote}: {sentence}"))
            .says("hint: start it there");
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_engine_that_is_closed_to_this_user() {
    let login = LoginOptions { user: User::Guest, ..LoginOptions::default() };
    let bench = Bench::builder().login(login).fresh().start();
    let sentence = "no permission to talk to the container engine: ";
    for method in ["delta", "stream"] {
        bench
            .pull(&["--method", method])
            .exits(4)
            .says(&format!("error: on {}: {sentence}", bench.remote()))
            .says("hint: add the user that ssh logs in as to the docker group");
    }
    // A directory as REMOTE, since the guest may not read the lab's key.
    let folder = bench.work().join("images");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = bench.bare_command("setpriv");
    command.args(["--reuid=64230", "--regid=64230", "--clear-groups"]).arg(program());
    command.args(["--push", &format!("oci:{}", folder.display())]);
    bench
        .run_command(command)
        .exits(4)
        .says(&format!("error: on this host: {sentence}"))
        .says("hint: add the user to the docker group");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_is_not_there_names_those_that_are_near() {
    let bench = Bench::start();
    for side in [bench.here(), bench.there()] {
        side.put(&bench.image("website:1").layer(&layer("failures-near", 1_000)));
    }
    let (asked, near) = (bench.name("web-site:1"), bench.name("website:1"));
    for ran in [bench.pull(&[&asked]), bench.push(&[&asked])] {
        ran.exits(5)
            .says(&format!("error: the source has no image '{asked}'\n"))
            .says("hint: did you mean ")
            .says(&format!("'{near}'"));
    }
}

/// A script in front of docker, which is `$docker` in it.
pub(crate) fn in_front_of_docker(bin: &Path, script: &str) {
    let docker = dsync_lab::packages::find("docker").unwrap();
    let file = bin.join("docker");
    fs::write(&file, format!("#!/bin/sh\ndocker={}\n{script}\n", docker.display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_goes_between_the_report_and_the_sync() {
    let bench = Bench::start();
    let (old, new) = (layer("failures-goes-old", 1_000), layer("failures-goes-new", 50_000));
    let old = bench.image("web:1").layer(&old);
    let new = bench.image("web:1").layer(&new);
    bench.here().put(&old);
    bench.there().put(&new);
    // The target looks at its own images once the source has said which it has.
    let remove = format!("$docker -H {} rmi {}", bench.there().engine().docker_host(), new.id());
    let script = format!("test \"$1\" = images && {remove} >/dev/null\nexec $docker \"$@\"");
    in_front_of_docker(&bench.bin(), &script);
    let name = bench.name("web:1");
    bench
        .pull(&[&name])
        .exits(5)
        .says(&format!("error: {name}: on {}: ", bench.remote()))
        .says(&new.id().to_string())
        .says("hint: it was removed in the meantime");
    bench.here().assert_is("web:1", &old);
    assert_eq!(bench.here().id(&new.id().to_string()), None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_is_built_on_and_goes_before_the_load() {
    let bench = Bench::start();
    let shared = layer("failures-shared", 50_000);
    let old = bench.image("old:1").layer(&shared);
    let new = bench.image("web:1").layer(&shared).layer(&layer("failures-shared-new", 1_000));
    bench.here().put(&old);
    bench.there().put(&new);
    let remove = format!("$docker -H {} rmi {}", bench.here().engine().docker_host(), old.id());
    let script = format!("test \"$1\" = load && {remove} >/dev/null 2>&1\nexec $docker \"$@\"");
    in_front_of_docker(&bench.bin(), &script);
    bench
        .pull(&[&bench.name("web:1")])
        .ok()
        .says("an image was removed from the target meanwhile; once more")
        .wire_at_least(50_000);
    assert_eq!(bench.here().id("old:1"), None);
    bench.here().assert_is("web:1", &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_source_that_breaks_in_the_middle_of_a_save() {
    let bench = Bench::alone();
    let old = bench.image("web:1").layer(&layer("failures-breaks-old", 1_000));
    let new = bench.image("web:1").layer(&layer("failures-breaks-new", 30_000_000));
    bench.here().put(&old);
    bench.there().put(&new);
    let pid = bench.there().engine().root().with_file_name("dockerd.pid");
    // An engine whose files cannot be read has to be asked; and it is killed when a part of them has come.
    let script = format!(
        "case $1 in\n\
         info) $docker \"$@\" | sed s/DockerRootDir/Nothing/;;\n\
         save) $docker \"$@\" | {{ head -c 1000000; kill -KILL $(cat {}); cat; }};;\n\
         *) exec $docker \"$@\";;\n\
         esac",
        pid.display()
    );
    in_front_of_docker(&bench.login().bin(), &script);
    let name = bench.name("web:1");
    let mut command = bench.command();
    command.args([bench.remote(), &name]);
    // The engine there cannot be asked any more what is left.
    let ran = bench.spawn(command).finish_untidily().exits(1);
    let _ = ran.says(&format!("error: {name}: on {}: ", bench.remote()));
    bench.here().assert_is("web:1", &old);
    assert_eq!(bench.here().id(&new.id().to_string()), None);
}

//! Hosts on which somebody else removes images while some arrive.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use dsync_e2e::{Bench, layer};
use dsync_lab::{EngineKind, EngineOptions, ImageStore, Suite};

/// Pushes images to an engine on which images without a name are removed all the time.
fn images_arrive_where_somebody_prunes(kind: EngineKind, client: &str, methods: &[&str]) {
    // podman makes an image first and names it then, so one may have to come twice.
    let may_be_lost = kind == EngineKind::Podman;
    let there = EngineOptions { kind, ..EngineOptions::default() };
    let bench = Bench::builder().engines(EngineOptions::default(), there).start();
    let (done, prunes) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // It may itself fail where images come and go: containerd removes a lease twice.
                let prune = ["image", "prune", "--force"];
                let pruned = bench.there().engine().client().args(prune).output().unwrap();
                prunes.fetch_add(u32::from(pruned.status.success()), Ordering::Relaxed);
            }
        });
        // A run that fails must end the other thread, too.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _end = End(&done);
        for number in 0..8 {
            let method = methods[number % methods.len()];
            let name = format!("web:{number}");
            let image = bench.image(&name).layer(&layer(&format!("prune-{client}-{number}"), 300_000));
            bench.here().put(&image);
            let name = bench.name(&name);
            let push = || bench.push(&["--method", method, "--remote-docker", client, &name]);
            // containerd may take the lease of a `docker save` away when a prune comes upon it; the command fails then,
            // whoever calls it.
            let ran = (0..3).map(|_| push()).find(|ran| !ran.err.contains("NotFound: lease"));
            let ran = ran.expect("containerd takes every lease away").ok();
            assert!(may_be_lost || !ran.err.contains("warning"), "it is not even noticed: {ran}");
            assert_eq!(
                bench.there().layers(&format!("web:{number}")),
                image.layers()[0].diff_id().to_string()
            );
        }
    });
    assert!(prunes.load(Ordering::Relaxed) > 8, "it was done all the time");
    let names = bench.there().docker(&["images", "--all", "--format", "{{.Repository}}"]);
    assert_eq!(
        names.lines().filter(|name| !name.contains("web")).count(),
        0,
        "no temporary name is left: {names}"
    );
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn images_arrive_where_somebody_prunes_dockers_classic_store() {
    images_arrive_where_somebody_prunes(EngineKind::Dockerd, "docker", &["delta", "stream", "rsync"]);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn images_arrive_where_somebody_prunes_dockers_containerd_store() {
    let kind = EngineKind::DockerOf(Suite::Forky, ImageStore::Containerd);
    images_arrive_where_somebody_prunes(kind, "docker", &["delta", "stream", "rsync"]);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn images_arrive_where_somebody_prunes_podman() {
    images_arrive_where_somebody_prunes(EngineKind::Podman, "podman", &["delta", "stream", "rsync"]);
}

/// An image that goes while it is taken comes again, and where it goes each time that is said.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_image_that_somebody_removes_meanwhile_is_told_as_that() {
    let bench = Bench::start();
    let image = bench.image("web:1").layer(&layer("removed", 100_000));
    bench.there().put(&image);
    // Somebody removes what was just loaded, by its name.
    let remove = "case $1 in load) $docker \"$@\" | tee /dev/stderr | sed 's/.*: //' | while read -r name; \
                  do $docker rmi \"$name\"; done;; *) exec $docker \"$@\";; esac";
    super::engines::in_front_of_docker(&bench.bin(), remove);
    bench
        .pull(&[&bench.name("web:1")])
        .exits(1)
        .says("warning: an image was removed from the target meanwhile; once more")
        .says("somebody removed it before it had its name")
        .says("hint: an image was removed during the sync");
    assert_eq!(bench.here().id("web:1"), None);
}

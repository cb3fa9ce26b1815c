//! Disks that are full: the message says which, before anything has crossed, and the target is as it was.

use dsync_e2e::{Bench, layer};
use dsync_lab::{EngineOptions, LoginOptions};

/// Brings an image to an engine that has not the room for it, and then to the same when it has.
fn full_engine(push: bool) {
    let small = EngineOptions { root_limit_mb: Some(40), ..EngineOptions::default() };
    let (here, there) =
        if push { (EngineOptions::default(), small) } else { (small, EngineOptions::default()) };
    let bench = Bench::builder().engines(here, there).start();
    let (source, target) = if push { (bench.here(), bench.there()) } else { (bench.there(), bench.here()) };
    let old = bench.image("web:1").layer(&layer("disks-old", 1_000));
    let ballast = bench.image("ballast:1").layer(&layer("disks-ballast", 16_000_000));
    let new = bench.image("web:1").layer(&layer("disks-new", 16_000_000));
    target.put(&old);
    target.put(&ballast);
    source.put(&new);
    let name = bench.name("web:1");
    let run = || if push { bench.push(&[&name]) } else { bench.pull(&[&name]) };

    let place = if push { bench.remote() } else { "this host" };
    // The archive and the unpacked layer are there together, so 16 MB are not enough.
    let dry = || {
        let arguments = ["--dry-run", &name];
        if push { bench.push(&arguments) } else { bench.pull(&arguments) }
    };
    for ran in [run(), dry()] {
        ran.exits(6)
            .says(&format!("error: {name}: on {place}: there is no room for the image in /"))
            .says("bytes are needed, and the file system (/")
            .says(&format!("hint: free some space on {place} where its images are kept"))
            .wire_at_most(5_000_000);
    }
    // Without an agent it is the same disk of the same host, and the same sentence.
    for method in ["stream", "rsync"] {
        let arguments = ["--method", method, &name];
        let ran = if push { bench.push(&arguments) } else { bench.pull(&arguments) };
        let ran = ran
            .exits(6)
            .says(&format!("error: {name}: on {place}: there is no room for the image in /"))
            .says(&format!("hint: free some space on {place} where its images are kept"));
        if push {
            // The room there is asked for before anything crosses; here a layer has to be read before its size is known.
            let _ = ran.wire_at_most(1_000_000);
        }
    }
    target.assert_is("web:1", &old);
    assert_eq!(target.docker(&["images", "--quiet", "--all"]).lines().count(), 2);
    assert_eq!(target.docker(&["ps", "--quiet", "--all"]), "");

    target.docker(&["rmi", &bench.name("ballast:1")]);
    let _ = run().ok();
    bench.assert_same("web:1");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_disk_of_the_engine_here_is_full() {
    full_engine(false);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_disk_of_the_engine_there_is_full() {
    full_engine(true);
}

/// 2 MB is all there is for temporary files there, in the login's own `TMPDIR`.
fn small_folder() -> Bench {
    let login = LoginOptions { tmp_limit_mb: Some(2), ..LoginOptions::default() };
    Bench::builder().login(login).start()
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_place_for_temporary_files_there_is_full() {
    let bench = small_folder();
    let new = bench.image("web:1").layer(&layer("disks-there", 4_000_000));
    bench.there().put(&new);
    let name = bench.name("web:1");
    let told = format!("error: {name}: on {}: ", bench.remote());
    let methods = [
        ("delta", "there is no room for temporary files in /"),
        ("rsync", "no space left for temporary files: at least "),
    ];
    for (method, reason) in methods {
        bench
            .pull(&["--method", method, &name])
            .exits(6)
            .says(&told)
            .says(reason)
            .says("name a directory on a larger disk for temporary files: --tmpfolder DIR");
        assert_eq!(bench.here().id("web:1"), None);
    }
    // An archive that is pushed by rsync is a file there first.
    let other = bench.image("web:2").layer(&layer("disks-there-push", 4_000_000));
    bench.here().put(&other);
    let pushed = bench.name("web:2");
    bench
        .push(&["--method", "rsync", &pushed])
        .exits(6)
        .says(&format!("error: {pushed}: on {}: there is no room for temporary files in /", bench.remote()))
        .says(&format!("hint: free some space on {}, or name a directory", bench.remote()))
        .wire_at_most(1_000_000);
    assert_eq!(bench.there().id("web:2"), None);
    // A stream needs no file there.
    bench.push(&["--method", "stream", &pushed]).ok();
    bench.there().assert_is("web:2", &other);
    // There is room elsewhere, as the hint says.
    let elsewhere = bench.work();
    bench.pull(&["--tmpfolder", elsewhere.to_str().unwrap(), &name]).ok();
    bench.here().assert_is("web:1", &new);
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_folder_that_was_named_is_full() {
    let bench = small_folder();
    let new = bench.image("web:1").layer(&layer("disks-named", 4_000_000));
    bench.here().put(&new);
    let (folder, name) = (bench.login().tmp(), bench.name("web:1"));
    bench
        .push(&["--tmpfolder", folder.to_str().unwrap(), &name])
        .exits(6)
        .says(&format!("error: {name}: on this host: there is no room for temporary files in "))
        .says("hint: free some space on this host");
    // With rsync the archive is made here, though it is for the other host.
    bench
        .push(&["--method", "rsync", "--tmpfolder", folder.to_str().unwrap(), &name])
        .exits(6)
        .says(&format!("error: {name}: on this host: there is no room for temporary files in "))
        .says("name a directory on a larger disk for temporary files: --tmpfolder DIR");
    // So is what comes or goes as a stream, and what comes by rsync.
    let there = bench.image("web:2").layer(&layer("disks-named-there", 4_000_000));
    bench.there().put(&there);
    let pulled = bench.name("web:2");
    let named = ["--tmpfolder", folder.to_str().unwrap(), "--method"];
    let pushes = bench.push(&[&named[..], &["stream", &name]].concat());
    for ran in [pushes, bench.pull(&[&named[..], &["stream", &pulled]].concat())] {
        let _ = ran
            .exits(6)
            .says(": on this host: ")
            .says("hint: free some space on this host, or name a directory");
    }
    assert_eq!(bench.there().id("web:1"), None);
    bench.push(&["--tmpfolder", bench.work().to_str().unwrap(), &name]).ok();
    bench.there().assert_is("web:1", &new);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_folder_that_is_not_there_is_a_usage_error() {
    let bench = Bench::start();
    bench.there().put(&bench.image("web:1").layer(&layer("disks-none", 1_000)));
    let ran = bench.pull(&["--tmpfolder", "/no/such/folder", &bench.name("web:1")]);
    let _ = ran.exits(2).says("/no/such/folder");
}

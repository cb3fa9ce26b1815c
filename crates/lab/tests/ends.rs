//! However a lab ends, nothing is left of it: no process, no mount, no file.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dsync_lab::images::{Image, Layer};
use dsync_lab::{EngineKind, EngineOptions, Lab, LoginOptions};

/// The left-overs of a lab, as text.
fn leftovers(dir: &Path) -> Vec<String> {
    let mut left = Vec::new();
    let text = dir.display().to_string();
    if dir.exists() {
        left.push(format!("file {text}"));
    }
    for line in
        fs::read_to_string("/proc/self/mountinfo").unwrap().lines().filter(|line| line.contains(&text))
    {
        left.push(format!("mount {line}"));
    }
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        if read("cmdline").contains(&text) || read("environ").contains(&text) {
            left.push(format!("process {:?} {}", entry.file_name(), read("cmdline")));
        }
    }
    left
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_stopped_lab_leaves_nothing() {
    let small = EngineOptions { root_limit_mb: Some(64), ..Default::default() };
    let podman = EngineOptions { kind: EngineKind::Podman, ..Default::default() };
    let none = EngineOptions { kind: EngineKind::None, ..Default::default() };
    let builder = Lab::builder()
        .host_with("small", small, LoginOptions { tmp_limit_mb: Some(1), ..Default::default() })
        .host_with("podman", podman, LoginOptions::default())
        .host_with("none", none, LoginOptions::default());
    let begin = Instant::now();
    let lab = builder.start().unwrap_or_else(|error| panic!("{error}"));
    eprintln!("a lab of three hosts took {:?}", begin.elapsed());

    // A full engine says so.
    let big = Layer::builder().file("big", vec![7; 80 << 20]).build();
    let error = lab.host("small").engine().load(&Image::named("big:1").layer(&big).archive()).unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");

    let image = Image::named("localhost/test:1").layer(&Layer::builder().file("f", "f").build());
    let podman = lab.host("podman");
    podman.engine().load(&image.archive()).unwrap();
    let seen =
        podman.ssh("podman images --format '{{.Repository}}:{{.Tag}}'; command -v docker").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "localhost/test:1\n", "{seen:?}");
    let tree = dsync_lab::images::export_tree(podman.engine(), "localhost/test:1").unwrap();
    assert!(tree.get("f").is_some(), "{tree:?}");

    // Something that a test leaves behind.
    let host = lab.host("none");
    let started = host.ssh("nohup sleep 1000 >/dev/null 2>&1 &").status().unwrap();
    assert!(started.success());
    assert!(host.processes().iter().any(|line| line.ends_with("sleep 1000")), "{:?}", host.processes());
    let session = host.ssh("sleep 1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

    let dir = lab.dir().to_owned();
    assert!(!leftovers(&dir).is_empty());
    let begin = Instant::now();
    lab.stop().unwrap();
    eprintln!("its end took {:?}", begin.elapsed());
    // Our own client sees that its host is gone.
    assert!(!session.wait_with_output().unwrap().status.success());
    assert_eq!(leftovers(&dir), Vec::<String>::new());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_killed_owner_leaves_nothing() {
    a_killed_owner_of("alpha");
}

/// Its engines run in mount namespaces.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_killed_owner_of_newer_engines_leaves_nothing() {
    a_killed_owner_of("alpha=docker-28-containerd");
}

fn a_killed_owner_of(host: &str) {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["up", host])
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(owner.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let config = line.split(['=', ' ']).nth(2).unwrap_or_else(|| panic!("no lab: {line:?}"));
    let dir = Path::new(config).parent().unwrap();
    assert!(!leftovers(dir).is_empty());
    // The rest of what it says, so that it is alive until it is killed.
    stdout.read_line(&mut String::new()).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !leftovers(dir).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(leftovers(dir), Vec::<String>::new());
}

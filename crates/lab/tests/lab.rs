//! The lab itself: hosts come up, logins are what they are said to be, bytes are counted, images load, and
//! nothing is left. One lab for all that can share one; it needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use dsync_lab::images::{self, Attributes, Image, Layer, NodeKind};
use dsync_lab::{Lab, Link, LoginOptions, Place, Shell, User};

/// The lab all tests share. A static is not dropped: that the lab ends all the same is the keeper's work, and
/// `a_killed_owner_leaves_nothing` looks at it.
fn shared() -> &'static Lab {
    static LAB: LazyLock<Lab> =
        LazyLock::new(|| Lab::start(&["alpha", "beta"]).unwrap_or_else(|error| panic!("{error}")));
    &LAB
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}").trim_end().to_owned()
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    text(&output)
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn each_host_is_its_own() {
    let lab = shared();
    for host in lab.hosts() {
        let name = host.name();
        let seen =
            run(&mut host
                .ssh("echo $HOME; pwd; echo $TMPDIR; echo ~root; docker info -f '{{.DockerRootDir}}'"));
        let (home, tmp, root) = (host.home(), host.tmp(), host.engine().root());
        let expected = [&home, &home, &tmp, &home, &root].map(|path| path.to_str().unwrap());
        assert_eq!(seen.lines().collect::<Vec<_>>(), expected, "{name}");
    }
    assert_ne!(lab.host("alpha").home(), lab.host("beta").home());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn every_shell_is_a_login_shell() {
    let lab = shared();
    for shell in Shell::ALL {
        let options = LoginOptions { shell, ..Default::default() };
        let login = lab.host("alpha").login(shell.name(), options).unwrap();
        let begin = Instant::now();
        let seen = run(&mut login.ssh("echo $SHELL"));
        eprintln!("{}: {:?} {seen}", shell.name(), begin.elapsed());
        assert!(seen.lines().next().unwrap().ends_with(&format!("/shell/{}", shell.name())), "{seen}");
        // A line that only this family of shells understands.
        let (command, expected) = match shell {
            Shell::Fish => ("set x 1; and echo fish-$x", "fish-1"),
            Shell::Tcsh => ("set x = 1; if ( $x == 1 ) echo tcsh-$x", "tcsh-1"),
            Shell::Bash => ("x=(a b); echo bash-${x[1]}", "bash-b"),
            Shell::Dash | Shell::Ash => ("x=1; echo sh-$x", "sh-1"),
        };
        assert_eq!(run(&mut login.ssh(command)), expected, "{}", shell.name());
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_banner_comes_first() {
    let lab = shared();
    let options =
        LoginOptions { shell: Shell::Ash, banner: Some("Welcome!\n".to_owned()), ..Default::default() };
    let login = lab.host("beta").login("banner", options).unwrap();
    assert_eq!(run(&mut login.ssh("echo here")), "Welcome!\nhere");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_login_can_be_poor() {
    let lab = shared();
    let options = LoginOptions {
        hide: vec!["docker".to_owned(), "rsync".to_owned()],
        read_only: vec![Place::Home],
        no_exec: vec![Place::Tmp, Place::Path("/var/tmp".into())],
        tmp_limit_mb: Some(1),
        env: vec![
            ("LC_ALL".to_owned(), "C".to_owned()),
            ("XDG_CACHE_HOME".to_owned(), "/nowhere".to_owned()),
        ],
        ..Default::default()
    };
    let login = lab.host("beta").login("poor", options).unwrap();
    let script = "
        command -v docker || echo no docker
        command -v podman || echo no podman
        command -v tar
        touch ~/x || true
        for d in $TMPDIR /var/tmp; do printf '#!/bin/sh\\necho ran' >$d/x; chmod +x $d/x; $d/x || true; done
        head -c 2000000 /dev/zero >$TMPDIR/big || true
        echo $XDG_CACHE_HOME";
    let seen = run(&mut login.ssh(script));
    for expected in ["no docker", "no podman", "/tar", "Read-only file system", "No space left", "/nowhere"] {
        assert!(seen.contains(expected), "no '{expected}' in {seen}");
    }
    assert!(!seen.contains("ran\n"), "{seen}");
    assert_eq!(seen.matches("Permission denied").count(), 2, "{seen}");
    assert!(login.var_tmp().join("x").is_file(), "/var/tmp is the login's own");
    assert!(!Path::new("/var/tmp/x").exists());
    fs::write(login.home().join("from-outside"), "").unwrap();
    let dir = login.home().parent().unwrap().to_owned();
    drop(login);
    assert!(!dir.exists());
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_guest_may_not_use_the_engine() {
    let lab = shared();
    let guest =
        lab.host("beta").login("guest", LoginOptions { user: User::Guest, ..Default::default() }).unwrap();
    assert_eq!(run(&mut guest.ssh("id -un; touch ~/mine $TMPDIR/mine /var/tmp/mine")), "guest");
    let output = guest.ssh("docker images").output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).contains("permission denied"), "{}", text(&output));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn bytes_are_counted() {
    let lab = shared();
    let host = lab.host("beta");
    run(host.ssh("true").env("WIRE_LABEL", "count-login"));
    let login = lab.wire("count-login").unwrap();
    assert_eq!(login.connections, 1);
    assert!((2000..20_000).contains(&login.bytes()), "{login:?}");

    run(host.ssh("head -c 1000000 /dev/urandom >/dev/stderr").env("WIRE_LABEL", "count-down"));
    let down = lab.wire("count-down").unwrap();
    assert!((1_000_000..1_050_000).contains(&(down.down - login.down)), "{down:?}");
    assert!(down.up < 20_000, "{down:?}");

    let mut child =
        host.ssh("cat >/dev/null").env("WIRE_LABEL", "count-up").stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&vec![1; 1_000_000]).unwrap();
    assert!(child.wait().unwrap().success());
    let up = lab.wire("count-up").unwrap();
    assert!((1_000_000..1_050_000).contains(&(up.up - login.up)), "{up:?}");
    assert_eq!(lab.wire("never-used").unwrap().connections, 0);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn links_are_slow_or_cut_or_not_to_be_trusted() {
    let lab = shared();
    let host = lab.host("alpha");
    let begin = Instant::now();
    run(lab.ssh().args(["alpha-wan", "head -c 500000 /dev/zero"]).env("WIRE_LABEL", "wan"));
    // 0.2 seconds for the bytes at 20 Mbit/s, and a login's round trips of 50 ms.
    assert!(begin.elapsed() > Duration::from_millis(500), "{:?}", begin.elapsed());
    assert_eq!(lab.wire("wan").unwrap().connections, 1);

    let cut = host.link("cut", &Link { cut_down: Some(100_000), ..Link::default() }).unwrap();
    let output = lab
        .ssh()
        .args([&cut, "head -c 500000 /dev/zero; sleep 100"])
        .env("WIRE_LABEL", "cut")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(255), "{}", text(&output));
    assert_eq!(lab.wire("cut").unwrap().down, 100_000);

    for (alias, why) in
        [("alpha-badkey", "Host key verification failed"), ("alpha-nokey", "Permission denied")]
    {
        let output = lab.ssh().args([alias, "true"]).output().unwrap();
        assert_eq!(output.status.code(), Some(255));
        assert!(text(&output).contains(why), "{}", text(&output));
    }
    run(lab.ssh().args(["alpha-raw", "true"]).env("WIRE_LABEL", "raw"));
    assert_eq!(lab.wire("raw").unwrap().connections, 0);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_small_image_is_built_for_real() {
    let lab = shared();
    let (alpha, beta) = (lab.host("alpha").engine(), lab.host("beta").engine());
    for image in ["tiny:1", "tiny:2"] {
        let begin = Instant::now();
        images::get(alpha, image).unwrap();
        images::get(beta, image).unwrap();
        eprintln!("{image}: {:?}", begin.elapsed());
        assert_eq!(alpha.image_id(image), beta.image_id(image));
    }
    assert_eq!(alpha.run("tiny:2", &["/app/run"]).unwrap().trim(), "tiny 2: 20000 numbers");
    let one = images::export_tree(alpha, "tiny:1").unwrap();
    assert_eq!(images::export_tree(beta, "tiny:1").unwrap().differences(&one), Vec::<String>::new());
    let two = images::export_tree(beta, "tiny:2").unwrap();
    let changes: Vec<String> =
        one.differences(&two).iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert!(changes.contains(&"! app/numbers".to_owned()), "{changes:?}");
    assert!(
        changes.contains(&"- app/d".to_owned()) && changes.contains(&"+ app/new".to_owned()),
        "{changes:?}"
    );
    let link = &one.get("app/a-again").unwrap().kind;
    assert!(matches!(link, NodeKind::HardLink(to) if to == b"app/a"), "{link:?}");
}

/// `setcap cap_net_bind_service+ep`, as the kernel stores it.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A path that is not UTF-8.
fn latin1() -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    Path::new(std::ffi::OsStr::from_bytes(b"caf\xe9")).to_owned()
}

fn odd_image() -> Image {
    let long = "long/".repeat(100) + "name";
    let base = Layer::builder()
        .dir("etc")
        .file("etc/keep", "keep")
        .file("etc/remove", "remove")
        .dir("var")
        .file("var/old", "old")
        .build();
    let odd = Layer::builder()
        .file(&long, "long")
        .file(latin1(), "latin1")
        .file_named_in_pax(&"pax/".repeat(60), "")
        .file_named_in_pax("pax name", "pax")
        .file_with_xattrs("capable", "program", &[("security.capability", CAPABILITY)])
        .hard_link("again", &long)
        .symlink("link", "etc/keep")
        .fifo("fifo")
        .device("null", 1, 3)
        .attributes(Attributes { mode: Some(0o6711), uid: 3_000_000, gid: 7, mtime: 1 })
        .file("setuid", "s")
        .file_sized_in_pax("size-in-pax", "12345")
        .file_sized_in_binary("size-in-binary", "123456")
        .build();
    let changes = Layer::builder().whiteout("etc/remove").opaque("var").file("var/new", "new").build();
    Image::named("test/odd:1")
        .layer(&base)
        .layer(&Layer::empty())
        .layer(&odd)
        .layer(&Layer::empty())
        .layer(&changes)
        .layer(&base)
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn images_of_all_oddities_load() {
    let lab = shared();
    let engine = lab.host("alpha").engine();
    let image = odd_image();
    engine.load(&image.archive()).unwrap();
    assert_eq!(engine.image_id("test/odd:1"), Some(image.id().to_string()));
    let tree = images::export_tree(engine, "test/odd:1").unwrap();
    let kind = |path: &[u8]| tree.get(path).map(|node| node.kind.clone());
    assert_eq!(tree.get("capable").unwrap().xattrs["security.capability"], CAPABILITY);
    assert_eq!(
        kind(b"again").map(|kind| matches!(kind, NodeKind::File { size: 4, .. })),
        Some(true),
        "a name comes before its directory in an export"
    );
    assert!(kind(b"caf\xe9").is_some() && kind(b"pax name").is_some(), "{tree:?}");
    assert!(kind(b"var/new").is_some() && kind(b"etc/keep").is_some());
    assert_eq!(tree.get("setuid").unwrap().mode, 0o6711);
    assert_eq!(tree.get("setuid").unwrap().owner, (3_000_000, 7));
    for (path, expected) in [("size-in-pax", 5), ("size-in-binary", 6), ("etc/remove", 6)] {
        assert!(
            matches!(kind(path.as_bytes()), Some(NodeKind::File { size, .. }) if size == expected),
            "{path}"
        );
    }

    // The archive that the engine saves has the same layers, bit for bit: a load checks every one.
    let saved = lab.dir().join("odd.tar");
    run(engine.client().args(["save", "test/odd:1", "-o"]).arg(&saved));
    let beta = lab.host("beta").engine();
    beta.load_file(&saved).unwrap();
    assert_eq!(beta.image_id("test/odd:1"), Some(image.id().to_string()));

    let other = Image::named("test/arm:1").platform("linux/arm/v7").layer(&Layer::empty());
    engine.load(&other.archive()).unwrap();
    let seen = run(engine
        .client()
        .args(["image", "inspect", "-f", "{{.Os}}/{{.Architecture}}/{{.Variant}}"])
        .arg("test/arm:1"));
    assert_eq!(seen, "linux/arm/v7");
    let untagged = Image::untagged().layer(&Layer::builder().file("only", "").build());
    engine.load(&untagged.archive()).unwrap();
    assert!(engine.image_id(&untagged.id().to_string()).is_some());
    engine.remove_image("test/odd:1").unwrap();
    assert_eq!(engine.image_id("test/odd:1"), None);
}

/// A tar that the engine reads but cannot put together again, and one that it does not read.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn some_layers_an_engine_does_not_take_or_give_back() {
    let lab = shared();
    let engine = lab.host("beta").engine();
    let file = lab.dir().join("never.tar");
    let link = Layer::builder().symlink_with_size("link", "to", 9 << 30).build();
    let sparse = Layer::builder().sparse_file("sparse", 1 << 20, 512 << 10, b"in the middle").build();
    for layer in [link, sparse] {
        let image = Image::untagged().layer(&layer);
        engine.load(&image.archive()).unwrap();
        let output =
            engine.client().args(["save", &image.id().to_string(), "-o"]).arg(&file).output().unwrap();
        assert!(!output.status.success(), "{}", text(&output));
    }
    let twice = Layer::builder().file("same", "1").file("same", "2").build();
    let error = engine.load(&Image::untagged().layer(&twice).archive()).unwrap_err();
    assert!(error.to_string().contains("duplicates of file paths not supported"), "{error}");
}

//! containerd without Docker: found by itself, updated, collected meanwhile, and told when it is not there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{Bench, Side, layer};
use dsync_lab::{EngineKind, EngineOptions, LoginOptions, Suite, User};
use dsync_testkit::add_artifact;

fn bench(suite: Option<Suite>) -> Bench {
    with_login(suite, LoginOptions::default())
}

/// A host that has neither docker nor podman.
fn without_other_engines() -> LoginOptions {
    let file = |name: &str| ["/usr/local/bin", "/usr/bin"].map(|dir| Path::new(dir).join(name));
    let absent = ["docker", "podman"].iter().flat_map(|name| file(name)).filter(|file| file.exists());
    LoginOptions { absent: absent.collect(), ..LoginOptions::default() }
}

const BOTH: [&str; 4] = ["--docker", "containerd", "--remote-docker", "containerd"];

fn with_login(suite: Option<Suite>, login: LoginOptions) -> Bench {
    let engine = || EngineOptions { kind: EngineKind::Containerd(suite), ..EngineOptions::default() };
    Bench::builder().engines(engine(), engine()).login(login).start()
}

/// The names of all records in a namespace.
fn records(side: &Side<'_>, namespace: &str) -> Vec<String> {
    side.docker(&["-n", namespace, "images", "ls", "-q"]).lines().map(str::to_owned).collect()
}

/// A script in the place of the client of this side, which is `$ctr` in it.
fn in_front_of_ctr(side: &Side<'_>, bin: &Path, script: &str) {
    let (real, ctr) = (side.engine().client(), bin.join("ctr"));
    let real = match Path::new(real.get_program()) {
        program if program.is_absolute() => program.display(),
        _ => Path::new("/usr/bin/ctr").display(),
    };
    fs::write(&ctr, format!("#!/bin/sh\nctr={real}\n{script}\nexec $ctr \"$@\"\n")).unwrap();
    fs::set_permissions(&ctr, fs::Permissions::from_mode(0o755)).unwrap();
}

fn is_found_and_updated(suite: Option<Suite>, version: &str) {
    let bench = with_login(suite, without_other_engines());
    let base = layer("containerd-base", 400_000);
    let old = bench.image("web:1").layer(&base).layer(&layer("containerd-old", 20_000));
    let new = bench.image("web:1").layer(&base).layer(&layer("containerd-new", 20_000));
    bench.here().put(&old);
    bench.there().put(&new);
    let [old_id, new_id] = [bench.here().id("web:1").unwrap(), bench.there().id("web:1").unwrap()];
    bench
        .pull(&["--docker", "containerd", "--verbose"])
        .ok()
        .says("need update\t")
        .says(&format!("the remote has containerd {version}."))
        .says(", namespace default, storage readable");
    let name = bench.name("web:1");
    let pull = || bench.pull(&["--docker", "containerd", "--verify", &name]).ok();
    pull()
        .says("updated")
        .says("; kept in `ctr -n default images ls`")
        .wire_at_least(20_000)
        .wire_at_most(40_000);
    assert_eq!(bench.here().id("web:1"), Some(new_id));
    let checked = bench.here().docker(&["images", "check"]);
    let line = checked.lines().find(|line| line.contains(&name)).unwrap();
    assert!(line.contains(" complete (3/3) ") && line.trim_end().ends_with("true"), "{checked}");
    // The old one stays, by a name that no person gives.
    let all = records(&bench.here(), "default");
    let kept = format!("localhost/docker-sync@{old_id}");
    assert_eq!(all, [format!("docker.io/{name}"), kept.clone()]);
    pull().says("current");
    // The way back.
    bench.here().docker(&["images", "tag", "--force", &kept, &format!("docker.io/{name}")]);
    assert_eq!(bench.here().id("web:1"), Some(old_id));
    pull().says("updated");
    // It gets a name again, and needs the other no more.
    bench.there().put(&bench.image("web:0").layer(&base).layer(&layer("containerd-old", 20_000)));
    bench.pull(&["--docker", "containerd", &bench.name("web:0")]).ok();
    assert!(!records(&bench.here(), "default").contains(&kept));
}

fn holds_a_layer_whose_image_somebody_removes_meanwhile(suite: Option<Suite>) {
    let bench = bench(suite);
    let base = layer("containerd-held-base", 400_000);
    bench.there().put(&bench.image("base:1").layer(&base));
    bench.here().put(&bench.image("web:1").layer(&base).layer(&layer("containerd-held", 20_000)));
    let removed = bench.name("base:1");
    // When the import begins, what is there was found out already.
    in_front_of_ctr(
        &bench.there(),
        &bench.login().bin(),
        &format!("case \"$*\" in *' import '*-) $ctr images rm --sync docker.io/{removed} >&2;; esac"),
    );
    let push = || bench.push(&[&BOTH[..], &[&bench.name("web:1")]].concat());
    push().ok().says("added").wire_at_least(20_000).wire_at_most(40_000);
    assert_eq!(bench.there().id("base:1"), None);
    assert_eq!(bench.there().id("web:1"), bench.here().id("web:1"));
    let checked = bench.there().docker(&["images", "check"]);
    assert!(checked.contains(" complete (3/3) "), "{checked}");
    let labels = bench.there().docker(&["content", "ls"]);
    assert!(!labels.contains("gc.root"), "nothing is held any more: {labels}");
    push().ok().says("current");
}

/// Signatures and attestations beside an image go along, by way of a layout that other tools wrote them to.
fn keeps_referrers(suite: Option<Suite>) {
    let bench = bench(suite);
    bench.here().put(&bench.image("web:1").layer(&layer("containerd-signed", 10_000)));
    let (name, id) = (bench.name("web:1"), bench.here().id("web:1").unwrap());
    let layout = bench.layout("signed");
    bench.run(&["--docker", "containerd", "--push", &layout.spec(), &name]).ok().says("added");
    let root = serde_json::json!({"digest": id, "size": 1});
    let hex = id.strip_prefix("sha256:").unwrap();
    add_artifact(layout.dir(), "signature", None, Some(&format!("sha256-{hex}.sig"))).unwrap();
    let bill = add_artifact(layout.dir(), "bill", Some(&root), None).unwrap();
    bench
        .push(&["--docker", &layout.spec(), "--remote-docker", "containerd", &name])
        .ok()
        .says("added")
        .says(", with 2 referrers");
    let repository = name.rsplit_once(':').unwrap().0;
    let names = [
        format!("docker.io/{repository}:1"),
        format!("docker.io/{repository}:sha256-{hex}.sig"),
        format!("localhost/docker-sync@{}", bill["digest"].as_str().unwrap()),
    ];
    assert_eq!(records(&bench.there(), "default"), names);
    let pull = || bench.pull(&[&BOTH[..], &[&name]].concat()).ok();
    pull().says("current, with 2 referrers");
    assert_eq!(records(&bench.here(), "default"), names);
    let report = bench.pull(&BOTH).ok();
    assert_eq!(report.out.lines().filter(|line| line.contains("sha256-")).count(), 0, "{report}");
    assert!(!pull().err.contains("referrer"));
    // The collector leaves them alone.
    bench.here().put(&bench.image("other:1").layer(&layer("containerd-unsigned", 1_000)));
    let other = format!("docker.io/{}", bench.name("other:1"));
    bench.here().docker(&["images", "rm", "--sync", &other]);
    for text in ["signature", "bill"] {
        let digest = dsync_core::Digest::of(text.as_bytes()).to_string();
        assert_eq!(bench.here().docker(&["content", "get", &digest]), text);
    }
}

/// The names and holds of runs that were killed go with the next one.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn what_a_killed_run_left_in_a_containerd_goes() {
    let bench = bench(None);
    let image = |tag: &str, seed: &str| bench.image(&format!("web:{tag}")).layer(&layer(seed, 1_000));
    bench.there().put(&image("1", "containerd-left-1"));
    bench.here().put(&image("2", "containerd-left-2"));
    let (there, left) = (bench.there(), "localhost/docker-sync:00000000-00000000-1-00000001-00000000");
    there.docker(&["images", "tag", &format!("docker.io/{}", bench.name("web:1")), left]);
    let blob = there.id("web:1").unwrap();
    let held = dsync_core::Digest::of(b"held").to_string();
    // Nothing keeps it from the collector until it has its label.
    let holds = (0..20).any(|_| {
        let mut ingest = std::process::Command::new("sh");
        ingest.args(["-c", "printf held | \"$@\"", "sh", "ctr", "content", "ingest", "left"]);
        assert!(ingest.envs(there.engine().environment()).status().unwrap().success());
        let mut label = there.engine().client();
        label.args(["content", "label", &held, &format!("containerd.io/gc.root={left}")]);
        label.output().unwrap().status.success()
    });
    assert!(holds, "the collector takes it each time");
    there.docker(&["content", "label", &held, &format!("containerd.io/gc.ref.content.docker-sync.0={blob}")]);
    bench.push(&[&BOTH[..], &[&bench.name("web:2")]].concat()).ok().says("added");
    let names: Vec<String> =
        ["1", "2"].map(|tag| format!("docker.io/{}", bench.name(&format!("web:{tag}")))).into();
    assert_eq!(records(&there, "default"), names);
    assert!(!there.docker(&["content", "ls", "-q"]).contains(&held));
}

/// A run that is killed at any step leaves the old image or the new one; the next has the new one, and nothing is left.
fn is_safe_from_kills(suite: Option<Suite>) {
    let bench = bench(suite);
    let base = layer("containerd-kills-base", 100_000);
    for (at, step) in [
        "*'content label'*gc.root*",
        "*' images import -'|*' images import --local -'",
        // The verification comes between the two imports.
        "*' images import '*'--no-unpack -'",
        "*' images rm localhost/docker-sync:'*",
        "*' content rm '*",
    ]
    .into_iter()
    .enumerate()
    {
        let image = |age: &str| {
            let top = layer(&format!("containerd-kills-{age}-{at}"), 20_000);
            bench.image(&format!("web:{at}")).layer(&base).layer(&top)
        };
        bench.here().put(&image("old"));
        bench.there().put(&image("new"));
        let name = format!("web:{at}");
        let [old, new] = [bench.here().id(&name), bench.there().id(&name)];
        let full = bench.name(&name);
        let arguments = [&[bench.remote()], &BOTH[..], &[&full]].concat();
        let here = bench.here();
        in_front_of_ctr(
            &here,
            &bench.bin(),
            &format!("case \"$*\" in {step}) kill -KILL $PPID; sleep 0.3;; esac"),
        );
        let mut command = bench.command();
        let ran = bench.spawn({
            command.args(&arguments);
            command
        });
        let ran = ran.finish_untidily();
        assert_eq!(ran.exit, None, "{step}: {ran}");
        fs::remove_file(bench.bin().join("ctr")).unwrap();
        let between = bench.here().id(&name);
        assert!(between == old || between == new, "{step}: {between:?}");
        let _ = bench.run(&arguments).ok();
        assert_eq!(bench.here().id(&name), new, "{step}");
        let left: Vec<String> = records(&bench.here(), "default");
        assert!(left.iter().all(|name| !name.starts_with("localhost/docker-sync:")), "{step}: {left:?}");
        let kept = format!("localhost/docker-sync@{}", old.unwrap());
        assert!(left.contains(&kept), "{step}: {left:?}");
        let blobs = bench.here().docker(&["content", "ls"]);
        assert!(!blobs.contains("gc.root"), "{step}: {blobs}");
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn the_disk_of_a_containerd_is_full() {
    let small = EngineOptions { kind: EngineKind::Containerd(None), root_limit_mb: Some(40) };
    let here = EngineOptions { root_limit_mb: None, ..small.clone() };
    let bench = Bench::builder().engines(here, small).start();
    let images = ["old", "ballast", "new"].map(|name| {
        let size = if name == "old" { 1_000 } else { 16_000_000 };
        bench.image(&format!("{}:1", if name == "new" { "old" } else { name })).layer(&layer(name, size))
    });
    bench.there().put(&images[0]);
    bench.there().put(&images[1]);
    bench.here().put(&images[2]);
    let (old, name) = (bench.there().id("old:1"), bench.name("old:1"));
    let push = || bench.push(&[&BOTH[..], &[&name]].concat());
    push()
        .exits(6)
        .says(&format!("error: {name}: on {}: there is no room for the image in /", bench.remote()))
        .wire_at_most(5_000_000);
    assert_eq!(bench.there().id("old:1"), old);
    bench.there().engine().remove_image(&bench.name("ballast:1")).unwrap();
    let _ = push().ok();
    assert_eq!(bench.there().id("old:1"), bench.here().id("old:1"));
}

/// Kubernetes lists an image that containerd's CRI plugin has taken note of.
fn is_noted_by_kubernetes(suite: Option<Suite>) {
    let bench = bench(suite);
    let there = bench.there();
    there.docker(&["namespaces", "create", "k8s.io"]);
    let image = bench.image("web:1").layer(&layer("containerd-cri", 10_000));
    bench.here().put(&image);
    // It is the only one, and empty.
    let push = || bench.push(&[&BOTH[..], &[&bench.name("web:1")]].concat());
    push().ok().says("added");
    let (name, deadline) =
        (format!("docker.io/{}", bench.name("web:1")), Instant::now() + Duration::from_secs(20));
    let noted = || {
        let listed = there.docker(&["-n", "k8s.io", "images", "ls"]);
        let is_managed =
            |start: &str| listed.lines().any(|line| line.starts_with(start) && line.contains("=managed"));
        (is_managed(&name) && is_managed(&image.id().to_string()), listed)
    };
    while !noted().0 && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(100));
    }
    let (is_noted, listed) = noted();
    assert!(is_noted, "{listed}");
    assert_eq!(listed.lines().count(), 3, "a heading, the name and the ID of the config: {listed}");
    push().ok().says("current");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_containerd_that_cannot_be_used_is_told() {
    let guest = with_login(None, LoginOptions { user: User::Guest, ..LoginOptions::default() });
    guest.here().put(&guest.image("web:1").layer(&layer("containerd-told", 1_000)));
    let name = guest.name("web:1");
    let push = |options: &[&str]| guest.push(&[&["--docker", "containerd", &name], options].concat());
    push(&BOTH[2..])
        .exits(4)
        .says(&format!("on {}: no permission", guest.remote()))
        .says("--remote-docker 'sudo ctr'");
    guest
        .push(&["--docker", "containerd:nope", "--remote-docker", "oci:layout", &name])
        .exits(4)
        .says("on this host: containerd has no namespace 'nope': it has default");
    push(&["--remote-docker", "ctr --address /nowhere.sock"])
        .exits(4)
        .says(&format!("on {}: the container engine does not answer", guest.remote()))
        .says("CONTAINERD_ADDRESS");
    push(&["--method", "stream", "--remote-docker", "containerd"])
        .exits(2)
        .says("a containerd of the remote needs an agent there");
    guest
        .push(&["--docker", "containerd:", "--remote-docker", "oci:layout", &name])
        .exits(2)
        .says("names no namespace");
}

/// Docker and containerd of one host: the one is the remote of the other.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_containerd_of_this_host_is_a_remote() {
    let bench = bench(None);
    bench.here().put(&bench.image("web:1").layer(&layer("containerd-remote", 10_000)));
    let name = bench.name("web:1");
    let layout = bench.layout("layout");
    bench.run(&["containerd:default", "--docker", &layout.spec(), &name]).ok().says("added");
    let kept = layout.named(&name).unwrap();
    assert_eq!(Some(kept.manifest), bench.here().id("web:1"));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_update_of_a_containerd_that_is_found_by_itself() {
    is_found_and_updated(None, "1.6");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layer_whose_image_somebody_removes_meanwhile_is_held() {
    holds_a_layer_whose_image_somebody_removes_meanwhile(None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_run_into_a_containerd_is_safe_from_kills() {
    is_safe_from_kills(None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn signatures_and_attestations_go_along_between_containerds() {
    keeps_referrers(None);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn kubernetes_takes_note_of_an_image() {
    is_noted_by_kubernetes(None);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn all_of_it_holds_in_containerd_1_7() {
    all_of_it_holds_in(Suite::Trixie, "1.7");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn all_of_it_holds_in_containerd_2_1() {
    all_of_it_holds_in(Suite::Forky, "2.1");
}

fn all_of_it_holds_in(suite: Suite, version: &str) {
    is_found_and_updated(Some(suite), version);
    holds_a_layer_whose_image_somebody_removes_meanwhile(Some(suite));
    is_safe_from_kills(Some(suite));
    keeps_referrers(Some(suite));
    is_noted_by_kubernetes(Some(suite));
}

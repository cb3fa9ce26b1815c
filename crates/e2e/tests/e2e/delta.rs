//! The cost of an update where both sides have the old image, the index cache, and patches.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dsync_e2e::{Bench, layer, noise};
use dsync_lab::images::{Attributes, Image, Layer, Machine, archive_without_index, linked};
use dsync_lab::{EngineKind, EngineOptions};

/// The cost of an ssh login and of the messages of a sync.
const OVERHEAD: u64 = 11_000;

/// Two builds of an image: 300 files at another time, and one of 400 kB in which five bytes are others. No other
/// test has them, since tests share engines.
fn images(bench: &Bench) -> [Image; 2] {
    let seed = |what: &str| bench.name(what);
    let base = layer(&seed("base"), 50_000);
    let build = |name: &str, mtime: u64| {
        let attributes = Attributes { mtime, ..Attributes::default() };
        let layer = Layer::builder().attributes(attributes).dir("srv");
        let file = |n: u32| (format!("srv/file-{n}"), noise(&seed(&n.to_string()), 2_000));
        let files = (0..300).map(file).fold(layer, |layer, (name, content)| layer.file(name, content));
        let (head, tail) = (noise(&seed("head"), 150_000), noise(&seed("tail"), 250_000));
        let layer = files.file("srv/large", [&head[..], name.as_bytes(), &tail].concat()).build();
        bench.image(name).layer(&base).layer(&layer)
    };
    [build("web:1", 1_700_000_000), build("web:2", 1_800_000_000)]
}

/// A bench where both sides have the old image, and there is the new one.
fn updated() -> Bench {
    let bench = Bench::start();
    let [old, new] = images(&bench);
    bench.here().put(&old);
    bench.there().put(&old);
    bench.there().put(&new);
    bench
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_rebuilt_image_costs_what_is_new_in_it() {
    let bench = updated();
    // No name, no hash, no old content: 1 MB in 301 files, of which 5 bytes are new.
    for level in ["max", "1", "auto"] {
        bench.pull(&["--compression", level, &bench.name("web:2")]).ok().wire_at_most(OVERHEAD + 600);
        bench.assert_same("web:2");
        bench.here().docker(&["rmi", &bench.name("web:2")]);
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_push_costs_the_same() {
    let bench = Bench::start();
    let [old, new] = images(&bench);
    bench.there().put(&old);
    bench.here().put(&old);
    bench.here().put(&new);
    bench.push(&[&bench.name("web:2")]).ok().wire_at_most(OVERHEAD + 1_200);
    bench.assert_same("web:2");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn layers_are_remembered_and_what_is_damaged_is_learnt_again() {
    let bench = updated();
    let forget = || bench.here().docker(&["rmi", &bench.name("web:2")]);
    let known = || bench.run_command(cache(&bench, &["ls", "--json"])).ok().json()["layers"].clone();
    bench.pull(&[&bench.name("web:2")]).ok();
    let first = known();
    assert_eq!(first.as_array().unwrap().len(), 2, "{first}");
    forget();
    // A file of the cache is damaged, and another one is gone.
    let files = cached(&bench);
    fs::write(&files[0], b"dsyncidx and nonsense").unwrap();
    fs::remove_file(&files[1]).unwrap();
    bench.pull(&[&bench.name("web:2")]).ok().wire_at_most(OVERHEAD + 600);
    bench.assert_same("web:2");
    assert_eq!(known().as_array().unwrap().len(), 2);
    bench.run_command(cache(&bench, &["prune", "--all"])).ok().says("2 layers forgotten");
    assert!(cached(&bench).is_empty());
}

/// The index outlives the image: the source does not have the layer that the target has, but saw it once.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_source_that_only_remembers_the_basis_asks_about_changed_files_only() {
    let bench = updated();
    bench.pull(&[&bench.name("web:2")]).ok();
    bench.here().docker(&["rmi", &bench.name("web:2")]);
    bench.there().docker(&["rmi", &bench.name("web:1")]);
    // Of the piece with the five bytes the cuts are told, and the one cut that nobody has.
    bench.pull(&[&bench.name("web:2")]).ok().wire_at_least(10_000).wire_at_most(OVERHEAD + 6_000);
    bench.assert_same("web:2");
}

/// As a CI runner that built the image from nothing: what it shares with the target's image it must find out.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_source_that_never_had_the_basis_finds_it_at_the_target() {
    let bench = Bench::start();
    let seed = |what: &str| bench.name(what);
    let base = layer(&seed("base"), 50_000);
    let large = noise(&seed("large"), 3_000_000);
    let build = |name: &str, mtime: u64, edit: &[u8]| {
        let attributes = Attributes { mtime, ..Attributes::default() };
        let layer = Layer::builder().attributes(attributes).dir("srv");
        let file = |n: u32| (format!("srv/file-{n}"), noise(&seed(&n.to_string()), 2_000));
        let files = (0..300).map(file).fold(layer, |layer, (name, content)| layer.file(name, content));
        // One is somewhere else, one is changed, and one grew in its middle.
        let moved = files.file(format!("srv/moved-{mtime}"), noise(&seed("moved"), 90_000));
        let changed = moved.file("srv/changed", [&noise(&seed("changed"), 20_000)[..], edit].concat());
        let large = [&large[..1_700_000], edit, &large[1_700_000..]].concat();
        bench.image(name).layer(&base).layer(&changed.file("srv/large", large).build())
    };
    let (old, new) = (build("web:1", 1_700_000_000, b""), build("web:2", 1_800_000_000, b"a new page"));
    bench.here().put(&old);
    bench.there().put(&new);
    let web = bench.name("web:2");
    let result = &bench.pull(&["--dry-run", "--json", &web]).ok().json()["results"][0];
    for (level, most) in [("max", 7_000), ("auto", 7_000), ("1", 7_000)] {
        let ran = bench.pull(&["--compression", level, "--json", &web]).ok().wire_at_most(OVERHEAD + most);
        let done = &ran.json()["results"][0];
        if level == "auto" {
            assert_eq!(done["packed"], result["packed"]);
        }
        bench.assert_same("web:2");
        bench.here().assert_is("web:2", &new);
        bench.here().docker(&["rmi", &web]);
    }
}

/// Two contents whose hashes begin with the same seven bytes: the target says that it has the new one.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn chunks_that_only_seem_to_be_there_are_sent_after_all() {
    const TEXT: &str = "Two of these have the same 7 bytes of their hash: ";
    let [old, new] = ["ba7850d5ca7f32", "45812233692540"].map(|end| format!("{TEXT}{end}"));
    assert_eq!(blake3::hash(old.as_bytes()).as_bytes()[..7], blake3::hash(new.as_bytes()).as_bytes()[..7]);
    let bench = Bench::start();
    let build = |name: &str, content: &str| {
        let filler = noise(&bench.name("collision"), 200_000);
        bench
            .image(name)
            .layer(&Layer::builder().dir("srv").file("srv/filler", filler).file("srv/hash", content).build())
    };
    let (old, new) = (build("web:1", &old), build("web:2", &new));
    bench.here().put(&old);
    bench.there().put(&new);
    let web = bench.name("web:2");
    bench
        .pull(&[&web])
        .ok()
        .says("a layer could not be rebuilt from what both sides have; sending the layers again without a basis")
        .wire_at_least(200_000);
    bench.assert_same("web:2");
    bench.here().assert_is("web:2", &new);
    bench.here().assert_is("web:1", &old);
    bench.assert_tidy();
}

/// The low levels take no time to look into files, and show what these cost as they are.
#[track_caller]
fn costs_little_at_max(bench: &Bench, new: &Image) {
    let web = bench.name("web:2");
    for (level, least, most) in [("1", 100_000, 300_000), ("max", OVERHEAD - 2_000, OVERHEAD + 1_000)] {
        bench.pull(&["--compression", level, &web]).ok().wire_at_least(least).wire_at_most(most);
        bench.assert_same("web:2");
        bench.here().assert_is("web:2", new);
        bench.here().docker(&["rmi", &web]);
    }
}

/// Four functions of 3000 are longer, so nearly all that calls and loads tell is something else.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_executable_that_was_linked_again_costs_little_more_than_what_is_new_in_it() {
    let bench = Bench::start();
    let build = |name: &str, more: &[usize]| {
        let program = |machine| linked(machine, &bench.name("linked"), 3000, more);
        let layer = Layer::builder().dir("bin").file("bin/tool", program(Machine::X86));
        bench.image(name).layer(&layer.file("bin/tool-aarch64", program(Machine::Aarch64)).build())
    };
    let (old, new) = (build("web:1", &[]), build("web:2", &[30, 700, 1500, 2900]));
    bench.there().put(&old);
    bench.there().put(&new);
    bench.here().put(&old);
    let web = bench.name("web:2");
    costs_little_at_max(&bench, &new);

    let patch = bench.work().join("tool.patch");
    let (there, file) =
        (format!("docker --host {}", bench.there().engine().docker_host()), patch.to_str().unwrap());
    let diff = ["diff", &bench.name("web:1"), &web, "-o", file, "--compression", "max", "--docker", &there];
    bench.run_command(plain(&bench, &diff)).ok();
    assert!(fs::metadata(&patch).unwrap().len() < 2_000, "{}", fs::metadata(&patch).unwrap().len());
    bench.run_command(plain(&bench, &["apply", file])).ok().says("added");
    bench.here().assert_is("web:2", &new);
    fs::remove_file(patch).unwrap();
}

/// A line more at the start of a compressed changelog, and all that follows has other bytes.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_compressed_file_costs_what_is_new_in_what_it_says() {
    let bench = Bench::start();
    let text: String =
        noise(&bench.name("changelog"), 150_000).iter().map(|byte| format!("{byte:x}\n")).collect();
    let build = |name: &str, head: &str| {
        let changelog = gzip(format!("{head}{text}").as_bytes());
        let layer = Layer::builder().dir("doc").file("doc/changelog.gz", changelog).build();
        bench.image(name).layer(&layer)
    };
    let (old, new) = (build("web:1", ""), build("web:2", "fixed what was broken before\n"));
    bench.there().put(&old);
    bench.there().put(&new);
    bench.here().put(&old);
    costs_little_at_max(&bench, &new);
}

/// As Debian's packages have it.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let mut gzip = gzip.arg("-9n").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = gzip.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(text).unwrap());
        gzip.wait_with_output().unwrap().stdout
    })
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn an_explanation_adds_up() {
    let bench = updated();
    let web = bench.name("web:2");
    let result = &bench.pull(&["--dry-run", "--explain", "--json", &web]).ok().json()["results"][0];
    let files = result["explain"]["files"].as_array().unwrap();
    let sum: u64 = files.iter().map(|file| file["packed"].as_u64().unwrap()).sum();
    assert_eq!(result["packed"], sum);
    assert_eq!((&files[0]["path"], &files[0]["changed"]), (&"srv/large".into(), &true.into()), "{result}");
    bench.pull(&["--dry-run", "--explain", &web]).ok().says("changed  srv/large").says("layer 2 of 2");
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_patch_makes_the_new_image_of_the_old_one() {
    let bench = updated();
    let patch = bench.work().join("web.patch");
    let there = format!("docker --host {}", bench.there().engine().docker_host());
    let (old, new) = (bench.name("web:1"), bench.name("web:2"));
    let file = patch.to_str().unwrap();
    let diff = |from: &str| plain(&bench, &["diff", "--force", from, &new, "-o", file, "--docker", &there]);
    bench.run_command(diff(&old)).ok().says("web.patch");
    assert!(fs::metadata(&patch).unwrap().len() < 1_500, "{}", fs::metadata(&patch).unwrap().len());
    let apply = || bench.run_command(plain(&bench, &["apply", file]));
    apply().ok().says("added");
    bench.assert_same("web:2");
    apply().ok().says("was there");

    // Of saved archives.
    let saved = |name: &str| {
        let file = bench.work().join(format!("{}.tar", name.rsplit(':').next().unwrap()));
        bench.there().docker(&["save", "-o", file.to_str().unwrap(), name]);
        file
    };
    let (old_file, new_file) = (saved(&old), saved(&new));
    let archive = |file: &std::path::Path| format!("docker-archive:{}", file.display());
    let again = bench.work().join("again.patch");
    let named = format!("{}:{new}", archive(&new_file));
    let args = ["diff", &archive(&old_file), &named, "-o", again.to_str().unwrap()];
    bench.run_command(plain(&bench, &args)).ok();
    bench.here().docker(&["rmi", &new]);
    bench.run_command(plain(&bench, &["apply", again.to_str().unwrap()])).ok().says("added");
    bench.assert_same("web:2");
    bench
        .run_command(plain(&bench, &["diff", &old, "docker-archive:no.tar", "-o", "x"]))
        .exits(4)
        .says("no.tar");
    [old_file, new_file, again].iter().for_each(|file| fs::remove_file(file).unwrap());

    // Without the old image, damaged, or no patch at all: refused before anything is touched.
    bench.here().docker(&["rmi", &old, &new]);
    apply().exits(5).says("which the patch builds on");
    let mut bytes = fs::read(&patch).unwrap();
    bytes[700] ^= 1;
    fs::write(&patch, &bytes).unwrap();
    apply().exits(7).says("damaged or cut short");
    fs::write(&patch, "PATCH").unwrap();
    apply().exits(1).says("no patch of docker-sync");
    bench.run_command(diff(&bench.name("web:9"))).exits(5).says("has no image");
    assert_eq!(fs::read(&patch).unwrap(), b"PATCH");
    fs::remove_file(patch).unwrap();
}

/// `docker-sync` with a command that needs no other host.
fn plain(bench: &Bench, args: &[&str]) -> std::process::Command {
    let mut command = bench.bare_command(dsync_e2e::program());
    command.args(args);
    command
}

fn cache(bench: &Bench, args: &[&str]) -> std::process::Command {
    plain(bench, &[&["cache"], args].concat())
}

fn cached(bench: &Bench) -> Vec<PathBuf> {
    let entries = fs::read_dir(bench.home().join(".cache/docker-sync/index")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// podman takes images for other systems; nobody has an emulator of Windows.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_patch_of_an_image_that_will_not_run_says_so() {
    let podman = || EngineOptions { kind: EngineKind::named("podman").unwrap(), ..EngineOptions::default() };
    let bench = Bench::builder().engines(podman(), podman()).start();
    let build = |tag: &str| {
        let layer = layer(&bench.name(tag), 20_000);
        bench.image(tag).platform("windows/amd64").layer(&layer)
    };
    let saved = ["web:1", "web:2"].map(|tag| {
        let file = bench.work().join(tag.replace(':', "-"));
        fs::write(&file, archive_without_index(&[build(tag)])).unwrap();
        format!("docker-archive:{}", file.display())
    });
    bench.here().put(&build("web:1"));
    let patch = bench.work().join("web.patch");
    let file = patch.to_str().unwrap();
    bench.run_command(plain(&bench, &["diff", &saved[0], &saved[1], "-o", file])).ok();
    let apply = || bench.run_command(plain(&bench, &["apply", file, "--docker", "podman"])).ok();
    let ran = apply().says("added").says("is for windows/amd64, and this host is linux/amd64");
    assert!(ran.err.contains("will not run there"), "{ran}");
    let again = apply().says("was there");
    assert!(!again.err.contains("will not run there"), "{again}");
    fs::remove_dir_all(bench.work()).unwrap();
}

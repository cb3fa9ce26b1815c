//! The fixed set of pairs on real engines: all of it in one session, from a layout into an engine, and from an engine into a
//! layout.
//!
//! An engine is looked at by its own client: what it shows of each image, and what it saves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dsync_e2e::{Bench, Station, is_by_manifest};
use dsync_lab::Engine;
use dsync_testkit::fixed::{self, Fits, Fixed};
use dsync_testkit::{Built, Files, Item, Snapshot, Wanted, What, Wrap, saved};

use crate::stations::Stations;

/// Pairs that a kind of engine refuses to load itself, and what it says.
const REFUSED: &[(&str, &str, &str)] =
    &[("docker", "long-history", "too many non-empty layers in History section")];

/// Pairs that a kind of engine cannot save, so that only what it shows of them is looked at.
const NOT_SAVED: &[(&str, &str)] = &[("docker", "no-layers"), ("docker", "no-layers-env")];

/// Pairs that are known to fail, each with the kind of engine and the reason. The list is to be empty.
const KNOWN: &[(&str, &str, &str)] = &[];

fn known(kind: &str, fixed: &Fixed) -> Option<&'static str> {
    let is_it = |entry: &&(&str, &str, &str)| (entry.0 == "*" || entry.0 == kind) && entry.1 == fixed.name;
    KNOWN.iter().chain(REFUSED).find(is_it).map(|entry| entry.2)
}

/// The pairs for a kind of engine.
fn pairs(kind: &str) -> Vec<Fixed> {
    let fits = |fixed: &Fixed| match fixed.fits {
        Fits::All => true,
        Fits::Manifests => is_by_manifest(kind),
        Fits::Files => kind == "oci",
    };
    fixed::pairs().into_iter().filter(|fixed| fits(fixed) && known(kind, fixed).is_none()).collect()
}

fn built<'a>(items: impl IntoIterator<Item = &'a Item>) -> Vec<Built> {
    items.into_iter().map(Item::build).collect()
}

/// Puts these items into an engine, by its own `load`.
fn load(kind: &str, engine: &Engine, items: &[Built], dir: &Path) {
    let files = if is_by_manifest(kind) { Files::Docker } else { Files::DockerOld };
    let file = dir.join("load.tar");
    files.write(Wrap::None, items, &file).unwrap();
    engine.load_file(&file).unwrap_or_else(|error| panic!("{kind} does not load the images: {error}"));
    fs::remove_file(&file).unwrap();
}

/// The ID of each name that an engine shows.
fn shown(engine: &Engine, names: &BTreeSet<String>) -> BTreeMap<String, String> {
    let mut inspect = engine.client();
    inspect.args(["image", "inspect", "--format", "{{.Id}}{{range .RepoTags}} {{.}}{{end}}"]).args(names);
    // Of names that are not there it says so on standard error, and goes on.
    let said = String::from_utf8(inspect.output().unwrap().stdout).unwrap();
    let mut shown = BTreeMap::new();
    for line in said.lines() {
        let mut words = line.split(' ');
        let id = words.next().unwrap();
        let id = if id.starts_with("sha256:") { id.to_owned() } else { format!("sha256:{id}") };
        shown.extend(words.map(|name| (name.to_owned(), id.clone())));
    }
    shown
}

/// The IDs of all images.
fn ids(engine: &Engine) -> BTreeSet<String> {
    let said = engine.client().args(["images", "--all", "--quiet", "--no-trunc"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    String::from_utf8(said.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Removes the images that are new.
fn remove(engine: &Engine, at_first: &BTreeSet<String>) {
    for id in ids(engine).difference(at_first) {
        engine.remove_image(id).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The archive that an engine saves of these names.
fn save(engine: &Engine, names: &BTreeSet<String>, dir: &Path) -> BTreeMap<String, What> {
    let file = dir.join("save.tar");
    let mut save = engine.client();
    save.arg("save").args(engine.is_podman().then_some("--multi-image-archive")).arg("--output").arg(&file);
    let said = save.args(names).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let images = saved(&fs::read(&file).unwrap()).unwrap();
    fs::remove_file(&file).unwrap();
    images
}

/// An item as a kind of store has it: its ID, config and layers.
fn expected(kind: &str, item: &Built) -> (String, What) {
    let image = item.meant(None).expect("the fixed set is for this host");
    let content = What::content(image);
    let What::Content(config, ..) = &content else { unreachable!("it is made above") };
    let id = if is_by_manifest(kind) { item.root.digest.clone() } else { config.clone() };
    (id, content)
}

/// A directory of a test in the lab of a station.
fn folder(station: &Station, name: &str) -> std::path::PathBuf {
    let dir = station.lab.dir().join(name);
    fs::create_dir_all(&dir).unwrap();
    dir
}

fn store_spec(engine: &Engine) -> &'static str {
    if engine.is_containerd() {
        return "containerd";
    }
    if engine.is_podman() { "podman" } else { "docker" }
}

/// All pairs from a layout into an engine, by a push over ssh.
fn into_engine(kind: &'static str) {
    let stations = Stations::get(kind);
    let (here, _here_alone) = stations.source();
    let (there, _there_alone) = stations.target();
    let (engine, pairs) = (there.host().engine(), pairs(kind));
    let (dir, at_first) = (folder(&there, "fixed-into"), ids(engine));
    let new = built(pairs.iter().map(|fixed| &fixed.new));
    let spec = Files::Layout.write(Wrap::None, &new, &dir.join("layout")).unwrap();
    load(kind, engine, &built(pairs.iter().flat_map(|fixed| &fixed.old)), &dir);
    let names: BTreeSet<String> = pairs
        .iter()
        .flat_map(|fixed| fixed.old.iter().chain([&fixed.new]))
        .flat_map(|item| item.names.clone())
        .collect();
    let (before, before_ids) = (shown(engine, &names), ids(engine));

    let bench = Bench::builder().between(&here, &there).start();
    let asked: Vec<&str> = new.iter().flat_map(|item| &item.names).map(String::as_str).collect();
    let ran = bench.push(&[&["--docker", &spec, "--remote-docker", store_spec(engine)], &asked[..]].concat());

    let after = shown(engine, &names);
    let is_saved = |fixed: &Fixed| !NOT_SAVED.contains(&(kind, fixed.name));
    let savable = pairs.iter().filter(|fixed| is_saved(fixed)).flat_map(|fixed| &fixed.new.names);
    let saved = save(engine, &savable.filter(|name| after.contains_key(*name)).cloned().collect(), &dir);
    let mut problems = Vec::new();
    for (fixed, item) in pairs.iter().zip(&new) {
        let (id, content) = expected(kind, item);
        for name in &item.names {
            match (after.get(name), saved.get(name)) {
                (Some(now), Some(what)) if *now == id && *what == content => {}
                (Some(now), None) if *now == id && !is_saved(fixed) => {}
                (now, what) if now == before.get(name) => {
                    problems.push(format!("{} did not arrive as {name}: {what:?}", fixed.name));
                }
                (now, what) => problems.push(format!(
                    "{}: {name} is {now:?} with {what:?}, and not {id} with {content:?}",
                    fixed.name
                )),
            }
        }
        for name in fixed.old.iter().flat_map(|item| &item.names).filter(|name| !item.names.contains(name)) {
            if after.get(name) != before.get(name) {
                problems.push(format!(
                    "{}: {name} was {:?} and is {:?}",
                    fixed.name,
                    before.get(name),
                    after.get(name)
                ));
            }
        }
    }
    let lost: Vec<String> = before_ids.difference(&ids(engine)).cloned().collect();
    assert!(problems.is_empty() && lost.is_empty(), "{}\nlost: {lost:?}\n{ran}", problems.join("\n"));
    let ran = ran.ok();
    assert!(ran.wire.connections == 1, "{ran}");
    let again =
        bench.push(&[&["--docker", &spec, "--remote-docker", store_spec(engine)], &asked[..]].concat()).ok();
    assert_eq!(again.err.matches("  current\n").count(), asked.len(), "{again}");
    assert_eq!(shown(engine, &names), after, "a second run changes nothing");
    remove(engine, &at_first);
    fs::remove_dir_all(dir).unwrap();
}

/// All pairs out of an engine into a layout, by a pull over ssh.
fn out_of_engine(kind: &'static str) {
    let stations = Stations::get(kind);
    let (there, _alone) = stations.source();
    let (engine, pairs) = (there.host().engine(), pairs(kind));
    let (dir, at_first) = (folder(&there, "fixed-out-of"), ids(engine));
    let new = built(pairs.iter().map(|fixed| &fixed.new));
    load(kind, engine, &new, &dir);
    let layout = dir.join("layout");
    let spec =
        Files::Layout.write(Wrap::None, &built(pairs.iter().flat_map(|fixed| &fixed.old)), &layout).unwrap();
    let before = Snapshot::read(&layout).unwrap();

    let bench = Bench::builder().between(&there, &there).start();
    let asked: Vec<&str> = new.iter().flat_map(|item| &item.names).map(String::as_str).collect();
    let pull =
        || bench.pull(&[&["--docker", &spec, "--remote-docker", store_spec(engine)], &asked[..]].concat());
    let ran = pull();
    let after = Snapshot::read(&layout).unwrap();
    let mut wanted = Vec::new();
    for item in &new {
        let image = item.meant(None).expect("the fixed set is for this host");
        let what = if is_by_manifest(kind) { What::root(item) } else { What::content(image) };
        wanted.extend(item.names.iter().map(|name| Wanted::new(Some(name.clone()), what.clone())));
    }
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|wanted| !after.is_named(wanted.name.as_deref().unwrap_or_default(), &wanted.what))
        .filter_map(|wanted| wanted.name.as_deref())
        .collect();
    assert!(missing.is_empty(), "did not arrive: {missing:?}\n{ran}");
    before.check_holds(&after, &wanted).unwrap_or_else(|problem| panic!("{problem}\n{ran}"));
    ran.ok();
    let again = pull().ok();
    assert_eq!(again.err.matches("  current\n").count(), asked.len(), "{again}");
    after.check_unchanged(&Snapshot::read(&layout).unwrap()).unwrap();
    if is_by_manifest(kind) {
        pinned(&bench, engine, &new, &dir);
    }
    remove(engine, &at_first);
    fs::remove_dir_all(dir).unwrap();
}

/// Each image of an index out of an engine, by the digest of its manifest: by an agent that reads the files of the engine,
/// and by the engine's client alone.
fn pinned(bench: &Bench, engine: &Engine, new: &[Built], dir: &Path) {
    let index = new.iter().find(|item| item.images.len() > 1).expect("the fixed set has an index");
    for method in ["delta", "stream"] {
        for (at, image) in index.images.iter().enumerate() {
            let layout = dir.join(format!("pinned-{method}-{at}"));
            let (spec, name) = (format!("oci:{}", layout.display()), &index.names[0]);
            let digest = format!("{name}@{}", image.manifest);
            let ran = bench.pull(&[
                "--docker",
                &spec,
                "--remote-docker",
                store_spec(engine),
                "--method",
                method,
                &digest,
            ]);
            let ran = ran.ok();
            // As a stream an image keeps its content.
            let what = if method == "delta" { What::manifest(image) } else { What::content(image) };
            let snapshot = Snapshot::read(&layout).unwrap();
            assert!(snapshot.is_named(name, &what), "{method}, {}: {ran}", image.platform);
        }
    }
}

/// All pairs from a layout into a layout of another host.
#[test]
#[ignore = "needs engines: cargo xtask test"]
fn a_layout_takes_the_fixed_set_from_a_layout() {
    let stations = Stations::get("docker");
    let (there, _alone) = stations.source();
    let (dir, pairs) = (folder(&there, "fixed-layouts"), pairs("oci"));
    let new = built(pairs.iter().map(|fixed| &fixed.new));
    let source = Files::Layout.write(Wrap::None, &new, &dir.join("source")).unwrap();
    let old = built(pairs.iter().flat_map(|fixed| &fixed.old));
    let target = Files::Layout.write(Wrap::None, &old, &dir.join("target")).unwrap();
    let before = Snapshot::read(&dir.join("target")).unwrap();
    let bench = Bench::builder().between(&there, &there).start();
    let asked: Vec<&str> = new.iter().flat_map(|item| &item.names).map(String::as_str).collect();
    let push = || bench.push(&[&["--docker", &source, "--remote-docker", &target], &asked[..]].concat());
    let ran = push();
    let after = Snapshot::read(&dir.join("target")).unwrap();
    let wanted = |item: &Built| {
        let what = What::root(item);
        item.names.iter().map(move |name| Wanted::new(Some(name.clone()), what.clone())).collect::<Vec<_>>()
    };
    let wanted: Vec<Wanted> = new.iter().flat_map(wanted).collect();
    before.check_holds(&after, &wanted).unwrap_or_else(|problem| panic!("{problem}\n{ran}"));
    ran.ok();
    let again = push().ok();
    assert_eq!(again.err.matches("  current\n").count(), asked.len(), "{again}");
    after.check_unchanged(&Snapshot::read(&dir.join("target")).unwrap()).unwrap();
    fs::remove_dir_all(dir).unwrap();
}

/// All pairs from a layout into a containerd, the old images first, and from there into an empty layout: by the same
/// roots, with all platforms and attestations that there are.
fn through_containerd(kind: &'static str) {
    let stations = Stations::get(kind);
    let (here, _here_alone) = stations.source();
    let (there, _there_alone) = stations.target();
    let engine = there.host().engine();
    let (dir, pairs) = (folder(&there, "fixed-through"), pairs(kind));
    let at_first: BTreeSet<String> = engine.image_ids().unwrap().into_iter().collect();
    let bench = Bench::builder().between(&here, &there).start();
    let new = built(pairs.iter().map(|fixed| &fixed.new));
    for (name, items) in [("old", &built(pairs.iter().flat_map(|fixed| &fixed.old))), ("new", &new)] {
        let spec = Files::Layout.write(Wrap::None, items, &dir.join(name)).unwrap();
        let asked: Vec<&str> = items.iter().flat_map(|item| &item.names).map(String::as_str).collect();
        let push = || {
            bench.push(&[&["--docker", &spec, "--remote-docker", store_spec(engine)], &asked[..]].concat())
        };
        push().ok();
        let again = push().ok();
        assert_eq!(again.err.matches("  current\n").count(), asked.len(), "{again}");
    }
    let layout = dir.join("back");
    let spec = format!("oci:{}", layout.display());
    let asked: Vec<&str> = new.iter().flat_map(|item| &item.names).map(String::as_str).collect();
    let ran =
        bench.pull(&[&["--docker", &spec, "--remote-docker", store_spec(engine)], &asked[..]].concat()).ok();
    let after = Snapshot::read(&layout).unwrap();
    for item in &new {
        for name in &item.names {
            assert!(after.is_named(name, &What::root(item)), "{name} is another image\n{ran}");
        }
    }
    for id in engine.image_ids().unwrap().into_iter().filter(|id| !at_first.contains(id)) {
        engine.remove_image(&id).unwrap();
    }
    fs::remove_dir_all(dir).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn containerd_1_6_takes_and_gives_the_fixed_set() {
    through_containerd("containerd-1.6");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_1_7_takes_and_gives_the_fixed_set() {
    through_containerd("containerd-1.7");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn containerd_2_1_takes_and_gives_the_fixed_set() {
    through_containerd("containerd-2.1");
}

/// Both directions for a kind of engine.
macro_rules! fixed_set {
    ($($module:ident $kind:literal)*) => {
        $(
            mod $module {
                #[test]
                #[ignore = "needs engines: cargo xtask test"]
                fn takes_the_fixed_set_from_a_layout() {
                    super::into_engine($kind);
                }

                #[test]
                #[ignore = "needs engines: cargo xtask test"]
                fn gives_the_fixed_set_to_a_layout() {
                    super::out_of_engine($kind);
                }
            }
        )*
    };
}

fixed_set! {
    docker_20 "docker"
    docker_28_containerd "docker-28-containerd"
    podman_4 "podman"
}

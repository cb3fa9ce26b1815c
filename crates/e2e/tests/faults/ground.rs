//! The ground of the cases: two engines of a kind, images for each case, and benches that work side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use dsync_e2e::{Bench, Station, noise};
use dsync_lab::images::{Image, archive_of, archive_without_index};
use dsync_lab::{Engine, EngineKind, EngineOptions, Gate, Lab, LoginOptions, packages, wait_in_shell};
use dsync_testkit::{Layer, What, saved};
use serde_json::json;

/// Bytes of the file that is new in an image.
const NEW: usize = 300_000;
/// Bytes of the file that is changed.
const CHANGED: usize = 200_000;

/// Two engines of a kind.
pub(crate) struct Ground {
    lab: Arc<Lab>,
    base: Layer,
}

/// The images of a case: the target has the old one, the source the new one, under the same name.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) old: String,
    pub(crate) new: String,
    old_image: Image,
    new_image: Image,
}

impl Ground {
    pub(crate) fn start(kind: &'static str) -> Ground {
        let options = || EngineOptions { kind: EngineKind::named(kind).unwrap(), ..EngineOptions::default() };
        let builder = Lab::builder().host_with("alpha", options(), LoginOptions::default()).host_with(
            "beta",
            options(),
            LoginOptions::default(),
        );
        let lab = builder.start().unwrap_or_else(|error| panic!("{kind}: {error}"));
        let base = Layer::builder().file("base", noise(&format!("{kind} base"), 20_000)).build();
        Ground { lab: Arc::new(lab), base }
    }

    fn station(&self, name: &'static str) -> Station {
        Station { lab: Arc::clone(&self.lab), name }
    }

    /// The engine that has the new images, and the one that gets them.
    pub(crate) fn engines(&self, is_push: bool) -> [&Engine; 2] {
        let names = if is_push { ["alpha", "beta"] } else { ["beta", "alpha"] };
        names.map(|name| self.lab.host(name).engine())
    }

    /// A pair of images for each of these cases, by its direction.
    pub(crate) fn pairs(&self, directions: &[bool]) -> Vec<Pair> {
        let changed = noise("changed", CHANGED);
        let layer = |changed: &[u8], new: &[u8]| {
            Layer::builder().file("app/changed", changed).file("app/new", new).build()
        };
        // All old images have the same layers, which are loaded once, and a config of their own.
        let old_layer = layer(&changed, &[]);
        let image = |name: &str, layer: &Layer| {
            Image::named(name).config(json!({"Env": [name]})).layer(&self.base).layer(layer)
        };
        let images: Vec<(String, [Image; 2])> = (0..directions.len())
            .map(|number| {
                let name = format!("faults/case:{number}");
                let half = noise(&format!("{name} changed"), CHANGED / 2);
                let new_layer = layer(&[&half, &changed[CHANGED / 2..]].concat(), &noise(&name, NEW));
                let pair = [image(&name, &old_layer), image(&name, &new_layer)];
                (name, pair)
            })
            .collect();
        thread::scope(|scope| {
            for engine in self.engines(false) {
                let images = &images;
                scope.spawn(move || {
                    for is_push in [false, true] {
                        let is_source = std::ptr::eq(self.engines(is_push)[0], engine);
                        let meant = images.iter().zip(directions).filter(|(_, push)| **push == is_push);
                        let these: Vec<Image> =
                            meant.map(|((_, pair), _)| pair[usize::from(is_source)].clone()).collect();
                        load(engine, &these);
                    }
                });
            }
        });
        let pair = |((name, [old_image, new_image]), is_push): ((String, [Image; 2]), &bool)| {
            let [source, target] = self.engines(*is_push);
            let (old, new) = (target.image_id(&name).unwrap(), source.image_id(&name).unwrap());
            Pair { name, old, new, old_image, new_image }
        };
        images.into_iter().zip(directions).map(pair).collect()
    }

    /// The targets must have all old images and all new ones, every byte of them.
    pub(crate) fn check_contents(&self, pairs: &[Pair], directions: &[bool]) -> Vec<String> {
        let mut failures = Vec::new();
        for is_push in [false, true] {
            let target = self.engines(is_push)[1];
            let meant: Vec<&Pair> = pairs
                .iter()
                .zip(directions)
                .filter(|(_, push)| **push == is_push)
                .map(|(pair, _)| pair)
                .collect();
            for several in meant.chunks(20) {
                failures.extend(check_saved(target, several, self.lab.dir()));
            }
        }
        failures
    }
}

/// Loads images, several at a time.
fn load(engine: &Engine, images: &[Image]) {
    let archive = if engine.is_podman() { archive_without_index } else { archive_of };
    for several in images.chunks(30) {
        engine.load(&archive(several)).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn check_saved(engine: &Engine, pairs: &[&Pair], dir: &Path) -> Vec<String> {
    let mut failures = Vec::new();
    let mut wanted: BTreeMap<String, What> = BTreeMap::new();
    for Pair { name, old, old_image, new_image, .. } in pairs {
        let old_name = name.replace("case", "old");
        let tag = engine.client().args(["tag", old, &format!("docker.io/{old_name}")]).output().unwrap();
        if !tag.status.success() {
            failures.push(format!("{name}: the old image is lost: {tag:?}"));
            continue;
        }
        for (name, image) in [(&old_name, old_image), (name, new_image)] {
            let layers = image.layers().iter().map(|layer| layer.diff_id().to_string()).collect();
            wanted.insert(name.clone(), What::Content(image.id().to_string(), layers, None));
        }
    }
    let file = dir.join("saved.tar");
    let mut save = engine.client();
    save.arg("save").args(engine.is_podman().then_some("--multi-image-archive")).arg("--output").arg(&file);
    let said = save.args(wanted.keys()).output().unwrap();
    if !said.status.success() {
        failures.push(format!("the images cannot be saved: {said:?}"));
        return failures;
    }
    match saved(&fs::read(&file).unwrap()) {
        Ok(images) => failures.extend(
            wanted
                .iter()
                .filter(|(name, what)| images.get(*name) != Some(*what))
                .map(|(name, what)| format!("{name} is {:?} and not {what:?}", images.get(name))),
        ),
        Err(error) => failures.push(error),
    }
    fs::remove_file(&file).unwrap();
    failures
}

/// A bench in which one case after the other is run.
pub(crate) struct Place {
    pub(crate) bench: Bench,
}

impl Place {
    pub(crate) fn new(ground: &Ground) -> Place {
        let (here, there) = (ground.station("alpha"), ground.station("beta"));
        let bench = Bench::builder().between(&here, &there).start();
        let place = Place { bench };
        for is_here in [true, false] {
            place.install(is_here);
        }
        place
    }

    /// The directory that says what a side's client of the engine is to do.
    fn orders(&self, is_here: bool) -> PathBuf {
        self.bench.work().join(if is_here { "here" } else { "there" })
    }

    /// A script in front of a side's client: the first call that begins with the words of `hold` waits at a gate.
    fn install(&self, is_here: bool) {
        let (side, bin) = match is_here {
            true => (self.bench.here(), self.bench.bin()),
            false => (self.bench.there(), self.bench.login().bin()),
        };
        let program = if side.engine().is_podman() { "podman" } else { "docker" };
        let own = side.engine().bin().join(program);
        let real = if own.exists() { own } else { packages::find(program).unwrap() };
        let orders = self.orders(is_here);
        fs::create_dir(&orders).unwrap();
        let script = format!(
            "#!/bin/sh\norders={}\n\
             if read -r gate words 2>/dev/null <$orders/hold; then\n\
             case \"$*\" in \"$words\"*)\n\
             if mv $orders/hold $orders/held 2>/dev/null; then\n{}fi;;\nesac\nfi\nexec {} \"$@\"\n",
            orders.display(),
            wait_in_shell("gate"),
            real.display(),
        );
        let file = bin.join(program);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Has the next call of a side's client that begins with these words wait at the gate.
    pub(crate) fn hold(&self, is_here: bool, words: &str, gate: &Gate) {
        let file = self.orders(is_here).join("hold");
        fs::write(&file, format!("{} {words}\n", gate.dir().display())).unwrap();
    }

    /// No call is held any more.
    pub(crate) fn release(&self) {
        for is_here in [true, false] {
            // It may have been taken already.
            fs::remove_file(self.orders(is_here).join("hold")).ok();
        }
    }
}

/// The temporary names of docker-sync that an engine has.
pub(crate) fn temporary_names(engine: &Engine) -> BTreeSet<String> {
    let mut images = engine.client();
    images.args(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let said = String::from_utf8(images.output().unwrap().stdout).unwrap();
    said.lines().filter(|name| name.starts_with("localhost/docker-sync:")).map(str::to_owned).collect()
}

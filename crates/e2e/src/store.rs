//! One end of a pair: an engine, or a layout directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dsync_lab::Engine;

use crate::identity::{self, Identity};
use crate::{Form, Layout, Real, Station};

/// The kinds of store that are tried with each other: engines by the names that the lab has for them, and a layout.
pub const KINDS: [&str; 10] = [
    "docker",
    "docker-26-classic",
    "podman",
    "podman-5.4",
    "docker-26-containerd",
    "docker-28-containerd",
    "containerd-1.6",
    "containerd-1.7",
    "containerd-2.1",
    "oci",
];

/// The store of a test.
pub struct Store {
    kind: &'static str,
    station: Station,
    /// For files of the test; the layouts are in it.
    dir: PathBuf,
    before: BTreeSet<String>,
}

impl Store {
    /// A store of this kind, on this host.
    pub fn new(kind: &'static str, station: &Station, dir: PathBuf) -> Store {
        fs::create_dir_all(&dir).unwrap();
        let before = station.host().engine().holdings().unwrap();
        Store { kind, station: station.clone(), dir, before }
    }

    /// The engine, where it is one.
    pub fn engine(&self) -> Option<&Engine> {
        (self.kind != "oci").then(|| self.station.host().engine())
    }

    /// The value of `--docker`, or of `--remote-docker`.
    pub fn spec(&self) -> String {
        match self.engine() {
            None => self.layout().spec(),
            Some(engine) if engine.is_podman() => "podman".to_owned(),
            Some(engine) if engine.is_containerd() => "containerd".to_owned(),
            Some(_) => "docker".to_owned(),
        }
    }

    /// The directory of a layout.
    pub fn layout_dir(&self) -> PathBuf {
        self.layout().dir().to_owned()
    }

    fn layout(&self) -> Layout {
        Layout::at(self.dir.join("layout"))
    }

    /// True if this kind of store keeps the layers of an image from a registry compressed.
    pub fn is_packed(&self) -> bool {
        identity::is_by_manifest(self.kind)
    }

    /// Makes the image the one of this name, with layers in this form where this kind of store has compressed ones.
    pub fn put(&self, name: &str, image: &Real, form: Form) {
        let form = if self.is_packed() { form } else { Form::Plain };
        self.put_as_is(name, &image.in_form(form));
    }

    /// Makes the image the one of this name, with layers as they are. A layout gets another image of this name beside
    /// one that it has; see [`Store::clear`].
    pub fn put_as_is(&self, name: &str, image: &Real) {
        match self.engine() {
            None => image.put(&self.layout(), name),
            Some(engine) => image.load(engine, &self.dir.join("scratch"), name),
        }
    }

    /// Removes all images of a layout; an engine keeps its own.
    pub fn clear(&self) {
        if self.engine().is_none() {
            // It may not be there yet.
            fs::remove_dir_all(self.layout().dir()).ok();
        }
    }

    /// The image that it has under this name.
    pub fn identity(&self, name: &str) -> Option<Identity> {
        if let Some(engine) = self.engine() {
            return identity::in_engine(engine, name);
        }
        let kept = self.layout().named(name)?;
        let diff_ids = kept.diff_ids.iter().map(ToString::to_string).collect();
        Some(Identity { id: kept.manifest, config: kept.id, diff_ids })
    }

    /// True if it still has this image, whatever its name.
    pub fn has(&self, image: &Identity) -> bool {
        match self.engine() {
            Some(engine) => engine.image_id(&image.id).is_some(),
            None => self.layout().images().values().any(|kept| kept.id == image.config),
        }
    }

    /// The image must do what it is for; nobody runs what is in a layout.
    #[track_caller]
    pub fn assert_runs(&self, name: &str, says: &str) {
        if let Some(engine) = self.engine() {
            let said = engine.run(name, &["/app/run"]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(said.trim(), says);
        }
    }

    /// All images that its client shows, each once.
    pub fn ids(&self) -> BTreeSet<String> {
        let Some(engine) = self.engine() else {
            return self.layout().roots();
        };
        engine.image_ids().unwrap_or_else(|error| panic!("{error}")).into_iter().collect()
    }

    /// Removes what the test made; then the engine must hold what it held before, and no more. Says what
    /// else is there.
    pub fn end(self, images: &[Identity]) -> Vec<String> {
        let Some(engine) = self.engine() else { return Vec::new() };
        for image in images {
            engine.remove_image(&image.id).unwrap_or_else(|error| panic!("{error}"));
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let held = engine.holdings().unwrap();
            let left: Vec<String> = held.difference(&self.before).cloned().collect();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

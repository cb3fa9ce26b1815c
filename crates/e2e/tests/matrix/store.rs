//! One end of a pair: an engine, or a layout directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{Form, Layout, Station};
use dsync_lab::Engine;

use crate::identity::{self, Identity};
use crate::real::Real;

/// The store of a test.
pub(crate) struct Store {
    kind: &'static str,
    station: Station,
    /// For files of the test; the layouts are in it.
    dir: PathBuf,
    before: BTreeSet<String>,
}

impl Store {
    /// A store of this kind, on this host.
    pub(crate) fn new(kind: &'static str, station: &Station, dir: PathBuf) -> Store {
        fs::create_dir_all(&dir).unwrap();
        let before = station.host().engine().holdings().unwrap();
        Store { kind, station: station.clone(), dir, before }
    }

    fn engine(&self) -> Option<&Engine> {
        (self.kind != "oci").then(|| self.station.host().engine())
    }

    /// The value of `--docker`, or of `--remote-docker`.
    pub(crate) fn spec(&self) -> String {
        match self.engine() {
            None => self.layout().spec(),
            Some(engine) if engine.is_podman() => "podman".to_owned(),
            Some(_) => "docker".to_owned(),
        }
    }

    fn layout(&self) -> Layout {
        Layout::at(self.dir.join("layout"))
    }

    /// Makes the image the one of this name, with layers as this kind of store has them from a registry.
    pub(crate) fn put(&self, name: &str, image: &Real) {
        let Some(engine) = self.engine() else {
            // A source has nothing but the one that it is asked for.
            fs::remove_dir_all(self.layout().dir()).ok();
            return image.put(&self.layout(), name, Form::Gnu(6));
        };
        let form = if self.kind.ends_with("-containerd") { Form::Gnu(6) } else { Form::Plain };
        image.load(engine, &self.dir.join("scratch"), name, form);
    }

    /// What it has under this name.
    pub(crate) fn identity(&self, name: &str) -> Option<Identity> {
        if let Some(engine) = self.engine() {
            return identity::in_engine(engine, name);
        }
        let kept = self.layout().images().remove(name)?;
        let diff_ids = kept.diff_ids.iter().map(ToString::to_string).collect();
        Some(Identity { id: self.layout().root(name), config: kept.id, diff_ids })
    }

    /// Whether it still has this image, whatever its name.
    pub(crate) fn has(&self, image: &Identity) -> bool {
        match self.engine() {
            Some(engine) => engine.image_id(&image.id).is_some(),
            None => self.layout().images().values().any(|kept| kept.id == image.config),
        }
    }

    /// The image must do what it is for; nobody runs what is in a layout.
    #[track_caller]
    pub(crate) fn assert_runs(&self, name: &str, says: &str) {
        if let Some(engine) = self.engine() {
            let said = engine.run(name, &["/app/run"]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(said.trim(), says);
        }
    }

    /// All images that its client shows, each once.
    pub(crate) fn ids(&self) -> BTreeSet<String> {
        let Some(engine) = self.engine() else {
            return self.layout().roots();
        };
        let said = engine.client().args(["images", "--all", "--quiet", "--no-trunc"]).output().unwrap();
        assert!(said.status.success(), "{said:?}");
        String::from_utf8_lossy(&said.stdout).lines().map(str::to_owned).collect()
    }

    /// Removes what the test made; then the engine must hold what it held before, and no more. Says what
    /// else is there.
    pub(crate) fn end(self, images: &[Identity]) -> Vec<String> {
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

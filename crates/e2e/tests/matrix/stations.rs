//! The engines of the matrix: two of each kind, since a kind is also a target of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dsync_e2e::{Real, Station};
use dsync_lab::{EngineKind, EngineOptions, Lab, LoginOptions};

/// The two images of which one is the update of the other, which Docker builds.
pub(crate) fn tiny() -> [Real; 2] {
    let (builder, _alone) = Stations::get("docker").source();
    ["tiny:1", "tiny:2"].map(|recipe| Real::of(builder.host().engine(), recipe))
}

/// Two engines of a kind. One is only ever a source, the other only a target.
pub(crate) struct Stations {
    lab: Arc<Lab>,
    in_use: [Mutex<()>; 2],
}

impl Stations {
    /// The engines of this name, shared by all tests of the process.
    pub(crate) fn get(name: &str) -> &'static Stations {
        static ALL: Mutex<BTreeMap<String, &OnceLock<Stations>>> = Mutex::new(BTreeMap::new());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        // They live as long as the process, and end with it: see `dsync_lab::keeper`.
        let stations = *all.entry(name.to_owned()).or_insert_with(|| Box::leak(Box::default()));
        drop(all);
        stations.get_or_init(|| Stations::start(name))
    }

    fn start(name: &str) -> Stations {
        let kind = EngineKind::named(name).unwrap();
        let options = || EngineOptions { kind: kind.clone(), ..EngineOptions::default() };
        let lab = Lab::builder().host_with("alpha", options(), LoginOptions::default()).host_with(
            "beta",
            options(),
            LoginOptions::default(),
        );
        let lab = lab.start().unwrap_or_else(|error| panic!("{name}: {error}"));
        Stations { lab: Arc::new(lab), in_use: Default::default() }
    }

    /// The source, for this test alone.
    pub(crate) fn source(&self) -> (Station, MutexGuard<'_, ()>) {
        self.station("alpha", 0)
    }

    /// The target, for this test alone. A test takes its source first.
    pub(crate) fn target(&self) -> (Station, MutexGuard<'_, ()>) {
        self.station("beta", 1)
    }

    fn station(&self, name: &'static str, n: usize) -> (Station, MutexGuard<'_, ()>) {
        let alone = self.in_use[n].lock().unwrap_or_else(PoisonError::into_inner);
        (Station { lab: Arc::clone(&self.lab), name }, alone)
    }
}

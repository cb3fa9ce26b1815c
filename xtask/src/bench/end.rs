//! A host of its own with one store, for measurements that look at stores.

use std::path::PathBuf;
use std::sync::Arc;

use dsync_e2e::{Station, Store};
use dsync_lab::{Engine, EngineKind, EngineOptions, Lab, LoginOptions};

use crate::Result;

const HOST: &str = "alpha";

/// The name of an image of the lab in all stores.
pub(crate) fn name(recipe: &str) -> String {
    format!("matrix/{recipe}")
}

/// A store, with the host it is on.
pub(crate) struct End {
    pub(crate) store: Store,
    pub(crate) station: Station,
}

impl End {
    /// Starts a host with an empty store of this kind; a layout is on one with the machine's Docker.
    pub(crate) fn start(kind: &'static str) -> Result<End> {
        let engine = if kind == "oci" { "docker" } else { kind };
        let engine = EngineKind::named(engine).ok_or_else(|| format!("the lab has no engine {engine}"))?;
        let options = EngineOptions { kind: engine, ..EngineOptions::default() };
        let lab = Arc::new(Lab::builder().host_with(HOST, options, LoginOptions::default()).start()?);
        let dir = lab.dir().join("store");
        let station = Station { lab, name: HOST };
        Ok(End { store: Store::new(kind, &station, dir), station })
    }

    /// The engine, also where the store is a layout beside it.
    pub(crate) fn engine(&self) -> &Engine {
        self.station.host().engine()
    }

    /// A place for files, which goes with the host.
    pub(crate) fn dir(&self) -> PathBuf {
        self.station.lab.dir().to_owned()
    }

    /// The version that its engine reports; empty for a layout.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(self.store.engine().map(Engine::version).transpose()?.unwrap_or_default())
    }

    /// Ends the host, with all that it has.
    pub(crate) fn end(self) -> Result {
        let End { store, station } = self;
        drop(store);
        match Arc::try_unwrap(station.lab) {
            Ok(lab) => Ok(lab.stop()?),
            Err(_) => Err("a host is still in use".into()),
        }
    }
}

/// The title of a kind of store in tables.
pub(crate) fn title(kind: &str, version: &str) -> String {
    // Packagers add to the third part.
    let version = version.split('.').take(2).collect::<Vec<_>>().join(".");
    if kind == "oci" {
        "OCI layout".to_owned()
    } else if kind.starts_with("podman") {
        format!("podman {version}")
    } else if kind.ends_with("-containerd") {
        format!("Docker {version}, containerd")
    } else {
        format!("Docker {version}, classic")
    }
}

/// The engine's client is looked for on this `PATH`, by what is run in the place of a login.
pub(crate) fn path(engine: &Engine) -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", engine.bin().display())
}

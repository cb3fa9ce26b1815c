//! One cell: a source that has both images, a new target that gets the old one and then the update.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dsync_e2e::{Bench, Ran, Sameness, Station, Store};
use dsync_lab::{Engine, EngineKind, EngineOptions, Lab, LoginOptions};

use super::record::{Record, Same};
use crate::Result;
use crate::bench::pair::Pair;

/// More than any sync takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(3600);
const HOST: &str = "alpha";

/// The name of an image in all stores.
pub(crate) fn name(recipe: &str) -> String {
    format!("matrix/{recipe}")
}

/// A store, with the host it is on.
pub(crate) struct End {
    pub(crate) store: Store,
    station: Station,
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

    pub(crate) fn engine(&self) -> &Engine {
        self.station.host().engine()
    }

    /// A place for files, which goes with the host.
    pub(crate) fn dir(&self) -> PathBuf {
        self.station.lab.dir().to_owned()
    }

    /// What its engine says of itself; nothing of a layout.
    fn version(&self) -> Result<String> {
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

/// Measures a cell; of the record all that is found out here.
pub(crate) fn measure(source: &End, to: &'static str, pair: &Pair, compression: &str) -> Result<Record> {
    let target = End::start(to)?;
    // What the tests' parts find wrong is a panic, which is the end of a test; here it is that of a cell.
    let figures = catch_unwind(AssertUnwindSafe(|| update(source, &target, pair, compression)));
    let figures = figures.unwrap_or_else(|_| Err("it ended with the message above".into()));
    target.end()?;
    figures
}

fn update(source: &End, target: &End, pair: &Pair, compression: &str) -> Result<Record> {
    let bench = Bench::builder().between(&target.station, &source.station).patience(PATIENCE).start();
    let bench = bench.ok_or("the environment says that there are to be no engines")?;
    let [here, there] = [target, source].map(|end| end.store.spec());
    let stores = ["--docker", &here, "--remote-docker", &there];
    let [old, new] = [pair.old, pair.new].map(name);
    succeeded(bench.pull(&[&stores[..], &[&old]].concat()))?;
    let ran = bench.pull(&[&stores[..], &["--compression", compression, &new]].concat());
    let ran = succeeded(ran)?;
    let identity = |end: &End| end.store.identity(&new).ok_or("the image is not there");
    let same = Sameness::of(&identity(source)?, &identity(target)?);
    Ok(Record {
        versions: [source.version()?, target.version()?],
        up: ran.wire.up,
        down: ran.wire.down,
        seconds: ran.took.as_secs_f64(),
        same: same.map(Same::from).ok_or("another image arrived")?,
        ..Record::default()
    })
}

fn succeeded(ran: Ran) -> Result<Ran> {
    if ran.exit == Some(0) { Ok(ran) } else { Err(format!("it failed: {ran}").into()) }
}

//! One cell: a source that has both images, a new target that gets the old one and then the update.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dsync_e2e::{Bench, Ran, Sameness};

use super::{Figures, Same};
use crate::Result;
use crate::bench::end::{End, name};
use crate::bench::pair::Pair;

type Measured = ([String; 2], Figures);

/// More than any sync takes, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Measures a cell: the releases of its engines, and its figures.
pub(super) fn measure(source: &End, to: &'static str, pair: &Pair, compression: &str) -> Result<Measured> {
    let target = End::start(to)?;
    // A fault that the tests' parts find is a panic, which ends a test; here it ends a cell.
    let figures = catch_unwind(AssertUnwindSafe(|| update(source, &target, pair, compression)));
    let figures = figures.unwrap_or_else(|_| Err("it ended with the message above".into()));
    target.end()?;
    figures
}

fn update(source: &End, target: &End, pair: &Pair, compression: &str) -> Result<Measured> {
    let bench = Bench::builder().between(&target.station, &source.station).patience(PATIENCE).start();
    let [here, there] = [target, source].map(|end| end.store.spec());
    let stores = ["--docker", &here, "--remote-docker", &there];
    let [old, new] = [pair.old, pair.new].map(name);
    // Whatever the level, the same is there afterwards; but `auto` learns from it how fast the link is.
    let first = if compression == "auto" { "auto" } else { "1" };
    succeeded(bench.pull(&[&stores[..], &["--compression", first, &old]].concat()))?;
    let ran = bench.pull(&[&stores[..], &["--compression", compression, &new]].concat());
    let ran = succeeded(ran)?;
    let identity = |end: &End| end.store.identity(&new).ok_or("the image is not there");
    let same = Sameness::of(&identity(source)?, &identity(target)?);
    let figures = Figures {
        up: ran.wire.up,
        down: ran.wire.down,
        seconds: ran.took.as_secs_f64(),
        same: same.map(Same::from).ok_or("another image arrived")?,
    };
    Ok(([source.version()?, target.version()?], figures))
}

fn succeeded(ran: Ran) -> Result<Ran> {
    if ran.exit == Some(0) { Ok(ran) } else { Err(format!("it failed: {ran}").into()) }
}

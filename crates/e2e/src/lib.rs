//! The environment of the end-to-end tests: two real hosts, the program as it is released, and a look at
//! what it did: the bytes on the wire, the images on both sides, and what it left behind.
//!
//! ```no_run
//! use dsync_e2e::{Bench, layer};
//!
//! let bench = Bench::start();
//! // Tests share the two engines, so every image gets a name of its own: "e7/web:1".
//! let web = bench.image("web:1").layer(&layer("app", 50_000));
//! bench.there().put(&web);
//! // `docker-sync --ssh 'ssh -F …' beta-e7 e7/web:1`. That nothing is left behind is looked at each time.
//! bench.pull(&[&bench.name("web:1")]).ok().wire_at_most(70_000);
//! // The same ID, the same layers, and the same files in a container, on both sides.
//! bench.assert_same("web:1");
//! bench.here().assert_is("web:1", &web);
//! ```
//!
//! A [`Bench`] is one test's: on this side a home, a `TMPDIR` and a `PATH` for the program, on the other a
//! login, in which the agent is in place already unless [`BenchBuilder::fresh`] says otherwise. The engines
//! are [shared](Bench::start) by all tests of the process, or the [test's own](Bench::alone).
//!
//! A failure here panics: there is nothing that a test could do about it.

#![expect(
    clippy::unwrap_used,
    reason = "this is part of tests, which end where something is not as it must be"
)]

mod bench;
mod content;
mod identity;
mod layout;
mod leftovers;
mod process;
mod program;
mod ran;
mod real;
mod record;
mod side;
mod store;

pub use bench::{Bench, BenchBuilder, Station};
pub use content::{layer, noise};
pub use identity::{Identity, Sameness, is_by_manifest};
pub use layout::{Form, Kept, Layout, Packing, Stored};
pub use process::Running;
pub use program::{agent, agent_file, arm64, program};
pub use ran::Ran;
pub use real::Real;
pub use side::Side;
pub use store::{KINDS, Store};

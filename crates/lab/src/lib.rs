//! The lab of docker-sync: hosts on one machine, each with a real container engine and a real sshd on
//! loopback, a proxy between ssh and sshd that counts bytes, and images built for real.
//!
//! ```no_run
//! use dsync_lab::{Lab, LoginOptions, Shell, images};
//!
//! # fn main() -> Result<(), dsync_lab::LabError> {
//! let lab = Lab::start(&["alpha", "beta"])?;
//! images::get(lab.host("alpha").engine(), "tiny:1")?;
//! let fish = lab.host("beta").login("fish", LoginOptions { shell: Shell::Fish, ..Default::default() })?;
//! let output = fish.ssh("docker images").env("WIRE_LABEL", "a-test").output();
//! println!("{output:?} moved {:?}", lab.wire("a-test")?);
//! # Ok(())
//! # }
//! ```
//!
//! A [`Host`] is expensive: its engine takes a second or so to start, and tests share it.
//! A [`Login`] is cheap: one more sshd for the same engine with a home, a shell and a `PATH` of
//! its own. Cheaper still is a [`Link`]: one more name in the ssh configuration, say with a cable that is
//! cut after so many bytes.
//!
//! Nothing of a lab outlives the process that started it, however that process ends; see [`keeper`].
//! The lab needs root on a Debian-like Linux, and knows nothing of docker-sync itself.

pub mod arm64;
pub mod images;
pub mod keeper;
pub mod packages;
pub mod wire;

mod account;
mod cache;
mod command;
mod containerd;
mod engine;
mod error;
mod files;
mod gate;
mod holdings;
mod host;
mod lab;
mod link;
mod login;
mod mounts;
mod process;
mod programs;
mod sshd;
mod suite;

pub use account::{LoginOptions, Place, Shell, Sudo, User};
pub use cache::CACHE;
pub use engine::{Engine, EngineKind, EngineOptions, ImageStore};
pub use error::LabError;
pub use gate::{Gate, wait_in_shell};
pub use host::Host;
pub use lab::{BASE, Lab, LabBuilder};
pub use link::{HostKey, Identity, Link};
pub use login::Login;
pub use suite::Suite;

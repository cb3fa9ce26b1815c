//! Docker, podman and containerd, driven through their command-line clients.
//!
//! A client honours its user's settings: contexts, `DOCKER_HOST`, rootless sockets, `sudo`. No path of a socket has to
//! be known and no version of an API negotiated.

mod containerd;
mod ctr;
mod daemon_host;
mod demand;
mod direct;
mod distant;
mod distant_space;
mod export;
mod fed_archive;
mod fetch;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod history;
mod identify;
mod import;
mod list;
mod packed;
mod store;
mod temporary_names;

pub(crate) use ctr::CtrStore;
pub use distant::DistantStore;
pub use list::parse_inspect;
pub(crate) use store::ClientStore;

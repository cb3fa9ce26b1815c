//! The image stores of one host behind the trait [`Store`]: docker, podman, containerd, an OCI image layout, a saved
//! archive.
//!
//! Engines are driven through their own command-line clients, so that contexts, rootless set-ups and `sudo` work as
//! the user has them. Nothing here knows how layers become smaller, or how another host is reached: a store of one is a
//! command line in front of its client's ([`Reach`]).
//!
//! The modules:
//!
//! * `store` is the trait, its errors, and the kinds of stores; `spec` parses which one the user means;
//! * `client` is a store behind the client program of docker or podman, which `command` runs. What may be read past the
//!   engine is in `client::direct` (overlay2, podman) and `client::containerd`. `client::ctr` is a containerd without
//!   Docker;
//! * `oci` is an image layout as a store, `saved` an archive that was saved as a store;
//! * `archive` reads and writes the archives that engines save and load;
//! * `package` has the documents of an image that is named by its manifest; `lineage`, `nested` and `manifest` read and
//!   write single ones, and `layers` reads layers by them; `referrers` are signatures and the like beside an image;
//! * `conformance` is the suite that each store passes.
//!
//! A further store implements [`Store`], has a kind ([`StoreKind`]) and a spelling ([`StoreSpec`]), and runs the suite
//! in `tests/engines/conformance.rs`.

use std::path::Path;

pub mod archive;
mod blob;
mod client;
mod command;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod demand;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host;
mod layers;
mod lineage;
mod locate;
mod manifest;
mod nested;
mod oci;
mod package;
mod referrers;
mod rootless;
mod saved;
mod script;
mod spec;
mod store;
pub mod temporary;
mod watched;

pub use blob::BlobRef;
pub use client::{DistantStore, parse_inspect};
pub use command::sudo::{Sudo, ask_on_terminal, may_ask};
pub use command::{EngineHost, Reach, Waiting, end_overdue, kill_children, terminate_children, waiting};
pub use demand::{Demand, Disk, FreeSpace, ImportSize, Purpose, is_plain};
pub use lineage::leads_to_config;
pub use package::{Package, PackedLayer};
pub use referrers::{NoReferrerTag, Referrer, ReferrerTag, WholeReferrer};
pub use spec::{SpecError, StoreSpec};
pub use store::{
    Description, Export, Holdings, IdOf, Import, ImportIdentity, LayerSink, Nested, Store, StoreError,
    StoreKind, tars,
};

use client::{ClientStore, CtrStore};
use oci::OciStore;

/// Opens a store and checks that it answers. An archive that has to be unpacked goes to a
/// temporary file in `folder`.
pub fn open(spec: &StoreSpec, folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    open_by(spec, folder, &Sudo::Asks)
}

/// The same where a `sudo` in front of the store's client gets its password in this way.
pub fn open_by(spec: &StoreSpec, folder: &Path, sudo: &Sudo) -> Result<Box<dyn Store>, StoreError> {
    match spec {
        StoreSpec::Command(words) if StoreSpec::is_ctr(words) => {
            Ok(Box::new(CtrStore::open(words, None, sudo)?))
        }
        StoreSpec::Command(words) => Ok(Box::new(ClientStore::open(words, sudo)?)),
        StoreSpec::Containerd { namespace } => first(&CTR, &|words| containerd(words, namespace.as_deref())),
        StoreSpec::Auto => {
            let engines = [&["docker"][..], &["podman"]];
            match first(&engines, &|words| rootless::or_of_user(engine(words), words)) {
                // Docker's packages bring a `ctr` whose daemon nobody need run.
                Err(StoreError::NotFound { .. }) if !has_containerd() => {
                    Err(store::none_of(&["docker", "podman"]))
                }
                Err(StoreError::NotFound { .. }) => match first(&CTR, &|words| containerd(words, None)) {
                    Err(StoreError::NotFound { .. }) => Err(store::none_of(&["docker", "podman", "ctr"])),
                    found => found,
                },
                found => found,
            }
        }
        StoreSpec::OciLayout(directory) => Ok(Box::new(OciStore::open(directory)?)),
        StoreSpec::Archive { name, file } => saved::open(file, name.clone(), folder),
    }
}

type Opened = Result<Box<dyn Store>, StoreError>;

/// The sockets of a containerd without Docker: its own, and that of k3s and RKE2.
const SOCKETS: [&str; 2] = ["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"];

/// True if a containerd has a socket here, or is named by the variable of its client.
fn has_containerd() -> bool {
    let is_named = std::env::var_os("CONTAINERD_ADDRESS").is_some_and(|address| !address.is_empty());
    is_named || SOCKETS.iter().any(|socket| Path::new(socket).exists())
}

/// The clients of containerd that are looked for.
const CTR: [&[&str]; 2] = [&["ctr"], &["k3s", "ctr"]];

fn engine(words: &[String]) -> Opened {
    Ok(Box::new(ClientStore::open(words, &Sudo::Asks)?))
}

fn containerd(words: &[String], namespace: Option<&str>) -> Opened {
    Ok(Box::new(CtrStore::open(words, namespace, &Sudo::Asks)?))
}

/// The store behind the first of these clients that is installed.
fn first(clients: &[&[&str]], open: &dyn Fn(&[String]) -> Opened) -> Opened {
    for client in clients {
        let words: Vec<String> = client.iter().map(|word| (*word).to_owned()).collect();
        match open(&words) {
            Err(StoreError::NotFound { .. }) => {}
            found => return found,
        }
    }
    Err(store::none_of(&clients.iter().map(|client| client[0]).take(1).collect::<Vec<_>>()))
}

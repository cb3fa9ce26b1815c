//! The image stores of one host behind the trait [`Store`]: docker, podman, an OCI image layout, a saved archive.
//!
//! Engines are driven through their own command-line clients, so that contexts, rootless set-ups and `sudo` work as
//! the user has them. Nothing here knows how layers become smaller, or how another host is reached: a store of one is a
//! command line in front of its client's ([`Reach`]).
//!
//! The modules:
//!
//! * `store` is the trait, its errors, and the kinds of stores; `spec` parses which one the user means;
//! * `client` is a store behind the client program of docker or podman, which `command` runs. What may be read past the
//!   engine is in `client::direct` (overlay2, podman) and `client::containerd`;
//! * `oci` is an image layout as a store, `saved` an archive that was saved as a store;
//! * `archive` reads and writes the archives that engines save and load;
//! * `package` has the documents of an image that is named by its manifest; `lineage`, `nested` and `manifest` read and
//!   write single ones, and `layers` reads layers by them;
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
mod saved;
mod script;
mod spec;
mod store;
pub mod temporary;
mod watched;

pub use blob::BlobRef;
pub use client::{DistantStore, parse_inspect};
pub use command::{EngineHost, Reach, Waiting, end_overdue, kill_children, terminate_children, waiting};
pub use demand::{Demand, Disk, FreeSpace, ImportSize, Purpose, is_plain};
pub use lineage::leads_to_config;
pub use package::{Package, PackedLayer};
pub use spec::{SpecError, StoreSpec};
pub use store::{
    Description, Export, Holdings, IdOf, Import, ImportIdentity, LayerSink, Nested, Store, StoreError,
    StoreKind, tars,
};

use client::ClientStore;
use oci::OciStore;

/// Opens a store and checks that it answers. An archive that has to be unpacked goes to a
/// temporary file in `folder`.
pub fn open(spec: &StoreSpec, folder: &Path) -> Result<Box<dyn Store>, StoreError> {
    let client = |words: &[String]| Ok(Box::new(ClientStore::open(words)?) as Box<dyn Store>);
    match spec {
        StoreSpec::Command(words) => client(words),
        StoreSpec::Auto => match client(&["docker".to_owned()]) {
            Err(StoreError::NotFound { .. }) => client(&["podman".to_owned()]).map_err(|error| match error {
                StoreError::NotFound { .. } => store::neither(),
                other => other,
            }),
            other => other,
        },
        StoreSpec::OciLayout(directory) => Ok(Box::new(OciStore::open(directory)?)),
        StoreSpec::Archive { name, file } => saved::open(file, name.clone(), folder),
    }
}

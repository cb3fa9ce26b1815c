//! The image stores of one host, behind one trait: docker, podman, an OCI image layout.
//!
//! Engines are driven through their own command-line clients, so that contexts, rootless set-ups and
//! `sudo` work as the user has them. Nothing here knows the network or how layers become smaller.

mod store;

pub use store::{Description, Export, Import, LayerSink, Store, StoreError, StoreKind};

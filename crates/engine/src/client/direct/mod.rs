//! Reads images where an engine keeps them as files, past the engine.
//!
//! `docker save` copies a whole image before it writes a first byte, also when one layer is wanted; `podman save`
//! copies each layer. A process that may read the engine's storage needs none of that. It is a short cut: nothing is
//! written, everything is checked, and whatever is not as expected is left to `save`.

mod docker;
mod export;
mod podman;
mod storage_layout;
mod tar_split;
mod tree;

pub(super) use docker::Docker;
#[cfg(feature = "fuzzing")]
pub(super) use export::from_lines;
pub(super) use export::{Stopped, Storage};
pub(super) use podman::{Podman, ReadImages, StorageInfo};

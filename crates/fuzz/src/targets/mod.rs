//! All targets, each in a module of the crate whose code it is for.

mod engine;
mod exe;
mod names;
mod recompress;

use crate::Target;

/// In the order of the document that lists them.
pub const ALL: &[&Target] = &[
    &names::NAMES,
    &engine::archive::ARCHIVE,
    &engine::layout::LAYOUT,
    &engine::documents::DOCUMENTS,
    &engine::inspect::INSPECT,
    &engine::bolt::BOLT,
    &engine::tar_split::TAR_SPLIT,
    &recompress::recipe::RECIPE,
    &recompress::encoders::ENCODERS,
    &recompress::identify::IDENTIFY,
    &recompress::streams::STREAMS,
    &recompress::embedded::EMBEDDED,
    &exe::plan::EXECUTABLES,
    &exe::branches::BRANCHES,
];

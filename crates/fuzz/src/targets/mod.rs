//! All targets, each in a module of the crate whose code it is for.

mod delta;
mod engine;
mod exe;
mod names;
mod proto;
mod recompress;
mod sync;

use crate::Target;

/// In the order of the document that lists them.
pub const ALL: &[&Target] = &[
    &names::NAMES,
    &proto::MESSAGES,
    &sync::greeting::GREETING,
    &sync::frames::FRAMES,
    &delta::tar::TAR,
    &delta::headers::HEADERS,
    &delta::hostile_headers::HOSTILE_HEADERS,
    &delta::reconcile::RECONCILE,
    &delta::batches::BATCHES,
    &sync::packed::PACKED,
    &sync::session::SOURCE,
    &sync::session::TARGET,
    &sync::session::CLIENT,
    &sync::patch::PATCH,
    &sync::cache::CACHE,
    &sync::partial::PARTIAL,
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
    &exe::address_map::EXECUTABLES,
    &exe::branches::BRANCHES,
];

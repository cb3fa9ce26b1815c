//! Re-creates compressed layers to the byte, from their tar and a recipe.
//!
//! Where an image is named by its compressed layers, the target of a sync must have the same compressed bytes, though
//! only what is new in the tar crossed the wire. The output of an encoder is a pure function of its input, and few
//! encoders make nearly all layers; so this finds the encoder of a blob ([`identify()`]), says it in a few bytes
//! ([`Recipe`]), and runs it again ([`recreate`]).
//!
//! The same encoders open files that have deflate streams in them ([`Inflated`]), so that these can be compared plain.
//!
//! The modules, from the encoders up:
//!
//! * `deflate` is what all encoders of deflate share, `golang`, `klauspost` and `zlib` are these encoders, `zstd` is
//!   the one of zstd. Each is a port, and each implements `deflate::StreamEncoder`; [`CompressionMethod`] names them
//!   with their parameters;
//! * `gzip` is the container; `identify` tries encoders on a blob, and `recreate` runs the one that it found again;
//! * `checkpoint`, `segments`, `blocks` and `ordered` run an encoder on several threads;
//! * `near` finds the nearest encoder of a blob that none makes exactly: `deflate::guide` and `follow` note what it
//!   would do otherwise, and `corrections` keeps that;
//! * `embedded` finds streams inside of files.
//!
//! A further encoder is a module beside `zlib`, a variant of [`CompressionMethod`] with a number of its own, a line in
//! its `candidates`, and one in `methods` of `tests/recreation`.
//!
//! Knows no files, processes or network. What the encoders are and how sure it is to find them is in
//! `docs/recompress.md`.

mod blocks;
mod checkpoint;
mod corrections;
mod deflate;
mod embedded;
mod follow;
mod golang;
mod gzip;
mod identify;
#[cfg(test)]
#[path = "inputs_tests.rs"]
mod inputs;
mod klauspost;
mod method;
mod near;
mod ordered;
mod recipe;
mod recreate;
mod segments;
mod zlib;
mod zstd;

pub use embedded::{Inflated, Stream, inflated};
pub use identify::{Identification, Identified, Reason, identify};
pub use klauspost::Release;
pub use method::CompressionMethod;
pub use near::identify_near;
pub use recipe::{BadRecipe, Recipe};
pub use recreate::{recreate, recreate_on};
pub use zlib::Flavour;
pub use zstd::{Generation, ZstdLevel};

//! Re-creates compressed layers to the byte, from their tar and a recipe.
//!
//! Where an image is named by its compressed layers, the target of a sync must have the same compressed bytes, though
//! only what is new in the tar crossed the wire. The output of an encoder is a pure function of its input, and few
//! encoders make nearly all layers; so this finds the encoder of a blob ([`identify()`]), says it in a few bytes
//! ([`Recipe`]), and runs it again ([`recreate`]).
//!
//! The same encoders open files that have deflate streams in them ([`Inflated`]), so that these can be compared plain.
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
pub use identify::{Identified, Outcome, Reason, identify};
pub use klauspost::Release;
pub use method::Method;
pub use near::identify_near;
pub use recipe::{BadRecipe, Recipe};
pub use recreate::{recreate, recreate_on};
pub use zlib::Flavour;
pub use zstd::{Effort, Generation};

//! The layers in play at one end: what is known of them, where their chunks lie, and the memory that they take.

mod chunk_map;
pub(crate) mod free_space;
mod layer_set;
pub(crate) mod memory;
mod pick;
mod place;
mod spool;
pub(crate) mod workspace;

pub(crate) use chunk_map::{AtSource, ChunkMap, Slices, indexes, load, places, readable};
pub(crate) use layer_set::Layers;
pub(crate) use place::{Place, Slice};
pub(crate) use spool::{Role, SpooledLayer, blocks, copy_at};

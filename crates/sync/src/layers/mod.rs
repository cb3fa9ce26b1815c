//! The layers in play at one end: what is known of them, where their contents lie, and the memory that they take.

mod layer_set;
pub(crate) mod memory;
mod pick;
mod place;
mod shelf;
mod spool;
pub(crate) mod workspace;

pub(crate) use layer_set::Layers;
pub(crate) use place::{Place, Slice};
pub(crate) use shelf::{ChunkMap, Slices, listings, load, places, readable};
pub(crate) use spool::{Kept, Role, blocks, copy_at};

//! The delta algorithm of docker-sync: finds the parts of a layer that a host has, encodes the rest, and restores the
//! exact layer. Bytes in, decisions out: it knows no files, no processes, no threads, no clock and no container engine.
//!
//! The modules follow the data:
//!
//! * [`scan`] divides a layer into verbatim bytes and chunks, whose boundaries are those of [`chunking`];
//! * [`layer_index`] is what is kept of a layer without its chunks;
//! * [`reconcile`] finds what two sides have in common of lists that neither knows of the other, [`fine_chunks`] what
//!   they have in common of changed chunks, and [`divide()`] makes chunks of that;
//! * [`header_delta`] encodes the index of a layer against those of the basis, and says where each chunk is;
//! * [`batching`] decides which literals are compressed together, [`batch`] compresses them;
//! * [`join()`] puts the layer together and checks it.
//!
//! Two promises hold everywhere. Any bytes at all survive scan and join unchanged, tar or not: a wrong guess
//! about the format costs bytes on the wire, never correctness. And no number of a peer sizes an allocation
//! before as many bytes have arrived.

pub mod batch;
pub mod batching;
mod bitmap;
mod chunk_id;
pub mod chunking;
mod divide;
pub mod fine_chunks;
pub mod header_delta;
mod join;
pub mod layer_index;
mod path_hash;
pub mod reconcile;
pub mod scan;
mod serialized;

pub use bitmap::{Bitmap, BitmapError};
pub use chunk_id::{ChunkHasher, ChunkId};
pub use divide::{Copied, Divided, divide};
pub use header_delta::{ChunkRef, Literal};
pub use join::{ChunkSource, JoinError, join};
pub use layer_index::LayerIndex;
pub use scan::Scanner;

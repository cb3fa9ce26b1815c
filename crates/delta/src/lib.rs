//! The delta engine of docker-sync: what is in a layer, which of it a host has already, and how the exact
//! layer is made again. Bytes in, decisions out: it knows no files, no processes, no threads, no clock and
//! no container engine.
//!
//! The modules follow the data: a [`Scanner`] divides a layer into verbatim bytes and file contents,
//! [`skeleton`] carries the division across the wire, an [`Index`] finds contents on a host, [`Contents`] and
//! [`Wanted`] say which are to be sent, [`join()`] puts the layer together and checks it.
//!
//! Two promises hold everywhere. Any bytes at all survive scan and join unchanged, tar or not: a wrong guess
//! about the format costs bytes on the wire, never correctness. And nothing a peer says sizes an allocation
//! before as many bytes of it have arrived.

mod content;
mod copy;
mod index;
mod join;
mod layout;
mod plan;
pub mod scan;
pub mod skeleton;
mod varint;

pub use content::{ContentHasher, ContentId};
pub use index::Index;
pub use join::{ContentSource, DiffIdWriter, JoinError, join};
pub use layout::{Layout, Segment, VerbatimReader};
pub use plan::{Collision, Content, Contents, Wanted, WantedError};
pub use scan::Scanner;
pub use skeleton::{Limits, Piece, Skeleton, SkeletonError};

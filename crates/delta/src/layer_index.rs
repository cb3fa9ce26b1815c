//! The layer index: all of a layer but its chunks.
//!
//! The verbatim bytes of a layer are parsed into *records*: a header block divided into its fields, with its body, or
//! zeros, or bytes that are neither. The records restore any bytes exactly; how well they are parsed only decides how
//! few bytes they take on the wire.
//!
//! A layer may have millions of files, so all of it is packed: a file takes about 45 bytes of memory, its chunk
//! included. It is read group by group, through a cursor.

pub(crate) mod builder;
mod chunks;
pub(crate) mod cursor;
mod division;
mod entries;
pub(crate) mod fields;
mod index;
mod packed;
pub(crate) mod parse;
pub(crate) mod pax_records;
pub(crate) mod records;

pub use chunks::{CHUNK_MAX, Chunk, Chunks};
pub use entries::{Entries, Selection};
pub use index::{File, LayerIndex, Segment};
pub use records::GROUP_RECORDS;

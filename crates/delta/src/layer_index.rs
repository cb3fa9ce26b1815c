//! The layer index: all of a layer but its chunks.
//!
//! The verbatim bytes of a layer are parsed into *records*: a header block divided into its fields, with its body, or
//! zeros, or bytes that are neither. The records restore any bytes exactly; how well they are parsed only decides how
//! few bytes they take on the wire.
//!
//! A layer may have millions of files, so all of it is packed (`packed`): a file takes about 45 bytes of memory, its
//! chunk included. It is read entry by entry, through a cursor. An entry is a header with the extension headers before
//! it, or any other record by itself.
//!
//! A scanner's bytes become records in `parse`, and an index in `builder`; `entries` is how two sides compare entries,
//! and `division` copies an index with other chunks. As bytes an index is a header delta without a basis
//! (`LayerIndex::write`, in `serialized`).

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
pub(crate) use division::DividedIndex;
pub use entries::{Entries, Selection};
pub use index::{File, LayerIndex, Segment};
pub use records::{ENTRY_RECORDS, VERBATIM_MAX};

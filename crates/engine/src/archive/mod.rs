//! The archives that engines save and load, as streams.
//!
//! Nothing here knows which engine it is or runs a program: the reader takes every form that `save`
//! emits, the writer makes the one form that every `load` takes with layers left out.

mod contents;
mod decode;
mod entry;
mod error;
mod header;
mod listed;
mod read;
mod tar;
mod v1;
mod write;

pub use error::ReadError;
pub use read::{ArchiveRequest, read};
pub use v1::v1_ids;
pub use write::{PartialArchive, WriteError};

pub(crate) use contents::ArchiveIndex;
pub use decode::decoded;
pub(crate) use decode::{is_gzip, is_zstd, peek};
pub(crate) use entry::{TarEntries, begins_archive};
pub(crate) use listed::{MANIFEST_JSON, ManifestEntry, parse_manifest};
pub(crate) use tar::Tar;

#[cfg(any(test, feature = "conformance"))]
pub(crate) use header::header as file_header;

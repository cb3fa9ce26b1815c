//! The room that an image takes where it is imported: a lower bound, so that nothing is refused which would fit.

use std::path::PathBuf;

/// The size of what an import is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportSize {
    /// Bytes of the layers as the store is given them, tars or blobs.
    pub given: u64,
    /// Bytes of the files in them.
    pub contents: u64,
}

/// The room that is needed at least at a place of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The use of the room.
    pub purpose: Purpose,
    /// The folder.
    pub folder: PathBuf,
    /// Bytes.
    pub bytes: u64,
}

/// A use of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The images of a store.
    Images,
    /// Temporary files.
    Temporary,
}

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

/// The room that is needed at least at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The use of the room.
    pub purpose: Purpose,
    /// The folder.
    pub folder: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// The disk that the folder is on.
    pub disk: Disk,
}

/// The disk that a folder is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disk {
    /// One of this host.
    Here,
    /// One of the host that the store is on, and its free space, where it is known.
    There(Option<FreeSpace>),
}

/// The free space of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeSpace {
    /// The number of the file system: two folders of a host with the same number share the space.
    pub device: u64,
    /// The folder at which it is mounted.
    pub mount: PathBuf,
    /// Bytes, those that are reserved for root included.
    pub bytes: u64,
}

/// Kinds of file systems on which a byte that is written takes one at least: ext2 to ext4, XFS and tmpfs. btrfs, ZFS,
/// F2FS and others may compress or share what they are given, and what is below an overlay is not known.
pub fn is_plain(kind: u64) -> bool {
    [0xef53, 0x5846_5342, 0x0102_1994].contains(&kind)
}

/// A use of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The images of a store.
    Images,
    /// Temporary files.
    Temporary,
}

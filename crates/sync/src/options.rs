//! The options of a sync.

use std::path::PathBuf;

use dsync_core::{ImageRef, Platform};
use dsync_proto::Compression;

use crate::interrupt::Interrupt;

/// The options of a sync.
#[derive(Debug, Clone)]
pub struct Options {
    /// The ssh command as words.
    pub ssh: Vec<String>,
    /// The store of this host, as `--docker` takes it; empty to find one.
    pub local_store: String,
    /// The store of the remote host.
    pub remote_store: String,
    /// The directory of temporary files, on both hosts; `None` for that of the system.
    pub tmpfolder: Option<PathBuf>,
    /// Bytes of memory that each end is to get along with.
    pub memory: u64,
    /// Only images of this platform.
    pub platform: Option<Platform>,
    /// The compression of the bytes that cross.
    pub compression: Compression,
    /// The method by which layers get across.
    pub method: TransferMethod,
    /// The identity that an image keeps between stores that name images by manifests.
    pub identity: Identity,
    /// An image of the target to use as the basis.
    pub basis: Option<ImageRef>,
    /// Account for the bytes that cross, by file.
    pub explain: bool,
    /// Ends the run before its time.
    pub interrupt: Interrupt,
    /// The version of the program, which an agent on PATH must have too.
    pub version: String,
}

/// The identity that an image keeps between stores that name images by manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Identity {
    /// Its ID, and all that this is made of.
    #[default]
    Exact,
    /// Its config and layers; these are not compressed.
    Content,
}

/// The method by which layers get across.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TransferMethod {
    /// By an agent; where none can run by rsync, or else as a stream.
    #[default]
    Auto,
    /// By an agent, or not at all.
    Delta,
    /// rsync of archives of the missing layers: the remote needs a shell, its engine and rsync.
    Rsync,
    /// A compressed archive of the missing layers: the remote needs a shell and its engine.
    Stream,
}

/// The direction in which images go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the remote to this host.
    Pull,
    /// From this host to the remote.
    Push,
}

//! The options of a sync.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dsync_core::{ImageRef, Platform};
use dsync_proto::Compression;

use crate::interrupt::Interrupt;
use crate::passwords::Passwords;

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
    /// The most bytes that cross in a second, in each direction.
    pub limit: Option<u64>,
    /// The longest silence of the other end; any where there is none.
    pub timeout: Option<Duration>,
    /// The longest time that the client program of an engine may keep an end waiting; any where there is none.
    pub engine_timeout: Option<Duration>,
    /// The further tries where a connection fails.
    pub retries: Retries,
    /// Only images of this platform.
    pub platform: Option<Platform>,
    /// The compression of the bytes that cross.
    pub compression: Compression,
    /// The method by which layers get across.
    pub method: TransferMethod,
    /// The identity that an image keeps between stores that name images by manifests.
    pub identity: Identity,
    /// The artifacts beside an image: signatures, attestations.
    pub referrers: Referrers,
    /// An image of the target to use as the basis.
    pub basis: Option<ImageRef>,
    /// Account for the bytes that cross, by file.
    pub explain: bool,
    /// The answers of a person whom a `sudo` of the remote wants a password of.
    pub passwords: Passwords,
    /// Ends the run before its time.
    pub interrupt: Interrupt,
    /// The version of the program, which an agent on PATH must have too.
    pub version: String,
    /// The agents that the program brings for its own kind of host and for others.
    pub agents: &'static [PackedAgent],
}

/// Any engine of either host, by `ssh` and an agent, with 256 MiB of memory at each end.
impl Default for Options {
    fn default() -> Self {
        Options {
            ssh: vec!["ssh".into()],
            local_store: String::new(),
            remote_store: String::new(),
            tmpfolder: None,
            memory: 256 << 20,
            limit: None,
            timeout: None,
            engine_timeout: None,
            retries: Retries::default(),
            platform: None,
            compression: Compression::Auto,
            method: TransferMethod::Auto,
            identity: Identity::Exact,
            referrers: Referrers::IfKept,
            basis: None,
            explain: false,
            passwords: Passwords::default(),
            interrupt: Interrupt::default(),
            version: String::new(),
            agents: &[],
        }
    }
}

/// An agent of this build that a program has in itself.
pub struct PackedAgent {
    /// The operating system that it is for, as `uname -s` names it.
    pub system: &'static str,
    /// The machine that it is for, as `uname -m` names it.
    pub machine: &'static str,
    /// Its file in gzip, one member.
    pub packed: &'static [u8],
}

/// Without its bytes, which nobody can read.
impl fmt::Debug for PackedAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.system, self.machine, self.packed.len())
    }
}

/// The further tries of a step that failed since the connection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// The most of them in a row.
    pub most: u32,
    /// The pause before the first of them; each other one is twice as long as the one before, up to half a minute.
    pub first_pause: Duration,
}

impl Default for Retries {
    /// None.
    fn default() -> Self {
        Retries { most: 0, first_pause: Duration::from_secs(1) }
    }
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

/// The artifacts beside an image, which two stores can keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Referrers {
    /// They cross where both stores keep such, and the image keeps its ID.
    #[default]
    IfKept,
    /// They cross, or no image does.
    Required,
    /// They stay.
    Left,
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

//! The messages, as postcard encodes them (postcard wire format 1.0).
//!
//! The order of fields and of variants *is* the format: each change needs another [`PROTOCOL`](crate::PROTOCOL). The tests
//! pin the bytes.

mod peer;

use serde::{Deserialize, Serialize};

use crate::{Secret, budget, limits};
pub use peer::{Known, ListedReferrer, Offer, Peer, PossessionProof, ShortId, Stored, Want};

/// A payload that is no message of its channel.
#[derive(Debug, thiserror::Error)]
#[error("a message could not be understood; the other end is another build or the connection is not clean")]
pub struct MessageError(#[from] postcard::Error);

/// The payload of a message.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_stdvec(message)?)
}

/// Reads a payload; bytes left over are an error too, and what would take more memory than a message may.
pub fn decode<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, MessageError> {
    let (message, rest) = budget::within(limits::MESSAGE, || postcard::take_from_bytes(payload))?;
    if rest.is_empty() { Ok(message) } else { Err(postcard::Error::DeserializeBadEncoding.into()) }
}

/// A request of the client to an endpoint. Every request has exactly one [`Reply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Use this store; always the first.
    Open(Open),
    /// Lists images: those that match a pattern, or all where none is given.
    List {
        /// As `IMAGE` arguments are written; empty for all.
        #[serde(deserialize_with = "budget::texts")]
        patterns: Vec<String>,
    },
    /// To a target: surveys what it would need for these images.
    Survey {
        /// Images of the source.
        #[serde(deserialize_with = "budget::list")]
        images: Vec<ListedImage>,
        /// Compare images by their IDs alone.
        exact: bool,
    },
    /// To a source: send this image to the target, which requests what it needs.
    Send {
        /// The image ID.
        image: [u8; 32],
        /// The effort of compression.
        compression: Compression,
        /// Bytes per second of the link between the two in the last run, if known.
        speed: Option<u64>,
        /// Count the bytes that would be sent, and send no content.
        dry_run: bool,
        /// Report the bytes by file.
        explain: bool,
        /// Send all that the ID is made of: both stores name images by manifests.
        exact: bool,
        /// Prove that the config belongs to the ID, before all else.
        prove: bool,
        /// The key of this transfer, by which the target proves that it has the layers of its basis.
        key: [u8; 16],
    },
    /// To a target: take this image from the source.
    Receive(Receive),
    /// To a target: read the image again that is there under all of its names, or else the same image.
    Verify {
        /// As the source listed it.
        image: ListedImage,
    },
    /// The digests of the configs of these images, which `List` did not give.
    Configs {
        /// Image IDs.
        #[serde(deserialize_with = "budget::list")]
        images: Vec<[u8; 32]>,
    },
    /// Describes the host of the endpoint, also before a store is open; and measures the link by bytes that nobody reads.
    Examine {
        /// The directory of temporary files; empty for the system's.
        #[serde(deserialize_with = "budget::text")]
        tmpfolder: String,
        /// Any bytes, at most [`limits::PROBE`].
        #[serde(deserialize_with = "budget::bytes")]
        probe: Vec<u8>,
        /// The number of bytes that the reply is to have, at most [`limits::PROBE`].
        wanted: u32,
    },
    /// To a source: send the target the artifacts beside this image that it lacks.
    SendReferrers {
        /// The image ID, the same at both ends.
        image: [u8; 32],
    },
    /// To a target: take the artifacts beside this image that it lacks from the source.
    ReceiveReferrers {
        /// The image ID.
        image: [u8; 32],
        /// The image's names, in whose repositories they get their tags.
        #[serde(deserialize_with = "budget::texts")]
        names: Vec<String>,
    },
}

/// The effort of compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// By the speed of the link.
    Auto,
    /// At this level of zstd, 1 to 22.
    Level(i32),
    /// The fewest bytes, at any cost of time.
    Max,
}

/// Settings of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The store, as `--docker` takes it; empty to find one.
    #[serde(deserialize_with = "budget::text")]
    pub store: String,
    /// The directory of temporary files; empty for the system's.
    #[serde(deserialize_with = "budget::text")]
    pub tmpfolder: String,
    /// Only images of this platform, as `linux/arm64`; empty for any.
    #[serde(deserialize_with = "budget::text")]
    pub platform: String,
    /// The memory to get along with, in bytes.
    pub memory: u64,
    /// Milliseconds after which an end that has heard nothing of the other gives up; 0 for never.
    pub timeout: u32,
    /// Seconds that the client program of an engine may keep this end waiting; 0 for any time.
    pub engine_timeout: u32,
    /// The password for a `sudo` in front of the engine's client, once that has failed for want of one.
    pub password: Option<Secret>,
}

/// The image that a target takes, and the names it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receive {
    /// As the source listed it.
    pub image: ListedImage,
    /// The names to point to it in the end.
    #[serde(deserialize_with = "budget::texts")]
    pub names: Vec<String>,
    /// An image of the target to use as the basis, as `--basis` names it; empty to find one.
    #[serde(deserialize_with = "budget::text")]
    pub basis: String,
    /// Use no content of this side, and nothing that was remembered: the way out when one was mistaken.
    pub without_basis: bool,
    /// Say what is needed, change nothing.
    pub dry_run: bool,
    /// Make the image with the source's ID: both stores name images by manifests.
    pub exact: bool,
    /// The source proves that the config belongs to the ID, before all else.
    pub prove: bool,
    /// The key of this transfer, as in `Send`.
    pub key: [u8; 16],
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To `Open`.
    Opened(Opened),
    /// To `List`.
    Images {
        /// The images, names sorted.
        #[serde(deserialize_with = "budget::list")]
        images: Vec<ListedImage>,
        /// Those that match and cannot be read.
        #[serde(deserialize_with = "budget::list")]
        unreadable: Vec<UnreadableImage>,
        /// All names of the store, where a pattern matched nothing: for "did you mean".
        #[serde(deserialize_with = "budget::texts")]
        names: Vec<String>,
    },
    /// To `Survey`, one for each image in its order.
    Surveyed(#[serde(deserialize_with = "budget::list")] Vec<Survey>),
    /// To `Send`: uncompressed bytes of contents that were (or would be) sent, and their compressed size.
    Sent {
        /// Bytes before compression.
        raw: u64,
        /// Bytes after compression.
        packed: u64,
        /// Bytes of the config and of all that is no content, after compression.
        metadata: u64,
        /// The packed bytes by file, the costliest first; empty unless requested.
        #[serde(deserialize_with = "budget::list")]
        costs: Vec<Cost>,
    },
    /// To `Receive`.
    Received(Received),
    /// To any of them.
    Failed(Failure),
    /// To `Verify`: every byte is what its digest says; so many were read.
    Verified {
        /// Bytes of layers, uncompressed, and of what is stored where that is something else.
        bytes: u64,
    },
    /// To `Configs`, in its order: a digest; none for an image that is gone or has no config.
    Configs(#[serde(deserialize_with = "budget::list")] Vec<Option<[u8; 32]>>),
    /// To `Examine`.
    Examined(Examined),
    /// To `SendReferrers` and `ReceiveReferrers`.
    Referrers {
        /// The number that the source has, or that the target took.
        count: u32,
    },
}

/// The host of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined {
    /// The system and the machine, as `uname -sm` prints them.
    #[serde(deserialize_with = "budget::text")]
    pub system: String,
    /// The number of the account that the endpoint runs as.
    pub uid: u32,
    /// Milliseconds since 1970 by the host's clock.
    pub clock: u64,
    /// An rsync is on its PATH.
    pub has_rsync: bool,
    /// The folders that a sync writes to.
    #[serde(deserialize_with = "budget::list")]
    pub folders: Vec<Folder>,
    /// As many bytes as were wanted.
    #[serde(deserialize_with = "budget::bytes")]
    pub probe: Vec<u8>,
}

/// A folder that a sync writes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// The use of it.
    pub purpose: FolderPurpose,
    /// Its path.
    #[serde(deserialize_with = "budget::text")]
    pub path: String,
    /// Bytes that are free there; `None` where the file system does not tell.
    pub free: Option<u64>,
}

/// The use of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FolderPurpose {
    /// The images of the store.
    Images,
    /// Temporary files.
    Temporary,
    /// The index cache and parts of broken transfers.
    Cache,
}

/// A share of the bytes that cross for an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The index of the layer in the image, from 0 for the lowest.
    pub layer: u32,
    /// A file, or a folder (with `/` at the end) for files that are not listed one by one; empty for the rest.
    #[serde(deserialize_with = "budget::text")]
    pub path: String,
    /// The number of files.
    pub files: u64,
    /// They were coded against old versions.
    pub changed: bool,
    /// Bytes of new contents.
    pub raw: u64,
    /// Bytes after compression.
    pub packed: u64,
}

/// The description of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The store, for people: `docker 20.10.24, overlay2`.
    #[serde(deserialize_with = "budget::text")]
    pub store: String,
    /// The image IDs of this store are digests of configs.
    pub id_is_config: bool,
    /// The store gives and takes image documents: all that an ID is made of, where that is no digest of a config.
    pub has_packages: bool,
    /// The store keeps artifacts beside images.
    pub keeps_referrers: bool,
    /// The version of docker-sync.
    #[serde(deserialize_with = "budget::text")]
    pub version: String,
}

/// An image as it crosses the wire; the fields are those of `dsync_core::Image`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedImage {
    /// The image ID.
    pub id: [u8; 32],
    /// The digest of the config; never unknown in `Receive`.
    pub config: ListedConfig,
    /// `NAME:TAG`, sorted.
    #[serde(deserialize_with = "budget::texts")]
    pub names: Vec<String>,
    /// Digests of manifests under which registries know it.
    #[serde(deserialize_with = "budget::list")]
    pub digests: Vec<[u8; 32]>,
    /// Diff ids, the lowest layer first.
    #[serde(deserialize_with = "budget::list")]
    pub diff_ids: Vec<[u8; 32]>,
    /// The platform in its config.
    pub platform: ListedPlatform,
    /// Bytes, uncompressed.
    pub size: u64,
    /// RFC 3339.
    #[serde(deserialize_with = "budget::text")]
    pub created: String,
}

/// The digest of an image's config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListedConfig {
    /// The list of the store does not have it.
    Unknown,
    /// It is the image ID.
    Id,
    /// It is this one.
    Digest([u8; 32]),
}

/// A platform; each part is empty where the config does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPlatform {
    /// `linux`.
    #[serde(deserialize_with = "budget::text")]
    pub os: String,
    /// `arm64`.
    #[serde(deserialize_with = "budget::text")]
    pub architecture: String,
    /// `v8`.
    #[serde(deserialize_with = "budget::text")]
    pub variant: String,
}

/// An image that a store has and cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableImage {
    /// The image ID, where that much is known.
    pub id: Option<[u8; 32]>,
    /// `NAME:TAG`.
    #[serde(deserialize_with = "budget::texts")]
    pub names: Vec<String>,
    /// A sentence without a full stop.
    #[serde(deserialize_with = "budget::text")]
    pub reason: String,
}

/// The status of one image of the source at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Of each of the image's names, in their order; one for the image itself where it has no name.
    #[serde(deserialize_with = "budget::list")]
    pub status: Vec<Status>,
    /// Of each layer, the lowest first.
    #[serde(deserialize_with = "budget::list")]
    pub layers: Vec<LayerState>,
    /// The name or ID of the image whose contents would be used, best first.
    #[serde(deserialize_with = "budget::texts")]
    pub basis: Vec<String>,
    /// The statuses are open: an image here has the same layers, and the digest of the config was not given.
    pub open: bool,
    /// Of each status, the image that has the name here.
    #[serde(deserialize_with = "budget::list")]
    pub holders: Vec<Option<Holder>>,
    /// The platform of this host where it cannot run the image; empty where it can, or where that is not known.
    #[serde(deserialize_with = "budget::text")]
    pub foreign_to: String,
}

/// The image of the target that has a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The image ID.
    pub id: [u8; 32],
    /// RFC 3339; empty when unknown.
    #[serde(deserialize_with = "budget::text")]
    pub created: String,
}

/// The three lists of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    /// Same name, same content.
    Current,
    /// Same name, other content.
    NeedUpdate,
    /// No such name.
    New,
}

/// The origin of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LayerState {
    /// The target's store takes the image without it.
    Shared,
    /// The target has it, but in another chain: it is built from there.
    Local,
    /// The source sends it.
    Missing,
}

/// The result at the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The image ID as the target's store shows it.
    pub id: [u8; 32],
    /// Each layer of the image, the lowest first.
    #[serde(deserialize_with = "budget::list")]
    pub layers: Vec<LayerOutcome>,
    /// The image was there already and only names moved.
    pub was_there: bool,
    /// Bytes of layers that were (or would be) compressed again, in bytes before compression.
    pub packed_again: u64,
}

/// The outcome for a layer at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerOutcome {
    /// The origin of the layer.
    pub state: LayerState,
    /// Its uncompressed bytes; 0 where it was not touched.
    pub len: u64,
    /// Bytes of its contents that this target already had.
    pub reused: u64,
}

/// For the person who waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Another phase begins.
    Phase(Phase),
    /// Uncompressed bytes of contents that will be sent.
    Total(u64),
    /// Uncompressed bytes that were sent since the last event.
    Advance(u64),
    /// A remark that `-v` shows.
    Note(#[serde(deserialize_with = "budget::text")] String),
    /// The endpoint waits for the client program of its engine.
    Waiting {
        /// The program: `docker`.
        #[serde(deserialize_with = "budget::text")]
        program: String,
        /// The seconds that it has waited.
        seconds: u32,
    },
    /// Bytes of the image's layers that earlier transfers left at the target.
    Partial(u64),
    /// A batch of contents follows.
    Batch {
        /// Its bytes before it was coded.
        raw: u64,
        /// Its bytes on the wire.
        packed: u64,
    },
}

/// The step that an endpoint is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The source reads the layers that are missing.
    Scan,
    /// The source finds out what the target has.
    Basis,
    /// Contents cross.
    Transfer,
    /// The target's engine takes the image in.
    Load,
    /// The target reads the image again.
    Verify,
}

/// The failure of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind, for programs.
    pub kind: FailureKind,
    /// The error and its causes for people, the outermost first.
    #[serde(deserialize_with = "budget::texts")]
    pub causes: Vec<String>,
}

/// Kinds of failure that have a hint or an exit code of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The engine's client program was not found.
    EngineNotFound,
    /// The engine does not answer.
    EngineDown,
    /// No permission to talk to the engine.
    EnginePermission,
    /// The image is not there (any more).
    NoSuchImage,
    /// A disk for temporary files is full.
    TemporaryFull,
    /// An image or archive is broken.
    Broken,
    /// A rebuilt layer is not the layer that was asked for.
    Mismatch,
    /// The other side gave up first.
    Aborted,
    /// The request cannot be met as it was put.
    Usage,
    /// Anything else.
    Other,
    /// An image or layer that the target counted on was removed meanwhile.
    Changed,
    /// The source gives another image than was asked for.
    AnotherImage,
    /// The store that was named is not there.
    NoStore,
    /// A file is of a form that is not read.
    Unsupported,
    /// The other end broke the protocol.
    Protocol,
    /// A patch is damaged.
    DamagedPatch,
    /// The basis is missing: one that was named, or the image that a patch was made against.
    NoBasis,
    /// The storage of the images is full.
    StorageFull,
    /// The client's disk for temporary files is full, as it does the work of a host on which no agent runs.
    ClientFull,
    /// The digest that was named is known, and not that of an image which is to be had.
    NoDigest,
    /// A `sudo` in front of the engine's client wants a password, or another one than it was given.
    EnginePassword,
}

impl Failure {
    /// A failure with the chain of causes of an error.
    pub fn new(kind: FailureKind, error: &dyn std::error::Error) -> Self {
        let mut causes = vec![error.to_string()];
        let mut next = error.source();
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        Failure { kind, causes }
    }
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;

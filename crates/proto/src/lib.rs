//! The wire protocol: preamble, frames, messages, and the limits on all of them.
//!
//! Decoding is sans-IO: bytes in, values or errors out. What a message is for is the business of
//! `dsync-sync`; the prose is in `docs/protocol.md`.

pub mod budget;
mod frame;
pub mod limits;
mod message;
mod preamble;
mod secret;
mod section;

pub use frame::{Channel, FrameError, HEADER_LEN, Header};
pub use message::{
    Compression, Cost, Event, Examined, Failure, FailureKind, Folder, FolderPurpose, Holder, Known,
    LayerOutcome, LayerState, ListedConfig, ListedImage, ListedPlatform, ListedReferrer, MessageError, Offer,
    Open, Opened, Peer, Phase, PossessionProof, Receive, Received, Reply, Request, ShortId, Status, Stored,
    Survey, UnreadableImage, Want, decode, encode,
};
pub use preamble::{MAGIC, PREAMBLE_LEN, PROTOCOL, Preamble, PreambleError, find};
pub use secret::Secret;
pub use section::{
    AddressMaps, FilteredRange, FilteredRanges, InflatedItem, InflatedItems, InflatedStream,
    MappedExecutable, PatchHead,
};

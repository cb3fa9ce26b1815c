//! Syncs images between two stores: the client's session, the endpoint at either end, the transfer, and the ways to
//! another host.
//!
//! The steps of a transfer are in `conversation`, and ARCHITECTURE.md has a picture of them.
//! Nothing here knows a terminal: what happens is told to an [`Observer`].

mod agent;
mod cache;
mod coding;
mod conversation;
mod convert;
mod endpoint;
mod error;
mod event;
mod failure;
mod fallback;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod interrupt;
mod inventory;
mod layers;
mod link;
mod linux;
mod options;
mod outcome;
mod partial;
mod passwords;
mod patch;
mod session;
mod source;
mod target;
#[cfg(feature = "testing")]
pub mod testing;
mod traffic;
#[cfg(test)]
mod transfer_tests;
mod transport;

pub use agent::{end_agent, serve_stdio};
pub use cache::{CACHE_LIMIT, Cache, CacheEntry, CacheError, EntryKind, Pruned};
pub use endpoint::names_of_this_host;
pub use error::{Error, HERE, Host, SshFailure};
pub use event::{Event, Observer, Phase};
pub use fallback::partial_images::PartialImages;
pub use interrupt::{Interrupt, give_up};
pub use inventory::select::Pin;
pub use options::{Direction, Identity, Options, PackedAgent, Referrers, Retries, TransferMethod};
pub use outcome::{LayerOutcome, Outcome};
pub use partial::{PARTIAL_LIMIT, PartialEntry, Partials};
pub use passwords::{AskPassword, PasswordQuestion, Passwords};
pub use patch::{
    PatchApplied, PatchInfo, PatchInput, PatchMade, PatchOptions, PatchOutput, apply, diff, patch_info,
};
pub use session::Session;
pub use session::examine::{EndFindings, Examination, LinkFindings, RemoteFindings, examine};
pub use session::report::{Entry, Held, LayerState, Report, Status};
pub use traffic::{Meter, Traffic};
pub use transport::agent_binary::agent_version;
pub use transport::crash::{tell_crashes, words as crash_words};
pub use transport::destination::{Destination, Remote, RemoteError, is_file, is_store_here};

pub use dsync_core::Password;
pub use dsync_engine::{kill_children, terminate_children};
pub use dsync_proto::{Compression, Cost, Examined, Failure, FailureKind, Folder, FolderPurpose};

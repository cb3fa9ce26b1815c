//! The life of one sync, at both ends: the client's session, the agent, ssh, the bootstrap.
//!
//! The data flow is `list → survey → need → offer → contents → import → tag`; see ARCHITECTURE.md.
//! Nothing here knows a terminal: what happens is told to an [`Observer`].

mod absolute;
mod agent;
mod agentless;
mod assess;
mod batches;
mod bootstrap;
mod cache;
mod chosen;
mod convert;
mod crash;
mod dial;
mod endpoint;
mod error;
mod event;
mod events;
mod executables;
mod explain;
mod failure;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod interrupt;
mod layers;
mod link;
mod links;
mod memory;
mod need;
mod negotiate;
mod offered;
mod opened;
mod pace;
mod patch;
mod program;
mod progress;
mod proof;
mod relay;
mod remote;
mod report;
mod rsync;
mod select;
mod session;
mod source;
mod ssh;
mod stream;
mod target;
mod temporary;
#[cfg(feature = "testing")]
pub mod testing;
mod told;
mod unpacked;
mod verify;
mod words;

pub use agent::{agent_version, serve_stdio};
pub use cache::{CACHE_LIMIT, Cache, CacheEntry, CacheError, Pruned};
pub use crash::{tell_crashes, words as crash_words};
pub use error::{Error, Side, SshFailure};
pub use event::{Event, Observer, Phase};
pub use interrupt::interrupt;
pub use patch::{PatchMade, PatchOptions, apply, diff};
pub use remote::{Destination, Remote, RemoteError, is_file};
pub use report::{Entry, LayerState, Pin, Report, Status};
pub use session::{Direction, Identity, LayerOutcome, Method, Options, Outcome, Session, Traffic};

pub use dsync_proto::{Compression, Cost, Failure, FailureKind};

//! The life of one sync, at both ends: the client's session, the agent, ssh, the bootstrap.
//!
//! The data flow is `list → survey → need → offer → want → contents → import → tag`; see ARCHITECTURE.md.
//! Nothing here knows a terminal: what happens is told to an [`Observer`].

mod error;
mod event;
mod remote;
mod report;

pub use error::{Error, Side, SshFailure};
pub use event::{Event, Observer};
pub use remote::{Destination, Remote, RemoteError};
pub use report::{Entry, Report};

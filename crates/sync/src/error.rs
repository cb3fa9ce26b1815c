//! The reasons why a sync did not happen.

use std::fmt;
use std::io;
use std::time::Duration;

use dsync_core::{Digest, ImageId, ImageRef};
use dsync_proto::{Failure, FailureKind, PreambleError};

/// The name of this host, for people.
pub const HERE: &str = "this host";

/// The host that something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// This host.
    Here,
    /// The host (or directory) that was named so.
    Remote(String),
}

impl Host {
    /// Its name, for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Host::Here => HERE,
            Host::Remote(name) => name,
        }
    }

    /// True if it is behind a connection.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Host::Remote(_))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The reason why there is no connection to the remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshFailure {
    /// There is no ssh program.
    NotFound,
    /// The host's name cannot be resolved.
    UnknownHost,
    /// Refused, timed out, no route.
    Unreachable,
    /// The host's key is not known.
    HostKey,
    /// The host's key is another one than before.
    HostKeyChanged,
    /// No key or password was accepted.
    Authentication,
    /// Anything else that ssh exited for.
    Other,
}

/// The reason why a sync did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// ssh did not get there.
    #[error("cannot connect to {host}: {message}")]
    Ssh {
        /// As the user named it.
        host: String,
        /// The kind of failure.
        kind: SshFailure,
        /// The last lines of ssh's standard error.
        message: String,
    },
    /// The remote host was reached, but no agent can run there.
    #[error("no agent can run on {host}: {reason}")]
    NoAgent {
        /// As the user named it.
        host: String,
        /// The reason.
        reason: String,
    },
    /// The remote host was reached, and an agent did not get to run there this time.
    #[error("the agent does not run on {host}: {reason}")]
    Bootstrap {
        /// As the user named it.
        host: String,
        /// The reason.
        reason: String,
    },
    /// The remote host was reached, but the account there runs no commands.
    #[error("{host} runs no command for this account")]
    NoShell {
        /// As the user named it.
        host: String,
        /// Lines that came in place of an agent, perhaps none.
        said: Vec<String>,
    },
    /// The agent ended by a bug of its own.
    #[error("the agent on {host} crashed")]
    Crashed {
        /// As the user named it.
        host: String,
        /// Its last words.
        message: String,
    },
    /// The connection ended in the middle.
    #[error("the connection to {host} was lost")]
    Lost {
        /// As the user named it.
        host: String,
        /// The last lines of the remote's standard error, perhaps empty.
        message: String,
    },
    /// Nothing came from the remote for too long.
    #[error("nothing was heard from {host} for {}", seconds(*.silence))]
    Silent {
        /// As the user named it.
        host: String,
        /// For so long.
        silence: Duration,
    },
    /// One end could not do what was asked.
    #[error("{}", failure.causes.first().map_or("unknown failure", String::as_str))]
    Endpoint {
        /// Whose end.
        host: Host,
        /// Its output.
        failure: Failure,
    },
    /// A `sudo` in front of an engine's client took no password.
    #[error("on {host}: sudo took none of {tries} passwords")]
    Password {
        /// The host of sudo.
        host: Host,
        /// The number of passwords that it was given.
        tries: u32,
    },
    /// The source has no such image.
    #[error("the source has no image '{pattern}'")]
    NoSuchImage {
        /// As the user wrote it.
        pattern: String,
        /// Names that are near, the nearest first.
        close: Vec<String>,
        /// True if the source's store names images by manifests, which it has.
        keeps_manifests: bool,
    },
    /// The source has the name for another image than the digest beside it says.
    #[error("the source's {name} is {id}, not {wanted}")]
    OtherDigest {
        /// The name.
        name: ImageRef,
        /// The digest beside it.
        wanted: Digest,
        /// The image that has the name.
        id: ImageId,
        /// True if an image with the digest is there, too.
        is_there: bool,
        /// True if the source's store names images by manifests, which it has.
        keeps_manifests: bool,
    },
    /// The two ends are of different versions.
    #[error(transparent)]
    Version(#[from] PreambleError),
    /// Bytes arrived that are not of this protocol.
    #[error("{end} breaks the protocol")]
    Protocol {
        /// The other end, as a person knows it.
        end: String,
        /// The breach.
        what: String,
    },
    /// A reply or message came that nothing had asked for.
    #[error("{end} answered out of turn (expected {expected})")]
    OutOfTurn {
        /// The end that did.
        end: Host,
        /// The answer that should have come.
        expected: &'static str,
    },
    /// Ctrl-C, or another signal to end.
    #[error("interrupted")]
    Interrupted,
    /// A program, pipe or file could not be used.
    #[error("{what}")]
    Io {
        /// The action that failed.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A time in seconds, for people.
pub(crate) fn seconds(time: Duration) -> String {
    // Without floating point, whose formatting the agent has no other use for.
    match time.subsec_millis() / 100 {
        0 => format!("{} s", time.as_secs()),
        tenths => format!("{}.{tenths} s", time.as_secs()),
    }
}

impl Error {
    /// The kind of failure that an end reported, if one did.
    pub fn failure_kind(&self) -> Option<FailureKind> {
        match self {
            Error::Endpoint { failure, .. } => Some(failure.kind),
            _ => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

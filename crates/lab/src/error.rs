//! The errors of the lab, each with its remedy.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A failure to make the lab or a part of it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Engines, mounts and sshd need root.
    #[error("the lab needs root; run it as root")]
    NotRoot,
    /// Programs are missing and could not be installed.
    #[error("missing programs: {programs}; install the packages: {packages}")]
    Missing {
        /// The programs, with spaces between.
        programs: String,
        /// The Debian packages that have them.
        packages: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// The action that failed, as "cannot …".
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("{command} failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last of what it said.
        stderr: String,
    },
    /// A server was started and does not answer.
    #[error("{what} does not answer; the end of {log}:\n{tail}", log = log.display())]
    NotReady {
        /// The server.
        what: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// The lab was asked for something that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl LabError {
    /// For `map_err`: an I/O error with what was tried.
    ///
    /// Boxed, so that the result does not borrow what `what` shows.
    pub(crate) fn io(what: impl Display) -> Box<dyn FnOnce(io::Error) -> LabError> {
        let what = format!("cannot {what}");
        Box::new(move |source| LabError::Io { what, source })
    }
}

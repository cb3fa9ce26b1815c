//! Errors of reading a header delta.

use std::io;

/// The reason why columns were not read.
#[derive(Debug, thiserror::Error)]
pub enum HeaderDeltaError {
    /// The bytes end early, or a number has no valid form.
    #[error("the columns of a layer end early")]
    Short,
    /// They ask for more than they may.
    #[error("a layer has too many {what}: more than {limit}")]
    Limit {
        /// The limited quantity.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// They break the format.
    #[error("the columns of a layer are malformed: {0}")]
    Malformed(&'static str),
    /// They cannot be had.
    #[error("the columns of a layer cannot be read")]
    Io(#[from] io::Error),
}

/// Refuses more than the limit.
pub(super) fn within(what: &'static str, got: u64, limit: u64) -> Result<u64, HeaderDeltaError> {
    if got > limit { Err(HeaderDeltaError::Limit { what, limit }) } else { Ok(got) }
}

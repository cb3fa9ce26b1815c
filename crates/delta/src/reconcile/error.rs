//! Errors of reading a message.

use crate::BitmapError;

/// The reason why a message of the other side was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileError {
    /// The question breaks the format, or does not follow from those before.
    #[error("a question about what is there is malformed: {0}")]
    Question(&'static str),
    /// The answer is none to the last question.
    #[error(transparent)]
    Answer(#[from] BitmapError),
    /// There was an answer, but no question.
    #[error("an answer to no question")]
    Unasked,
}

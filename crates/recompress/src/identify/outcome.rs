//! The outcome of identification: a recipe, or the reason why there is none.

use crate::recipe::Recipe;

/// The result of identifying a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identification {
    /// The blob can be re-created.
    Identified(Identified),
    /// The blob must be taken as it is.
    Unknown(Reason),
}

/// A blob that can be re-created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The recipe, which [`crate::recreate`] needs beside the plain bytes.
    pub recipe: Recipe,
    /// The number of plain bytes.
    pub plain_len: u64,
}

/// The reason why a blob cannot be re-created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The blob is neither gzip nor zstd, or its header is unusually long.
    #[error("it is compressed neither with gzip nor with zstd")]
    OtherKind,
    /// The blob ends too early, or its checksum is wrong.
    #[error("it is damaged")]
    Damaged,
    /// More bytes follow the gzip stream, such as a further stream.
    #[error("something follows the compressed stream")]
    Trailing,
    /// No encoder that is known here makes it. About so many plain bytes agreed with the one that came farthest.
    #[error("no known encoder makes it; one agreed for about {0} bytes of its contents")]
    NoEncoder(u64),
    /// The nearest encoder has too much to correct.
    #[error("no known encoder makes it or nearly makes it")]
    TooFar,
}

impl From<Reason> for Identification {
    fn from(reason: Reason) -> Self {
        Self::Unknown(reason)
    }
}

//! Why a saved image cannot be read: the archive, the way to it, or whoever takes its layers.

use std::io;

/// Why an archive was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no archive of a whole image.
    #[error("{0}")]
    Broken(String),
    /// The stream could not be read.
    #[error("the archive cannot be read")]
    Source(#[source] io::Error),
    /// The sink did not take a layer.
    #[error("a layer cannot be passed on")]
    Sink(#[source] io::Error),
}

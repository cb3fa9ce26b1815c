//! The failures of reading a saved image: the archive, its input, or the sink of its layers.

use std::io;

/// A failure to read an archive.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes are not the archive of a whole image.
    #[error("{0}")]
    Broken(String),
    /// The stream could not be read.
    #[error("the archive cannot be read")]
    Source(#[source] io::Error),
    /// The sink did not take a layer.
    #[error("a layer cannot be passed on")]
    Sink(#[source] io::Error),
}

//! The content store of a containerd: the images in it, and the files of Docker's, blobs and names.

#[cfg(feature = "fuzzing")]
pub(super) mod bolt;
#[cfg(not(feature = "fuzzing"))]
mod bolt;
mod content;
mod database;
mod images;

pub(super) use content::{BlobFolder, ContentStore, broken};
pub(super) use images::{Content, find_nested, held, image, package, referrers};

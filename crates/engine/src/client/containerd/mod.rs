//! The files of Docker's containerd image store: its blobs, and the names of its images.

#[cfg(feature = "fuzzing")]
pub(super) mod bolt;
#[cfg(not(feature = "fuzzing"))]
mod bolt;
mod content;
mod database;

pub(super) use content::ContentStore;

//! The report: which images are current, need update, or are new.

use dsync_core::{Image, ImageRef, Unreadable};
pub use dsync_proto::{LayerState, Status};

/// How the target stands to the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The source's store, for people: `docker 20.10.24, overlay2`.
    pub source: String,
    /// The target's store.
    pub target: String,
    /// A line for each name that the source has (and for each image that was asked for by ID), sorted.
    pub entries: Vec<Entry>,
    /// Images of the source that were meant and cannot be read.
    pub unreadable: Vec<Unreadable>,
}

/// One name of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; `None` for an untagged image that was asked for by its ID.
    pub name: Option<ImageRef>,
    /// As the source lists it.
    pub image: Image,
    /// Whether it was asked for by its full ID: the target has to be shown that it is that one.
    pub pinned: bool,
    /// Which list of the report it is on.
    pub status: Status,
    /// Of each layer, the lowest first.
    pub layers: Vec<LayerState>,
    /// Images of the target whose contents would be used, the best first.
    pub basis: Vec<String>,
}

impl Entry {
    /// The name, or the ID of an image without one.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            None => self.image.id.to_string(),
        }
    }

    /// How many layers are in this state.
    pub fn count(&self, state: LayerState) -> usize {
        self.layers.iter().filter(|&&s| s == state).count()
    }
}

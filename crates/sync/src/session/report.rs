//! The report: images and their status at the target. [`crate::inventory::survey`] decides the status.

use dsync_core::{Image, ImageId, ImageRef, Instant, Unreadable};
pub use dsync_proto::{LayerState, Status};

use crate::inventory::select::Pin;

/// The status of images at the target.
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
    /// By which digest it was asked for: the target has to be shown that it is that one.
    pub pin: Pin,
    /// The list of the report that it is on.
    pub status: Status,
    /// The target's image of this name.
    pub held: Option<Held>,
    /// Of each layer, the lowest first.
    pub layers: Vec<LayerState>,
    /// Images of the target whose contents would be used, the best first.
    pub basis: Vec<String>,
    /// The platform of the target's host where it cannot run the image; empty where it can, or where that is not known.
    pub foreign_to: String,
}

/// The image of the target that has a name of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its ID.
    pub id: ImageId,
    /// When it was built, RFC 3339; empty when unknown.
    pub created: String,
}

impl Entry {
    /// The name, or the ID of an image without one.
    pub fn label(&self) -> String {
        match &self.name {
            Some(name) => name.to_string(),
            None => self.image.id.to_string(),
        }
    }

    /// The times when this image and that of the target were built, where this one would replace a newer one. `None`
    /// where either is not told, too.
    pub fn replaces_newer(&self) -> Option<(Instant, Instant)> {
        let told = |created: &str| Instant::parse(created).filter(|instant| instant.is_told());
        let (own, other) = (told(&self.image.created)?, told(&self.held.as_ref()?.created)?);
        (self.status == Status::NeedUpdate && own < other).then_some((own, other))
    }

    /// The target's image whose name this one takes.
    pub fn replaced(&self) -> Option<&Held> {
        self.held.as_ref().filter(|held| self.status == Status::NeedUpdate && held.id != self.image.id)
    }

    /// The number of layers in this state.
    pub fn count(&self, state: LayerState) -> usize {
        self.layers.iter().filter(|&&s| s == state).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_core::Platform;

    #[test]
    fn a_newer_image_is_one_that_was_built_later() {
        let replaces_newer = |status, created: &str, held: &str| {
            let image = Image {
                id: ImageId::of(b"x"),
                config: None,
                names: Vec::new(),
                digests: Vec::new(),
                diff_ids: Vec::new(),
                platform: Platform::default(),
                size: 0,
                created: created.into(),
            };
            let held = Some(Held { id: ImageId::of(b"y"), created: held.into() });
            let (layers, basis, foreign_to) = (Vec::new(), Vec::new(), String::new());
            let (name, pin) = (None, Pin::None);
            let entry = Entry { name, image, pin, status, held, layers, basis, foreign_to };
            entry.replaces_newer().is_some()
        };
        let update = |created: &str, other: &str| replaces_newer(Status::NeedUpdate, created, other);
        assert!(update("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.1Z"));
        assert!(!update("2024-02-29T12:00:00.1Z", "2024-02-29T12:00:00Z"));
        // The later text is the earlier time.
        assert!(!update("2024-02-29T12:00:00Z", "2024-02-29T13:00:00+02:00"));
        assert!(update("2024-02-29T13:00:00+02:00", "2024-02-29T12:00:00Z"));
        for unknown in ["", "yesterday", "0001-01-01T00:00:00Z", "1970-01-01T00:00:01Z"] {
            assert!(!update(unknown, "2024-02-29T12:00:00Z") && !update("2024-02-29T12:00:00Z", unknown));
        }
        assert!(!replaces_newer(Status::Current, "2024-02-29T12:00:00Z", "2025-02-28T12:00:00Z"));
    }
}

//! An image as a store lists it.

use crate::{DiffId, ImageId, ImageRef, Platform};

/// What a store says of one image without reading any layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What the engine shows as the image ID.
    pub id: ImageId,
    /// All names of it, in the store's order; empty for a dangling image.
    pub names: Vec<ImageRef>,
    /// The layers, the lowest first.
    pub diff_ids: Vec<DiffId>,
    /// What the image is for.
    pub platform: Platform,
    /// The bytes of all layers, uncompressed, as far as the engine knows.
    pub size: u64,
    /// When it was built, RFC 3339; empty when unknown.
    pub created: String,
}

impl Image {
    /// Whether the image has this name and tag.
    pub fn is_named(&self, name: &ImageRef) -> bool {
        self.names.contains(name)
    }

    /// Whether both are the same content, whatever ID each engine shows for it.
    ///
    /// The same ID always is. Across kinds of store the IDs differ, so the layers and what the config
    /// says of itself decide.
    pub fn same_content(&self, other: &Image) -> bool {
        self.id == other.id
            || (!self.diff_ids.is_empty()
                && self.diff_ids == other.diff_ids
                && self.created == other.created
                && self.platform == other.platform)
    }
}

/// How many of the lowest layers two stacks have in common.
///
/// This is what replaces the common ancestor of the original: engines lose `Parent` on load, the stack
/// of diff ids stays.
pub fn shared_prefix(a: &[DiffId], b: &[DiffId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

//! An image as a store lists it.

use crate::{Config, DiffId, Digest, ImageId, ImageRef, LayerKey, Platform};

/// One image of a store, as far as it is known without reading a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The image ID that the engine shows: the digest of the config, of a manifest or of an index.
    pub id: ImageId,
    /// The digest of the config; `None` where the store has to be asked for it (`Store::configs` of `dsync-engine`).
    pub config: Option<Digest>,
    /// All names, in the store's order; empty for a dangling image.
    pub names: Vec<ImageRef>,
    /// Digests of manifests under which registries know the image, in a store whose IDs are not those.
    pub digests: Vec<Digest>,
    /// The layers, the lowest first.
    pub diff_ids: Vec<DiffId>,
    /// The platform that the config names.
    pub platform: Platform,
    /// The bytes of all layers, uncompressed, as far as the engine knows.
    pub size: u64,
    /// The time of the build, RFC 3339; empty when unknown.
    pub created: String,
}

impl Image {
    /// An image without names, by its config. `size` is that of its layers, in bytes.
    pub fn unnamed(id: ImageId, config: &Config, size: u64) -> Image {
        Image {
            id,
            config: Some(config.digest),
            names: Vec::new(),
            digests: Vec::new(),
            diff_ids: config.diff_ids.clone(),
            platform: config.platform.clone(),
            size,
            created: config.created.clone(),
        }
    }

    /// True if the image has this name and tag.
    pub fn is_named(&self, name: &ImageRef) -> bool {
        self.names.contains(name)
    }

    /// Its layers as tars, the lowest first.
    pub fn tars(&self) -> impl Iterator<Item = LayerKey> + '_ {
        self.diff_ids.iter().copied().map(LayerKey::Tar)
    }

    /// True if this is one of its layers, uncompressed.
    pub fn has_tar(&self, key: &LayerKey) -> bool {
        matches!(key, LayerKey::Tar(diff_id) if self.diff_ids.contains(diff_id))
    }

    /// True if both have the same config and the same layers, whatever ID each store shows for them.
    ///
    /// The config counts as bytes: reproducible builders fix the time, so images with equal layers and times can
    /// still differ in a command, a variable, a label or the history. `None` where the layers agree and the config
    /// of one is not known.
    pub fn same_content(&self, other: &Image) -> Option<bool> {
        if self.id == other.id {
            return Some(true);
        }
        if self.diff_ids != other.diff_ids {
            return Some(false);
        }
        Some(self.config? == other.config?)
    }
}

/// The images of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Those that can be read.
    pub images: Vec<Image>,
    /// Those that cannot; they keep nobody from using the others.
    pub unreadable: Vec<Unreadable>,
}

/// An image that a store has and that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The image ID, where that much is known.
    pub id: Option<ImageId>,
    /// Its names.
    pub names: Vec<ImageRef>,
    /// The reason, as a sentence without a full stop.
    pub reason: String,
}

impl From<Vec<Image>> for Inventory {
    fn from(images: Vec<Image>) -> Self {
        Inventory { images, unreadable: Vec::new() }
    }
}

/// The number of layers that two stacks share from the lowest up.
///
/// This replaces the common ancestor of the original: engines lose `Parent` on load, the stack of diff ids stays.
pub fn shared_prefix(a: &[DiffId], b: &[DiffId]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, config: Option<&str>, layers: &[&str]) -> Image {
        Image {
            id: ImageId::of(id.as_bytes()),
            config: config.map(|config| Digest::of(config.as_bytes())),
            names: Vec::new(),
            digests: Vec::new(),
            diff_ids: layers.iter().map(|layer| DiffId::of(layer.as_bytes())).collect(),
            platform: Platform::default(),
            size: 0,
            created: "1970-01-01T00:00:01Z".into(),
        }
    }

    #[test]
    fn an_image_is_its_config_and_its_layers() {
        let one = image("one", Some("a"), &["x", "y"]);
        assert_eq!(one.same_content(&image("manifest", Some("a"), &["x", "y"])), Some(true));
        assert_eq!(one.same_content(&image("two", Some("b"), &["x", "y"])), Some(false));
        assert_eq!(one.same_content(&image("two", Some("a"), &["x"])), Some(false));
        assert_eq!(
            one.same_content(&image("two", None, &["x", "y"])),
            None,
            "its config has to be asked for"
        );
        assert_eq!(one.same_content(&image("two", None, &["x"])), Some(false), "its layers are enough");
        assert_eq!(one.same_content(&image("one", None, &["x", "y"])), Some(true));
        // Without layers the config alone decides.
        assert_eq!(image("m", Some("a"), &[]).same_content(&image("n", Some("a"), &[])), Some(true));
        assert_eq!(image("m", Some("a"), &[]).same_content(&image("n", Some("b"), &[])), Some(false));
    }
}

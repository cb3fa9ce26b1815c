//! A directory in the OCI image layout, looked at with other eyes than the program's own.

use std::fs;
use std::path::{Path, PathBuf};

use dsync_core::Digest;
use serde_json::Value;

use crate::Result;

/// A layout.
pub(super) struct Layout(PathBuf);

/// An image in it.
pub(super) struct Image {
    /// The digest of the config.
    pub(super) config: Digest,
    /// The digests of the layers.
    pub(super) layers: Vec<Digest>,
}

impl Layout {
    /// A new directory with what is in an archive.
    pub(super) fn create(dir: &Path, archive: &[u8]) -> Result<Layout> {
        tar::Archive::new(archive).unpack(dir)?;
        Ok(Layout(dir.to_owned()))
    }

    /// The image of this name.
    pub(super) fn image(&self, name: &str) -> Result<Image> {
        let index: Value = serde_json::from_slice(&fs::read(self.0.join("index.json"))?)?;
        let entries = index["manifests"].as_array().map(Vec::as_slice).unwrap_or_default();
        let entry = entries.iter().find(|entry| is_called(entry, name));
        let entry = entry.ok_or_else(|| format!("{} has no {name}", self.0.display()))?;
        let manifest: Value = serde_json::from_slice(&self.blob(&digest(entry)?)?)?;
        let layers = manifest["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Image {
            config: digest(&manifest["config"])?,
            layers: layers.iter().map(digest).collect::<Result<_>>()?,
        })
    }

    /// Reads all that belongs to an image.
    pub(super) fn verify(&self, image: &Image) -> Result {
        self.blob(&image.config)?;
        image.layers.iter().try_for_each(|layer| self.blob(layer).map(drop))
    }

    /// A blob, if it is what its name says.
    fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let bytes = fs::read(self.0.join("blobs/sha256").join(digest.hex()))?;
        if Digest::of(&bytes) != *digest {
            return Err(format!("the blob {digest} is another").into());
        }
        Ok(bytes)
    }
}

/// True if an entry of the index has this name, with the default tag `latest`.
fn is_called(entry: &Value, name: &str) -> bool {
    let annotation = &entry["annotations"]["io.containerd.image.name"];
    annotation.as_str().is_some_and(|full| full.ends_with(&format!("/{name}:latest")))
}

fn digest(descriptor: &Value) -> Result<Digest> {
    let text = descriptor["digest"].as_str().ok_or("a descriptor has no digest")?;
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_lab::images::{Image as Made, Layer};

    #[test]
    fn an_image_is_found_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let made = Made::named("shop/web").layer(&Layer::builder().file("a", "a").build());
        let layout = Layout::create(dir.path(), &made.archive()).unwrap();
        let image = layout.image("shop/web").unwrap();
        assert_eq!((image.config, image.layers.len()), (made.id(), 1));
        layout.verify(&image).unwrap();
        assert!(layout.image("shop").is_err());
        fs::write(dir.path().join("blobs/sha256").join(image.layers[0].hex()), "b").unwrap();
        assert!(layout.verify(&image).is_err());
    }
}

//! An image as `docker save` writes it: its layers, and which of them another image lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;

/// An archive with one image.
#[derive(Debug)]
pub(crate) struct Archive {
    pub(crate) file: PathBuf,
    /// The name of its config, by which the image is known.
    id: String,
    /// The layers: diff id by path in the archive.
    layers: BTreeMap<String, String>,
}

impl Archive {
    /// Reads what an archive says of itself.
    pub(crate) fn open(file: PathBuf) -> Result<Archive> {
        let manifest: Value = serde_json::from_slice(&member(&file, "manifest.json")?)?;
        let image = &manifest[0];
        let id = image["Config"].as_str().ok_or("the archive names no config")?;
        let config: Value = serde_json::from_slice(&member(&file, id)?)?;
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let layers = texts(&image["Layers"]).into_iter().zip(texts(&config["rootfs"]["diff_ids"])).collect();
        Ok(Archive { id: id.to_owned(), layers, file })
    }

    /// The first digits of the image's ID.
    pub(crate) fn short_id(&self) -> &str {
        let name = self.id.rsplit('/').next().unwrap_or(&self.id);
        name.get(..12).unwrap_or(name)
    }

    /// Hands over the tar of each layer, once.
    pub(crate) fn each_layer(&self, each: impl FnMut(&mut dyn Read) -> Result) -> Result {
        self.read(&BTreeSet::new(), each)
    }

    /// Hands over the tar of each layer that the other has not, once.
    pub(crate) fn each_missing_in(
        &self,
        other: &Archive,
        each: impl FnMut(&mut dyn Read) -> Result,
    ) -> Result {
        self.read(&other.layers.values().map(String::as_str).collect(), each)
    }

    fn read(&self, known: &BTreeSet<&str>, mut each: impl FnMut(&mut dyn Read) -> Result) -> Result {
        let mut done = known.clone();
        let mut archive = tar::Archive::new(File::open(&self.file)?);
        for entry in archive.entries_with_seek()? {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            // A layer that an image has twice may be a link the second time.
            let diff_id = self.layers.get(&path).filter(|_| entry.header().entry_type().is_file());
            if let Some(diff_id) = diff_id
                && done.insert(diff_id)
            {
                each(&mut entry)?;
            }
        }
        Ok(())
    }
}

fn member(archive: &Path, name: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.path()? == Path::new(name) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(format!("the archive has no {name}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsync_lab::images::{Image, Layer};

    #[test]
    fn only_missing_layers_are_handed_over_and_each_once() {
        let layer = |content: &str| Layer::builder().file("f", content).build();
        let (base, other) = (layer("base"), layer("other"));
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, image: &Image| {
            let file = dir.path().join(name);
            std::fs::write(&file, image.archive()).unwrap();
            Archive::open(file).unwrap()
        };
        let old = write("old", &Image::named("x:1").layer(&base));
        let new = write("new", &Image::named("x:2").layer(&other).layer(&base).layer(&other));
        let mut seen = Vec::new();
        let mut keep = |tar: &mut dyn Read| {
            let mut bytes = Vec::new();
            tar.read_to_end(&mut bytes)?;
            seen.push(bytes);
            Ok(())
        };
        new.each_missing_in(&old, &mut keep).unwrap();
        old.each_missing_in(&new, &mut keep).unwrap();
        old.each_layer(&mut keep).unwrap();
        assert_eq!(seen, [other.tar(), base.tar()]);
        assert_eq!(old.short_id(), &Image::named("x:1").layer(&base).id().hex()[..12]);
    }
}

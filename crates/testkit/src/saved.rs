//! Reads an archive that an engine saved, for the model: with nothing of the program under test.

use std::collections::BTreeMap;
use std::io::Read as _;

use serde_json::Value;

use crate::layout::familiar;
use crate::model::What;
use crate::packing::unpack_any;
use crate::sha256;

/// The images of an archive by name: config and layers, every byte of them hashed.
///
/// # Errors
///
/// A sentence, where it is no whole archive.
pub fn saved(archive: &[u8]) -> Result<BTreeMap<String, What>, String> {
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).trim_start_matches("./").to_owned();
        if let Some(target) = entry.link_name_bytes() {
            // `../OTHER/layer.tar` of Docker before 25, `../OTHER.tar` of podman.
            links.insert(path, String::from_utf8_lossy(&target).trim_start_matches("../").to_owned());
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| format!("{path}: {error}"))?;
        files.insert(path, bytes);
    }
    let file = |path: &str| {
        let target = links.get(path).map_or(path, String::as_str);
        files.get(target).ok_or_else(|| format!("{path} is missing"))
    };
    let manifest: Value =
        serde_json::from_slice(file("manifest.json")?).map_err(|error| error.to_string())?;
    let mut images = BTreeMap::new();
    let texts = |value: &Value| {
        let texts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    for entry in manifest.as_array().into_iter().flatten() {
        let config = sha256(file(entry["Config"].as_str().unwrap_or_default())?);
        let mut diff_ids = Vec::new();
        for layer in texts(&entry["Layers"]) {
            diff_ids.push(sha256(&unpack_any(file(&layer)?)?));
        }
        for name in texts(&entry["RepoTags"]) {
            images.insert(familiar(&name), What::Content(config.clone(), diff_ids.clone(), None));
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Files, ImageSpec, Item, LayerSpec, Packing, Wrap};

    #[test]
    fn every_kind_of_archive_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let layers = vec![LayerSpec::text(1, 100), LayerSpec::Empty, LayerSpec::text(1, 100)];
        let items = [
            Item::named("shop/web:1", ImageSpec::of(layers.clone()).packed(Packing::Go(6))).build(),
            Item::named("registry.example/x:1", ImageSpec::of(layers).with(|config| config.env = 1)).build(),
        ];
        for files in [Files::DockerOld, Files::Docker, Files::Podman] {
            let path = dir.path().join("archive");
            files.write(Wrap::None, &items, &path).unwrap();
            let images = saved(&std::fs::read(&path).unwrap()).unwrap();
            assert_eq!(images.len(), 2, "{files:?}");
            for item in &items {
                assert_eq!(images[&item.names[0]], What::content(&item.images[0]), "{files:?}");
            }
        }
        assert!(saved(&[0; 1024]).is_err());
    }
}

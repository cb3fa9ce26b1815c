//! Real images of the lab in the forms in which stores get them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use dsync_core::Digest;
use dsync_e2e::{Form, Layout};
use dsync_lab::{Engine, images};
use serde_json::{Value, json};

/// An image, taken apart.
pub(crate) struct Real {
    pub(crate) config: Vec<u8>,
    layers: Vec<Vec<u8>>,
}

impl Real {
    /// The image of a recipe, which this engine builds if nobody has.
    pub(crate) fn of(engine: &Engine, recipe: &str) -> Real {
        let file = images::archive(engine, recipe).unwrap_or_else(|error| panic!("{error}"));
        let mut files = BTreeMap::new();
        let mut links = Vec::new();
        for entry in tar::Archive::new(File::open(file).unwrap()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            if let Some(target) = entry.link_name().unwrap() {
                // Of a layer that occurs twice: `../OTHER/layer.tar`.
                links.push((path, target.to_string_lossy().trim_start_matches("../").to_owned()));
                continue;
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes);
        }
        for (path, target) in links {
            files.insert(path, files[&target].clone());
        }
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        let names = manifest[0]["Layers"].as_array().unwrap();
        let layers = names.iter().map(|name| files[name.as_str().unwrap()].clone()).collect();
        Real { config: files[manifest[0]["Config"].as_str().unwrap()].clone(), layers }
    }

    /// Puts it into a layout.
    pub(crate) fn put(&self, layout: &Layout, name: &str, form: Form) {
        let layers: Vec<&[u8]> = self.layers.iter().map(Vec::as_slice).collect();
        layout.put_parts(name, &self.config, &layers, form);
    }

    /// Loads it into an engine, as an archive that every engine reads.
    pub(crate) fn load(&self, engine: &Engine, scratch: &Path, name: &str, form: Form) {
        fs::remove_dir_all(scratch).ok();
        let layout = Layout::at(scratch.to_owned());
        self.put(&layout, "none", form);
        // The layout's only image, and without its name: that would be made a name of podman's own.
        let index = scratch.join("index.json");
        let mut entries: Value = serde_json::from_slice(&fs::read(&index).unwrap()).unwrap();
        entries["manifests"][0].as_object_mut().unwrap().remove("annotations");
        let manifest = blob(scratch, entries["manifests"][0]["digest"].as_str().unwrap());
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        fs::write(&index, entries.to_string()).unwrap();
        let path = |descriptor: &Value| {
            format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"))
        };
        let layers: Vec<String> = manifest["layers"].as_array().unwrap().iter().map(path).collect();
        let docker = json!([{"Config": path(&manifest["config"]), "RepoTags": null, "Layers": layers}]);
        fs::write(scratch.join("manifest.json"), docker.to_string()).unwrap();

        let mut archive = tar::Builder::new(Vec::new());
        archive.append_dir_all(".", scratch).unwrap();
        engine.load(&archive.into_inner().unwrap()).unwrap_or_else(|error| panic!("{error}"));
        fs::remove_dir_all(scratch).unwrap();
        // An engine knows it by its config, or by its manifest.
        let ids = [
            Digest::of(&self.config).to_string(),
            entries["manifests"][0]["digest"].as_str().unwrap().to_owned(),
        ];
        let id = ids.iter().find(|id| engine.image_id(id).is_some()).expect("what was loaded is there");
        let tag = engine.client().args(["tag", id, &format!("docker.io/{name}")]).output().unwrap();
        assert!(tag.status.success(), "{tag:?}");
    }
}

fn blob(layout: &Path, digest: &str) -> Vec<u8> {
    fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

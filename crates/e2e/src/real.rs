//! Real images of the lab in the forms in which stores get them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use dsync_core::Digest;
use dsync_lab::{Engine, images};
use serde_json::{Value, json};

use crate::layout::{Packing, Stored};
use crate::{Form, Layout};

/// An image, taken apart.
pub struct Real {
    config: Vec<u8>,
    layers: Vec<Stored>,
}

impl Real {
    /// The image of a recipe, which this engine builds if nobody has.
    pub fn of(engine: &Engine, recipe: &str) -> Real {
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
        let layers = names.iter().map(|name| Form::Plain.store(&files[name.as_str().unwrap()])).collect();
        Real { config: files[manifest[0]["Config"].as_str().unwrap()].clone(), layers }
    }

    /// The same image, its layers in this form.
    pub fn in_form(&self, form: Form) -> Real {
        let layers = self.layers.iter().map(|layer| form.store(&layer.plain())).collect();
        Real { config: self.config.clone(), layers }
    }

    /// The same image, its layers as BuildKit compresses them, by the encoder that `docker push` has, too. The
    /// engine must be a Docker with the containerd store.
    pub fn as_pushed(&self, engine: &Engine, scratch: &Path) -> Real {
        const NAME: &str = "lab/pushed:latest";
        self.load(engine, scratch, NAME);
        for dir in ["context", "out"] {
            fs::create_dir_all(scratch.join(dir)).unwrap();
        }
        fs::write(scratch.join("context/Dockerfile"), format!("FROM docker.io/{NAME}\n")).unwrap();
        let out = scratch.join("out");
        let output =
            format!("type=oci,tar=false,compression=gzip,force-compression=true,dest={}", out.display());
        let mut build = engine.client();
        build
            .args(["buildx", "build", "--provenance=false", "--output", &output])
            .arg(scratch.join("context"));
        let said = build.output().unwrap();
        assert!(said.status.success(), "{said:?}");
        engine.remove_image(NAME).unwrap_or_else(|error| panic!("{error}"));

        let json = |digest: &Value| -> Value {
            serde_json::from_slice(&blob(&out, digest.as_str().unwrap())).unwrap()
        };
        let index: Value = serde_json::from_slice(&fs::read(out.join("index.json")).unwrap()).unwrap();
        let manifest = json(&index["manifests"][0]["digest"]);
        let stored = |layer: &Value| Stored {
            bytes: blob(&out, layer["digest"].as_str().unwrap()),
            packing: Packing::of(layer),
        };
        let layers: Vec<Stored> = manifest["layers"].as_array().unwrap().iter().map(stored).collect();
        fs::remove_dir_all(scratch).unwrap();
        assert_eq!(layers.len(), self.layers.len());
        for (pushed, layer) in layers.iter().zip(&self.layers) {
            assert!(
                pushed.packing == Packing::Gzip && pushed.plain() == layer.plain(),
                "BuildKit made another layer"
            );
        }
        Real { config: self.config.clone(), layers }
    }

    /// The digest of its config.
    pub fn config(&self) -> Digest {
        Digest::of(&self.config)
    }

    /// Puts it into a layout.
    pub fn put(&self, layout: &Layout, name: &str) {
        layout.put_stored(name, &self.config, &self.layers);
    }

    /// Loads it into an engine, as an archive that every engine reads.
    pub fn load(&self, engine: &Engine, scratch: &Path, name: &str) {
        fs::remove_dir_all(scratch).ok();
        let layout = Layout::at(scratch.to_owned());
        self.put(&layout, "none");
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
        let ids = [self.config().to_string(), entries["manifests"][0]["digest"].as_str().unwrap().to_owned()];
        let id = ids.iter().find(|id| engine.image_id(id).is_some()).expect("what was loaded is there");
        engine.tag(id, &format!("docker.io/{name}")).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn blob(layout: &Path, digest: &str) -> Vec<u8> {
    fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

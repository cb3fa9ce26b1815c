//! The folder of podman, Buildah and CRI-O: github.com/containers/storage.
//!
//! Two lists in JSON name its images and layers (`images.go` and `layers.go` there). They are replaced as a whole, so
//! each is read as it was at one time. podman itself takes minutes to list some thousand images: for each it looks for
//! images made of it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dsync_core::{Config, DiffId, Digest, Image, ImageId};
use serde_json::{Value, json};

use super::storage_layout::{LayerPaths, StorageLayout};

/// The folder, and the driver that keeps layers in it.
#[derive(Debug)]
pub(in crate::client) struct Podman {
    root: PathBuf,
    driver: String,
}

/// The storage as the engine describes it; a folder of the same name on this host need not be the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) struct StorageInfo {
    pub(in crate::client) driver: String,
    /// The size of the file system.
    pub(in crate::client) allocated: u64,
}

/// An image in `images.json`.
struct PodmanImage {
    id: String,
    names: Vec<String>,
    /// The digest of the manifest that it came with.
    digest: Option<Digest>,
    /// The topmost layer.
    layer: String,
    /// Bytes of all documents of it.
    documents: Option<u64>,
}

/// A layer in `layers.json`.
#[derive(Debug, Clone)]
struct StoredLayer {
    /// It looks like a digest, but is none of the layer alone.
    id: Digest,
    /// The ID of the one below; empty of the lowest.
    parent: String,
    diff_id: Option<DiffId>,
    size: Option<u64>,
}

/// All layers, with their places by their IDs.
struct PodmanLayers {
    all: Vec<StoredLayer>,
    places: HashMap<Digest, usize>,
}

/// Images that were read, and those that only the engine can describe.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::client) struct ReadImages {
    pub(in crate::client) images: Vec<Image>,
    /// IDs of lists of manifests, of images in other forms, and of broken ones.
    pub(in crate::client) others: Vec<String>,
}

impl Podman {
    /// The folder, if it is on this host and may be read, and agrees with the engine's description: the number of its
    /// images, with those from which others were built. `asked` is true if the engine has an image of this ID.
    pub(in crate::client) fn open(
        root: &Path,
        (info, count): (&StorageInfo, u64),
        asked: impl FnOnce(&str) -> bool,
    ) -> Option<Self> {
        let podman = Self { root: root.into(), driver: info.driver.clone() };
        let images = podman.images().ok()?;
        let file_system = rustix::fs::statvfs(root).ok()?;
        let agrees = images.len() as u64 == count
            && file_system.f_blocks.saturating_mul(file_system.f_frsize) == info.allocated;
        // A list of manifests has no layers, and is no image for who asks.
        let newest = images.iter().rfind(|image| !image.layer.is_empty())?;
        (agrees && asked(&newest.id)).then_some(podman)
    }

    /// All images but the intermediate ones, which are named nowhere and are what others were built from.
    pub(in crate::client) fn list(&self) -> io::Result<ReadImages> {
        let (listed, layers) = (self.images()?, self.layers()?);
        let read: Vec<Option<(Image, BuildKey)>> =
            listed.iter().map(|image| self.image(image, &layers)).collect();
        let parents: HashSet<Digest> =
            read.iter().flatten().flat_map(|(_, origin)| &origin.parents).copied().collect();
        let mut found = ReadImages::default();
        for (listed, image) in listed.into_iter().zip(&read) {
            match image {
                Some((_, origin)) if listed.names.is_empty() && parents.contains(&origin.own) => {}
                Some((image, _)) => found.images.push(image.clone()),
                None => found.others.push(listed.id),
            }
        }
        Ok(found)
    }

    /// The sizes of the tars of an image's layers, the lowest first.
    pub(in crate::client) fn layer_sizes(&self, image: &Image) -> io::Result<Vec<u64>> {
        let chain = self.chain(&image.id, &image.diff_ids)?;
        let sizes = chain.iter().map(|layer| layer.size).collect::<Option<Vec<u64>>>();
        sizes.ok_or_else(|| io::Error::other("a layer has no size"))
    }

    fn image(&self, listed: &PodmanImage, layers: &PodmanLayers) -> Option<(Image, BuildKey)> {
        let id: ImageId = listed.id.parse().ok()?;
        let bytes = fs::read(self.config(&id)).ok()?;
        let config = Config::parse(&bytes).ok()?;
        if config.digest.as_bytes() != id.as_bytes() {
            return None;
        }
        let chain = layers.chain(&listed.layer, &config.diff_ids)?;
        let size = chain.iter().try_fold(listed.documents?, |sum, layer| sum.checked_add(layer.size?))?;
        let mut names: Vec<_> = listed.names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort_unstable();
        names.dedup();
        let origin = BuildKey::of(&bytes, &config.diff_ids)?;
        let Config { digest, diff_ids, platform, created } = config;
        let config = Some(digest);
        // podman shows it beside a name only.
        let digests = listed.digest.into_iter().filter(|_| !names.is_empty()).collect();
        Some((Image { id, config, names, digests, diff_ids, platform, size, created }, origin))
    }

    /// The layers of an image, the lowest first.
    fn chain(&self, id: &ImageId, diff_ids: &[DiffId]) -> io::Result<Vec<StoredLayer>> {
        let listed = self.images()?.into_iter().find(|listed| listed.id == id.hex());
        let top = listed.ok_or_else(|| io::Error::other("there is no such image"))?.layer;
        let layers = self.layers()?;
        let chain = layers.chain(&top, diff_ids);
        Ok(chain
            .ok_or_else(|| io::Error::other("the image has other layers there"))?
            .into_iter()
            .cloned()
            .collect())
    }

    fn images(&self) -> io::Result<Vec<PodmanImage>> {
        self.read("images", |image| {
            let sizes = image.get("big-data-sizes").and_then(Value::as_object);
            let names = image.get("names").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            PodmanImage {
                id: text(image, "id"),
                names: names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                digest: text(image, "digest").parse().ok(),
                layer: text(image, "layer"),
                documents: sizes.into_iter().flatten().map(|(_, size)| size.as_u64()).sum(),
            }
        })
    }

    fn layers(&self) -> io::Result<PodmanLayers> {
        let layers = self.read("layers", |layer| {
            Some(StoredLayer {
                id: text(layer, "id").parse().ok()?,
                parent: text(layer, "parent"),
                diff_id: text(layer, "diff-digest").parse().ok(),
                // An empty file has none.
                size: layer.get("diff-size").map_or(Some(0), Value::as_u64),
            })
        })?;
        let all: Vec<StoredLayer> = layers.into_iter().flatten().collect();
        let places = all.iter().enumerate().map(|(at, layer)| (layer.id, at)).collect();
        Ok(PodmanLayers { all, places })
    }

    /// A list of the storage.
    fn read<T>(&self, of: &str, each: impl Fn(&Value) -> T) -> io::Result<Vec<T>> {
        let json: Value = serde_json::from_slice(&fs::read(self.folder(of).join(format!("{of}.json")))?)?;
        let list = json.as_array().ok_or_else(|| io::Error::other(format!("{of}.json is no list")))?;
        Ok(list.iter().map(each).collect())
    }

    fn folder(&self, of: &str) -> PathBuf {
        self.root.join(format!("{}-{of}", self.driver))
    }
}

impl StorageLayout for Podman {
    fn config(&self, id: &ImageId) -> PathBuf {
        // `makeBigDataBaseName` of its `store.go`.
        let name = format!("={}", BASE64_STANDARD.encode(id.to_string()));
        self.folder("images").join(id.hex()).join(name)
    }

    fn layer(&self, id: &ImageId, diff_ids: &[DiffId], at: usize) -> io::Result<LayerPaths> {
        let layer = self.chain(id, diff_ids)?.swap_remove(at).id.hex();
        let tar_split = self.folder("layers").join(format!("{layer}.tar-split.gz"));
        let contents = match self.driver.as_str() {
            "vfs" => self.root.join("vfs/dir").join(layer),
            driver => self.root.join(driver).join(layer).join("diff"),
        };
        Ok(LayerPaths { tar_split, contents })
    }
}

impl PodmanLayers {
    /// The layers from the lowest to this one, if they are the ones with these diff ids.
    fn chain(&self, top: &str, diff_ids: &[DiffId]) -> Option<Vec<&StoredLayer>> {
        let mut chain = Vec::with_capacity(diff_ids.len());
        let mut next = top;
        for diff_id in diff_ids.iter().rev() {
            let layer = &self.all[*self.places.get(&next.parse().ok()?)?];
            if layer.diff_id != Some(*diff_id) {
                return None;
            }
            next = &layer.parent;
            chain.push(layer);
        }
        chain.reverse();
        next.is_empty().then_some(chain)
    }
}

fn text(json: &Value, key: &str) -> String {
    json.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The key by which an image is found to be built from another: the other has the same history but for the last step,
/// and the same layers, perhaps without the last one (`areParentAndChild` in libimage's `oci.go`).
struct BuildKey {
    own: Digest,
    parents: Vec<Digest>,
}

impl BuildKey {
    fn of(config: &[u8], diff_ids: &[DiffId]) -> Option<Self> {
        let json: Value = serde_json::from_slice(config).ok()?;
        let history = json.get("history").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let key = |history: &[Value], diff_ids: &[DiffId]| {
            let layers: Vec<String> = diff_ids.iter().map(DiffId::to_string).collect();
            Digest::of(json!([history, layers]).to_string().as_bytes())
        };
        let parents = match history.split_last() {
            None => Vec::new(),
            Some((_, before)) => {
                let lower = diff_ids.split_last().map(|(_, lower)| key(before, lower));
                [key(before, diff_ids)].into_iter().chain(lower).collect()
            }
        };
        Some(Self { own: key(history, diff_ids), parents })
    }
}

#[cfg(test)]
#[path = "podman_tests.rs"]
mod tests;

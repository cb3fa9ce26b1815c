//! Small images to try a store with.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, LayerKey};

use crate::archive::file_header;
use crate::store::{IdOf, ImportIdentity, LayerSink, Store, StoreError};

/// The time at which all samples were built.
pub(super) const CREATED: &str = "2024-03-02T01:00:00.123456789Z";

/// An image that exists in this process.
pub(super) struct Sample {
    pub(super) config: Vec<u8>,
    pub(super) layers: Vec<Vec<u8>>,
}

/// A text that no other sample of any run has.
pub(super) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    format!("{nanos:x}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A layer with one file.
pub(super) fn layer(path: &str, contents: &[u8]) -> Vec<u8> {
    let mut tar = file_header(path, contents.len() as u64).to_vec();
    tar.extend_from_slice(contents);
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    tar
}

/// The layer without entries, which builders make of a step that changes nothing.
pub(super) fn empty_layer() -> Vec<u8> {
    vec![0; 1024]
}

/// An image name that no other run has.
pub(super) fn name(suffix: &str) -> ImageRef {
    format!("docker-sync-conformance/{suffix}:{}", unique()).parse().expect("it is a valid name")
}

impl Sample {
    /// An image of these layers, the lowest first, different from all others.
    pub(super) fn new(layers: Vec<Vec<u8>>) -> Self {
        let ids: Vec<String> = layers.iter().map(|layer| format!("\"{}\"", DiffId::of(layer))).collect();
        let step = format!(r#"{{"created":"{CREATED}","created_by":"COPY file / # buildkit"}}"#);
        let history = vec![step; layers.len()].join(",");
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","created":"{CREATED}","config":{{"Cmd":["/none"],"Labels":{{"sample":"{}"}}}},"rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{history}]}}"#,
            unique(),
            ids.join(","),
        );
        Self { config: config.into_bytes(), layers }
    }

    pub(super) fn diff_ids(&self) -> Vec<DiffId> {
        self.layers.iter().map(|layer| DiffId::of(layer)).collect()
    }

    /// Its layers, as they are asked for.
    pub(super) fn keys(&self) -> HashSet<LayerKey> {
        self.diff_ids().into_iter().map(LayerKey::Tar).collect()
    }

    /// The identity that an import of it keeps.
    pub(super) fn identity(&self) -> ImportIdentity<'static> {
        ImportIdentity::Content(Digest::of(&self.config))
    }

    /// The image as a store lists it, for questions before it is there.
    pub(super) fn image(&self) -> Image {
        Image {
            id: ImageId::of(&self.config),
            config: Some(Digest::of(&self.config)),
            digests: Vec::new(),
            names: Vec::new(),
            diff_ids: self.diff_ids(),
            platform: "linux/amd64".parse().expect("it is a platform"),
            size: 0,
            created: CREATED.into(),
        }
    }

    /// Imports it, leaving out what the store holds.
    pub(super) fn import(&self, store: &dyn Store) -> Result<ImageId, StoreError> {
        let held = store.holdings(&store.list()?.images).has(&self.image());
        let mut import = store.import(self.identity())?;
        let mut given = HashSet::new();
        for (layer, held) in self.layers.iter().zip(held) {
            let id = DiffId::of(layer);
            if !held && given.insert(id) {
                import.layer(&id.into(), layer.len() as u64, &mut |out| out.write_all(layer))?;
            }
        }
        import.commit(&self.config, &[])
    }

    /// Imports it and checks how the store shows it.
    pub(super) fn imported(&self, store: &dyn Store) -> ImageId {
        let id = self.import(store).expect("a whole image is taken");
        if store.describe().kind.id_of() == IdOf::Config {
            assert_eq!(id, ImageId::of(&self.config), "the ID is the digest of the config");
        }
        let shown = shown(store, &id).expect("an imported image is listed");
        assert_eq!(shown.diff_ids, self.diff_ids());
        assert_eq!(shown.created, CREATED);
        assert_eq!(shown.platform, self.image().platform);
        let config = shown.config.or_else(|| store.configs(&[id]).expect("a config can be asked for")[0]);
        assert_eq!(config, Some(Digest::of(&self.config)), "the store knows the digest of the config");
        id
    }

    /// Exports these layers of the image and checks each byte.
    pub(super) fn check(&self, store: &dyn Store, id: &ImageId, wanted: &HashSet<LayerKey>) {
        let mut kept = Kept::default();
        let export = store.export(id, wanted, &mut kept).expect("an image can be exported");
        assert_eq!(export.config, self.config, "the config stays as it is, bit for bit");
        assert!(kept.problems.is_empty(), "{:?}", kept.problems);
        for (layer, id) in self.layers.iter().zip(self.diff_ids()) {
            if wanted.contains(&id.into()) {
                assert_eq!(kept.layers.get(&id), Some(layer), "a wanted layer comes as it is");
            }
        }
        for id in &kept.named {
            assert!(wanted.contains(id), "only wanted layers are named");
        }
    }
}

/// The list entry of one image in the store.
pub(super) fn shown(store: &dyn Store, id: &ImageId) -> Option<Image> {
    let mut found = store.list().expect("images can be listed").images;
    found.retain(|image| image.id == *id);
    assert!(found.len() <= 1, "an image is listed once");
    found.pop()
}

/// Keeps all layers, and what should not have happened.
#[derive(Default)]
struct Kept {
    layers: HashMap<DiffId, Vec<u8>>,
    named: Vec<LayerKey>,
    problems: Vec<String>,
}

impl LayerSink for Kept {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)?;
        let id = DiffId::of(&bytes);
        if let Some(named) = key {
            self.named.push(named);
            if named != id.into() {
                self.problems.push(format!("{id} was given as {named}"));
            }
        }
        if self.layers.insert(id, bytes).is_some() {
            self.problems.push(format!("{id} was given twice"));
        }
        Ok(())
    }
}

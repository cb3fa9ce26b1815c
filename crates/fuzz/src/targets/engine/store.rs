//! The promises of every store of files, whatever is in them.

use std::collections::HashSet;
use std::io::{self, Read};

use dsync_core::{DiffId, Digest, Image, LayerKey};
use dsync_engine::{LayerSink, Package, Store, leads_to_config};

/// Layers are not read farther, in bytes.
const FARTHEST: u64 = 4 << 20;

/// Takes layers, and checks them as an endpoint does.
#[derive(Default)]
struct Sink {
    given: Vec<DiffId>,
}

impl LayerSink for Sink {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        tar.take(FARTHEST).read_to_end(&mut bytes)?;
        let found = DiffId::of(&bytes);
        if bytes.len() as u64 == FARTHEST || key.is_some_and(|key| key != found.into()) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.given.push(found);
        Ok(())
    }
}

/// Lists a store, and reads every image of it in every way.
pub(super) fn look_at(store: &dyn Store) {
    let Ok(listed) = store.list() else { return };
    assert_eq!(store.list().as_ref().ok(), Some(&listed), "a second list is another");
    let ids: HashSet<_> = listed.images.iter().map(|image| image.id).collect();
    assert_eq!(ids.len(), listed.images.len(), "an image is listed twice");
    let mut names = HashSet::new();
    assert!(
        listed.images.iter().flat_map(|image| &image.names).all(|name| names.insert(name.clone())),
        "two images have one name"
    );
    for image in listed.images.iter().take(4) {
        read(store, image);
        package(store, image);
        let sizes = store.layer_sizes(image);
        if let Ok(Some(sizes)) = sizes {
            assert_eq!(sizes.len(), image.diff_ids.len());
        }
    }
}

/// Exports all layers: each that is wanted comes once, and with it the config of the image.
fn read(store: &dyn Store, image: &Image) {
    let wanted: HashSet<LayerKey> = image.tars().collect();
    let mut sink = Sink::default();
    let Ok(export) = store.export(&image.id, &wanted, &mut sink) else { return };
    assert_eq!(Some(Digest::of(&export.config)), image.config, "the config is another");
    let given: HashSet<LayerKey> = sink.given.iter().copied().map(LayerKey::Tar).collect();
    assert!(wanted.is_subset(&given), "a layer that is wanted did not come");
    assert_eq!(given.len(), sink.given.len(), "a layer came twice");
}

/// The package of an image is one on another host, too.
fn package(store: &dyn Store, image: &Image) {
    let Ok(Some(package)) = store.package(&image.id, None) else { return };
    assert_eq!(package.root().as_bytes(), image.id.as_bytes());
    check_package(&package);
    let config = image.config.expect("a store with packages tells configs");
    match package.path_to(&config) {
        Some(path) => {
            let path: Vec<Vec<u8>> = path.into_iter().map(<[u8]>::to_vec).collect();
            assert!(leads_to_config(&image.id, &path, &config));
        }
        None => assert!(
            !package.absent().is_empty(),
            "the listed config is not in the package, and nobody says so"
        ),
    }
    // Anything but an image for this platform is refused, without a panic.
    store.package(&image.id, Some(&image.platform)).ok();
    let refs: Vec<_> = package.layers().iter().map(|layer| layer.blob).collect();
    if let Ok(has) = store.has(&refs) {
        assert_eq!(has.len(), refs.len());
    }
}

/// Documents go together to the same package again, and its layers have different keys.
pub(super) fn check_package(package: &Package) {
    let documents: Vec<Vec<u8>> = package.documents().map(|(_, bytes)| bytes.to_vec()).collect();
    for (digest, bytes) in package.documents() {
        assert_eq!(Digest::of(bytes), *digest);
        assert_eq!(package.document(digest), Some(bytes));
    }
    let again = Package::assemble(documents.clone()).expect("the documents of a package are one");
    assert_eq!(again.root(), package.root());
    assert_eq!(again.documents().map(|(_, bytes)| bytes.to_vec()).collect::<Vec<_>>(), documents);
    assert_eq!(again.layers(), package.layers());
    assert_eq!(again.layer_keys(), package.layer_keys());
    let keys = package.layer_keys();
    assert_eq!(keys.len(), package.layers().len());
    let distinct: HashSet<LayerKey> = keys.iter().copied().collect();
    assert_eq!(distinct.len(), keys.len(), "two layers have one key");
}

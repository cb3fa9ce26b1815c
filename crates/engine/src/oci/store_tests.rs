//! A layout as a store: the suite of all stores, and what only a layout has.

use std::fs;
use std::io::Write as _;

use dsync_core::DiffId;

use super::*;
use crate::conformance::conformance;
use crate::store::ImportIdentity;

fn store(directory: &Path) -> OciStore {
    OciStore::open(directory).unwrap()
}

#[test]
fn it_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/layout");
    assert!(!conformance(&store(&path)).is_empty());
    // Nothing temporary stays, and what is there is readable by others.
    for directory in [path.clone(), path.join("blobs/sha256")] {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            assert!(!entry.file_name().to_string_lossy().starts_with('.'), "{:?}", entry.path());
        }
    }
}

#[test]
fn a_layer_that_is_not_as_long_as_its_manifest_says_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let layer = [0; 1024];
    let diff_id = DiffId::of(&layer);
    let config = format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#);
    let import = |size: u64| {
        let (digest, len) = (dsync_core::Digest::of(config.as_bytes()), config.len());
        let manifest = format!(
            r#"{{"config":{{"digest":"{digest}","size":{len}}},"layers":[{{"digest":"{diff_id}","size":{size}}}]}}"#
        );
        let documents = vec![manifest.into_bytes(), config.clone().into_bytes()];
        let package = crate::Package::assemble(documents).unwrap();
        let mut import = store.import(ImportIdentity::Exact(&package)).unwrap();
        import.layer(&LayerKey::Blob(diff_id.digest()), 1024, &mut |out| out.write_all(&layer)).unwrap();
        import.commit(b"", &[]).map(|_| store.list().unwrap().images.len())
    };
    for size in [0, 1023, 1025, u64::MAX] {
        assert!(matches!(import(size), Err(StoreError::Broken { .. })), "{size}");
    }
    assert!(store.list().unwrap().images.is_empty());
    assert_eq!(import(1024).unwrap(), 1);
}

/// Keeps the bytes of layers, each of which must have a key.
struct Kept(Vec<u8>);

impl LayerSink for Kept {
    fn layer(&mut self, key: Option<LayerKey>, tar: &mut dyn std::io::Read) -> std::io::Result<()> {
        assert!(key.is_some());
        tar.read_to_end(&mut self.0).map(drop)
    }
}

#[test]
fn a_layer_that_looks_like_a_compressed_one_is_read_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let layer = b"\x1f\x8b\x08\x00 and no gzip";
    let diff_id = DiffId::of(layer);
    let config = format!(r#"{{"os":"linux","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#);
    let mut import =
        store.import(ImportIdentity::Content(dsync_core::Digest::of(config.as_bytes()))).unwrap();
    import.layer(&diff_id.into(), layer.len() as u64, &mut |out| out.write_all(layer)).unwrap();
    let id = import.commit(config.as_bytes(), &[]).unwrap();
    for key in [LayerKey::Tar(diff_id), LayerKey::Blob(diff_id.digest())] {
        let mut kept = Kept(Vec::new());
        store.export(&id, &HashSet::from([key]), &mut kept).unwrap();
        assert_eq!(kept.0, layer);
    }
}

#[test]
fn layers_that_are_held_compressed_are_used_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let low = b"low layer".repeat(100);
    let low_id = DiffId::of(&low);
    let config = |label: &str| {
        format!(r#"{{"os":"linux","x":"{label}","rootfs":{{"type":"layers","diff_ids":["{low_id}"]}}}}"#)
    };
    let import = |config: &str, give: bool| {
        let mut import =
            store.import(ImportIdentity::Content(dsync_core::Digest::of(config.as_bytes()))).unwrap();
        if give {
            import.layer(&low_id.into(), low.len() as u64, &mut |out| out.write_all(&low)).unwrap();
        }
        import.commit(config.as_bytes(), &[])
    };
    import(&config("old"), true).unwrap();
    // Another tool has made gzip of it.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&low).unwrap();
    let gzip = gzip.finish().unwrap();
    let digest = dsync_core::Digest::of(&gzip);
    let (layout, files) = (&store.layout, store.layout.directory().unwrap());
    fs::write(files.blob_path(&digest), &gzip).unwrap();
    fs::remove_file(files.blobs().join(low_id.hex())).unwrap();
    let entry = &layout.index().unwrap().entries()[0]["digest"].as_str().unwrap().parse().unwrap();
    let manifest = String::from_utf8(layout.document(entry).unwrap()).unwrap();
    let manifest = manifest
        .replace(&low_id.hex(), &digest.hex())
        .replace("size\":900", &{ format!("size\":{}", gzip.len()) });
    let blob = BlobRef { digest: dsync_core::Digest::of(manifest.as_bytes()), size: manifest.len() as u64 };
    fs::write(files.blob_path(&blob.digest), &manifest).unwrap();
    let mut index = index::LayoutIndex::empty();
    index.add("application/vnd.oci.image.manifest.v1+json", &blob);
    files.replace_index(&index).unwrap();

    let id = import(&config("new"), false).unwrap();
    let found = store.find(&id).unwrap();
    assert_eq!(found.layers[0].digest, digest);
    let entry = &layout.index().unwrap().entries()[1]["digest"].as_str().unwrap().parse().unwrap();
    let manifest = String::from_utf8(layout.document(entry).unwrap()).unwrap();
    assert!(manifest.contains("layer.v1.tar+gzip"), "{manifest}");
    assert_eq!(store.layer_sizes(&found.image).unwrap(), None);

    let mut kept = Kept(Vec::new());
    store.export(&id, &HashSet::from([low_id.into()]), &mut kept).unwrap();
    assert_eq!(kept.0, low);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let identity = ImportIdentity::Content(dsync_core::Digest::of(b"{}"));
    let mut import = store.import(identity).unwrap();
    let layer = [7; 10];
    import.layer(&DiffId::of(&layer).into(), 10, &mut |out| out.write_all(&layer)).unwrap();
    let stale = store.layout.directory().unwrap().blobs().join(".docker-sync-stale");
    fs::write(&stale, "x").unwrap();
    let count = || fs::read_dir(store.layout.directory().unwrap().blobs()).unwrap().count();
    assert_eq!(count(), 2);
    let other = store.import(identity).unwrap();
    assert!(!stale.exists());
    assert_eq!(count(), 1, "a living import keeps its files");
    drop((import, other));
    assert_eq!(count(), 0);
}

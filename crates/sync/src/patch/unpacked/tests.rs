//! Layers of a package on their way into a store without packages.

use dsync_testkit::Packing;

use super::*;
use crate::transfer_tests::{Layout, RecordedImport, tar};

/// Layers as they cross, and what the store is given of them.
fn taken(crossing: &[(LayerKey, &[u8])]) -> Result<Vec<(LayerKey, u64, Vec<u8>)>, StoreError> {
    let folder = tempfile::tempdir().unwrap();
    let (tars, stored) = (layers(), stored());
    let blobs = stored.iter().map(|bytes| dsync_engine::BlobRef { digest: Digest::of(bytes), size: 0 });
    let blobs = blobs.zip(&tars).map(|(blob, tar)| (blob.digest, DiffId::of(tar)));
    let content = Content {
        config: b"config".to_vec(),
        diff_ids: tars.iter().map(|tar| DiffId::of(tar)).collect(),
        folder: folder.path().to_owned(),
    };
    let mut given = Vec::new();
    let mut import = Unpacking {
        import: Box::new(RecordedImport(&mut given)),
        content: &content,
        stored: blobs.collect(),
        given: HashSet::new(),
    };
    for (key, bytes) in crossing {
        import.layer(key, bytes.len() as u64, &mut |out| out.write_all(bytes))?;
    }
    assert_eq!(Box::new(import).commit(content.config(), &[])?, ImageId::of(b"config"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    Ok(given)
}

fn layers() -> [Vec<u8>; 2] {
    ["one", "two"].map(|text| tar(&text.repeat(1000)))
}

fn stored() -> [Vec<u8>; 2] {
    let [one, two] = layers();
    [Packing::Go(6).pack(&one), Packing::Zstd.pack(&two)]
}

fn blob(bytes: &[u8]) -> LayerKey {
    LayerKey::Blob(Digest::of(bytes))
}

fn plain(layer: &[u8]) -> (LayerKey, u64, Vec<u8>) {
    (DiffId::of(layer).into(), layer.len() as u64, layer.to_vec())
}

#[test]
fn a_layer_that_crosses_as_it_is_stored_is_uncompressed_and_a_tar_is_not() {
    let ([one, two], [packed, other]) = (layers(), stored());
    let given = taken(&[(blob(&packed), &packed), (DiffId::of(&two).into(), &two)]).unwrap();
    assert_eq!(given, [plain(&one), plain(&two)]);
    let given = taken(&[(blob(&other), &other)]).unwrap();
    assert_eq!(given, [plain(&two)]);
}

#[test]
fn the_store_is_given_each_layer_once_and_none_of_another_image() {
    let ([one, two], [packed, _]) = (layers(), stored());
    let foreign = tar("foreign");
    let crossing: [(LayerKey, &[u8]); 5] = [
        (DiffId::of(&foreign).into(), &foreign),
        (blob(b"of another platform"), b"of another platform"),
        (DiffId::of(&one).into(), &one),
        (blob(&packed), &packed),
        (DiffId::of(&two).into(), &two),
    ];
    assert_eq!(taken(&crossing).unwrap(), [plain(&one), plain(&two)]);
}

#[test]
fn a_blob_of_which_another_layer_comes_out_is_refused() {
    let [packed, other] = stored();
    for wrong in [&other[..], b"not compressed", &packed[..packed.len() - 20]] {
        assert!(taken(&[(blob(&packed), wrong)]).is_err());
    }
}

#[test]
fn an_image_is_made_of_the_config_that_is_asked_for_and_of_no_other() {
    let layout = Layout::new();
    let [one, two] = layers();
    let image = layout.image("a", &[&one, &two], "a:1");
    let package = layout.store.package(&image.id, None).unwrap().unwrap();
    let folder = std::env::temp_dir();
    let content = as_content(&package, &image.config.unwrap(), &folder).unwrap();
    assert_eq!(Digest::of(content.config()), image.config.unwrap());
    assert!(as_content(&package, &image.id.digest(), &folder).is_none(), "a manifest is no config");
    // Its uncompressed blobs are told by their diff ids.
    let mut given = Vec::new();
    let mut import = content.begin(&package, Box::new(RecordedImport(&mut given)));
    for layer in [&two, &one] {
        import.layer(&blob(layer), layer.len() as u64, &mut |out| out.write_all(layer)).unwrap();
    }
    drop(import);
    assert_eq!(given, [plain(&two), plain(&one)]);
}

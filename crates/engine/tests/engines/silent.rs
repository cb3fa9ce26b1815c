//! Failures that an engine does not tell, or tells in passing: it ends with success and has a broken image,
//! or gives a broken archive away. A store notices, and leaves nothing of it.
//!
//! Where it can be shown in a line or two, a test shows first that the engine really is so; should that
//! fail one day, the engine has become better.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::PathBuf;

use dsync_core::{DiffId, Digest, ImageId, LayerKey};
use dsync_engine::{ImportIdentity, LayerSink, Store, StoreError};
use dsync_lab::images::{Image, Layer};

use crate::stand::Stand;

/// Bytes that nothing compresses, the same for the same seed.
fn noise(seed: &str, len: usize) -> Vec<u8> {
    let blocks = (0..).flat_map(|n| *Digest::of(format!("{seed} {n}").as_bytes()).as_bytes());
    blocks.take(len).collect()
}

/// An image with a small layer, and one on it of so many bytes.
fn image(seed: &str, len: usize) -> Image {
    let low = Layer::builder().file("low", noise(&format!("low {seed}"), 1_000)).build();
    Image::untagged().layer(&low).layer(&Layer::builder().file("top", noise(seed, len)).build())
}

/// Writes all layers of an image, each once.
fn import(store: &dyn Store, image: &Image) -> Result<ImageId, StoreError> {
    let mut import = store.import(ImportIdentity::Content(Digest::of(&image.config_json())))?;
    let mut given = HashSet::new();
    for layer in image.layers().iter().filter(|layer| given.insert(layer.diff_id())) {
        let tar = layer.tar();
        import.layer(&layer.diff_id().into(), tar.len() as u64, &mut |out| out.write_all(tar))?;
    }
    import.commit(&image.config_json(), &[])
}

/// Takes layers, and says what they really are.
#[derive(Default)]
pub(crate) struct Taken(pub(crate) Vec<DiffId>);

impl LayerSink for Taken {
    fn layer(&mut self, told: Option<LayerKey>, tar: &mut dyn Read) -> io::Result<()> {
        let mut bytes = Vec::new();
        tar.read_to_end(&mut bytes)?;
        let id = DiffId::of(&bytes);
        if told.is_some_and(|told| told != id.into()) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is another layer"));
        }
        self.0.push(id);
        Ok(())
    }
}

/// An export must fail as one of a broken image, and give no layer that is not of the image.
#[track_caller]
fn assert_not_exported(store: &dyn Store, id: &ImageId, image: &Image) {
    let wanted: HashSet<DiffId> = image.layers().iter().map(Layer::diff_id).collect();
    let mut taken = Taken::default();
    let keys = wanted.iter().copied().map(LayerKey::Tar).collect();
    let error = store.export(id, &keys, &mut taken).expect_err("the image is broken");
    assert!(
        matches!(error, StoreError::Broken { .. } | StoreError::Failed { .. } | StoreError::Io { .. }),
        "{error:?}"
    );
    // Whoever reads knows what is missing by what came.
    assert!(!wanted.iter().all(|id| taken.0.contains(id)), "all of it came: {error}");
}

fn remove(stand: &Stand, id: &ImageId) {
    stand.engine().remove_image(&id.to_string()).unwrap();
}

/// A layer with a hard link to a file that is nowhere: a tar like any other, until it is unpacked.
fn that_cannot_be_unpacked(seed: &str) -> Image {
    let layer = Layer::builder().file("a", seed).hard_link("link", "nowhere/file").build();
    image(seed, 1_000).layer(&layer)
}

fn what_cannot_be_unpacked_is_refused(name: &str, keeps: &[&str]) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let (before, store) = (stand.engine().holdings().unwrap(), stand.store());
    let images = store.list().unwrap();
    let error = import(&*store, &that_cannot_be_unpacked(name)).expect_err("it cannot be unpacked");
    assert!(matches!(error, StoreError::Broken { .. } | StoreError::Failed { .. }), "{error:?}");
    assert_eq!(store.list().unwrap(), images);
    stand.assert_holds_but_for(&before, keeps);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_20_refuses_what_cannot_be_unpacked() {
    what_cannot_be_unpacked_is_refused("docker", &[]);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_takes_what_cannot_be_unpacked() {
    let name = "docker-28-containerd";
    let stand = Stand::get(name);
    let alone = stand.alone();
    let archive = stand.file("not-to-be-unpacked.tar");
    fs::write(&archive, that_cannot_be_unpacked("shown").archive()).unwrap();
    let loaded = stand.engine().client().args(["load", "--input"]).arg(&archive).output().unwrap();
    let said = String::from_utf8_lossy(&loaded.stdout);
    assert!(loaded.status.success() && said.contains("Error unpacking image"), "{loaded:?}");
    let id = said.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
    stand.engine().remove_image(id).unwrap();
    drop(alone);

    what_cannot_be_unpacked_is_refused(name, &[]);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4_refuses_what_cannot_be_unpacked() {
    what_cannot_be_unpacked_is_refused("podman", &["layer ", "contents "]);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn others_refuse_what_cannot_be_unpacked() {
    for name in ["docker-26-classic", "docker-26-containerd", "docker-28-classic"] {
        what_cannot_be_unpacked_is_refused(name, &[]);
    }
    for name in ["podman-5.4", "podman-5.8"] {
        what_cannot_be_unpacked_is_refused(name, &["layer ", "contents "]);
    }
}

/// The blobs have room, and what is unpacked of them has not.
fn a_disk_that_is_full_at_the_end_is_noticed(name: &str) {
    let stand = Stand::small(name, 100);
    let (before, store) = (stand.engine().holdings().unwrap(), stand.store());
    let images = store.list().unwrap();
    let error = import(&*store, &image("full", 60 << 20)).expect_err("there is no room");
    assert!(error.to_string().contains("no space left"), "{error:?}");
    assert_eq!(store.list().unwrap(), images);
    stand.assert_holds(&before);
    // The engine is none the worse for it.
    import(&*store, &image("not full", 20 << 20)).unwrap();
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_is_full_at_the_end() {
    a_disk_that_is_full_at_the_end_is_noticed("docker-28-containerd");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_is_full_at_the_end() {
    a_disk_that_is_full_at_the_end_is_noticed("docker-26-containerd");
}

/// The path of a blob in a containerd store.
fn blob(stand: &Stand, digest: &str) -> PathBuf {
    let blobs = "containerd/daemon/io.containerd.content.v1.content/blobs/sha256";
    stand.engine().root().join(blobs).join(digest.trim_start_matches("sha256:"))
}

/// The output of `docker save`, which ends with success.
fn saved(stand: &Stand, id: &ImageId) -> Vec<u8> {
    let saved = stand.engine().client().args(["save", &id.to_string()]).output().unwrap();
    assert!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    saved.stdout
}

fn a_save_that_breaks_off_is_noticed(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let image = image(&format!("breaks off {name}"), 300_000);
    let id = import(&*stand.store(), &image).unwrap();
    let top = blob(stand, &image.layers()[1].diff_id().to_string());
    OpenOptions::new().write(true).open(&top).unwrap().set_len(100_000).unwrap();

    let archive = saved(stand, &id);
    let end = String::from_utf8_lossy(&archive[archive.len().saturating_sub(300)..]).into_owned();
    assert!(end.contains("errorDetail"), "it was cut, and said so nowhere: {end:?}");
    assert_not_exported(&*stand.store(), &id, &image);
    assert_not_exported(&*stand.store_behind_its_client(), &id, &image);
    remove(stand, &id);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_breaks_a_save_off() {
    a_save_that_breaks_off_is_noticed("docker-28-containerd");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_breaks_a_save_off() {
    a_save_that_breaks_off_is_noticed("docker-26-containerd");
}

/// The unpacked layer is there and the image runs, as after a pull that found the layer unpacked already.
fn a_blob_that_is_gone_is_noticed(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let image = image(&format!("gone {name}"), 10_000);
    let id = import(&*stand.store(), &image).unwrap();
    let top = image.layers()[1].diff_id().to_string();
    assert!(stand.engine().ctr().args(["content", "rm", &top]).output().unwrap().status.success());
    // The file goes later, with all that nobody names.
    let _ = fs::remove_file(blob(stand, &top));

    let archive = saved(stand, &id);
    assert!(archive.len() < 10_000, "it has the layer: {} bytes", archive.len());
    assert_not_exported(&*stand.store(), &id, &image);
    assert_not_exported(&*stand.store_behind_its_client(), &id, &image);

    // A whole image repairs it.
    let again = import(&*stand.store(), &image).unwrap();
    assert_eq!(again, id);
    let wanted = HashSet::from([image.layers()[1].diff_id().into()]);
    stand.store().export(&id, &wanted, &mut Taken::default()).unwrap();
    remove(stand, &id);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_has_lost_a_blob() {
    a_blob_that_is_gone_is_noticed("docker-28-containerd");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_has_lost_a_blob() {
    a_blob_that_is_gone_is_noticed("docker-26-containerd");
}

/// A file of a layer is gone from the storage of the classic engine.
fn a_file_that_is_gone_is_noticed(name: &str) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let before = stand.engine().holdings().unwrap();
    let image = image(&format!("file {name}"), 10_000);
    let id = import(&*stand.store(), &image).unwrap();
    let held = stand.engine().holdings().unwrap();
    let contents = held.difference(&before).filter_map(|line| line.strip_prefix("contents "));
    let files = contents.map(|name| stand.engine().root().join("overlay2").join(name).join("diff/top"));
    let file = files.into_iter().find(|file| file.exists()).expect("the layer is somewhere");
    fs::remove_file(file).unwrap();
    assert_not_exported(&*stand.store(), &id, &image);
    assert_not_exported(&*stand.store_behind_its_client(), &id, &image);
    remove(stand, &id);
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_20_has_lost_a_file() {
    a_file_that_is_gone_is_noticed("docker");
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn newer_classic_stores_have_lost_a_file() {
    a_file_that_is_gone_is_noticed("docker-26-classic");
    a_file_that_is_gone_is_noticed("docker-28-classic");
}

/// Docker 26 with images in containerd throws an image away when a load takes its name over.
fn the_image_that_loses_its_name_stays(name: &str, is_thrown_away_by_a_load: bool) {
    let stand = Stand::get(name);
    let _alone = stand.alone();
    let named = |seed: &str| {
        let layer = Layer::builder().file("f", format!("{name} {seed}")).build();
        Image::named("docker-sync-silent/web:1").layer(&layer)
    };
    let by_load = ["a", "b"].map(|seed| {
        stand.engine().load(&named(seed).archive()).unwrap();
        stand.engine().image_id("docker-sync-silent/web:1").unwrap()
    });
    assert_eq!(stand.engine().image_id(&by_load[0]).is_none(), is_thrown_away_by_a_load);

    let store = stand.store();
    let by_import = ["c", "d"].map(|seed| {
        let id = import(&*store, &named(seed)).unwrap();
        store.tag(&id, &["docker-sync-silent/web:1".parse().unwrap()]).unwrap();
        id
    });
    for id in by_import.iter().map(ToString::to_string).chain(by_load) {
        let stays = !is_thrown_away_by_a_load || by_import.iter().any(|known| known.to_string() == id);
        assert!(!stays || stand.engine().image_id(&id).is_some(), "{id} is gone");
        stand.engine().remove_image(&id).unwrap();
    }
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_containerd_keeps_what_loses_its_name() {
    the_image_that_loses_its_name_stays("docker-28-containerd", false);
}

#[test]
#[ignore = "one of all engines: cargo xtask test --all-engines"]
fn docker_26_containerd_keeps_what_loses_its_name() {
    the_image_that_loses_its_name_stays("docker-26-containerd", true);
}

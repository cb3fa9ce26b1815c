//! Chunks of layers that were only listed, read once more from a store that may have changed.

use dsync_core::DiffId;
use dsync_testkit::Layer;

use super::*;
use crate::transfer_tests::{Layout, tar, workspace};

/// A layer of three files, and their contents.
fn layer(letters: [u8; 3]) -> (Layer, [Vec<u8>; 3]) {
    let files = letters.map(|letter| vec![letter; 1000]);
    let [a, b, c] = &files;
    (Layer::builder().file("a", a).file("b", b).file("c", c).build(), files)
}

fn place(layer: &Layer, chunk: usize) -> Place {
    Place { layer: layer.diff_id().digest(), chunk }
}

fn chunk(own: &Layers<'_>, place: Place) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    own.copy_chunk(place, &mut bytes).map(|()| bytes)
}

#[test]
fn chunks_of_several_layers_and_images_are_fetched_once_and_stay() {
    let layout = Layout::new();
    let ((one, files), (two, others)) = (layer(*b"abc"), layer(*b"xyz"));
    let first = layout.image("first", &[one.tar()], "first:1");
    let second = layout.image("second", &[one.tar(), two.tar()], "second:1");
    let room = workspace(64 << 20);
    let mut own = Layers::new(&*layout.store, &room, None).unwrap();
    own.learn(&second.id, second.tars(), &|_| false).unwrap();
    assert!(chunk(&own, place(&one, 1)).is_err(), "listed only");
    assert_eq!(own.spooled(&one.diff_id().digest()), None);

    let places = [place(&two, 2), place(&one, 1), place(&two, 0), place(&one, 1)];
    own.fetch(&[&first, &second], places).unwrap();
    assert_eq!(chunk(&own, place(&one, 1)).unwrap(), files[1]);
    assert_eq!(chunk(&own, place(&two, 0)).unwrap(), others[0]);
    assert_eq!(chunk(&own, place(&two, 2)).unwrap(), others[2]);
    assert!(chunk(&own, place(&one, 0)).is_err(), "not fetched");
    // More of the same layer leave what is there where it is.
    own.fetch(&[&first, &second], [place(&one, 0), place(&one, 2)]).unwrap();
    let all: Vec<_> = (0..3).map(|number| chunk(&own, place(&one, number)).unwrap()).collect();
    assert_eq!(all, files);
    // A part of it.
    let mut bytes = Vec::new();
    own.copy(Slice { place: place(&two, 2), from: 990, len: 10 }, &mut bytes).unwrap();
    assert_eq!(bytes, others[2][990..]);
    // All of it is here, so no image is asked.
    own.fetch(&[], places).unwrap();
}

#[test]
fn a_layer_that_no_image_has_any_more_is_a_basis_that_is_gone() {
    let layout = Layout::new();
    let (one, _) = layer(*b"abc");
    let image = layout.image("first", &[one.tar()], "first:1");
    let other = layout.image("other", &[&tar("other")], "other:1");
    let room = workspace(64 << 20);
    let mut own = Layers::new(&*layout.store, &room, None).unwrap();
    own.learn(&image.id, image.tars(), &|_| false).unwrap();
    let mut fails = |images: &[&Image], place| {
        let error = own.fetch(images, [place]).unwrap_err();
        assert!(matches!(error, EndpointError::UnusableBasis(_)), "{error}");
    };
    fails(&[&other], place(&one, 0));
    fails(&[&image], Place { layer: Digest::of(b"unknown"), chunk: 0 });
    // It was removed meanwhile.
    std::fs::remove_file(layout.path(&one.diff_id().digest())).unwrap();
    fails(&[&image], place(&one, 0));
}

#[test]
fn layers_that_are_spooled_are_copied_as_a_whole_and_from_any_byte() {
    let layout = Layout::new();
    let (one, files) = layer(*b"abc");
    let image = layout.image("first", &[one.tar()], "first:1");
    let room = workspace(64 << 20);
    let mut own = Layers::new(&*layout.store, &room, None).unwrap();
    let mut announced = Vec::new();
    let announce = &mut |spooled: SpooledLayer| {
        let mut bytes = [0; 100];
        spooled.read_at(512, &mut bytes)?;
        announced.push((spooled.index.digest, bytes));
        Ok(())
    };
    own.spool_and_announce(&image.id, image.tars(), announce).unwrap();
    let digest = one.diff_id().digest();
    assert_eq!(announced, [(digest, [b'a'; 100])]);
    assert_eq!(own.spooled(&digest), Some(one.tar().len() as u64));
    let (mut all, mut some) = (Vec::new(), [0; 1000]);
    own.copy_layer(&digest, &mut all).unwrap();
    own.read_at(&digest, 512, &mut some).unwrap();
    assert_eq!((&all[..], &some[..]), (one.tar(), &files[0][..]));
    let nowhere = DiffId::of(b"nowhere").digest();
    assert!(own.copy_layer(&nowhere, &mut all).is_err() && own.read_at(&nowhere, 0, &mut some).is_err());
}

#[test]
fn damage_of_an_image_is_told_from_a_store_that_cannot_be_read() {
    let of = |kind: io::ErrorKind| {
        is_the_images_own(&StoreError::Io { what: "read a layer".into(), source: kind.into() })
    };
    assert!(of(io::ErrorKind::InvalidData));
    assert!(!of(io::ErrorKind::PermissionDenied));
}

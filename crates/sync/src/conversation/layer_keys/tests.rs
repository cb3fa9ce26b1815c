//! Layers that cross in several forms.

use dsync_core::{DiffId, Digest};

use super::*;
use crate::transfer_tests::Layout;

/// An image of four layers, its package, and the keys by which they go until it is known how they are stored.
fn image() -> (Package, Vec<LayerKey>) {
    let layout = Layout::new();
    let layers = ["a", "b", "c", "d"].map(crate::transfer_tests::tar);
    let image = layout.image("a", &layers.each_ref().map(|layer| &layer[..]), "a:1");
    let package = layout.store.package(&image.id, None).unwrap().unwrap();
    let keys: Vec<LayerKey> = image.tars().collect();
    assert_eq!(package.layer_keys(), keys);
    (package, keys)
}

struct Assigned {
    keys: Vec<LayerKey>,
    layers: Vec<LayerKey>,
}

/// Assigns the keys of an image of whose layers these are asked for and those described.
fn assigned(asked: &[usize], described: &[usize], stored: &[Stored]) -> Assigned {
    let (package, mut keys) = image();
    let of = |numbers: &[usize]| numbers.iter().map(|number| keys[*number]).collect::<Vec<_>>();
    let (mut layers, described) = (of(asked), of(described));
    assign(&mut keys, &package, &mut layers, &described, stored);
    Assigned { keys, layers }
}

#[test]
fn layers_cross_in_the_order_of_the_image_and_opaque_ones_as_blobs() {
    let (package, keys) = image();
    let blob = |number: usize| LayerKey::Blob(package.layers()[number].blob.digest);
    let (plain, opaque) = (Stored::Plain, Stored::Opaque);
    let packed = Stored::Compressed(vec![1]);

    let got = assigned(&[3, 0], &[], &[packed.clone(), plain.clone()]);
    assert_eq!((got.layers, got.keys), (vec![keys[0], keys[3]], keys.clone()));

    let got = assigned(&[3, 0], &[], &[opaque.clone(), plain.clone()]);
    assert_eq!(got.layers, [keys[0], blob(3)]);
    assert_eq!(got.keys, [keys[0], keys[1], keys[2], blob(3)]);

    // One that the target would build of its own crosses, too, where it cannot be made as it is stored.
    let got = assigned(&[2], &[1, 0], &[packed, opaque, plain]);
    assert_eq!(got.layers, [blob(1), keys[2]]);
    assert_eq!(got.keys, [keys[0], blob(1), keys[2], keys[3]]);
}

#[test]
fn layers_of_which_nothing_is_said_do_not_cross() {
    let (_, keys) = image();
    let got = assigned(&[0, 1], &[2], &[Stored::Plain]);
    assert_eq!((got.layers, got.keys), (vec![keys[0]], keys));
}

#[test]
fn a_layer_that_is_not_of_the_image_does_not_cross() {
    let (package, mut keys) = image();
    let (first, before) = (keys[0], keys.clone());
    let mut layers = vec![LayerKey::Blob(Digest::of(b"of another")), DiffId::of(b"too").into(), first];
    assign(&mut keys, &package, &mut layers, &[], &[Stored::Opaque, Stored::Plain, Stored::Plain]);
    assert_eq!((layers, keys), (vec![first], before));
}

//! Images go in, whole and in part, and come out as they were.

use std::collections::HashSet;

use super::sample::{Sample, empty_layer, layer, shown, unique};
use crate::store::{Store, StoreKind};

pub(super) fn a_whole_image_goes_in_and_comes_out(store: &dyn Store) {
    let (low, top) = (layer("low", unique().as_bytes()), layer("top", &b"x".repeat(3 << 20)));
    // A layer can occur twice, that without entries above all.
    let sample = Sample::new(vec![low.clone(), empty_layer(), top, empty_layer(), low]);
    let id = sample.imported(store);
    sample.check(store, &id, &sample.keys());
    for wanted in sample.keys() {
        sample.check(store, &id, &HashSet::from([wanted]));
    }
    sample.check(store, &id, &HashSet::new());
    let image = shown(store, &id).expect("it is there");
    if let Some(sizes) = store.layer_sizes(&image).expect("sizes can be asked for") {
        assert_eq!(sizes.len(), 5);
        assert!((3 << 20..4 << 20).contains(&sizes[2]), "{sizes:?}");
    }
}

pub(super) fn only_what_is_missing_goes_in(store: &dyn Store) {
    let (low, top) = (layer("low", unique().as_bytes()), layer("top", unique().as_bytes()));
    let old = Sample::new(vec![low.clone(), empty_layer(), top.clone()]);
    let new = Sample::new(vec![low, empty_layer(), layer("new", unique().as_bytes()), top]);
    assert!(!store.holdings(&[]).has(&old.image())[0], "what nobody knows is held by nobody");
    old.imported(store);
    let held = store.holdings(&store.list().expect("images can be listed").images).has(&new.image());
    let expected = match store.describe().kind {
        // It is known where the engine's files can be read.
        StoreKind::DockerContainerd if held == [false; 4] => held.clone(),
        StoreKind::DockerArchive => vec![false; 4],
        StoreKind::DockerClassic => vec![true, true, false, false],
        StoreKind::Podman | StoreKind::OciLayout | StoreKind::DockerContainerd | StoreKind::Containerd => {
            vec![true, true, false, true]
        }
    };
    assert_eq!(held, expected);
    let id = new.imported(store);
    new.check(store, &id, &new.keys());
}

pub(super) fn an_image_may_go_in_again(store: &dyn Store) {
    let sample = Sample::new(vec![layer("again", unique().as_bytes())]);
    let id = sample.imported(store);
    let name = super::sample::name("again");
    store.tag(&id, std::slice::from_ref(&name)).expect("an image can be named");
    assert_eq!(sample.imported(store), id);
    assert_eq!(shown(store, &id).expect("it is there").names, [name], "it keeps its name");
}

pub(super) fn two_images_go_in_at_once(store: &dyn Store) {
    let samples = [0, 1].map(|_| Sample::new(vec![layer("one of two", unique().as_bytes())]));
    std::thread::scope(|scope| {
        for sample in &samples {
            scope.spawn(|| {
                let id = sample.imported(store);
                sample.check(store, &id, &sample.keys());
            });
        }
    });
}

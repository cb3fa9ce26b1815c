//! Layers that a target names, against a store and an index cache.

use dsync_core::DiffId;

use super::*;
use crate::cache::Cache;
use crate::layers::workspace::Workspace;
use crate::transfer_tests::{Layout, index_of, tar, workspace};

const KEY: [u8; 16] = [7; 16];

fn short(digest: &Digest) -> ShortId {
    *digest.as_bytes().first_chunk().unwrap()
}

/// A store with an old image of two layers, another image, and the image that is sent.
struct Source {
    layout: Layout,
    held: Vec<Image>,
    new: Image,
    tars: [Vec<u8>; 3],
    room: Workspace,
    _caches: tempfile::TempDir,
}

impl Source {
    fn new() -> Source {
        let layout = Layout::new();
        let tars = ["one", "two", "three"].map(|text| tar(&text.repeat(500)));
        layout.image("old", &[&tars[0], &tars[1]], "app:1");
        layout.image("other", &[&tars[2]], "other:1");
        let new = layout.image("new", &[&tars[0], &tar("new")], "app:2");
        let held = layout.store.list().unwrap().images;
        let caches = tempfile::tempdir().unwrap();
        let room = Workspace { caches: Some(caches.path().to_owned()), ..workspace(64 << 20) };
        Source { layout, held, new, tars, room, _caches: caches }
    }

    fn layers(&self) -> Layers<'_> {
        let cache = Cache::locate_below(self.room.caches.as_deref()).unwrap();
        Layers::new(&*self.layout.store, &self.room, Some(cache)).unwrap()
    }

    fn digests(&self) -> [Digest; 3] {
        [0, 1, 2].map(|layer| Digest::of(&self.tars[layer]))
    }

    fn find(&self, own: &mut Layers<'_>, named: &[Digest]) -> NamedBasis<'_> {
        let named: Vec<ShortId> = named.iter().map(short).collect();
        NamedBasis::find(own, &self.held, &self.new, &named).unwrap()
    }
}

#[test]
fn the_layers_of_the_store_are_known_in_the_order_in_which_they_are_named() {
    let source = Source::new();
    let ([one, two, three], nowhere) = (source.digests(), Digest::of(b"nowhere"));
    let mut own = source.layers();
    let basis = source.find(&mut own, &[three, two, nowhere, one]);
    assert_eq!(basis.known(), [Known::Bytes, Known::Bytes, Known::No, Known::Bytes]);
    assert!(basis.has_unknown() && !basis.has_all_chunks());
    let known: Vec<Digest> = basis.chunk_maps(&own).iter().map(|map| map.index.digest).collect();
    assert_eq!(known, [three, two, one]);
    assert!(basis.chunk_maps(&own).iter().all(|map| map.is_at_source() && map.is_layer()));
    // Each is read through one image, and no image is named twice.
    let mut holders: Vec<String> = basis.images.iter().map(|image| image.names[0].to_string()).collect();
    holders.sort();
    holders.dedup();
    assert_eq!(holders.len(), basis.images.len());
    for digest in [one, two, three] {
        assert!(basis.images.iter().any(|image| image.tars().any(|tar| tar.digest() == digest)));
    }
}

#[test]
fn of_two_layers_that_begin_alike_the_second_is_not_known() {
    let source = Source::new();
    let [one, two, _] = source.digests();
    let mut twin = *one.as_bytes();
    twin[31] ^= 1;
    let mut own = source.layers();
    let basis = source.find(&mut own, &[one, two, Digest::from_bytes(twin), two]);
    assert_eq!(basis.known(), [Known::Bytes, Known::Bytes, Known::No, Known::No]);
    assert_eq!(basis.chunk_maps(&own).len(), 2);
}

#[test]
fn a_layer_that_is_remembered_is_known_and_cannot_be_read() {
    let source = Source::new();
    let layer = tar(&"remembered".repeat(500));
    let cache = Cache::locate_below(source.room.caches.as_deref()).unwrap();
    cache.put(&Arc::new(index_of(&layer)));
    let mut own = source.layers();
    let [one, ..] = source.digests();
    let basis = source.find(&mut own, &[Digest::of(&layer), one]);
    assert_eq!(basis.known(), [Known::Index, Known::Bytes]);
    assert!(!basis.has_unknown() && !basis.has_all_chunks());
    assert_eq!(
        basis.chunk_maps(&own).iter().map(|map| map.is_at_source()).collect::<Vec<_>>(),
        [false, true]
    );
    assert!(basis.images.iter().all(|image| !image.has_tar(&DiffId::of(&layer).into())));
}

#[test]
fn an_image_that_cannot_be_read_is_no_basis_and_no_failure() {
    let source = Source::new();
    let [_, two, three] = source.digests();
    std::fs::remove_file(source.layout.path(&two)).unwrap();
    let mut own = source.layers();
    let basis = source.find(&mut own, &[two, three]);
    assert_eq!(basis.known(), [Known::No, Known::Bytes]);
    let notes = own.take_notes();
    assert!(notes.iter().any(|note| note.contains("is no basis")), "{notes:?}");
}

#[test]
fn only_layers_with_their_own_proofs_stay_known() {
    let source = Source::new();
    let [one, two, three] = source.digests();
    let proof = |layer: usize, key| index_of(&source.tars[layer]).possession_proof(key);
    let mut own = source.layers();
    let mut basis = source.find(&mut own, &[one, two, three]);
    // The second is another transfer's, the third that of another layer.
    let proofs = [proof(0, &KEY), proof(1, &[8; 16]), proof(0, &KEY)];
    basis.check(&own, &proofs, &KEY).unwrap();
    assert_eq!(basis.known(), [Known::Bytes, Known::No, Known::No]);
    assert!(basis.has_unknown());
    // A proof that failed once is not made good by another try.
    basis.check(&own, &[proof(0, &KEY), proof(1, &KEY), proof(2, &KEY)], &KEY).unwrap();
    assert_eq!(basis.known(), [Known::Bytes, Known::No, Known::No]);
}

#[test]
fn proofs_of_another_number_of_layers_are_a_breach() {
    let source = Source::new();
    let [one, two, _] = source.digests();
    let mut own = source.layers();
    let proof = index_of(&source.tars[0]).possession_proof(&KEY);
    for proofs in [&[][..], &[proof], &[proof; 3]] {
        let mut basis = source.find(&mut own, &[one, two]);
        assert!(matches!(basis.check(&own, proofs, &KEY), Err(EndpointError::Protocol(_))), "{proofs:?}");
    }
}

//! Rows of slices, and the chunks that are copied by them.

use dsync_testkit::Layer;

use super::*;
use crate::layers::Role;
use crate::transfer_tests::{Layout, index_of, workspace};

fn slice(layer: &Digest, chunk: usize, from: u64, len: u64) -> Slice {
    Slice { place: Place { layer: *layer, chunk }, from, len }
}

fn row(slices: &Slices, chunk: usize) -> Vec<(Digest, usize, u64, u64)> {
    slices.row(chunk).map(|slice| (slice.place.layer, slice.place.chunk, slice.from, slice.len)).collect()
}

#[test]
fn each_chunk_has_its_own_row_of_any_length() {
    let [a, b] = [&b"a"[..], b"b"].map(Digest::of);
    let mut slices = Slices::default();
    slices.push([slice(&a, 3, 0, 10)]);
    slices.push([]);
    slices.push([slice(&b, 1, 5, 6), slice(&a, 4, 7, 8), slice(&b, 1, 0, 5)]);
    slices.push([slice(&a, 5, 0, 1)]);
    assert_eq!(row(&slices, 0), [(a, 3, 0, 10)]);
    assert_eq!(row(&slices, 1), []);
    assert_eq!(row(&slices, 2), [(b, 1, 5, 6), (a, 4, 7, 8), (b, 1, 0, 5)]);
    assert_eq!(row(&slices, 3), [(a, 5, 0, 1)]);
    assert_eq!(row(&slices, 4), [], "beyond the last");
    assert_eq!(slices.layers, [a, b], "each layer once");
    let places: Vec<usize> = slices.places().map(|place| place.chunk).collect();
    assert_eq!(places, [3, 1, 4, 1, 5]);
}

#[test]
fn a_slice_that_no_chunk_can_have_is_left_out_and_not_cut() {
    let a = Digest::of(b"a");
    let mut slices = Slices::default();
    let much = 1 << 32;
    slices.push([
        slice(&a, 0, much, 1),
        slice(&a, 0, 1, much),
        slice(&a, much as usize, 1, 1),
        slice(&a, 7, 8, 9),
    ]);
    assert_eq!(row(&slices, 0), [(a, 7, 8, 9)]);
}

#[test]
fn chunks_are_loaded_through_layers_and_through_slices() {
    let (one, two) = (vec![b'1'; 2000], b"0123456789".repeat(200));
    let layer = Layer::builder().file("one", &one).file("two", &two).build();
    let layout = Layout::new();
    let image = layout.image("a", &[layer.tar()], "a:1");
    let room = workspace(64 << 20);
    let mut own = Layers::new(&*layout.store, &room, None).unwrap();
    own.spool(&image.id, image.tars(), Role::Basis).unwrap();

    let index = Arc::new(index_of(layer.tar()));
    let digest = index.digest;
    let whole = ChunkMap::layer(Arc::clone(&index), AtSource::Index);
    let mut slices = Slices::default();
    slices.push([slice(&digest, 1, 1990, 10), slice(&digest, 0, 0, 2)]);
    slices.push([slice(&digest, 1, 2, 3)]);
    let sliced = ChunkMap::slices((*index).clone(), slices, AtSource::Chunks);
    let maps = [whole, sliced];
    assert_eq!(indexes(&maps).len(), 2);
    assert_eq!(readable(&maps).iter().map(Option::is_some).collect::<Vec<_>>(), [false, true]);

    let loaded = |map: usize| {
        let run = ChunkRange::of(map, &index, 0..2).unwrap();
        let mut out = b">".to_vec();
        load(&own, &maps, &run, &mut out).unwrap();
        out
    };
    assert_eq!(loaded(0), [b">", &one[..], &two].concat());
    assert_eq!(loaded(1), b">012345678911234");
    // The places of old chunks, slice by slice.
    let old = ChunkRange::of(1, &index, 0..2).unwrap();
    let batch = Batch::alone(ChunkRange::of(0, &index, 0..1).unwrap(), Some(old));
    let places: Vec<usize> = places(&[batch], &maps).map(|place| place.chunk).collect();
    assert_eq!(places, [1, 0, 1]);
    // A slice beyond its chunk, and a chunk beyond its layer, are nothing that could be copied.
    for wrong in [slice(&digest, 1, 1999, 2), slice(&digest, 1, u64::MAX, 2), slice(&digest, 2, 0, 1)] {
        assert!(own.copy(wrong, &mut Vec::new()).is_err(), "{wrong:?}");
    }
}

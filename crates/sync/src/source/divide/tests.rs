//! New layers whose literals the target has parts of.

use dsync_delta::fine_chunks::ByteRange;
use dsync_delta::header_delta::{Encoder, Mode};
use dsync_testkit::{Layer, Random};

use super::*;
use crate::transfer_tests::index_of;

/// The content of the file of which the target has a part.
fn noise() -> Vec<u8> {
    Random::new(1).bytes(3000)
}

/// A layer with two files of which the second is there twice, and its literals.
fn new_layer() -> (Vec<u8>, Arc<LayerIndex>, Vec<Literal>) {
    let (a, b) = (vec![b'a'; 3000], noise());
    let layer = Layer::builder().file("a", a).file("b", &b).file("c", &b).build().tar().to_vec();
    let index = Arc::new(index_of(&layer));
    let mut encoder = Encoder::new(&[], Mode::References);
    encoder.layer(&index, &mut std::io::sink()).unwrap();
    (layer, index, encoder.into_literals())
}

fn range(bytes: std::ops::Range<u64>, known: bool) -> ByteRange {
    ByteRange { chunk: 0, bytes, known }
}

/// The bytes of a chunk, by the slices of the layer that it is made of.
fn bytes_of(map: &ChunkMap, chunk: usize, tar: &[u8], index: &LayerIndex) -> Vec<u8> {
    let slices = map.of(chunk).map(|Slice { place, from, len }| {
        assert_eq!(place.layer, index.digest);
        let at = (index.chunks().at(place.chunk).at + from) as usize;
        &tar[at..at + len as usize]
    });
    slices.collect::<Vec<_>>().concat()
}

#[test]
fn where_the_target_has_no_part_all_literals_are_sent_as_they_are() {
    let (_, index, literals) = new_layer();
    let mut basis = Vec::new();
    let sent = divide(&[Arc::clone(&index)], &literals, &LiteralRanges::new(), &mut basis);
    assert_eq!(sent.chunk_refs, literals.iter().map(Literal::chunk_ref).collect::<Vec<_>>());
    assert!(basis.is_empty());
    assert!(Arc::ptr_eq(&sent.layers[0].index, &index) && sent.layers[0].is_layer());
}

#[test]
fn of_a_literal_in_parts_only_the_unknown_ranges_are_sent() {
    let (tar, index, literals) = new_layer();
    assert_eq!(literals.iter().map(|literal| literal.uses).collect::<Vec<_>>(), [1, 2]);
    let ranges = LiteralRanges::from([(
        1,
        vec![range(0..100, false), range(100..2500, true), range(2500..3000, false)],
    )]);
    let mut basis = Vec::new();
    let SentChunks { layers, chunk_refs } = divide(&[Arc::clone(&index)], &literals, &ranges, &mut basis);

    let divided = &layers[0];
    let sent: Vec<Vec<u8>> =
        chunk_refs.iter().map(|at| bytes_of(divided, at.chunk as usize, &tar, &index)).collect();
    let b = noise();
    assert_eq!(sent, [&[b'a'; 3000][..], &b[..100], &b[2500..]]);
    // The layer is the same, in more chunks: also where the literal is used again.
    assert_eq!((divided.index.digest, divided.index.len), (index.digest, index.len));
    assert_eq!(divided.index.chunks().len(), 1 + 3 + 3);
    let all: Vec<u8> =
        (0..divided.index.chunks().len()).flat_map(|chunk| bytes_of(divided, chunk, &tar, &index)).collect();
    assert_eq!(all, [&[b'a'; 3000][..], &b, &b].concat());

    // The known range became a part of the basis that can be read here.
    let shared: Vec<Vec<u8>> = basis
        .iter()
        .flat_map(|map| (0..map.index.chunks().len()).map(|chunk| bytes_of(map, chunk, &tar, &index)))
        .collect();
    assert!(shared.iter().any(|bytes| bytes == &b[100..2500]), "{:?}", shared.iter().map(Vec::len));
    assert!(basis.iter().all(|map| map.is_at_source() && !map.is_layer()));
}

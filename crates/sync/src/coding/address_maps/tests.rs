//! Address maps that a target is sent: of files of the basis alone, each once, and within its memory.

use std::sync::Arc;

use dsync_testkit::Layer;

use super::*;
use crate::layers::AtSource;

/// A layer of executables of these lengths, as both ends know it.
fn basis(lens: &[usize], at_source: AtSource) -> Vec<ChunkMap> {
    let files = lens.iter().zip(1_u8..);
    let layer = files
        .fold(Layer::builder(), |layer, (len, byte)| layer.file(format!("bin/{byte}"), vec![byte; *len]));
    let mut scanner = dsync_delta::Scanner::new();
    scanner.push(layer.build().tar());
    vec![ChunkMap::layer(Arc::new(scanner.finish()), at_source)]
}

/// Maps without a range, of the files to which these chunks belong, as they cross.
fn sent(basis: &[ChunkMap], chunks: &[usize]) -> Vec<u8> {
    let (nothing, mut maps) = (AddressMap::decode(&[0]).unwrap(), SentMaps::default());
    for chunk in chunks {
        maps.push(&FileSpan::of(basis, 0, *chunk).unwrap(), &nothing).unwrap();
    }
    let mut out = Vec::new();
    maps.write(Effort::Level(1), &mut out).unwrap();
    out
}

fn received(basis: &[ChunkMap], chunks: &[usize], memory: u64) -> io::Result<ReceivedMaps> {
    ReceivedMaps::read(&mut &sent(basis, chunks)[..], basis, memory)
}

#[test]
fn maps_are_received_as_they_were_sent() {
    let basis = basis(&[20_000, 30_000], AtSource::Chunks);
    let maps = received(&basis, &[1, 0], 1 << 20).unwrap();
    assert_eq!(maps.0.iter().map(|(file, _)| file.len).collect::<Vec<_>>(), [20_000, 30_000]);
    assert_eq!(maps.places(&basis).map(|place| place.chunk).collect::<Vec<_>>(), [0, 1]);
    assert!(received(&basis, &[], 0).unwrap().0.is_empty());
}

#[test]
fn a_file_has_one_map_and_only_where_the_source_could_make_it() {
    let both = basis(&[20_000], AtSource::Chunks);
    assert!(received(&both, &[0, 0], 1 << 20).is_err(), "twice");
    let hidden = basis(&[20_000], AtSource::Index);
    assert!(received(&hidden, &[0], 1 << 20).is_err(), "of a file that the source cannot read");
    let small = basis(&[LEAST as usize - 1], AtSource::Chunks);
    assert!(received(&small, &[0], 1 << 20).is_err(), "of a file that is too small");
    let least = basis(&[LEAST as usize], AtSource::Chunks);
    assert!(received(&least, &[0], 1 << 20).is_ok());
}

#[test]
fn a_map_names_the_first_chunk_of_its_file() {
    let basis = basis(&[600_000], AtSource::Chunks);
    let is_received = |chunk| {
        let maps = SentMaps(AddressMaps(vec![MappedExecutable { layer: 0, chunk, map: vec![0] }]));
        let mut out = Vec::new();
        maps.write(Effort::Level(1), &mut out).unwrap();
        ReceivedMaps::read(&mut &out[..], &basis, 1 << 30).is_ok()
    };
    assert!(basis[0].index.chunks().len() > 1);
    assert!(is_received(0) && !is_received(1));
}

#[test]
fn a_file_that_is_beyond_the_memory_is_refused() {
    let basis = basis(&[20_000], AtSource::Chunks);
    assert!(received(&basis, &[0], 20_000 * MEMORY).is_ok());
    let error = received(&basis, &[0], 20_000 * MEMORY - 1).unwrap_err();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<TooLarge>()), "{error}");
}

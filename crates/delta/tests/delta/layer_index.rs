//! Layer indexes: what they say of files, how they are kept, and what damage does to what was kept.

use std::sync::Arc;

use dsync_delta::header_delta::HeaderDeltaError;
use dsync_delta::layer_index::{Entries, Selection};
use dsync_delta::{ChunkId, LayerIndex, Scanner};
use proptest::prelude::*;

use crate::support::Layer;
use crate::tars::{END, body, build, entry, header, items, octal, seal};

fn named(flag: u8, name: &[u8], prefix: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut entry = entry(flag, bytes);
    entry[..100].fill(0);
    entry[..name.len()].copy_from_slice(name);
    entry[345..345 + prefix.len()].copy_from_slice(prefix);
    seal(entry.first_chunk_mut().unwrap());
    entry
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut len = rest.len() + 1;
    while format!("{len}{rest}").len() != len {
        len += 1;
    }
    format!("{len}{rest}").into_bytes()
}

#[test]
fn files_have_the_path_that_their_headers_give_them() {
    let chunk = body(100, 1);
    let long = "long/".repeat(40) + "name";
    let gnu = [entry(b'L', &[long.as_bytes(), b"\0"].concat()), named(b'0', b"short", b"", &chunk)].concat();
    let gnu_both = [
        entry(b'K', b"link\0"),
        entry(b'L', &[long.as_bytes(), b"\0"].concat()),
        named(b'0', b"short", b"", &chunk),
    ];
    let pax = [entry(b'x', &record("path", &long)), named(b'0', b"short", b"", &chunk)].concat();
    let pax_twice = [
        entry(b'x', &[record("path", "first"), record("mtime", "1.5"), record("path", &long)].concat()),
        named(b'0', b"short", b"", &chunk),
    ];
    let pax_without = [entry(b'x', &record("mtime", "1.5")), named(b'0', b"own", b"", &chunk)].concat();
    let global = [entry(b'g', &record("path", "no file's")), named(b'0', b"own", b"", &chunk)].concat();
    for (tar, path) in [
        (named(b'0', b"own", b"", &chunk), "own"),
        (named(b'0', b"own", b"a/prefix", &chunk), "a/prefix/own"),
        (
            named(b'0', &[b'n'; 100], &[b'p'; 155], &chunk),
            &*format!("{}/{}", "p".repeat(155), "n".repeat(100)),
        ),
        (gnu, &long),
        (gnu_both.concat(), &long),
        (pax, &long),
        (pax_twice.concat(), &long),
        (pax_without, "own"),
        (global, "own"),
    ] {
        let index = Layer::new([tar, END.to_vec()].concat()).index;
        let files: Vec<_> = index.files().collect();
        assert_eq!(files.len(), 1, "{path}");
        assert_eq!(
            (String::from_utf8_lossy(&files[0].path), files[0].len, files[0].chunks.clone()),
            (path.into(), 100, 0..1)
        );
        assert_eq!(index.file_of(0), Some(files[0].clone()));
        assert_eq!(index.file_of(1), None);
    }
}

#[test]
fn every_chunk_is_of_the_file_that_has_it() {
    let lens = [0, 63, 64, 300_000, 5, 100, 700_000];
    let files: Vec<Vec<u8>> = (0..700)
        .map(|number| {
            named(
                b'0',
                format!("file{number}").as_bytes(),
                b"",
                &body(lens[number % 7] * usize::from(number % 50 < 8), number as u32),
            )
        })
        .collect();
    let index = Layer::new([files.concat(), END.to_vec()].concat()).index;
    let mut next = 0;
    for file in index.files() {
        assert_eq!(file.chunks.start, next);
        assert_eq!(file.len, index.chunks().bytes(file.chunks.clone()));
        for chunk in file.chunks.clone() {
            assert_eq!(index.file_of(chunk), Some(file.clone()), "{chunk}");
        }
        next = file.chunks.end;
    }
    assert_eq!(next, index.chunks().len());
    assert!(next > 200);
}

#[test]
fn a_proof_needs_all_of_the_layer_and_the_key() {
    let layer = |name: &[u8], seed, zeros: usize| {
        Layer::new([named(b'0', name, b"", &body(100, seed)), vec![0; zeros]].concat()).index
    };
    let (index, key) = (layer(b"file", 1, 1024), [7; 16]);
    let proof = index.possession_proof(&key);
    assert_eq!(proof, layer(b"file", 1, 1024).possession_proof(&key));
    let mut other_key = key;
    other_key[15] ^= 1;
    assert_ne!(proof, index.possession_proof(&other_key));
    // With the diff id of the layer, but another name, another chunk, or more zeros: nobody has it by its diff id
    // alone.
    for other in [layer(b"file2", 1, 1024), layer(b"file", 2, 1024), layer(b"file", 1, 1536)] {
        let mut forged = LayerIndex::clone(&other);
        forged.digest = index.digest;
        assert_ne!(proof, forged.possession_proof(&key));
    }
    let mut renamed = LayerIndex::clone(&index);
    renamed.digest = layer(b"file", 2, 0).digest;
    assert_ne!(proof, renamed.possession_proof(&key));
}

fn kept(index: &Arc<LayerIndex>) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_index_that_was_kept_is_read_within_its_memory() {
    let files: Vec<Vec<u8>> = (0..3000)
        .map(|number| named(b'0', format!("f{number}").as_bytes(), b"", &body(100, number)))
        .collect();
    let index = Layer::new([files.concat(), END.to_vec()].concat()).index;
    let bytes = kept(&index);
    let mut input = &[&bytes[..], b"more"].concat()[..];
    assert_eq!(LayerIndex::read(&mut input, usize::MAX).unwrap(), *index);
    assert_eq!(input, b"more");
    let full = LayerIndex::read(&mut &bytes[..], 4 * index.memory());
    assert_eq!(full.unwrap(), *index);
    for memory in [0, 1000, index.memory() / 2] {
        let error = LayerIndex::read(&mut &bytes[..], memory).unwrap_err();
        assert!(
            matches!(error, HeaderDeltaError::Limit { limit, .. } if limit == memory as u64),
            "{error:?}"
        );
    }
    // Some 45 bytes for a file, as the limits count on.
    assert!(index.memory() < 3000 * 50, "{}", index.memory());
}

#[test]
fn an_index_of_another_version_or_cut_short_is_refused() {
    let bytes = kept(&Layer::new([entry(b'0', &body(100, 1)), END.to_vec()].concat()).index);
    for end in 0..bytes.len() {
        assert!(LayerIndex::read(&mut &bytes[..end], usize::MAX).is_err(), "{end}");
    }
    for version in (0..=255).filter(|version| *version != bytes[0]) {
        let other = [&[version], &bytes[1..]].concat();
        let error = LayerIndex::read(&mut &other[..], usize::MAX).unwrap_err();
        assert!(matches!(error, HeaderDeltaError::Malformed("an unknown version")), "{error:?}");
    }
}

#[test]
fn a_layer_beyond_the_memory_becomes_one_opaque_chunk() {
    let files: Vec<Vec<u8>> = (0..4000)
        .map(|number| named(b'0', format!("f{number}").as_bytes(), b"", &body(100, number)))
        .collect();
    let bytes = files.concat();
    let mut scanner = Scanner::new();
    scanner.push(&bytes[..40_000]);
    let (memory, chunks) = (scanner.memory(), scanner.chunks());
    assert!(chunks >= 30 && memory > 24 * chunks);
    scanner.make_opaque();
    for part in bytes[40_000..].chunks(7777) {
        scanner.push(part);
    }
    assert!(scanner.chunks() < chunks + 200 && scanner.memory() < memory + 200 * 30 + 1000);
    let index = scanner.finish();
    assert_eq!((index.digest, index.len), (Layer::new(bytes.clone()).index.digest, bytes.len() as u64));
    let last = index.chunks().at(index.chunks().len() - 1);
    assert_eq!(last.at + last.len, index.len);
    for chunk in index.chunks().iter() {
        assert_eq!(chunk.id, ChunkId::of(&bytes[chunk.at as usize..][..chunk.len as usize]));
    }
}

/// A tar of one entry whose times are these.
fn timed(mtime: &str, pax: &str, chunk: u32, mode: &[u8]) -> Vec<u8> {
    let mut file = entry(b'0', &body(100, chunk));
    file[100..100 + mode.len()].copy_from_slice(mode);
    file[136..136 + mtime.len()].copy_from_slice(mtime.as_bytes());
    seal(file.first_chunk_mut().unwrap());
    let times = [record("mtime", pax), record("user.x", "1"), record("atime", pax)].concat();
    [entry(b'x', &times), file].concat()
}

#[test]
fn the_id_of_an_entry_is_of_all_but_its_times() {
    let id = |tar: Vec<u8>| {
        let index = Layer::new(tar).index;
        let mut ids = Vec::new();
        Entries::of(&index).ids(&mut ids);
        assert_eq!(ids.len(), 1);
        ids[0]
    };
    let own = id(timed("00000000001", "1.5", 1, b"0000644"));
    assert_eq!(id(timed("14524770400", "1700000000.123456789", 1, b"0000644")), own);
    assert_ne!(id(timed("00000000001", "1.5", 2, b"0000644")), own);
    assert_ne!(id(timed("00000000001", "1.5", 1, b"0000755")), own);
    // The size in the header of the pax records may be another than their bytes: that is no time.
    let mut odd = timed("00000000001", "1.5", 1, b"0000644");
    odd[124..136].copy_from_slice(&octal(30));
    seal(odd.first_chunk_mut().unwrap());
    let odd = Layer::new(odd).index;
    let mut ids = Vec::new();
    Entries::of(&odd).ids(&mut ids);
    assert!(!ids.contains(&own));
}

#[test]
fn loose_chunks_and_entries_beyond_the_last_are_selected_in_order() {
    let index =
        Layer::new([entry(b'0', &body(100, 1)), entry(b'0', &body(200, 2)), END.to_vec()].concat()).index;
    let mut entries = Entries::of(&index);
    assert_eq!((entries.len(), entries.is_empty()), (3, false));
    assert_eq!([0, 1, 2, 3, 99].map(|entry| entries.chunks(entry)), [0..1, 1..2, 2..2, 0..0, 0..0]);
    let mut selection = Selection::new();
    assert_eq!(selection.add(&mut entries, 1..9), 1..2);
    assert_eq!(selection.add(&mut entries, 7..9), 0..0);
    selection.begin_loose();
    let before = selection.memory();
    selection.add_loose(index.chunks().at(0));
    assert!(selection.memory() > before);
    let selected = selection.finish();
    let lens: Vec<u64> = selected.chunks().iter().map(|chunk| chunk.len).collect();
    assert_eq!(lens, [200, 100]);
    assert_eq!(selected.chunks().at(1).id, index.chunks().at(0).id);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn damage_to_what_was_kept_is_noticed_or_harmless(
        items in items(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        memory in prop_oneof![Just(usize::MAX), 0_usize..20_000],
    ) {
        let mut bytes = kept(&Layer::new(build(&items)).index);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(index) = LayerIndex::read(&mut &bytes[..], memory) {
            prop_assert!(memory == usize::MAX || index.memory() <= memory + (1 << 21));
            prop_assert!(index.files().all(|file| file.chunks.end <= index.chunks().len()));
            // It is kept again as what was read.
            let again = kept(&Arc::new(index.clone()));
            prop_assert_eq!(LayerIndex::read(&mut &again[..], usize::MAX).unwrap(), index);
        }
    }

    /// Headers of any bytes, with a right checksum: the index restores them, and selects itself.
    #[test]
    fn any_headers_are_restored(
        blocks in proptest::collection::vec(
            (proptest::collection::vec((0_usize..512, any::<u8>()), 0..30), prop::sample::select(&b"0xLKg52\0"[..])), 0..12,
        ),
    ) {
        let mut tar = Vec::new();
        for (bytes, flag) in blocks {
            let mut block = header(flag, &octal(bytes.len() * 9));
            bytes.into_iter().for_each(|(at, byte)| block[at] = byte);
            seal(&mut block);
            tar.extend(block);
        }
        let layer = Layer::new(tar.clone());
        let read = LayerIndex::read(&mut &kept(&layer.index)[..], usize::MAX).unwrap();
        prop_assert_eq!(&read, &*layer.index);
        let mut selection = Selection::new();
        let mut entries = Entries::of(&layer.index);
        let all = 0..entries.len();
        selection.add(&mut entries, all);
        let selected = selection.finish();
        prop_assert_eq!(selected.chunks().len(), layer.index.chunks().len());
        prop_assert_eq!(selected.entries(), layer.index.entries());
    }
}

//! Columns: whatever the basis is, the layer comes out as it was; and hostile bytes are refused.

use crate::support::{LIMITS, Layer, encode};
use crate::tars::{END, Item, body, build, entry, items};
use dsync_delta::LayerIndex;
use dsync_delta::header_delta::{Decoder, Encoder, HeaderDeltaError, Limits, Mode};
use proptest::prelude::*;

const MODES: [Mode; 3] = [Mode::Literals, Mode::References, Mode::WithIds];

fn layers(of: &[Vec<Item>]) -> Vec<Layer> {
    of.iter().map(|items| Layer::new(build(items))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn layers_come_out_as_they_were(
        basis in proptest::collection::vec(items(), 0..4),
        new in proptest::collection::vec(items(), 0..3),
    ) {
        let (basis, mut new) = (layers(&basis), layers(&new));
        // Something of the basis comes again.
        new.extend(basis.first().map(|layer| Layer::new([&layer.bytes[..], &END].concat())));
        for mode in MODES {
            encode(&basis, &new, mode);
        }
    }

    #[test]
    fn damaged_columns_are_refused_or_read_but_never_worse(
        basis in items(),
        new in items(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        mode in prop::sample::select(&MODES[..]),
    ) {
        let basis = layers(&[basis]);
        let indexes: Vec<&LayerIndex> = basis.iter().map(|layer| &*layer.index).collect();
        let mut encoded = Vec::new();
        Encoder::new(&indexes, mode).layer(&Layer::new(build(&new)).index, &mut encoded).unwrap();
        for (at, value) in flips {
            let at = at.index(encoded.len());
            encoded[at] = value;
        }
        if let Ok(assembly) = Decoder::new(&indexes, mode, LIMITS).layer(&mut &encoded[..]) {
            let contents = assembly.index.contents();
            prop_assert_eq!(contents.len(), assembly.origins.len());
            prop_assert!(contents.iter().all(|content| content.at + content.len <= assembly.index.len));
        }
        LayerIndex::read(&mut &encoded[..], usize::MAX).ok();
    }

    #[test]
    fn columns_that_end_early_are_refused(new in items(), cut in any::<prop::sample::Index>()) {
        let mut encoded = Vec::new();
        Encoder::new(&[], Mode::References).layer(&Layer::new(build(&new)).index, &mut encoded).unwrap();
        let end = cut.index(encoded.len());
        prop_assert!(Decoder::new(&[], Mode::References, LIMITS).layer(&mut &encoded[..end]).is_err());
    }
}

/// The files of a build at this time.
fn rebuilt(mtime: u64, changed: u32) -> Layer {
    let mut bytes = Vec::new();
    for number in 0..200 {
        let mut file = entry(b'0', &body(1000, if number == 7 { changed } else { 1000 + number }));
        file[..100].fill(0);
        let name = format!("usr/lib/python3/site-packages/module{number}.py");
        file[..name.len()].copy_from_slice(name.as_bytes());
        file[136..147].copy_from_slice(format!("{mtime:011o}").as_bytes());
        let header = file.first_chunk_mut().unwrap();
        crate::tars::seal(header);
        bytes.extend(file);
    }
    bytes.extend(END);
    Layer::new(bytes)
}

#[test]
fn a_rebuilt_layer_costs_no_names_and_no_ids() {
    let (old, new) = (rebuilt(1_700_000_000, 1), rebuilt(1_700_009_999, 2));
    let (encoded, literals) = encode(&[old], &[new], Mode::References);
    assert_eq!(literals.len(), 1);
    assert_eq!((literals[0].content, literals[0].len, literals[0].uses), (7, 1000, 1));
    // Hardly any of it is not zero, so it compresses to next to nothing.
    assert!(encoded.iter().filter(|byte| **byte > 1).count() < 80, "{}", encoded.len());
    let names = encoded.windows(6).any(|window| window == b"module");
    assert!(!names);
}

#[test]
fn whole_means_no_references() {
    let layer = || rebuilt(1, 1);
    let (_, literals) = encode(&[layer()], &[layer(), layer()], Mode::Literals);
    assert_eq!(literals.len(), 400);
    let (_, literals) = encode(&[], &[layer(), layer()], Mode::References);
    assert_eq!(literals.len(), 200);
    assert!(literals.iter().all(|literal| literal.uses == 2));
}

#[test]
fn limits_are_kept() {
    let mut encoded = Vec::new();
    Encoder::new(&[], Mode::References).layer(&rebuilt(1, 1).index, &mut encoded).unwrap();
    let with = |limits| Decoder::new(&[], Mode::References, limits).layer(&mut &encoded[..]).map(drop);
    with(LIMITS).unwrap();
    for limits in
        [Limits { len: 1000, ..LIMITS }, Limits { entries: 100, ..LIMITS }, Limits { memory: 1000, ..LIMITS }]
    {
        assert!(matches!(with(limits), Err(HeaderDeltaError::Limit { .. })), "{limits:?}");
    }
}

/// A file of a build: its name, the second in which it was written, and where nothing but that changes, the content.
#[derive(Debug, Clone)]
struct Built {
    name: usize,
    second: u64,
    fraction: Option<u32>,
    len: usize,
    seed: u32,
}

/// Builds that have a lot in common.
fn built() -> impl Strategy<Value = Vec<Built>> {
    let fraction = prop::option::weighted(0.2, any::<u32>());
    let len = prop_oneof![30 => prop::sample::select(vec![0, 10, 100, 101, 300]), 1 => Just(300_000)];
    let file = (0..40_usize, 0..4_u64, fraction, len, 0..6_u32)
        .prop_map(|(name, second, fraction, len, seed)| Built { name, second, fraction, len, seed });
    proptest::collection::vec(file, 0..30)
}

fn tar(files: &[Built], begun: u64) -> Layer {
    const KINDS: [&str; 4] = [".py", ".cpython-311.pyc", "", ".d.ts"];
    let mut tar = tar::Builder::new(Vec::new());
    for Built { name, second, fraction, len, seed } in files {
        let mtime = begun + second;
        if let Some(fraction) = fraction {
            tar.append_pax_extensions([("mtime", format!("{mtime}.{fraction}").as_bytes())]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(if seed % 2 == 0 { 0o644 } else { 0o755 });
        header.set_mtime(mtime);
        header.set_size(*len as u64);
        let name = format!("usr/lib/part{}/module{name}{}", name % 5, KINDS[name % 4]);
        tar.append_data(&mut header, name, &body(*len, *seed)[..]).unwrap();
    }
    Layer::new(tar.into_inner().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn builds_come_out_as_they_were(
        old in proptest::collection::vec(built(), 1..4),
        new in proptest::collection::vec(built(), 1..3),
    ) {
        let old: Vec<Layer> = old.iter().map(|files| tar(files, 1_700_000_000)).collect();
        let new: Vec<Layer> = new.iter().map(|files| tar(files, 1_700_086_400)).collect();
        for mode in MODES {
            encode(&old, &new, mode);
        }
    }
}

/// The one layer against the other, after the diff id.
fn hex(old: &[Layer], new: &Layer, mode: Mode) -> String {
    let old: Vec<&LayerIndex> = old.iter().map(|layer| &*layer.index).collect();
    let mut encoded = Vec::new();
    Encoder::new(&old, mode).layer(&new.index, &mut encoded).unwrap();
    assert_eq!(encoded[..32], *new.index.digest.as_bytes());
    encoded[32..].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of the format; a change of them is another protocol.
#[test]
fn the_bytes_are_pinned() {
    let layer = Layer::new([entry(b'0', &body(100, 1)), END.to_vec()].concat());
    let expected = [
        "8010",                                     // 2048 bytes
        "02",                                       // in two groups: the file, and the zeros at the end
        "0204020101000100000000000201000201010110", // the lengths of 20 columns
        "08000000000000030009000000000000",         // and of one for each field
        "0000",                                     // Match: neither is in the basis
        "01020100",                                 // Shape: one record, a header; one record, zeros
        "8105",                                     // Mask: name, flag, magic
        "00",                                       // Size: that of the content
        "00",                                       // Mtime: none, as nothing before
        "00",                                       // Body: none
        "0001",                                     // Tail: padded, not padded
        "02",                                       // Zeros: two blocks
        "0302",                                     // Contents: code 2, code 1; nothing was expected
        "00",                                       // Origin: a literal
        "00",                                       // Len: of
        "64",                                       // LenLow: 100 bytes
        "c86b46fec256ab36e48e662233796db9",         // Id
        "00612f66696c6500",                         // name: drop 0 bytes, add "a/file"
        "003000",                                   // flag
        "007573746172202000",                       // magic
    ];
    assert_eq!(hex(&[], &layer, Mode::WithIds), expected.concat());
}

#[test]
fn the_bytes_against_a_basis_are_pinned() {
    let file = |name: &[u8], mtime: &[u8], len, seed| {
        let mut file = entry(b'0', &body(len, seed));
        file[..name.len()].copy_from_slice(name);
        file[136..147].copy_from_slice(mtime);
        crate::tars::seal(file.first_chunk_mut().unwrap());
        file
    };
    let old = [
        file(b"a/fila.py", b"14524770400", 100, 1),
        file(b"a/filb.py", b"14524770400", 200, 2),
        END.to_vec(),
    ];
    let new = [
        file(b"a/fila.py", b"14524770410", 102, 3),
        file(b"a/filb.py", b"14524770410", 200, 2),
        file(b"a/filc.py", b"14524770410", 102, 3),
        file(b"a/file.js", b"14524770400", 100, 1),
        END.to_vec(),
    ];
    let (old, new) = (Layer::new(old.concat()), Layer::new(new.concat()));
    let expected = [
        "8028",                                     // 5120 bytes
        "05",                                       // in five groups
        "0505040404060400000000000501000503010100", // the lengths of 20 columns
        "0c000000000000000000000000000000",         // and of one for each field
        "0101000001",                               // Match: the next of the basis, twice; two new; the next
        "0000000000",                               // Shape: as in the basis, or as before
        "00000101",                                 // Mask: the names of the new ones
        "00000000",                                 // Size: those of the contents
        "02010002",     // Mtime: encoded; as before for its old one; as the last; encoded
        "90c49fd50c0f", // MtimeDelta: from 0; 8 seconds back
        "00000000",     // Body
        "0000000001",   // Tail
        "02",           // Zeros
        "0301030300",   // Contents: codes 2, 0, 2, 2, 0; expected were 0, 2, 0, 0, 0
        "000407",       // Origin: a literal; two contents back; two of the basis back
        "0004",         // Len, LenLow: 2 bytes more than in the basis
        "04632e707900", // name: drop 4 bytes, add "c.py"
        "04652e6a7300", // drop 4 bytes, add "e.js"
    ];
    assert_eq!(hex(&[old], &new, Mode::References), expected.concat());
}

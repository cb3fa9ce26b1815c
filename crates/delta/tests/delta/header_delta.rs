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
            let chunks = assembly.index.chunks();
            prop_assert_eq!(chunks.len(), assembly.origins.len());
            prop_assert!(chunks.iter().all(|chunk| chunk.at + chunk.len <= assembly.index.len));
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
    assert_eq!((literals[0].chunk, literals[0].len, literals[0].uses), (7, 1000, 1));
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

/// A file of a build: its name, the second in which it was written, and where nothing but that changes, the chunk.
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
        "02",                                       // in two entries: the file, and the zeros at the end
        "0204020101000100000000000201000201010110", // the lengths of 20 columns
        "08000000000000030009000000000000",         // and of one for each field
        "0000",                                     // Match: neither is in the basis
        "01020100",                                 // Shape: one record, a header; one record, zeros
        "8105",                                     // Mask: name, flag, magic
        "00",                                       // Size: that of the chunk
        "00",                                       // Mtime: none, as nothing before
        "00",                                       // Body: none
        "0001",                                     // Tail: padded, not padded
        "02",                                       // Zeros: two blocks
        "0302",                                     // Chunks: code 2, code 1; nothing was expected
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
        "05",                                       // in five entries
        "0505040404060400000000000501000503010100", // the lengths of 20 columns
        "0c000000000000000000000000000000",         // and of one for each field
        "0101000001",                               // Match: the next of the basis, twice; two new; the next
        "0000000000",                               // Shape: as in the basis, or as before
        "00000101",                                 // Mask: the names of the new ones
        "00000000",                                 // Size: those of the chunks
        "02010002",     // Mtime: encoded; as before for its old one; as the last; encoded
        "90c49fd50c0f", // MtimeDelta: from 0; 8 seconds back
        "00000000",     // Body
        "0000000001",   // Tail
        "02",           // Zeros
        "0301030300",   // Chunks: codes 2, 0, 2, 2, 0; expected were 0, 2, 0, 0, 0
        "000407",       // Origin: a literal; two chunks back; two of the basis back
        "0004",         // Len, LenLow: 2 bytes more than in the basis
        "04632e707900", // name: drop 4 bytes, add "c.py"
        "04652e6a7300", // drop 4 bytes, add "e.js"
    ];
    assert_eq!(hex(&[old], &new, Mode::References), expected.concat());
}

/// The fields of a header: where each begins, and its bytes.
const FIELDS: [(usize, usize); 15] = [
    (0, 100),
    (100, 8),
    (108, 8),
    (116, 8),
    (124, 12),
    (136, 12),
    (156, 1),
    (157, 100),
    (257, 8),
    (265, 32),
    (297, 32),
    (329, 8),
    (337, 8),
    (345, 155),
    (500, 12),
];

/// A header with this value in a field, a chunk that has as many bytes as it says, and the end.
fn with_field((at, width): (usize, usize), value: &[u8], seed: u32) -> Layer {
    let mut file = entry(b'0', &body(600, seed));
    file[at..at + width].fill(0);
    file[at..at + value.len()].copy_from_slice(value);
    crate::tars::seal(file.first_chunk_mut().unwrap());
    Layer::new([&file[..], &END].concat())
}

#[test]
fn every_field_survives_with_any_value_in_every_mode() {
    for field in FIELDS {
        let (_, width) = field;
        let values: [&[u8]; 8] = [
            b"",
            b"1",
            &[1; 155][..width],
            &[0xff; 155][..width],
            &[&[b'x'; 154][..width - 1], &[2]].concat(),
            // Zeros within; what is written with escapes.
            &[&[7; 155][..width / 2], &[0, 1, 0, 1, 2][..(width - width / 2).min(5)]].concat(),
            &b"0000644 \0 001750 \0"[..width.min(16)],
            &b"           7"[..width.min(12)],
        ];
        for (number, value) in values.into_iter().enumerate() {
            let old = with_field(field, values[(number + 1) % values.len()], 1);
            let (same, changed) = (with_field(field, value, 1), with_field(field, value, 2));
            for mode in MODES {
                encode(&[], std::slice::from_ref(&same), mode);
                encode(&[old.clone(), same.clone()], &[changed.clone(), same.clone()], mode);
                encode(std::slice::from_ref(&old), &[same.clone(), changed.clone()], mode);
            }
        }
    }
}

#[test]
fn checksums_of_either_style_and_of_none_survive() {
    let sum = |layer: &Layer| layer.bytes[..512].iter().map(|byte| u64::from(*byte)).sum::<u64>();
    let layer = with_field((0, 100), b"name", 1);
    let own: u64 = layer.bytes[148..156].iter().map(|byte| u64::from(*byte)).sum();
    let right = sum(&layer) - own + 8 * 32;
    for checksum in [
        format!("{right:06o}\0 "),
        format!("{right:07o}\0"),
        // Written otherwise, signed, and wrong: no header to the index.
        format!(" {right:05o}\0 "),
        format!("{right:06o} \0"),
        format!("{:06o}\0 ", right + 1),
        "        ".to_owned(),
    ] {
        let mut bytes = layer.bytes.clone();
        bytes[148..156].copy_from_slice(checksum.as_bytes());
        let new = Layer::new(bytes);
        for mode in MODES {
            encode(&[], std::slice::from_ref(&new), mode);
            encode(std::slice::from_ref(&layer), std::slice::from_ref(&new), mode);
        }
    }
}

/// A pax header with this body, before a file of this mtime.
fn with_pax(records: &[u8], mtime: &[u8]) -> Vec<u8> {
    let mut file = entry(b'0', &body(200, 5));
    file[136..136 + mtime.len()].copy_from_slice(mtime);
    crate::tars::seal(file.first_chunk_mut().unwrap());
    [entry(b'x', records), file].concat()
}

#[test]
fn pax_records_and_times_of_any_form_survive() {
    let bodies: [&[u8]; 14] = [
        b"13 mtime=1.5\n",
        b"13 mtime=2.5\n",
        b"20 mtime=1700000000\n",
        b"30 mtime=1700000000.123456789\n",
        b"31 mtime=-1700000000.123456789\n",
        // Times that are not in their shortest form, or too long for one.
        b"15 mtime=01.50\n",
        b"16 mtime=+1.50\n",
        b"12 mtime=-0\n",
        b"28 mtime=9999999999999999.5\n",
        b"38 mtime=1.1234567890123456789012345\n",
        // Several records, with the same key, without a value, and with zeros.
        b"13 mtime=1.5\n13 atime=2.5\n13 mtime=3.5\n",
        b"9 comment=\n14 user=a\0b\x01\n",
        // No records: a wrong length, no line end, nothing.
        b"99 mtime=1.5\n",
        b"",
    ];
    let mtimes: [&[u8]; 4] = [b"00000000001", b"14524770400", b"1", b"\x80\0\0\0\0\0\0\0\x65\x53\xf1\0"];
    let tar = |order: &[usize]| {
        let entries = order.iter().map(|number| with_pax(bodies[*number], mtimes[number % mtimes.len()]));
        Layer::new([entries.collect::<Vec<_>>().concat(), END.to_vec()].concat())
    };
    let all: Vec<usize> = (0..bodies.len()).collect();
    let reversed: Vec<usize> = all.iter().rev().copied().collect();
    let twice: Vec<usize> = all.iter().flat_map(|number| [*number, *number]).collect();
    let (all, reversed, twice) = (tar(&all), tar(&reversed), tar(&twice));
    for mode in MODES {
        encode(&[], &[all.clone(), reversed.clone(), twice.clone()], mode);
        encode(std::slice::from_ref(&all), &[reversed.clone(), twice.clone()], mode);
        encode(&[reversed.clone(), all.clone()], &[all.clone(), twice.clone()], mode);
    }
    // Whatever follows whatever: each transition once.
    for first in 0..bodies.len() {
        for second in 0..bodies.len() {
            encode(&[], &[tar(&[first, second])], Mode::References);
        }
    }
}

#[test]
fn more_kinds_and_times_than_are_remembered_survive() {
    let mut bytes = Vec::new();
    for number in 0..5000_usize {
        let mut file = entry(b'0', if number % 3 == 0 { b"" } else { b"some bytes" });
        let name = format!("file.x{}", number % 4200);
        file[..100].fill(0);
        file[..name.len()].copy_from_slice(name.as_bytes());
        file[136..147].copy_from_slice(format!("{:011o}", 1_700_000_000 + number * 7919 % 977).as_bytes());
        crate::tars::seal(file.first_chunk_mut().unwrap());
        if number % 50 == 0 {
            // A key of its own with a time: only the first are remembered.
            let value = format!("user.time{number:04}={number}.5\n");
            let len = value.len() + 3;
            bytes.extend(entry(b'x', format!("{len} {value}").as_bytes()));
        }
        bytes.extend(file);
    }
    let (old, new) = (Layer::new(bytes[..bytes.len() / 2].to_vec()), Layer::new(bytes));
    for mode in MODES {
        encode(&[], std::slice::from_ref(&new), mode);
        encode(std::slice::from_ref(&old), &[new.clone(), old.clone()], mode);
    }
}

#[test]
fn a_layer_of_many_sections_survives() {
    // Raw bytes of 16 MiB that are no chunk: between headers, where nothing is padded.
    let mut bytes = Vec::new();
    for number in 0..20 {
        bytes.extend(entry(b'L', &body((1 << 20) - 100 * number, number as u32)));
    }
    bytes.extend(entry(b'0', &body(1000, 1)));
    let layer = Layer::new(bytes);
    let (encoded, _) = encode(&[], std::slice::from_ref(&layer), Mode::References);
    assert!(encoded.len() > 20 << 20);
    let (encoded, _) = encode(std::slice::from_ref(&layer), std::slice::from_ref(&layer), Mode::References);
    assert!(encoded.len() < 1000, "{}", encoded.len());
}

//! Columns: whatever the basis is, the layer comes out as it was; and hostile bytes are refused.

use crate::support::{LIMITS, Layer, tell};
use crate::tars::{END, Item, body, build, entry, items};
use dsync_delta::Listing;
use dsync_delta::columns::{ColumnsError, Decoder, Encoder, Limits, Mode};
use proptest::prelude::*;

const MODES: [Mode; 4] = [Mode::Whole, Mode::Known, Mode::Ask, Mode::Full];

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
            tell(&basis, &new, mode);
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
        let listings: Vec<&Listing> = basis.iter().map(|layer| &layer.listing).collect();
        let mut told = Vec::new();
        Encoder::new(&listings, mode).layer(&Layer::new(build(&new)).listing, &mut told);
        for (at, value) in flips {
            let at = at.index(told.len());
            told[at] = value;
        }
        if let Ok(recipe) = Decoder::new(&listings, mode, LIMITS).layer(&mut &told[..]) {
            let contents = recipe.listing.contents();
            prop_assert_eq!(contents.len(), recipe.origins.len());
            prop_assert!(contents.iter().all(|content| content.at + content.len <= recipe.listing.len));
        }
        Listing::from_bytes(&told);
    }

    #[test]
    fn columns_that_end_early_are_refused(new in items(), cut in any::<prop::sample::Index>()) {
        let mut told = Vec::new();
        Encoder::new(&[], Mode::Known).layer(&Layer::new(build(&new)).listing, &mut told);
        let end = cut.index(told.len());
        prop_assert!(Decoder::new(&[], Mode::Known, LIMITS).layer(&mut &told[..end]).is_err());
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
    let (told, literals) = tell(&[old], &[new], Mode::Known);
    assert_eq!(literals.len(), 1);
    assert_eq!((literals[0].content, literals[0].len, literals[0].uses), (7, 1000, 1));
    // Hardly any of it is not zero, so it compresses to next to nothing.
    assert!(told.iter().filter(|byte| **byte > 1).count() < 80, "{}", told.len());
    let names = told.windows(6).any(|window| window == b"module");
    assert!(!names);
}

#[test]
fn whole_means_no_references() {
    let layer = || rebuilt(1, 1);
    let (_, literals) = tell(&[layer()], &[layer(), layer()], Mode::Whole);
    assert_eq!(literals.len(), 400);
    let (_, literals) = tell(&[], &[layer(), layer()], Mode::Ask);
    assert_eq!(literals.len(), 200);
    assert!(literals.iter().all(|literal| literal.uses == 2 && literal.short != 0));
}

#[test]
fn limits_are_kept() {
    let mut told = Vec::new();
    Encoder::new(&[], Mode::Known).layer(&rebuilt(1, 1).listing, &mut told);
    let with = |limits| Decoder::new(&[], Mode::Known, limits).layer(&mut &told[..]).map(drop);
    assert_eq!(with(LIMITS), Ok(()));
    for limits in [
        Limits { len: 1000, ..LIMITS },
        Limits { entries: 100, ..LIMITS },
        Limits { verbatim: 1000, ..LIMITS },
    ] {
        assert!(matches!(with(limits), Err(ColumnsError::Limit { .. })), "{limits:?}");
    }
}

/// The bytes of the format; a change of them is another protocol.
#[test]
fn the_bytes_are_pinned() {
    let layer = Layer::new([entry(b'0', &body(100, 1)), END.to_vec()].concat());
    let mut told = Vec::new();
    Encoder::new(&[], Mode::Ask).layer(&layer.listing, &mut told);
    let hex: String = told[32..].iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = [
        "8010",                                   // 2048 bytes
        "02",                                     // in two groups: the file, and the zeros at the end
        "02040201010001000000000002010002010108", // the lengths of 19 columns
        "08000000000000030009000000000000",       // and of one for each field
        "0000",                                   // Match
        "01020100",                               // Shape
        "8105",                                   // Mask
        "00",                                     // Size
        "00",                                     // Mtime
        "00",                                     // Body
        "0001",                                   // Tail
        "02",                                     // Zeros
        "0201",                                   // Contents
        "00",                                     // Origin
        "64",                                     // Len
        "c86b46fec256ab36",                       // Id
        "0006612f66696c65",                       // name
        "000130",                                 // flag
        "000775737461722020",                     // magic
    ];
    assert_eq!(hex, expected.concat());
}

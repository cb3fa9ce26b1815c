//! The bytes of recipes: pinned, and hostile ones.

use super::*;
use crate::{Flavour, Generation, Release, ZstdLevel};

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// The bytes before the header, which recipes that are kept have for ever.
#[test]
fn numbers_are_never_given_anew() {
    let (full, exact) = (Release::Full, Release::Exact);
    for (method, bytes) in [
        (CompressionMethod::Go { level: 6 }, [1, 1, 6, 0, 0, 0, 0]),
        (CompressionMethod::Go { level: 0 }, [1, 1, 0, 0, 0, 0, 0]),
        (CompressionMethod::Klauspost { release: full, level: 5 }, [1, 2, 5, 0, 0, 0, 0]),
        (CompressionMethod::Klauspost { release: exact, level: 6 }, [1, 3, 6, 0, 0, 0, 0]),
        (CompressionMethod::Pgzip { release: full, level: 5, block: 1 << 20 }, [1, 4, 5, 0, 0, 16, 0]),
        (CompressionMethod::Pgzip { release: exact, level: 5, block: 1 << 20 }, [1, 5, 5, 0, 0, 16, 0]),
        (CompressionMethod::Zlib { flavour: Flavour::Zlib, level: 6 }, [1, 6, 6, 0, 0, 0, 0]),
        (CompressionMethod::Zlib { flavour: Flavour::ZlibLarge, level: 9 }, [1, 7, 9, 0, 0, 0, 0]),
        (CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 6 }, [1, 8, 6, 0, 0, 0, 0]),
        (CompressionMethod::Pigz { level: 9, block: 128 << 10 }, [1, 9, 9, 0, 0, 2, 0]),
        (CompressionMethod::PigzChained { level: 9, block: 128 << 10 }, [1, 10, 9, 0, 0, 2, 0]),
    ] {
        let recipe = Recipe::new(method, HEADER.to_vec()).unwrap();
        assert_eq!(recipe.to_bytes(), [&bytes[..], &HEADER].concat(), "{method}");
        assert_eq!(Recipe::from_bytes(&recipe.to_bytes()), Ok(recipe));
    }
    let zstd = |generation, level, flushed| CompressionMethod::Zstd { generation, level, flushed };
    for (method, bytes) in [
        (zstd(Generation::V1_15, ZstdLevel::Fastest, 0), [1, 11, 1, 0, 0, 0, 0]),
        (zstd(Generation::V1_16, ZstdLevel::Default, 8), [1, 12, 2, 8, 0, 0, 0]),
        (zstd(Generation::V1_18, ZstdLevel::Better, 300), [1, 13, 3, 44, 1, 0, 0]),
        (zstd(Generation::V1_18, ZstdLevel::Best, 0), [1, 13, 4, 0, 0, 0, 0]),
    ] {
        let recipe = Recipe::new(method, Vec::new()).unwrap();
        assert_eq!(recipe.to_bytes(), bytes, "{method}");
        assert_eq!(Recipe::from_bytes(&bytes), Ok(recipe));
    }
}

#[test]
fn what_is_no_recipe_is_told() {
    let bytes = |start: &[u8]| [start, &HEADER].concat();
    assert_eq!(Recipe::from_bytes(&[]), Err(BadRecipe::Length(0)));
    assert_eq!(Recipe::from_bytes(&[1, 1, 6]), Err(BadRecipe::Length(3)));
    assert_eq!(Recipe::from_bytes(&vec![1; LONGEST + 1]), Err(BadRecipe::Length(LONGEST + 1)));
    assert_eq!(Recipe::from_bytes(&bytes(&[4, 1, 6, 0, 0, 0, 0])), Err(BadRecipe::Version(4)));
    for method in [
        [0, 6, 0, 0, 0, 0],
        [1, 10, 0, 0, 0, 0],
        // Go without matches (-2): known until nobody was found who makes it.
        [1, 254, 0, 0, 0, 0],
        [11, 6, 0, 0, 2, 0],
        [1, 6, 1, 0, 0, 0],
        [4, 5, 0, 1, 0, 0],
        [9, 6, 0, 0, 0, 2],
        [12, 4, 0, 0, 0, 0],
        [13, 0, 0, 0, 0, 0],
        [13, 2, 0, 0, 2, 0],
        [14, 2, 0, 0, 0, 0],
    ] {
        assert_eq!(
            Recipe::from_bytes(&bytes(&[&[1], &method[..]].concat())),
            Err(BadRecipe::CompressionMethod)
        );
    }
    assert_eq!(Recipe::from_bytes(&[1, 1, 6, 0, 0, 0, 0, 0x1f, 0x8b]), Err(BadRecipe::Header));
    assert_eq!(Recipe::from_bytes(&bytes(&[1, 13, 2, 0, 0, 0, 0])), Err(BadRecipe::Header));
    assert_eq!(
        Recipe::from_bytes(&[&bytes(&[1, 1, 6, 0, 0, 0, 0])[..], &[0]].concat()),
        Err(BadRecipe::Header)
    );
}

/// Two checkpoints: after 5 MiB and 3 bits, and 16 bytes later, where a byte is waiting.
const CHECKPOINTS: [u8; 10] = [2, 0, 3, 0, 0, 5, 8, 1, 0, 0];

#[test]
fn checkpoints_are_before_the_header() {
    let bytes = [&[2, 8, 6, 0, 0, 0, 0], &CHECKPOINTS[..], &HEADER].concat();
    let recipe = Recipe::from_bytes(&bytes).unwrap();
    let expected = [
        Checkpoint { plain: 5 << 20, bits: 3, is_waiting: false },
        Checkpoint { plain: (5 << 20) + 16, bits: 0, is_waiting: true },
    ];
    assert_eq!((&recipe.checkpoints[..], recipe.segments()), (&expected[..], 3));
    assert_eq!(recipe.to_bytes(), bytes);
}

#[test]
fn checkpoints_that_cannot_be_are_told() {
    let gzip6 = [2, 8, 6, 0, 0, 0, 0];
    for (start, checkpoints) in [
        // Of pigz, and of a level that is greedy.
        ([2, 9, 6, 0, 0, 2, 0], &CHECKPOINTS[..]),
        ([2, 8, 3, 0, 0, 0, 0], &CHECKPOINTS),
        // None, fewer than told, at no distance, and too far.
        (gzip6, &[0, 0]),
        (gzip6, &[9, 0, 3, 0, 0, 5]),
        (gzip6, &[1, 0, 3, 0, 0, 0]),
        (gzip6, &[1, 0, 0, 0, 0, 255]),
    ] {
        let bytes = [&start, checkpoints, &HEADER].concat();
        assert_eq!(Recipe::from_bytes(&bytes), Err(BadRecipe::Checkpoints), "{bytes:?}");
    }
}

#[test]
fn corrections_are_before_the_header() {
    let packed = Corrections::new(true).to_bytes().unwrap();
    let recipe = |method: [u8; 6], packed: &[u8]| {
        let len = (packed.len() as u32).to_le_bytes();
        [&[3], &method[..], &len, packed, &HEADER].concat()
    };
    let bytes = recipe([6, 6, 0, 0, 0, 0], &packed);
    let read = Recipe::from_bytes(&bytes).unwrap();
    assert_eq!((read.corrections(), read.header()), (packed.len(), &HEADER[..]));
    assert_eq!(read.to_bytes(), bytes);
    // Of an encoder that takes none, damaged, and none at all.
    for bytes in [
        recipe([1, 6, 0, 0, 0, 0], &packed),
        recipe([6, 6, 0, 0, 0, 0], &packed[1..]),
        recipe([6, 6, 0, 0, 0, 0], &[]),
        vec![3, 6, 6, 0, 0, 0, 0, 255, 0, 0, 0],
    ] {
        assert_eq!(Recipe::from_bytes(&bytes), Err(BadRecipe::Corrections), "{bytes:?}");
    }
}

fn every_method() -> Vec<CompressionMethod> {
    let mut methods: Vec<CompressionMethod> = (-1..=9).map(|level| CompressionMethod::Go { level }).collect();
    for release in [Release::Full, Release::Exact] {
        methods.extend((1..=6).map(|level| CompressionMethod::Klauspost { release, level }));
        methods.extend([16_385, 16 << 20].map(|block| CompressionMethod::Pgzip { release, level: 5, block }));
    }
    for level in 1..=9 {
        let flavours = [Flavour::Zlib, Flavour::ZlibLarge, Flavour::Gnu];
        methods.extend(flavours.map(|flavour| CompressionMethod::Zlib { flavour, level }));
        methods.push(CompressionMethod::Pigz { level, block: 32 << 10 });
        methods.push(CompressionMethod::PigzChained { level, block: 16 << 20 });
    }
    for generation in Generation::ALL {
        for level in [ZstdLevel::Fastest, ZstdLevel::Default, ZstdLevel::Better, ZstdLevel::Best] {
            let flushed = level.block() as u32 - 1;
            methods.extend([0, flushed].map(|flushed| CompressionMethod::Zstd {
                generation,
                level,
                flushed,
            }));
        }
    }
    methods.retain(|method| method.is_valid());
    methods
}

#[test]
fn every_method_comes_back_and_has_bytes_of_its_own() {
    let mut seen = std::collections::BTreeSet::new();
    for method in every_method() {
        let header = if method.is_gzip() { HEADER.to_vec() } else { Vec::new() };
        let recipe = Recipe::new(method, header).unwrap();
        let bytes = recipe.to_bytes();
        assert!(seen.insert(bytes.clone()), "{method}");
        assert_eq!(Recipe::from_bytes(&bytes), Ok(recipe));
        assert!(bytes.len() <= 17);
    }
}

/// A method is one of the six bytes alone: each value of the first two is a known one or refused, and no other bytes
/// stand for the same.
#[test]
fn methods_have_one_form() {
    let mut known = 0;
    for number in 0..=255 {
        for level in 0..=255 {
            for block in [0, 8, 1 << 15, 1 << 17, 1 << 20, u32::MAX] {
                let [a, b, c, d] = block.to_le_bytes();
                let bytes = [number, level, a, b, c, d];
                if let Some(method) = CompressionMethod::from_bytes(bytes) {
                    assert!(method.is_valid());
                    assert_eq!(method.to_bytes(), bytes, "{method}");
                    known += 1;
                }
            }
        }
    }
    // Go 11, klauspost 2 × 6, zlib 3 × 9; pgzip 2 × 6 with three sizes, pigz 2 × 9 with three; zstd 3 × 3 and 1, of
    // each the sizes 0, 8 and 32 KiB.
    assert_eq!(known, 11 + 12 + 27 + 36 + 54 + 30);
}

#[test]
fn parameters_that_cannot_be_are_refused_at_once() {
    let zstd = |flushed| CompressionMethod::Zstd {
        generation: Generation::V1_18,
        level: ZstdLevel::Fastest,
        flushed,
    };
    for method in [
        CompressionMethod::Go { level: -2 },
        CompressionMethod::Klauspost { release: Release::Full, level: 0 },
        CompressionMethod::Klauspost { release: Release::Exact, level: 7 },
        CompressionMethod::Pgzip { release: Release::Exact, level: 5, block: 16_384 },
        CompressionMethod::Pgzip { release: Release::Exact, level: 5, block: u32::MAX },
        CompressionMethod::Zlib { flavour: Flavour::Gnu, level: 0 },
        CompressionMethod::Pigz { level: 6, block: 1 },
        CompressionMethod::PigzChained { level: 10, block: 1 << 17 },
        zstd(64 << 10),
    ] {
        let header = if method.is_gzip() { HEADER.to_vec() } else { Vec::new() };
        assert_eq!(Recipe::new(method, header), Err(BadRecipe::CompressionMethod), "{method}");
    }
}

#[test]
fn headers_must_be_whole_and_nothing_more() {
    let new = |header: &[u8]| Recipe::new(CompressionMethod::Go { level: 6 }, header.to_vec());
    let named = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], b"layer.tar\0"].concat();
    assert_eq!(new(&named).unwrap().header(), named);
    for header in
        [&[][..], &HEADER[..9], &named[..named.len() - 1], &[&named[..], &[0]].concat(), b"PK\x03\x04"]
    {
        assert_eq!(new(header), Err(BadRecipe::Header), "{header:?}");
    }
    let longest = [&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3][..], &vec![b'n'; 4085], &[0]].concat();
    assert!(new(&longest).is_ok());
    assert!(new(&[&longest[..4095], b"n\0"].concat()).is_err());
}

#[test]
fn a_recipe_that_is_cut_is_refused_wherever_that_is() {
    let packed = Corrections::new(true).to_bytes().unwrap();
    let len = (packed.len() as u32).to_le_bytes();
    for bytes in [
        [&[1, 1, 6, 0, 0, 0, 0][..], &HEADER].concat(),
        [&[2, 8, 6, 0, 0, 0, 0], &CHECKPOINTS[..], &HEADER].concat(),
        [&[3, 6, 6, 0, 0, 0, 0], &len[..], &packed, &HEADER].concat(),
    ] {
        assert!(Recipe::from_bytes(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(Recipe::from_bytes(&bytes[..len]).is_err(), "{} of {bytes:?}", len);
        }
    }
}

/// Errors are sentences that name the thing.
#[test]
fn errors_say_what_is_wrong() {
    for error in [
        BadRecipe::Version(9),
        BadRecipe::CompressionMethod,
        BadRecipe::Checkpoints,
        BadRecipe::Corrections,
        BadRecipe::Header,
        BadRecipe::Length(3),
    ] {
        assert!(error.to_string().starts_with("the recipe of a compressed layer "), "{error}");
    }
    assert!(BadRecipe::Version(9).to_string().contains("version 9"));
}

//! Properties that hold for any bytes.

use std::io::{self, Read};
use std::num::NonZeroUsize;

use dsync_recompress::{CompressionMethod, Identification, Recipe, identify};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::sample::sample;
use super::{decoded, identified, is_zstd, made, methods, recipe};

/// Pieces that repeat, with a few bytes between: much of what layers are, but small.
fn plain() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..600),
        vec(select(b"ab \n".to_vec()), 0..3000),
        (any::<u8>(), 0..70_000usize).prop_map(|(byte, len)| vec![byte; len]),
        (0..900_000usize, 0..60_000usize).prop_map(|(from, len)| sample(from + len).split_off(from)),
    ];
    (vec(piece, 1..5), vec(0..5usize, 0..12))
        .prop_map(|(pieces, order)| order.iter().flat_map(|at| pieces[at % pieces.len()].clone()).collect())
}

/// Gives a few bytes at a time.
struct Dribble<'a>(&'a [u8], usize);

impl Read for Dribble<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 7 % 4099 + 1;
        let len = self.1.min(piece.len());
        self.0.read(&mut piece[..len])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_encoder_of_a_blob_is_identified_and_makes_it_again(plain in plain(), method in select(methods())) {
        let blob = made(&recipe(method), &plain);
        prop_assert!(decoded(method, &blob) == plain);
        let is_usual = match method {
            CompressionMethod::Pgzip { block, .. } => block == 1 << 20,
            CompressionMethod::Pigz { block, .. } => block == 128 << 10,
            _ => true,
        };
        if is_usual {
            let (found, again) = identified(&blob);
            prop_assert!(again == plain);
            prop_assert!(made(&found, &plain) == blob);
        }
    }

    #[test]
    fn it_does_not_matter_in_what_pieces_bytes_come(plain in plain(), method in select(methods()), step in 1..4000usize) {
        let blob = made(&recipe(method), &plain);
        let mut again = Vec::new();
        dsync_recompress::recreate(&recipe(method), Dribble(&plain, step), &mut again).unwrap();
        prop_assert!(again == blob);
        let whole = identify(&blob[..], io::sink()).unwrap();
        let dribbled = identify(Dribble(&blob, step), io::sink()).unwrap();
        let is_same = match (&whole, &dribbled) {
            (Identification::Identified(whole), Identification::Identified(dribbled)) => whole == dribbled,
            (Identification::Unknown(_), Identification::Unknown(_)) => true,
            _ => false,
        };
        prop_assert!(is_same, "{:?} {:?}", whole, dribbled);
    }

    #[test]
    fn threads_make_the_same(plain in plain(), method in select(methods()), threads in 2..5usize) {
        let mut again = Vec::new();
        let threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
        dsync_recompress::recreate_on(&recipe(method), &plain[..], &mut again, threads).unwrap();
        prop_assert!(again == made(&recipe(method), &plain));
    }

    #[test]
    fn a_damaged_blob_is_refused(plain in plain(), method in select(methods()), at: prop::sample::Index, bit in 0..8) {
        let mut blob = made(&recipe(method), &plain);
        let at = at.index(blob.len());
        blob[at] ^= 1u8 << bit;
        match identify(&blob[..], io::sink()).unwrap() {
            Identification::Unknown(_) => {}
            // The header tells what it likes; all else is proved.
            Identification::Identified(found) => {
                prop_assert!(at < 10);
                prop_assert!(made(&found.recipe, &plain) == blob);
            }
        }
    }

    #[test]
    fn any_bytes_have_an_outcome(mut bytes in vec(any::<u8>(), 0..3000), start in 0..3usize) {
        const STARTS: [&[u8]; 3] = [&[], &[0x1f, 0x8b, 8, 0], &[0x28, 0xb5, 0x2f, 0xfd, 4, 0x68]];
        if bytes.len() > 10 {
            bytes[..STARTS[start].len()].copy_from_slice(STARTS[start]);
        }
        let _ = identify(&bytes[..], io::sink()).unwrap();
    }

    #[test]
    fn recipes_survive_being_bytes(method in select(methods()), name in vec(1..=255u8, 0..300)) {
        let mut header = super::HEADER.to_vec();
        header[3] = 8;
        header.extend(name);
        header.push(0);
        let recipe = if is_zstd(method) { recipe(method) } else { Recipe::new(method, header).unwrap() };
        prop_assert_eq!(Recipe::from_bytes(&recipe.to_bytes()), Ok(recipe));
    }

    #[test]
    fn any_bytes_are_a_recipe_or_not(mut bytes in vec(any::<u8>(), 0..60), is_near: bool) {
        if is_near && bytes.len() > 17 {
            bytes[0] = 1 + bytes[0] % 2;
            bytes[1] %= 15;
            bytes[2] %= 10;
            let header = if bytes[0] == 1 || bytes.len() < 23 { 7 } else { 13 };
            if header == 13 {
                bytes[7..9].copy_from_slice(&[1, 0]);
            }
            bytes[header..header + 10].copy_from_slice(&super::HEADER);
        }
        if let Ok(recipe) = Recipe::from_bytes(&bytes) {
            prop_assert_eq!(recipe.to_bytes(), bytes);
            let _ = made(&recipe, b"plain");
        }
    }
}

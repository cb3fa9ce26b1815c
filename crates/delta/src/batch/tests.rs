//! Properties that both methods have.

use proptest::prelude::*;

use super::*;

const NONE: Items<'static> = Items { bytes: &[], lens: &[] };
const EFFORTS: [Effort; 5] =
    [Effort::Level(1), Effort::Level(3), Effort::Level(9), Effort::Level(16), Effort::Max];

fn noise(words: u32) -> Vec<u8> {
    (0..words).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 13).to_le_bytes()).collect()
}

#[test]
fn what_is_old_costs_next_to_nothing() {
    let old = noise(200_000);
    let mut new = old.clone();
    new.splice(300_000..300_000, *b"inserted");
    let (old_lens, new_lens) = ([old.len() as u64], [new.len() as u64]);
    let (old, new) = (Items { bytes: &old, lens: &old_lens }, Items { bytes: &new, lens: &new_lens });
    for effort in EFFORTS {
        let packed = encode(old, new, &[Some(0)], effort).unwrap();
        assert!(packed.len() < 150, "{effort:?}: {}", packed.len());
        assert_eq!(decode(old, new.lens, &[Some(0)], &packed).unwrap(), new.bytes);
        // Other old bytes give an error or other bytes, never more of them.
        let other = vec![7; old.bytes.len()];
        let other = Items { bytes: &other, lens: old.lens };
        if let Ok(bytes) = decode(other, new.lens, &[Some(0)], &packed) {
            assert_eq!(bytes.len(), new.bytes.len());
        }
    }
}

#[test]
fn one_byte_may_go_on_for_long() {
    let new = vec![0; 3_000_000];
    let lens = [new.len() as u64];
    for effort in EFFORTS {
        let packed = encode(NONE, Items { bytes: &new, lens: &lens }, &[None], effort).unwrap();
        assert!(packed.len() < 250, "{effort:?}: {}", packed.len());
        assert_eq!(decode(NONE, &lens, &[None], &packed).unwrap(), new);
    }
}

#[test]
fn what_is_damaged_is_refused() {
    let new = b"some text, some text, and some more text".repeat(20);
    let lens = [new.len() as u64];
    for effort in [Effort::Level(9), Effort::Max] {
        let packed = encode(NONE, Items { bytes: &new, lens: &lens }, &[None], effort).unwrap();
        assert_eq!(decode(NONE, &lens, &[None], &packed).unwrap(), new);
        for end in 0..packed.len() {
            assert!(decode(NONE, &lens, &[None], &packed[..end]).is_err(), "{effort:?}, {end}");
        }
        for at in 0..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 0x55;
            if let Ok(bytes) = decode(NONE, &lens, &[None], &packed) {
                assert_eq!(bytes.len(), new.len());
            }
        }
        let long = [packed.clone(), vec![0]].concat();
        assert!(decode(NONE, &lens, &[None], &long).is_err());
        let short = [lens[0] - 1];
        assert!(decode(NONE, &short, &[None], &packed).is_err());
    }
    assert!(decode(NONE, &[u64::MAX, 2], &[None, None], &[LZ]).is_err());
    assert!(decode(NONE, &lens, &[None], &[9, 9]).is_err());
    assert!(decode(NONE, &lens, &[None], &[]).is_err());
}

#[test]
fn the_bytes_are_pinned() {
    let packed = encode(NONE, Items { bytes: b"abcabc", lens: &[6] }, &[None], Effort::Level(9)).unwrap();
    assert_eq!(packed[..5], [0, 0x28, 0xb5, 0x2f, 0xfd]);
    let old = b"to be or not to be, ";
    let (new, lens) = (b"that is not the question: not to see, not to see", [18, 30]);
    let (old, new) = (Items { bytes: old, lens: &[20] }, Items { bytes: new, lens: &lens });
    let packed = encode(old, new, &[Some(0), None], Effort::Max).unwrap();
    assert_eq!(packed, GOLDEN);
    assert_eq!(decode(old, &lens, &[Some(0), None], GOLDEN).unwrap(), new.bytes);
    for effort in EFFORTS {
        let empty = encode(NONE, NONE, &[], effort).unwrap();
        assert_eq!(decode(NONE, &[], &[], &empty).unwrap(), b"");
    }
}

const GOLDEN: &[u8] = &[
    1, 58, 104, 96, 173, 171, 155, 134, 69, 18, 165, 112, 128, 155, 164, 141, 152, 105, 71, 116, 119, 177,
    112, 147, 169, 49, 182, 104, 213, 87, 99, 1, 192,
];

/// Items of few different pieces, so that there is something to find.
fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(0_u8..3, 0..60),
        (any::<u8>(), 0_usize..500).prop_map(|(byte, len)| vec![byte; len]),
        (0_usize..4000, 0_usize..700).prop_map(|(at, len)| noise(1200)[at..at + len].to_vec()),
    ];
    prop::collection::vec(prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()), 0..5)
}

fn lens(items: &[Vec<u8>]) -> Vec<u64> {
    items.iter().map(|item| item.len() as u64).collect()
}

proptest! {
    #[test]
    fn everything_comes_back(old in pieces(), new in pieces(), level in 0_usize..5) {
        let (old_lens, new_lens) = (lens(&old), lens(&new));
        let (old_bytes, new_bytes) = (old.concat(), new.concat());
        let (old, new) =
            (Items { bytes: &old_bytes, lens: &old_lens }, Items { bytes: &new_bytes, lens: &new_lens });
        let pairs: Vec<_> = (0..new.lens.len()).map(|at| (at < old.lens.len()).then_some(at)).collect();
        let packed = encode(old, new, &pairs, EFFORTS[level]).unwrap();
        prop_assert_eq!(decode(old, new.lens, &pairs, &packed).unwrap(), new.bytes);
    }

    #[test]
    fn nothing_panics(
        old in pieces(),
        new in pieces(),
        garbage in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let (old_lens, new_lens) = (lens(&old), lens(&new));
        let (old_bytes, new_bytes) = (old.concat(), new.concat());
        let (old, new) =
            (Items { bytes: &old_bytes, lens: &old_lens }, Items { bytes: &new_bytes, lens: &new_lens });
        let pairs = vec![None; new.lens.len()];
        let mut packed = encode(old, new, &pairs, Effort::Max).unwrap();
        let at = at.index(packed.len());
        packed[at] ^= flip;
        for packed in [packed, [vec![LZ], garbage.clone()].concat(), [vec![PREFIX], garbage].concat()] {
            if let Ok(bytes) = decode(old, new.lens, &pairs, &packed) {
                prop_assert_eq!(bytes.len(), new.bytes.len());
            }
        }
    }
}

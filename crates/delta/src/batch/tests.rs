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
        let packed = encode(old, new, effort).unwrap();
        assert!(packed.len() < 150, "{effort:?}: {}", packed.len());
        assert_eq!(decode(old, new.lens, &packed).unwrap(), new.bytes);
        // Other old bytes give an error or other bytes, never more of them.
        let other = vec![7; old.bytes.len()];
        let other = Items { bytes: &other, lens: old.lens };
        if let Ok(bytes) = decode(other, new.lens, &packed) {
            assert_eq!(bytes.len(), new.bytes.len());
        }
    }
}

#[test]
fn one_byte_may_go_on_for_long() {
    let new = vec![0; 3_000_000];
    let lens = [new.len() as u64];
    for effort in EFFORTS {
        let packed = encode(NONE, Items { bytes: &new, lens: &lens }, effort).unwrap();
        assert!(packed.len() < 250, "{effort:?}: {}", packed.len());
        assert_eq!(decode(NONE, &lens, &packed).unwrap(), new);
    }
}

#[test]
fn what_is_damaged_is_refused() {
    let new = b"some text, some text, and some more text".repeat(20);
    let lens = [new.len() as u64];
    for effort in [Effort::Level(9), Effort::Max] {
        let packed = encode(NONE, Items { bytes: &new, lens: &lens }, effort).unwrap();
        assert_eq!(decode(NONE, &lens, &packed).unwrap(), new);
        for end in 0..packed.len() {
            assert!(decode(NONE, &lens, &packed[..end]).is_err(), "{effort:?}, {end}");
        }
        for at in 0..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 0x55;
            if let Ok(bytes) = decode(NONE, &lens, &packed) {
                assert_eq!(bytes.len(), new.len());
            }
        }
        let long = [packed.clone(), vec![0]].concat();
        assert!(decode(NONE, &lens, &long).is_err());
        let short = [lens[0] - 1];
        assert!(decode(NONE, &short, &packed).is_err());
    }
    assert!(decode(NONE, &[u64::MAX, 2], &[BatchMethod::Lz as u8]).is_err());
    assert!(decode(NONE, &lens, &[9, 9]).is_err());
    assert!(decode(NONE, &lens, &[]).is_err());
}

#[test]
fn the_first_part_of_a_batch_gives_the_first_bytes() {
    let text: Vec<u8> =
        (0..40_000_u32).flat_map(|n| format!("{} ", n.wrapping_mul(n) % 9973).into_bytes()).collect();
    let (old, new) = (noise(30_000), [noise(60_000), text].concat());
    let (old_lens, new_lens) = ([old.len() as u64], [150_000, new.len() as u64 - 150_000]);
    let (old, new) = (Items { bytes: &old, lens: &old_lens }, Items { bytes: &new, lens: &new_lens });
    for effort in EFFORTS {
        let packed = encode(old, new, effort).unwrap();
        let mut last = 0;
        for eighths in 0..=8 {
            let prefix = decode_prefix(old, new.lens, &packed[..packed.len() * eighths / 8]);
            assert!(new.bytes.starts_with(&prefix), "{effort:?}, {eighths} eighths");
            // zstd gives whole blocks, of up to 128 KiB.
            assert!(prefix.len() >= last && prefix.len() + (256 << 10) >= new.bytes.len() * eighths / 16);
            last = prefix.len();
        }
        assert_eq!(last, new.bytes.len(), "{effort:?}");
        assert!(decode_prefix(old, &[u64::MAX, 2], &packed).is_empty());
        assert!(decode_prefix(old, &[10, 10], &packed).len() <= 20);
    }
    assert!(decode_prefix(old, new.lens, &[]).is_empty() && decode_prefix(old, new.lens, &[9, 9]).is_empty());
}

#[test]
fn the_bytes_are_pinned() {
    let packed = encode(NONE, Items { bytes: b"abcabc", lens: &[6] }, Effort::Level(9)).unwrap();
    assert_eq!(packed[..5], [0, 0x28, 0xb5, 0x2f, 0xfd]);
    let old = b"to be or not to be, ";
    let (new, lens) = (b"that is not the question: not to see, not to see", [18, 30]);
    let (old, new) = (Items { bytes: old, lens: &[20] }, Items { bytes: new, lens: &lens });
    let packed = encode(old, new, Effort::Max).unwrap();
    assert_eq!(packed, GOLDEN);
    assert_eq!(decode(old, &lens, GOLDEN).unwrap(), new.bytes);
    for effort in EFFORTS {
        let empty = encode(NONE, NONE, effort).unwrap();
        assert_eq!(decode(NONE, &[], &empty).unwrap(), b"");
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

fn round_trip(old: &[Vec<u8>], new: &[Vec<u8>], effort: Effort) -> Vec<u8> {
    let (old_lens, new_lens) = (lens(old), lens(new));
    let (old_bytes, new_bytes) = (old.concat(), new.concat());
    let (old, new) =
        (Items { bytes: &old_bytes, lens: &old_lens }, Items { bytes: &new_bytes, lens: &new_lens });
    let packed = encode(old, new, effort).unwrap();
    assert_eq!(decode(old, new.lens, &packed).unwrap(), new.bytes);
    let joined = [&old_bytes[..], &new_bytes[..]].concat();
    let from_one_buffer = encode_joined(&joined, old_bytes.len(), &new_lens, effort).unwrap();
    assert_eq!(decode(old, new.lens, &from_one_buffer).unwrap(), new.bytes);
    packed
}

#[test]
fn every_byte_value_is_decoded_after_every_other() {
    // All pairs of bytes, so that each is a literal in every context of one byte, and no match is worth it.
    let pairs: Vec<u8> = (0..=255_u8).flat_map(|a| (0..=255).flat_map(move |b| [a, b])).collect();
    round_trip(&[], &[pairs], Effort::Max);
    for byte in 0..=255 {
        round_trip(&[vec![byte]], &[vec![byte], vec![!byte, byte]], Effort::Max);
    }
}

#[test]
fn matches_of_every_length_and_at_the_edges_of_distances_are_decoded() {
    let text = noise(20_000);
    // Lengths around those where another code begins: 2, 10, 18, 272 and 273 and powers of two above.
    for len in (2..20).chain(268..280).chain([527, 528, 529, 783, 784, 785, 4095, 4096, 4097, 70_000]) {
        round_trip(
            &[text[..80_000].to_vec()],
            &[[&[1, 2, 3], &text[7..7 + len], &[4, 5, 6]].concat()],
            Effort::Max,
        );
    }
    // Distances around powers of two, where slots begin.
    for back in
        (0..16).map(|bits| 1_usize << bits).flat_map(|back| [back.saturating_sub(1).max(1), back, back + 1])
    {
        let begin = text.len() - back;
        round_trip(
            std::slice::from_ref(&text),
            &[text[begin..].iter().copied().cycle().take(300).collect()],
            Effort::Max,
        );
    }
}

#[test]
fn empty_items_and_items_of_a_byte_have_positions_too() {
    let items =
        [vec![], vec![1], vec![], vec![], b"abcdabcd".to_vec(), vec![2], b"abcdabcd".to_vec(), vec![]];
    for effort in EFFORTS {
        round_trip(&items, &items, effort);
        round_trip(&[], &items, effort);
        round_trip(&items, &[vec![], vec![]], effort);
    }
    // Positions count from the beginning of each item: of words that repeat every four bytes, items of other lengths
    // between them would otherwise move the contexts.
    let word = |number: u32| vec![0, 16, 32, (number as u8).wrapping_mul(7)];
    let aligned: Vec<Vec<u8>> = (0..2000).map(word).collect();
    let moved: Vec<Vec<u8>> = (0..2000).map(word).flat_map(|word| [vec![9], word]).collect();
    let (aligned, moved) = (round_trip(&[], &aligned, Effort::Max), round_trip(&[], &moved, Effort::Max));
    assert!(moved.len() < aligned.len() + 300, "{} and {}", moved.len(), aligned.len());
}

#[test]
fn methods_have_their_numbers() {
    for (byte, method) in [
        (0, BatchMethod::Prefix),
        (1, BatchMethod::Lz),
        (2, BatchMethod::Inflated),
        (3, BatchMethod::BranchFilter),
    ] {
        assert_eq!((BatchMethod::from_byte(byte), method as u8), (Some(method), byte));
    }
    assert_eq!((BatchMethod::from_byte(4), BatchMethod::from_byte(255)), (None, None));
}

#[test]
fn every_error_has_its_name() {
    let refused = |lens: &[u64], packed: &[u8]| match decode(NONE, lens, packed) {
        Err(BatchError::Malformed(why)) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&[1], &[]), "an unknown method");
    assert_eq!(refused(&[1], &[2]), "an unknown method");
    assert_eq!(refused(&[u64::MAX, 1], &[BatchMethod::Lz as u8]), "too long");
    // More than any allocator gives, for either method, before a byte of it was decoded.
    assert_eq!(refused(&[1 << 62], &[BatchMethod::Lz as u8, 0, 0, 0, 0]), "too long");
    let packed = |effort| encode(NONE, Items { bytes: b"some bytes", lens: &[10] }, effort).unwrap();
    let (prefix, lz) = (packed(Effort::Level(3)), packed(Effort::Max));
    assert_eq!(refused(&[1 << 62], &prefix), "too long");
    assert_eq!(refused(&[11], &prefix), "the length differs from the announced one");
    assert_eq!(refused(&[9], &lz), "the length differs from the announced one");
    assert_eq!(refused(&[10], &[&prefix[..], &prefix[1..]].concat()), "bytes are left over");
    // A match before the first byte: the first flag of all ones.
    assert_eq!(
        refused(&[10], &[&[BatchMethod::Lz as u8][..], &[0xff; 64]].concat()),
        "a match reaches beyond the bytes"
    );
}

proptest! {
    #[test]
    fn everything_comes_back(old in pieces(), new in pieces(), level in 0_usize..5) {
        let (old_lens, new_lens) = (lens(&old), lens(&new));
        let (old_bytes, new_bytes) = (old.concat(), new.concat());
        let (old, new) =
            (Items { bytes: &old_bytes, lens: &old_lens }, Items { bytes: &new_bytes, lens: &new_lens });
        let packed = encode(old, new, EFFORTS[level]).unwrap();
        prop_assert_eq!(decode(old, new.lens, &packed).unwrap(), new.bytes);
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
        let mut packed = encode(old, new, Effort::Max).unwrap();
        let at = at.index(packed.len());
        packed[at] ^= flip;
        for packed in [packed, [vec![BatchMethod::Lz as u8], garbage.clone()].concat(), [vec![BatchMethod::Prefix as u8], garbage].concat()] {
            if let Ok(bytes) = decode(old, new.lens, &packed) {
                prop_assert_eq!(bytes.len(), new.bytes.len());
            }
        }
    }
}

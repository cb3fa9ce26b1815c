//! The history of zstd's match finders: what leaves it, and places that are counted anew.

use super::*;
use crate::inputs::noise;

#[test]
fn a_window_and_all_after_it_stay() {
    let plain = noise(10_000, 256, 1);
    let mut history = History::new(1000);
    let mut end = 0;
    for block in plain.chunks(300) {
        let start = history.append(block);
        assert_eq!(history.bytes[start..], *block);
        // The place of a byte is the same wherever the history begins.
        assert_eq!(history.first as usize + start, 1000 + end);
        end += block.len();
        let len = history.bytes.len();
        assert!(len <= 2000 && history.bytes[..] == plain[end - len..end]);
        assert!(len >= end.min(1000));
    }
}

#[test]
fn a_block_larger_than_the_window_is_kept() {
    let mut history = History::new(100);
    history.append(&[1; 190]);
    assert_eq!(history.append(&[2; 500]), 100);
    assert_eq!((history.bytes.len(), history.first), (600, 190));
}

#[test]
fn places_within_the_window_keep_their_distance() {
    let mut history = History::new(1000);
    history.append(&[7; 1500]);
    assert!(history.count_anew().is_none());
    history.first = MOST - 1;
    assert!(history.count_anew().is_none());
    history.first = MOST + 50;
    let anew = history.count_anew().expect("it is time");
    let moved = |mut place: u32| {
        anew(&mut place);
        place
    };
    let (first, last) = (MOST + 50, MOST + 50 + 1500);
    assert_eq!(history.first, 1000);
    // The last byte before the window is forgotten, the first within it is not.
    assert_eq!((moved(last - 1001), moved(last - 1000)), (0, 1000 + 500));
    assert_eq!(moved(last - 1), 1000 + 1499);
    assert_eq!((moved(0), moved(first)), (0, 0));
}

#[test]
fn equal_bytes_are_counted_in_both_directions_and_to_the_ends() {
    let bytes = b"abcdefgh_abcdefgx_";
    assert_eq!(same(bytes, 9, 0), 7);
    assert_eq!(same(bytes, 17, 8), 1);
    assert_eq!((same(bytes, 18, 0), same(bytes, 99, 0)), (0, 0));
    assert_eq!(same_before(bytes, 16, 7, 9, 0), 7);
    assert_eq!(same_before(bytes, 16, 7, 3, 0), 3);
    assert_eq!(same_before(bytes, 16, 7, 9, 4), 3);
    assert_eq!(same_before(bytes, 16, 7, 9, 8), 0);
}

#[test]
fn words_beyond_the_end_are_zeros() {
    assert_eq!((load32(&[1, 2, 3, 4, 5], 1), load32(&[1, 2, 3, 4], 1), load32(&[1], 9)), (0x0504_0302, 0, 0));
    assert_eq!((load64(&[1, 2], 0), load64(&[1, 2], 1), load64(&[1, 2], 3)), (0x0201, 2, 0));
}

/// A hash of some bytes sees each of them, and none beyond.
#[test]
fn hashes_see_just_their_bytes() {
    fn check<const BYTES: u32>() {
        let word = 0x1122_3344_5566_7788;
        let of = |word| hash::<BYTES, 15>(word);
        assert!(of(word) < 1 << 15);
        for byte in 0..8 {
            let changed = (1..=255u64).filter(|change| of(word ^ change << (8 * byte)) != of(word)).count();
            // Of 255 other bytes nearly all have another hash.
            assert!(if byte < BYTES { changed > 240 } else { changed == 0 }, "{BYTES} {byte} {changed}");
        }
    }
    check::<4>();
    check::<5>();
    check::<6>();
    check::<7>();
    check::<8>();
}

//! The history of klauspost's match finders: what leaves it, and places that are counted anew.

use super::*;
use crate::inputs::noise;

fn bytes(history: &History) -> &[u8] {
    &history.bytes[WORD..WORD + history.len]
}

#[test]
fn the_reach_and_all_after_it_stay() {
    let plain = noise(1_500_000, 256, 1);
    for size in [STORED, 10_000, 65_000] {
        let mut history = History::new();
        let mut end = 0;
        for part in plain.chunks(size) {
            let block = history.append(part);
            end += part.len();
            let start = block.start as usize;
            assert!(bytes(&history)[start..] == *part);
            assert_eq!(block.limit, (start + part.len()) as i32 - MARGIN);
            let len = history.len;
            assert!(len <= CAPACITY && bytes(&history) == &plain[end - len..end]);
            assert!(start >= FARTHEST.min(end - part.len()), "matches reach {FARTHEST} bytes");
            // The place of a byte is the same wherever the history begins.
            assert_eq!(history.first as usize + len, STORED + end);
        }
    }
}

#[test]
fn what_was_before_a_reset_is_out_of_reach() {
    let mut history = History::new();
    history.append(&[1; 5000]);
    let last = history.first + 4999;
    history.reset();
    assert_eq!(history.len, 0);
    assert!(history.first - last > REACH);
    history.first = MOST + 1;
    history.reset();
    assert_eq!(history.first, MOST + 1, "places are counted anew soon, and do not pass the largest number");
}

#[test]
fn places_within_reach_keep_their_distance() {
    let mut history = History::new();
    history.append(&[7; 60_000]);
    assert!(history.count_anew().is_none());
    history.first = MOST + 5;
    let anew = history.count_anew().expect("it is time");
    let moved = |mut place: i32| {
        anew(&mut place);
        place
    };
    let last = MOST + 5 + 60_000;
    assert_eq!(history.first, REACH);
    assert_eq!((moved(last - REACH), moved(last - REACH + 1)), (0, REACH + 60_000 - REACH + 1));
    assert_eq!(moved(last - 1), REACH + 59_999);
    assert_eq!((moved(0), moved(5)), (0, 0));
}

#[test]
fn nothing_is_kept_of_places_where_the_history_is_empty() {
    let mut history = History::new();
    history.first = MOST + 5;
    let anew = history.count_anew().expect("it is time");
    let mut place = MOST + 4;
    anew(&mut place);
    assert_eq!(place, 0);
}

#[test]
fn equal_bytes_are_counted_in_both_directions_and_to_the_ends() {
    let plain = [&b"abcdefghijklmnopq_"[..], b"abcdefghijklmnopqx"].concat();
    let mut history = History::new();
    history.append(&plain);
    let view = history.view();
    assert_eq!(view.common(18, 0, i32::MAX), 17);
    assert_eq!(view.common(18, 0, 9), 9);
    assert_eq!(view.common(30, 12, i32::MAX), 5);
    // Bytes after the end are there in memory, and do not count.
    assert_eq!((view.common(36, 0, 5), view.common(35, 35, 5)), (0, 1));
    assert_eq!(view.common_before(35, 17, 17), 17);
    assert_eq!(view.common_before(35, 17, 3), 3);
    assert_eq!(view.common_before(36, 18, 18), 0);
    assert_eq!(view.common_before(36, 18, -1), 0);
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
            assert!(if byte < BYTES { changed > 240 } else { changed == 0 }, "{BYTES} {byte} {changed}");
        }
    }
    check::<4>();
    check::<5>();
    check::<7>();
}

//! The choice of checkpoints, and their bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn mark(plain: u64) -> Mark {
    Mark { plain, is_waiting: false, bits: 13 }
}

fn chosen(marks: impl Iterator<Item = u64>, plain: u64) -> Vec<u64> {
    let mut chooser = Chooser::new();
    marks.for_each(|at| chooser.see(mark(at)));
    chooser.finish(plain).into_iter().map(|checkpoint| checkpoint.plain).collect()
}

#[test]
fn a_window_has_moved_where_few_bytes_are_left() {
    assert_eq!([1, 65_274, 65_275, 65_276].map(history), [1, 65_274, 32_507, 32_508]);
    assert_eq!([98_042, 98_043, 1 << 30].map(history), [65_274, 32_507, 32_768]);
}

#[test]
fn checkpoints_are_apart_and_not_at_the_end() {
    let marks = || (1..200).map(|at| at * 100_000);
    assert_eq!(chosen(marks(), 19_900_000), [4_200_000, 8_400_000, 12_600_000, 16_800_000]);
    assert_eq!(chosen(marks(), 16_800_001), [4_200_000, 8_400_000, 12_600_000]);
}

#[test]
fn there_are_never_too_many() {
    let checkpoints = chosen((1..50_000).map(|at| at * 200_000), 10_000_000_000);
    assert!((MOST / 2..=MOST).contains(&checkpoints.len()));
}

#[test]
fn none_is_better_than_a_gap_that_no_thread_can_hold() {
    let most = FARTHEST;
    assert_eq!(chosen([5 << 20].into_iter(), (5 << 20) + most), [5 << 20]);
    assert!(chosen([5 << 20].into_iter(), (5 << 20) + most + 1).is_empty());
    assert!(chosen([most + 1].into_iter(), most + (5 << 20)).is_empty());
}

fn checkpoints(of: &[(u64, u8, bool)]) -> Vec<Checkpoint> {
    of.iter()
        .map(|(plain, bits, is_waiting)| Checkpoint { plain: *plain, bits: *bits, is_waiting: *is_waiting })
        .collect()
}

/// The word of each: 28 bits of distance, one for a byte that waits, three for the bits.
#[test]
fn the_bytes_are_pinned() {
    let all = checkpoints(&[(1, 0, false), (1 + FARTHEST, 7, true)]);
    let bytes = [2, 0, 0x10, 0, 0, 0, 0x0f, 0, 0, 0x18];
    assert_eq!(to_bytes(&all), bytes);
    let more = [&bytes[..], b"rest"].concat();
    assert_eq!(from_bytes(&more), Some((all, &b"rest"[..])));
    for len in 0..bytes.len() {
        assert_eq!(from_bytes(&bytes[..len]), None, "{len}");
    }
}

#[test]
fn checkpoints_that_cannot_be_are_refused() {
    for wrong in [
        checkpoints(&[(0, 0, false)]),
        checkpoints(&[(5, 0, false), (5, 1, false)]),
        checkpoints(&[(5, 0, false), (4, 0, false)]),
        checkpoints(&[(FARTHEST + 1, 0, false)]),
        checkpoints(&[(5, 8, false)]),
        (1..=MOST as u64 + 1).map(|plain| Checkpoint { plain, ..Checkpoint::default() }).collect(),
    ] {
        assert!(!are_valid(&wrong), "{} of them", wrong.len());
    }
    let most: Vec<_> = (1..=MOST as u64).map(|plain| Checkpoint { plain, ..Checkpoint::default() }).collect();
    assert!(are_valid(&most) && are_valid(&[]));
    assert_eq!(from_bytes(&to_bytes(&most)).map(|(read, _)| read), Some(most));
}

proptest! {
    #[test]
    fn any_bytes_are_checkpoints_or_not(mut bytes in vec(any::<u8>(), 0..60), is_near: bool) {
        if is_near && bytes.len() > 2 {
            (bytes[0], bytes[1]) = (bytes[0] % 12, 0);
            bytes[2..].iter_mut().skip(3).step_by(4).for_each(|high| *high %= 0x19);
        }
        if let Some((read, rest)) = from_bytes(&bytes) {
            prop_assert!(are_valid(&read) && !read.is_empty());
            prop_assert_eq!([&to_bytes(&read)[..], rest].concat(), bytes);
        }
    }

    /// Chosen checkpoints are valid, among the marks that were seen, and not near the end.
    #[test]
    fn chosen_checkpoints_are_valid(gaps in vec(1..9_000_000u64, 0..200), rest in 0..9_000_000u64) {
        let mut at = 0;
        let marks: Vec<u64> = gaps.into_iter().map(|gap| { at += gap; at }).collect();
        let chosen = chosen(marks.iter().copied(), at + rest);
        prop_assert!(chosen.iter().all(|plain| marks.contains(plain) && plain + LAST <= at + rest));
        prop_assert!(chosen.windows(2).all(|pair| (SPACING..=FARTHEST).contains(&(pair[1] - pair[0]))));
        prop_assert!(chosen.last().is_none_or(|last| at + rest - last <= FARTHEST));
    }
}

/// The windows of zlib and Go as they move: full, then half of it is dropped where fewer than 262 bytes are left.
#[test]
fn the_history_is_what_a_window_that_moves_has() {
    let mut start = 0u64;
    for at in 0..300_000u64 {
        // The encoder has come to `at`: it moves when the next byte is as far as this in its window.
        if at - start > 65_536 - 262 {
            start += 32_768;
        }
        assert_eq!(history(at) as u64, at - start, "{at}");
    }
}

#[test]
fn the_last_one_is_just_as_far_from_the_end_as_it_must_be() {
    assert_eq!(chosen([SPACING].into_iter(), SPACING + LAST), [SPACING]);
    assert!(chosen([SPACING].into_iter(), SPACING + LAST - 1).is_empty());
    assert!(chosen([SPACING - 1].into_iter(), 2 * SPACING).is_empty());
}

#[test]
fn spacing_grows_with_the_stream() {
    // 1100 times 4 MiB are too many; every other one of those that were chosen is dropped.
    let marks = (1..=1100u64).map(|at| at * SPACING);
    let chosen = chosen(marks, 1101 * SPACING);
    assert!(chosen.len() > 500 && chosen.len() <= MOST);
    assert!(chosen.windows(2).all(|pair| pair[1] - pair[0] <= 2 * SPACING));
}

//! Chunk boundaries against the rule in `docs/negotiation.md`, and what an edit does to them.

use dsync_delta::chunking::{COARSE, ChunkSizes, Chunker, FINE};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::tars::body;

/// The first outputs of SplitMix64 from state 0.
fn gear() -> Vec<u64> {
    let mut state: u64 = 0;
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    std::iter::repeat_with(next).take(256).collect()
}

/// The ends of all chunks but the last, byte by byte as the document has it.
fn expected(bytes: &[u8], sizes: ChunkSizes) -> Vec<usize> {
    let (gear, bits) = (gear(), sizes.average.trailing_zeros());
    let (mut ends, mut hash, mut len) = (Vec::new(), 0_u64, 0);
    for (at, byte) in bytes.iter().enumerate() {
        len += 1;
        if len > sizes.min {
            hash = (hash << 1).wrapping_add(gear[usize::from(*byte)]);
        }
        let zeros = if len <= sizes.average { bits + 2 } else { bits - 2 };
        if len == sizes.max || len > sizes.min && hash >> (64 - zeros) == 0 {
            ends.push(at + 1);
            (hash, len) = (0, 0);
        }
    }
    ends
}

/// The same by a chunker that gets the bytes in parts of these sizes.
fn ends(bytes: &[u8], sizes: ChunkSizes, parts: &[usize]) -> Vec<usize> {
    let mut chunker = Chunker::new(sizes);
    let (mut ends, mut at) = (Vec::new(), 0);
    for part in parts.iter().cycle() {
        let mut rest = &bytes[at..bytes.len().min(at + part)];
        while !rest.is_empty() {
            let taken = chunker.next_boundary(rest);
            at += taken.unwrap_or(rest.len());
            ends.extend(taken.map(|_| at));
            rest = &rest[taken.unwrap_or(rest.len())..];
        }
        if at == bytes.len() {
            break;
        }
    }
    ends
}

const SMALL: ChunkSizes = ChunkSizes { min: 5, average: 16, max: 40 };

/// Bytes with and without a pattern, and with long ranges of one byte, in which only the maximum ends a chunk.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let range = prop_oneof![
        (1_usize..3000, 0_u32..50).prop_map(|(len, seed)| body(len, seed)),
        (1_usize..3000, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
        (1_usize..600, vec(any::<u8>(), 1..9)).prop_map(|(times, pattern)| pattern.repeat(times)),
    ];
    vec(range, 0..6).prop_map(|ranges| ranges.concat())
}

proptest! {
    #[test]
    fn boundaries_follow_the_document(bytes in bytes(), parts in vec(1_usize..5000, 1..6)) {
        for sizes in [SMALL, FINE] {
            let expected = expected(&bytes, sizes);
            prop_assert_eq!(&ends(&bytes, sizes, &[bytes.len().max(1)]), &expected);
            prop_assert_eq!(&ends(&bytes, sizes, &parts), &expected);
            prop_assert_eq!(&ends(&bytes, sizes, &[1]), &expected);
        }
    }

    #[test]
    fn chunks_are_within_their_sizes(bytes in bytes()) {
        for sizes in [SMALL, FINE] {
            let ends = [vec![0], ends(&bytes, sizes, &[usize::MAX / 2])].concat();
            for pair in ends.windows(2) {
                let len = pair[1] - pair[0];
                // The byte after the least length is the first that is hashed.
                prop_assert!(len > sizes.min && len <= sizes.max, "{}", len);
            }
            prop_assert!(bytes.len() - ends[ends.len() - 1] <= sizes.max);
        }
    }

    /// After an edit the boundaries are the same again, moved by the change of length, from the second that both have.
    #[test]
    fn an_edit_moves_boundaries_only_near_it(
        seed in 0_u32..1000,
        at in any::<Index>(),
        removed in 0_usize..300,
        added in vec(any::<u8>(), 0..300),
    ) {
        let old = body(60_000, seed);
        let at = at.index(20_000);
        let mut new = old.clone();
        new.splice(at..at + removed, added.iter().copied());
        let (old_ends, new_ends) = (ends(&old, FINE, &[old.len()]), ends(&new, FINE, &[new.len()]));
        prop_assert!(old_ends.iter().take_while(|end| **end <= at).all(|end| new_ends.contains(end)));
        let moved: Vec<usize> =
            old_ends.iter().filter(|end| **end > at + removed + 12_000).map(|end| end - removed + added.len()).collect();
        prop_assert!(moved.len() > 20 && new_ends.ends_with(&moved));
    }
}

#[test]
fn nothing_and_short_bytes_have_no_boundary() {
    for sizes in [SMALL, FINE, COARSE] {
        assert_eq!(Chunker::new(sizes).next_boundary(&[]), None);
        assert!(ends(&body(sizes.min, 1), sizes, &[sizes.min]).is_empty());
    }
    // Of zeros only the maximum ends a chunk, also where the bytes end with it.
    for sizes in [FINE, COARSE] {
        let same = vec![0; 2 * sizes.max];
        assert!(ends(&same[..sizes.max - 1], sizes, &[1000]).is_empty());
        assert_eq!(ends(&same[..sizes.max], sizes, &[1000]), [sizes.max]);
        assert_eq!(ends(&same, sizes, &[999]), [sizes.max, 2 * sizes.max]);
    }
}

#[test]
fn a_chunker_that_was_reset_has_seen_nothing() {
    let bytes = body(5000, 3);
    let mut chunker = Chunker::new(FINE);
    let first = chunker.next_boundary(&bytes).unwrap();
    for seen in [1, 50, 129, 700] {
        chunker.next_boundary(&bytes[first..first + seen.min(300)]);
        chunker.reset();
        assert_eq!(chunker.next_boundary(&bytes), Some(first), "after {seen} bytes");
    }
}

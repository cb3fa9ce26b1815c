//! Fine chunks from outside: two hosts with different chunks find what they share.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::reconcile::{Requester, Responder};

/// Bytes without a pattern, the same for the same seed.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn fine_chunks(chunks: &[Vec<u8>]) -> FineChunks {
    let mut fine_chunks = FineChunks::new();
    chunks.iter().for_each(|chunk| fine_chunks.push(chunk, usize::MAX));
    fine_chunks
}

/// As [`resolve`], with the counts before the lengths.
fn resolve_all(
    lens: &[u64],
    items: usize,
    common: &[CommonRange],
    old: &FineChunks,
    encoded: &[u8],
) -> Result<Vec<ResolvedRange>, LengthsError> {
    let mut lengths = encoded;
    for _ in lens {
        number(&mut lengths)?;
    }
    let ends = ends(lens.len(), items, &encoded[..encoded.len() - lengths.len()])?;
    resolve(lens, &ends, &|_| false, common, old, lengths)
}

fn encoded(fine_chunks: &FineChunks, known: &[Range<usize>]) -> Vec<u8> {
    [fine_chunks.counts(), fine_chunks.lengths(known)].concat()
}

/// The result of a conversation.
struct Outcome {
    /// Bytes of chunks.
    sent: u64,
    /// Bytes of questions.
    questions: usize,
    /// The ranges of the chunks.
    ranges: usize,
    /// Chunks that were found not to be what they seemed.
    mistaken: Vec<usize>,
}

/// Sends chunks to somebody who has others, and asserts that they come out as they were.
fn send(new: &[Vec<u8>], old: &[Vec<u8>]) -> Outcome {
    let outcome = send_to(new, old, &fine_chunks(old));
    assert!(outcome.mistaken.is_empty());
    outcome
}

/// As [`send`], to a target that takes these for the fine chunks of the old chunks.
fn send_to(new: &[Vec<u8>], old: &[Vec<u8>], candidates: &FineChunks) -> Outcome {
    let own = fine_chunks(new);
    let (mut requester, mut responder) =
        (Requester::narrow(own.items()), Responder::narrow(candidates.items()));
    let mut questions = 0;
    while let Some(question) = requester.question() {
        questions += question.len();
        requester.answer(&responder.answer(&question).unwrap()).unwrap();
    }
    let known = requester.finish();
    let (items, common) = (responder.items(), responder.finish().unwrap());
    let ends = ends(new.len(), items, &own.counts()).unwrap();
    let checks: Vec<Check> = known_ranges(&ends, &common, candidates)
        .into_iter()
        .map(|known| {
            check(&known.into_iter().flat_map(|known| old_bytes(old, &known).to_vec()).collect::<Vec<u8>>())
        })
        .collect();

    let ranges = own.byte_ranges(&known);
    let mut again = vec![Vec::new(); new.len()];
    ranges.iter().for_each(|range| again[range.chunk].extend(part(new, range)));
    assert!(again == new, "the ranges are not the chunks");
    let mut mistaken = Vec::new();
    for (chunk, told) in checks.iter().enumerate() {
        let known = ranges.iter().filter(|range| range.chunk == chunk && range.known);
        let known: Vec<u8> = known.flat_map(|range| part(new, range)).collect();
        if check(&known) != *told {
            mistaken.push(chunk);
        }
    }
    let is_mistaken = |chunk| mistaken.contains(&chunk);
    let known = own.without(&is_mistaken, &known);
    let ranges = own.byte_ranges(&known);
    let sent: Vec<u8> = ranges.iter().filter(|range| !range.known).flat_map(|s| part(new, s)).collect();

    let lens: Vec<u64> = new.iter().map(|chunk| chunk.len() as u64).collect();
    let resolved = resolve(&lens, &ends, &is_mistaken, &common, candidates, &own.lengths(&known)).unwrap();
    let (mut joined, mut rest) = (vec![Vec::<u8>::new(); new.len()], &sent[..]);
    for ResolvedRange { chunk, bytes, old: from } in &resolved {
        assert_eq!(bytes.start, joined[*chunk].len() as u64);
        let len = bytes.end - bytes.start;
        joined[*chunk].extend(match from {
            Some(from) => old_bytes(old, from).to_vec(),
            None => rest.split_off(..len as usize).unwrap().to_vec(),
        });
    }
    assert!(joined == new && rest.is_empty(), "other chunks");
    Outcome { sent: sent.len() as u64, questions, ranges: resolved.len(), mistaken }
}

fn old_bytes<'a>(chunks: &'a [Vec<u8>], OldRange { chunk, bytes }: &OldRange) -> &'a [u8] {
    &chunks[*chunk][bytes.start as usize..bytes.end as usize]
}

fn part(chunks: &[Vec<u8>], range: &ByteRange) -> Vec<u8> {
    chunks[range.chunk][range.bytes.start as usize..range.bytes.end as usize].to_vec()
}

#[test]
fn the_price_of_a_changed_page() {
    let old = vec![bytes(1, 256 << 10)];
    let mut new = old.clone();
    new[0][100_000..104_096].copy_from_slice(&bytes(2, 4096));
    let outcome = send(&new, &old);
    assert!(outcome.sent < 7000 && outcome.questions < 420, "{} and {}", outcome.sent, outcome.questions);
}

#[test]
fn moved_ranges_are_found() {
    let old = vec![bytes(1, 30_000), bytes(2, 50_000)];
    let new = vec![[&old[1][10_000..], &b"between"[..], &old[0]].concat()];
    let outcome = send(&new, &old);
    assert!(outcome.sent < 8000 && outcome.ranges < 8, "{} in {}", outcome.sent, outcome.ranges);
}

#[test]
fn a_chunk_with_a_mistaken_chunk_is_sent() {
    let old = vec![bytes(1, 9000), bytes(2, 9000), bytes(3, 9000)];
    let mut new = old.clone();
    new[1].splice(4000..4010, *b"changed");
    let mut candidates = fine_chunks(&old);
    let (own, unlike) = (fine_chunks(&new), candidates.start(2).fine_chunks + 3);
    let changed = (own.start(1).fine_chunks..own.start(2).fine_chunks)
        .find(|fine_chunk| !candidates.items.contains(&own.items[*fine_chunk]));
    // Another fine chunk, of another length, begins like the one that changed.
    candidates.items[unlike][..4].copy_from_slice(&own.items[changed.unwrap()][..4]);
    let outcome = send_to(&new, &old, &candidates);
    assert_eq!(outcome.mistaken, [1]);
    // The third chunk has lost a fine chunk, whose hash is another now.
    assert!((9000..10_500).contains(&outcome.sent), "{}", outcome.sent);
}

#[test]
fn short_and_empty_chunks_are_chunks() {
    let new = vec![Vec::new(), bytes(1, 10), bytes(2, 100), Vec::new(), bytes(3, 5000)];
    assert_eq!(send(&new, &[]).sent, 5110);
    assert_eq!(send(&new, &new).sent, 10 + 100);
    assert_eq!(send(&[], &new).questions, 0);
}

#[test]
fn a_chunk_of_one_chunk_is_sent() {
    let own = fine_chunks(&[bytes(1, 3000), bytes(2, 7), bytes(3, 3000)]);
    let all = 0..own.items.len();
    let ranges = own.byte_ranges(std::slice::from_ref(&all));
    let range = |chunk, len, known| ByteRange { chunk, bytes: 0..len, known };
    assert_eq!(ranges, [range(0, 3000, true), range(1, 7, false), range(2, 3000, true)]);
    let found = CommonRange { items: all.clone(), list: 0, at: 0 };
    let lengths = encoded(&own, std::slice::from_ref(&all));
    let resolved = resolve_all(&[3000, 7, 3000], all.len(), &[found], &own, &lengths).unwrap();
    let range = |chunk, len, old| ResolvedRange { chunk, bytes: 0..len, old };
    let old = |chunk| Some(OldRange { chunk, bytes: 0..3000 });
    assert_eq!(resolved, [range(0, 3000, old(0)), range(1, 7, None), range(2, 3000, old(2))]);
}

#[test]
fn the_bytes_are_pinned() {
    let own = fine_chunks(&[bytes(1, 9000), bytes(2, 100)]);
    assert_eq!(own.ends, ENDS);
    assert_eq!(own.items[0][..4], FIRST);
    assert_eq!(encoded(&own, &[0..1, 2..3]), LENGTHS);
}

const ENDS: [u64; 16] =
    [523, 1195, 1804, 2365, 2959, 3588, 4144, 4727, 5182, 5781, 6311, 7001, 7355, 7926, 8616, 9000];
const FIRST: [u8; 4] = [139, 171, 204, 217];
/// Fine chunks of both chunks, then the bytes of the second fine chunk; the other missing ranges are the last of their
/// chunk.
const LENGTHS: [u8; 4] = [16, 0, 0xa0, 0x05];

#[test]
fn a_chunk_that_is_longer_than_all_its_known_ranges_is_refused() {
    let old = fine_chunks(&[bytes(1, 9000)]);
    let items = old.items().len();
    let found = [CommonRange { items: 0..items, list: 0, at: 0 }];
    let lengths = encoded(&old, std::slice::from_ref(&found[0].items));
    assert!(resolve_all(&[9000], items, &found, &old, &lengths).is_ok());
    let error = resolve_all(&[9001], items, &found, &old, &lengths).unwrap_err();
    assert_eq!(error.0, "a chunk is too long");
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let old = fine_chunks(&[bytes(1, 9000)]);
    let items = old.items().len();
    let found = [CommonRange { items: 1..2, list: 0, at: 1 }];
    let known = old.ends[1] - old.ends[0];
    let lengths = encoded(&old, std::slice::from_ref(&found[0].items));
    assert!(resolve_all(&[9000], items, &found, &old, &lengths).is_ok());
    let count = items as u8;
    let end = [&lengths[..], &[1]].concat();
    for (len, items, lengths) in [
        (9000, items, &end[..]),
        (9000, items, &lengths[..1]),
        (9000, items, &[]),
        (9000, items, &[count, 0]),
        (9000, items + 1, &lengths[..]),
        (9000, items - 1, &lengths[..]),
        (old.ends[0] + known, items, &lengths[..]),
        (known - 1, items, &lengths[..]),
        (9000, items, &[count, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        (9000, items, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
    ] {
        assert!(resolve_all(&[len], items, &found, &old, lengths).is_err(), "{len} {items} {lengths:?}");
    }
    assert!(resolve_all(&[], 0, &[], &old, &[0]).is_err());
    assert_eq!(ends(2, 9, &[4, 5]), Ok(vec![4, 9]));
    for counts in [&[4, 5, 0][..], &[4], &[9], &[10, 0], &[4, 4]] {
        assert!(ends(2, 9, counts).is_err(), "{counts:?}");
    }
}

fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec((0..4_u64, 0..12_000_usize), 0..4)
        .prop_map(|of| of.into_iter().map(|(seed, len)| bytes(seed, len)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn chunks_come_out_as_they_were(
        old in chunks(),
        fresh in chunks(),
        edits in vec((any::<Index>(), any::<Index>(), 0..3000_usize, vec(any::<u8>(), 0..50)), 0..5),
    ) {
        let mut new = [old.clone(), fresh].concat();
        for (which, at, removed, added) in edits {
            if new.is_empty() {
                break;
            }
            let count = new.len();
            let chunk = &mut new[which.index(count)];
            let at = at.index(chunk.len() + 1);
            let end = chunk.len().min(at + removed);
            chunk.splice(at..end, added);
        }
        send(&new, &old);
    }

    #[test]
    fn hostile_lengths_are_refused_or_make_up_the_chunks(
        lens in vec(0..5000_u64, 0..4),
        items in 0..20_usize,
        at in 0..10_usize,
        lengths in vec(any::<u8>(), 0..12),
    ) {
        let old = fine_chunks(&[bytes(1, 9000), bytes(2, 9000)]);
        let found = [CommonRange { items: 2..5, list: 0, at }];
        if let Ok(resolved) = resolve_all(&lens, items, &found, &old, &lengths) {
            let sum: u64 = resolved.iter().map(|range| range.bytes.end - range.bytes.start).sum();
            prop_assert_eq!(sum, lens.iter().sum::<u64>());
        }
    }
}

/// Of a chunk of which a single fine chunk is known, the check is of the same bytes as the item.
#[test]
fn a_check_tells_apart_what_items_do_not() {
    let of = |number: u32| (0..number % 7 + 1).flat_map(|_| number.to_le_bytes()).collect::<Vec<u8>>();
    let mut seen: HashMap<[u8; 4], u32> = HashMap::new();
    let alike = (0..1_000_000).find_map(|number| {
        let [a, b, c, d, ..] = *ChunkId::of(&of(number)).as_bytes();
        Some((seen.insert([a, b, c, d], number)?, number))
    });
    let (one, other) = alike.expect("among so many, two hashes begin alike");
    assert_ne!(check(&of(one)), check(&of(other)));
}

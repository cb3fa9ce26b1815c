//! The tree from outside: that both sides come to the same, what it costs, and what it refuses.

use std::collections::HashSet;
use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::item::Width;
use super::question::{add, begin};
use super::tree::HashTree;
use super::*;

/// Items that are as random as hashes are, the same for the same number.
fn item(number: u64) -> Item {
    let mut item = [0; 16];
    item.copy_from_slice(&blake3::hash(&number.to_le_bytes()).as_bytes()[..16]);
    item
}

fn list(numbers: impl IntoIterator<Item = u64>) -> Vec<Item> {
    numbers.into_iter().map(item).collect()
}

/// The result of a conversation.
struct Talk {
    known: Vec<Range<usize>>,
    common: Vec<CommonRange>,
    trips: usize,
    bytes: usize,
}

/// Asks one side about all items of the other, and asserts that they come to the same.
fn talk(requester: Requester<'_>, new: &[Item], old: &[&[Item]]) -> Talk {
    talk_to(Responder::new(old), requester, new, old)
}

fn talk_to(mut responder: Responder, mut requester: Requester<'_>, new: &[Item], old: &[&[Item]]) -> Talk {
    let (mut trips, mut bytes) = (0, 0);
    while let Some(question) = requester.question() {
        let answer = responder.answer(&question).unwrap();
        requester.answer(&answer).unwrap();
        (trips, bytes) = (trips + 1, bytes + question.len() + answer.len());
    }
    let known = requester.finish();
    let common = responder.finish().unwrap();
    let mut same = Vec::new();
    for CommonRange { items, list, at } in &common {
        assert_eq!(new[items.clone()], old[*list][*at..][..items.len()]);
        append(&mut same, items.clone());
    }
    assert_eq!(same, known);
    let there: HashSet<&Item> = old.iter().copied().flatten().collect();
    let known_items: HashSet<usize> = known.iter().cloned().flatten().collect();
    for (at, item) in new.iter().enumerate() {
        assert_eq!(known_items.contains(&at), there.contains(item), "item {at}");
    }
    Talk { known, common, trips, bytes }
}

#[test]
fn narrow_hashes_take_one_item_for_another_that_begins_alike() {
    let (new, mut old) = (list(0..3), list(3..6));
    old[1][..4].copy_from_slice(&new[2][..4]);
    let (mut requester, mut responder) = (Requester::narrow(&new), Responder::narrow(&old));
    while let Some(question) = requester.question() {
        assert!(!responder.is_done());
        requester.answer(&responder.answer(&question).unwrap()).unwrap();
    }
    assert!(responder.is_done());
    assert_eq!(requester.finish().into_iter().flatten().collect::<Vec<_>>(), [2]);
    assert_eq!(responder.finish().unwrap(), [CommonRange { items: 2..3, list: 0, at: 1 }]);
}

#[test]
fn the_price_of_scattered_changes() {
    let old = list(0..20_000);
    let mut new = old.clone();
    (0..50).for_each(|n| new[n * 397 + 11] = item(1_000_000 + n as u64));
    let talk = talk(Requester::new(&new), &new, &[&old]);
    assert_eq!(talk.known.len(), 51);
    assert!(talk.trips <= 3 && talk.bytes < 13_000, "{} trips, {} bytes", talk.trips, talk.bytes);
}

#[test]
fn the_price_of_one_change() {
    let old = list(0..200_000);
    let new = list((0..77_777).chain([1_000_000]).chain(77_777..200_000));
    let talk = talk(Requester::new(&new), &new, &[&old[..5000], &old]);
    assert_eq!(talk.known, [0..77_777, 77_778..200_001]);
    assert_eq!(talk.common.last().map(|last| last.items.end), Some(200_001));
    assert!(talk.trips <= 4 && talk.bytes < 1000, "{} trips, {} bytes", talk.trips, talk.bytes);
}

#[test]
fn the_price_of_nothing_in_common() {
    let (old, new) = (list(0..20_000), list(20_000..40_000));
    let talk = talk(Requester::new(&new), &new, &[&old]);
    assert!(talk.known.is_empty());
    assert!(talk.trips <= 3 && talk.bytes < new.len() * 8, "{} trips, {} bytes", talk.trips, talk.bytes);
}

#[test]
fn the_price_of_all_in_common() {
    let new = list(0..20_000);
    let talk = talk(Requester::new(&new), &new, &[&new]);
    assert_eq!((talk.trips, &talk.known[..]), (1, std::slice::from_ref(&(0..20_000))));
    assert!(talk.bytes < 1000, "{} bytes", talk.bytes);
}

#[test]
fn nothing_is_asked_about_nothing() {
    let mut requester = Requester::new(&[]);
    assert_eq!(requester.question(), None);
    assert_eq!(requester.answer(&[]), Err(ReconcileError::Unasked));
    assert!(requester.finish().is_empty());
    assert_eq!(Responder::new(&[]).finish(), Ok(Vec::new()));
}

#[test]
fn an_insertion_changes_the_groups_around_it_only() {
    let old = list(0..20_000);
    let new = list((0..9000).chain(50_000..50_003).chain(9000..20_000));
    let (old, new) = (HashTree::of(&old), HashTree::of(&new));
    for (old, new) in old.levels.iter().zip(&new.levels) {
        let there: HashSet<&Item> = old.iter().map(|node| &node.hash).collect();
        let changed = new.iter().filter(|node| !there.contains(&node.hash)).count();
        assert!(changed <= 4, "{changed} of {} changed", new.len());
    }
    let widths: Vec<usize> = new.levels.iter().map(Vec::len).collect();
    assert_eq!(widths, [1522, 118, 11, 1]);
}

#[test]
fn items_that_are_all_the_same_are_grouped_too() {
    for last in [0x00, 0x01] {
        let new = vec![[last; 16]; 5000];
        assert!(HashTree::of(&new).height() < 14);
        let talk = talk(Requester::new(&new), &new, &[&new[..1000]]);
        assert_eq!(talk.known, std::slice::from_ref(&(0..5000)));
    }
}

#[test]
fn the_bytes_are_pinned() {
    let old = list(0..6);
    let new = list([0, 1, 9, 3]);
    let (mut requester, mut responder) = (Requester::new(&new), Responder::new(&[&old]));
    let question = requester.question().unwrap();
    let hex: String = question.iter().map(|byte| format!("{byte:02x}")).collect();
    // Level, items, nodes; then the nodes.
    assert_eq!(hex, QUESTION);
    let answer = responder.answer(&question).unwrap();
    assert_eq!(answer, [0b0100]);
    requester.answer(&answer).unwrap();
    assert_eq!(requester.question(), None);
    assert_eq!(requester.finish(), [0..2, 3..4]);
    let found = |items, at| CommonRange { items, list: 0, at };
    assert_eq!(responder.finish(), Ok(vec![found(0..2, 0), found(3..4, 3)]));
}

const QUESTION: &str = "00040471e0a9917356491a0d12016999e4b8955078e2c8eae3d5003ead1a93";

#[test]
fn groups_are_pinned() {
    let items = list(0..40);
    let tree = HashTree::of(&items);
    let ends: Vec<usize> = tree.levels[0].iter().map(|node| node.end as usize).collect();
    assert_eq!(ends, ENDS);
    let all: Vec<u8> = items[..ends[0]].as_flattened().to_vec();
    assert_eq!(tree.levels[0][0].hash, blake3::hash(&all).as_bytes()[..16]);
}

const ENDS: [usize; 5] = [13, 17, 30, 34, 40];

#[test]
fn what_does_not_follow_is_refused() {
    let (old, new) = (list(0..3000), list(5000..8000));
    let refused =
        |result: Result<Vec<u8>, ReconcileError>| assert!(matches!(result, Err(ReconcileError::Question(_))));
    let mut requester = Requester::new(&new);
    let question = requester.question().unwrap();
    assert!(matches!(requester.answer(&[0; 3]), Err(ReconcileError::Answer(_))));
    let mut responder = Responder::new(&[&old]);
    responder.answer(&question).unwrap();
    // The same level again.
    refused(responder.answer(&question));
    // The lowest level is missing.
    assert!(responder.finish().is_err());
    // Levels, items and nodes beyond all bounds; a node of nothing; too few, too many and broken hashes.
    for bytes in [
        &[25, 1, 1, 0, 0, 0, 0, 0, 0, 0][..],
        &[0, 0x81, 0x80, 0x80, 2, 1, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        &[0, 1, 0],
        &[0, 1, 2, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 1],
        &[],
    ] {
        refused(Responder::new(&[&old]).answer(bytes));
    }
}

#[test]
fn known_nodes_of_more_items_than_announced_are_refused() {
    let old = list(0..3000);
    let question = |items: Option<usize>| {
        let tree = HashTree::of(&old);
        let level = tree.height() - 1;
        let mut question = begin(level, items, std::iter::once(2));
        (0..2).for_each(|_| add(tree.node(level, 0).hash, Width::Wide, &mut question));
        question
    };
    assert!(Responder::new(&[&old]).answer(&question(Some(5999))).is_err());
    let mut responder = Responder::new(&[&old]);
    responder.answer(&question(Some(6001))).unwrap();
    assert!(responder.finish().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn both_sides_come_to_the_same(
        old in vec(vec(0..400_u64, 0..500), 0..3),
        edits in vec((any::<Index>(), 0..60_usize, vec(0..600_u64, 0..8)), 0..6),
        narrow in any::<bool>(),
    ) {
        let mut numbers: Vec<u64> = old.iter().flatten().copied().collect();
        for (at, removed, added) in edits {
            let at = at.index(numbers.len() + 1);
            let end = numbers.len().min(at + removed);
            numbers.splice(at..end, added);
        }
        let new = list(numbers);
        let old: Vec<Vec<Item>> = old.into_iter().map(list).collect();
        let lists: Vec<&[Item]> = old.iter().map(Vec::as_slice).collect();
        if narrow {
            let one = lists.concat();
            talk_to(Responder::narrow(&one), Requester::narrow(&new), &new, &[&one]);
        } else {
            talk(Requester::new(&new), &new, &lists);
        }
    }

    #[test]
    fn hostile_questions_are_refused_or_answered(
        first in vec(any::<u8>(), 0..60),
        flips in vec((any::<Index>(), any::<u8>()), 0..4),
        more in vec(vec(0..4_u8, 0..40), 0..4),
    ) {
        let (old, new) = (list(0..400), list((0..5).chain(1000..1400).chain(5..300)));
        let _ = Responder::new(&[&old]).answer(&first);
        let (mut requester, mut responder) = (Requester::narrow(&new), Responder::narrow(&old));
        while let Some(mut question) = requester.question() {
            for (at, value) in &flips {
                let at = at.index(question.len());
                question[at] = *value;
            }
            let Ok(answer) = responder.answer(&question) else { break };
            if requester.answer(&answer).is_err() {
                break;
            }
        }
        for question in more {
            let _ = responder.answer(&question);
        }
        let _ = responder.finish();
    }

    #[test]
    fn hostile_answers_are_refused_or_taken(answers in vec(vec(any::<u8>(), 0..60), 0..4)) {
        let new = list(0..400);
        let mut requester = Requester::new(&new);
        for answer in answers {
            let _ = requester.question();
            let _ = requester.answer(&answer);
        }
        let known = requester.finish();
        prop_assert!(known.iter().all(|range| range.start < range.end && range.end <= new.len()));
    }
}

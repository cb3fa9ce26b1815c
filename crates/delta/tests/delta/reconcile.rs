//! Reconciling lists that a peer chose: groups that never end or end at once, repetitions, and questions out of order.

use std::collections::HashSet;
use std::ops::Range;

use dsync_delta::reconcile::{CommonRange, ITEMS_MAX, Item, ReconcileError, Requester, Responder};
use proptest::collection::vec;
use proptest::prelude::*;

/// An item whose last byte decides where groups end: `end` has these as its lowest bits.
fn item(number: u32, end: u8) -> Item {
    let mut item = [0; 16];
    item[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    item[4..8].copy_from_slice(&number.to_be_bytes());
    item[15] = end;
    item
}

struct Outcome {
    known: Vec<Range<usize>>,
    questions: Vec<usize>,
}

/// Reconciles, and asserts that both sides agree, that what is known is there, and that what is not is nowhere.
fn reconcile(new: &[Item], old: &[&[Item]]) -> Outcome {
    let (mut requester, mut responder) = (Requester::new(new), Responder::new(old));
    let mut questions = Vec::new();
    while let Some(question) = requester.question() {
        // A question has a byte at most for the count of each node, and a few for the rest.
        assert!(question.len() <= 9 * new.len() + 20);
        assert!(!responder.is_done());
        questions.push(question.len());
        requester.answer(&responder.answer(&question).unwrap()).unwrap();
    }
    let known = requester.finish();
    assert_eq!(responder.items(), new.len());
    let common = responder.finish().unwrap();
    let mut found: Vec<usize> = Vec::new();
    for CommonRange { items, list, at } in common {
        assert_eq!(new[items.clone()], old[list][at..at + items.len()]);
        found.extend(items);
    }
    assert_eq!(found, known.iter().cloned().flatten().collect::<Vec<_>>());
    assert!(known.windows(2).all(|pair| pair[0].end < pair[1].start), "ranges that touch: {known:?}");
    let there: HashSet<&Item> = old.iter().copied().flatten().collect();
    let missing = (0..new.len()).filter(|at| !known.iter().any(|range| range.contains(at)));
    assert!(missing.into_iter().all(|at| !there.contains(&new[at])));
    Outcome { known, questions }
}

fn bytes(outcome: &Outcome) -> usize {
    outcome.questions.iter().sum()
}

/// Items of which no group, every possible group, or one of two ends by its chunk.
const ENDS: [fn(u32) -> u8; 4] =
    [|_| 0x01, |_| 0x00, |number| (number % 2) as u8, |number| if number % 64 == 63 { 0x20 } else { 0x1f }];

#[test]
fn lists_that_end_no_group_or_every_group_are_reconciled() {
    for end in ENDS {
        for len in [1, 3, 4, 5, 63, 64, 65, 256, 257, 4095, 4096, 4097, 20_000] {
            let list = |from: u32| -> Vec<Item> {
                (from..from + len).map(|number| item(number, end(number))).collect()
            };
            let new = list(0);
            assert_eq!(reconcile(&new, &[&new]).questions.len(), 1);
            assert!(reconcile(&new, &[&list(1_000_000)]).known.is_empty());
            // One item is another one, at either end and in the middle.
            for changed in [0, len / 2, len - 1] {
                let mut old = new.clone();
                old[changed as usize] = item(9_000_000, end(changed));
                let outcome = reconcile(&new, &[&old]);
                assert_eq!(outcome.known.iter().map(Range::len).sum::<usize>() + 1, len as usize);
                // Groups of fixed length, too, are opened one by one: 64 nodes on each level.
                assert!(bytes(&outcome) < 3500 + 64 * 9 * 4, "{len}: {} bytes", bytes(&outcome));
            }
        }
    }
}

#[test]
fn a_group_has_64_nodes_at_most_and_4_at_least() {
    // The level, the items, and the nodes of a first question: groups that nothing ends, and groups that each node
    // ends.
    let question = |len: u32, end: u8| {
        let items: Vec<Item> = (0..len).map(|number| item(number, end)).collect();
        Requester::new(&items).question().unwrap()[..4].to_vec()
    };
    assert_eq!(question(4096, 1), [1, 0x80, 0x20, 64]);
    assert_eq!(question(4097, 1), [1, 0x81, 0x20, 65]);
    assert_eq!(question(400, 0), [1, 0x90, 0x03, 100]);
    assert_eq!(question(401, 0), [1, 0x91, 0x03, 101]);
}

#[test]
fn an_insertion_into_groups_of_fixed_length_costs_no_more_than_all_items() {
    // No group ends by its chunk, so that each behind the insertion is another one: the worst that a peer can do.
    let old: Vec<Item> = (0..20_000).map(|number| item(number, 1)).collect();
    let new = [&old[..10_000], &[item(9_000_000, 1)], &old[10_000..]].concat();
    let outcome = reconcile(&new, &[&old]);
    assert_eq!(outcome.known, [0..10_000, 10_001..20_001]);
    assert!(bytes(&outcome) < 9 * 20_000, "{} bytes", bytes(&outcome));
    assert!(outcome.questions.len() <= 4, "{:?}", outcome.questions);
}

#[test]
fn repeated_items_and_blocks_are_found_where_they_are() {
    let block: Vec<Item> = (0..50).map(|number| item(number, number as u8)).collect();
    let new = block.repeat(40);
    assert_eq!(reconcile(&new, &[&block]).known, std::slice::from_ref(&(0..2000)));
    // In another order, in many lists, and every second one.
    let reversed: Vec<Item> = new.iter().rev().copied().collect();
    assert_eq!(reconcile(&new, &[&reversed]).known, std::slice::from_ref(&(0..2000)));
    let single: Vec<&[Item]> = block.chunks(1).collect();
    assert_eq!(reconcile(&new, &single).known, std::slice::from_ref(&(0..2000)));
    let second: Vec<Item> = block.iter().step_by(2).copied().collect();
    assert_eq!(reconcile(&new, &[&second]).known.len(), 1000);
    assert_eq!(reconcile(&new, &[&[], &block[7..8], &[]]).known.len(), 40);
}

#[test]
fn the_first_list_that_has_an_item_counts() {
    let items: Vec<Item> = (0..3).map(|number| item(number, 1)).collect();
    let (mut requester, mut responder) =
        (Requester::new(&items), Responder::new(&[&items[1..2], &items, &items]));
    while let Some(question) = requester.question() {
        requester.answer(&responder.answer(&question).unwrap()).unwrap();
    }
    let found = |items, list, at| CommonRange { items, list, at };
    assert_eq!(responder.finish().unwrap(), [found(0..1, 1, 0), found(1..2, 0, 0), found(2..3, 1, 2)]);
}

#[test]
fn items_beyond_the_limit_are_not_asked_about() {
    let new = vec![item(5, 0); ITEMS_MAX + 3];
    for mut requester in [Requester::new(&new), Requester::narrow(&new)] {
        let question = requester.question().unwrap();
        assert!(question.len() < 9 << 20);
        assert!(requester.answer(&vec![0; 8 << 20]).is_err());
        assert!(requester.finish().is_empty());
    }
    let mut requester = Requester::new(&new);
    let mut responder = Responder::new(&[&new[..1]]);
    while let Some(question) = requester.question() {
        requester.answer(&responder.answer(&question).unwrap()).unwrap();
    }
    assert_eq!(requester.finish(), std::slice::from_ref(&(0..ITEMS_MAX)));
}

#[test]
fn answers_to_other_questions_are_refused_by_name() {
    let new: Vec<Item> = (0..30).map(|number| item(number, 1)).collect();
    let mut requester = Requester::new(&new);
    assert_eq!(requester.answer(&[0; 4]), Err(ReconcileError::Unasked));
    requester.question().unwrap();
    let answer = |len: usize| format!("the answer about 30 chunks has {len} bytes");
    for len in [0, 3, 5, 1000] {
        let mut requester = Requester::new(&new);
        requester.question().unwrap();
        assert_eq!(requester.answer(&vec![0; len]).unwrap_err().to_string(), answer(len));
        // The question is used up by an answer that was none.
        assert_eq!(requester.answer(&[0; 4]), Err(ReconcileError::Unasked));
    }
    let mut requester = Requester::new(&new);
    requester.question().unwrap();
    let spare = requester.answer(&[0, 0, 0, 0x40]).unwrap_err().to_string();
    assert_eq!(spare, "the answer about 30 chunks wants more than there are");
}

#[test]
fn questions_are_refused_by_name() {
    let old: Vec<Item> = (0..300).map(|number| item(number, number as u8)).collect();
    let refused = |question: &[u8]| match Responder::new(&[&old]).answer(question) {
        Err(ReconcileError::Question(why)) => why,
        other => panic!("{other:?}"),
    };
    let hash = [1; 7];
    assert_eq!(refused(&[]), "it is truncated");
    assert_eq!(refused(&[0, 1]), "it is truncated");
    assert_eq!(refused(&[0x80, 0x00, 1, 1]), "no number");
    assert_eq!(refused(&[&[25, 1, 1][..], &hash].concat()), "too high a level");
    assert_eq!(refused(&[&[0, 0x81, 0x80, 0x80, 1, 1][..], &hash].concat()), "too many items");
    assert_eq!(refused(&[0, 1, 0x81, 0x80, 0x80, 1]), "too many nodes");
    assert_eq!(refused(&[0, 1, 0]), "a node without items");
    assert_eq!(refused(&[0, 1, 1]), "another number of nodes than announced");
    assert_eq!(refused(&[&[0, 2, 1][..], &hash, &hash].concat()), "another number of nodes than announced");
    assert_eq!(refused(&[&[0, 1, 2][..], &hash, &hash].concat()), "more items than announced");
    // After the first one: the same level again, a higher one, and one when all is known.
    let mut responder = Responder::new(&[&old]);
    responder.answer(&[&[1, 9, 1][..], &hash].concat()).unwrap();
    for level in [1, 2] {
        let again = responder.answer(&[&[level, 1][..], &hash].concat());
        assert_eq!(again, Err(ReconcileError::Question("it was answered before")));
    }
    responder.answer(&[&[0, 9][..], &hash.repeat(9)].concat()).unwrap();
    assert!(responder.is_done());
    assert_eq!(responder.answer(&[0]), Err(ReconcileError::Question("it was answered before")));
    assert_eq!(responder.finish(), Ok(Vec::new()));
    // Fewer items than announced, and a list that was never asked about to its end.
    let mut responder = Responder::new(&[&old]);
    responder.answer(&[&[0, 9, 8][..], &hash.repeat(8)].concat()).unwrap();
    assert_eq!(responder.finish(), Err(ReconcileError::Question("another number of items than announced")));
    let mut responder = Responder::new(&[&old]);
    responder.answer(&[&[1, 9, 1][..], &hash].concat()).unwrap();
    assert_eq!(responder.finish(), Err(ReconcileError::Question("the last one is missing")));
}

/// Numbers of few different items, in ranges that go up, go down, or stay.
fn numbers() -> impl Strategy<Value = Vec<u32>> {
    let range = (0_u32..300, 0_u32..200, 0_u8..3).prop_map(|(from, len, way)| -> Vec<u32> {
        match way {
            0 => (from..from + len).collect(),
            1 => (from..from + len).rev().collect(),
            _ => vec![from; len as usize],
        }
    });
    vec(range, 0..6).prop_map(|ranges| ranges.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_lists_are_reconciled(new in numbers(), old in vec(numbers(), 0..4), ends in 0_usize..ENDS.len()) {
        let list = |numbers: &Vec<u32>| -> Vec<Item> { numbers.iter().map(|number| item(*number, ENDS[ends](*number))).collect() };
        let (new, old) = (list(&new), old.iter().map(list).collect::<Vec<_>>());
        if new.is_empty() {
            prop_assert_eq!(Requester::new(&new).question(), None);
        } else {
            reconcile(&new, &old.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}

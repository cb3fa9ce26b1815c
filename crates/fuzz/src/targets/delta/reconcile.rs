//! Questions about what the other side has, and answers.

use std::ops::Range;

use dsync_delta::reconcile::{CommonRange, Item, Requester, Responder};

use crate::pieces::{exactly, joined, parts};
use crate::{Memory, Target};

/// Both sides come to the same about two lists; questions and answers of any bytes are refused, or followed within bounds.
pub(in crate::targets) const RECONCILE: Target =
    Target { name: "reconcile", run, memory: Memory { least: 2 << 20, factor: 1 << 10 }, seeds };

fn run(input: &[u8]) {
    let [how, old, new, said] = exactly(input);
    let how = how.first().copied().unwrap_or_default();
    let (old, new) = (items(old), items(new));
    let low = how & 1 != 0;
    match how % 8 {
        0..=3 => honest(low, &old, &new),
        4 | 5 => questions(low, &old, said),
        _ => answers(low, &new, said),
    }
}

/// Two bytes are an item, so that lists have much in common.
fn items(bytes: &[u8]) -> Vec<Item> {
    let item = |bytes: &[u8]| {
        let mut number = u64::from_le_bytes([bytes[0], bytes[1], 7, 0, 0, 0, 0, 0]);
        let mut item = [0; 16];
        for byte in &mut item {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (number >> 56) as u8;
        }
        item
    };
    bytes.chunks_exact(2).map(item).collect()
}

fn sides<'a>(low: bool, old: &[Item], new: &'a [Item]) -> (Requester<'a>, Responder) {
    if low {
        (Requester::narrow(new), Responder::narrow(old))
    } else {
        (Requester::new(new), Responder::new(&[old, new.get(..3).unwrap_or_default()]))
    }
}

fn honest(low: bool, old: &[Item], new: &[Item]) {
    let (mut requester, mut responder) = sides(low, old, new);
    let mut questions = 0;
    while let Some(question) = requester.question() {
        let answer = responder.answer(&question).expect("a question is one");
        requester.answer(&answer).expect("an answer is one");
        questions += 1;
        assert!(questions <= 24, "questions without end");
    }
    let known = requester.finish();
    let common = responder.finish().expect("all questions were asked");
    let found: Vec<usize> = common.iter().flat_map(|found| found.items.clone()).collect();
    assert_eq!(found, known.iter().cloned().flatten().collect::<Vec<_>>(), "the sides differ");
    for CommonRange { items, list: slice, at } in common {
        let here = if slice == 0 { old } else { &new[..3] };
        assert!(low || new[items.clone()] == here[at..][..items.len()], "what is found is not the same");
    }
    if !low {
        let is_known = |at: usize| known.iter().any(|range: &Range<usize>| range.contains(&at));
        let there = |item: &Item| old.contains(item) || new.get(..3).unwrap_or_default().contains(item);
        assert!(
            new.iter().enumerate().all(|(at, item)| is_known(at) == there(item)),
            "an item was overlooked"
        );
    }
}

/// A hostile side asks.
fn questions(low: bool, old: &[Item], said: &[u8]) {
    let (_, mut responder) = sides(low, old, &[]);
    for question in parts(said, 16) {
        let Ok(answer) = responder.answer(question) else { break };
        assert!(answer.len() <= question.len());
    }
    let items = responder.items();
    if let Ok(common) = responder.finish() {
        let mut end = 0;
        for CommonRange { items, list: slice, at } in common {
            assert!(items.start >= end, "common ranges overlap");
            end = items.end;
            assert!(slice < 2 && at + items.len() <= old.len().max(3), "a match is beyond the list");
        }
        assert!(end <= items);
    }
}

/// A hostile side answers.
fn answers(low: bool, new: &[Item], said: &[u8]) {
    let (mut requester, _) = sides(low, &[], new);
    for answer in parts(said, 24) {
        let Some(question) = requester.question() else { break };
        assert!(question.len() <= 16 + 9 * new.len().max(1));
        if requester.answer(answer).is_err() {
            // The right number of bits is hard to guess.
            let fits = question.len().div_ceil(7 * 8).min(answer.len());
            if requester.answer(&answer[..fits]).is_err() {
                break;
            }
        }
    }
    let mut end = 0;
    for range in requester.finish() {
        assert!(range.start >= end && !range.is_empty());
        end = range.end;
    }
    assert!(end <= new.len());
}

fn seeds() -> Vec<Vec<u8>> {
    let list = |from: u16, to: u16| (from..to).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (old, mut new) = (list(0, 1500), list(40, 1300));
    new[900] ^= 0x55;
    new.extend(list(0, 200));
    let mut seeds = vec![joined(&[&[0], &old, &new]), joined(&[&[1], &old, &new])];
    for (how, low) in [(4, false), (5, true)] {
        let (old, new) = (items(&old), items(&new));
        let (mut requester, mut responder) = sides(low, &old, &new);
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        while let Some(question) = requester.question() {
            let answer = responder.answer(&question).expect("a question is one");
            requester.answer(&answer).expect("an answer is one");
            asked.push(question);
            answered.push(answer);
        }
        let all = |said: &[Vec<u8>]| joined(&said.iter().map(Vec::as_slice).collect::<Vec<_>>());
        seeds.push(joined(&[&[how], &list(0, 1500), &[], &all(&asked)]));
        seeds.push(joined(&[&[how + 2], &[], &list(40, 1300), &all(&answered)]));
    }
    seeds
}

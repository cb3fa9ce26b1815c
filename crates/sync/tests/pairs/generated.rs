//! Many generated pairs.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dsync_testkit::pair::{Pair, Select, Way};
use dsync_testkit::{Cases, Fault, FaultKind, Lane, isolated, report, strategy};
use proptest::prelude::*;

use crate::known;
use crate::trial::Trial;

/// On a machine that does other things, too.
fn patience(cases: &Cases) -> Duration {
    Duration::from_secs(300) + Duration::from_millis(200 * cases.count)
}

/// Runs a property over this many values, and says which failed.
fn all<S: Strategy>(
    test: &str,
    count: u64,
    strategy: impl Fn() -> S + Sync,
    pair: impl Fn(&S::Value) -> &Pair + Sync,
    run: impl Fn(&S::Value) -> Result<(), String> + Sync,
) {
    let cases = Cases::from_env(count);
    isolated(&format!("generated::{test}"), patience(&cases), || {
        let started = Instant::now();
        let known: Mutex<BTreeMap<&'static str, u32>> = Mutex::default();
        let failures = cases.run(&strategy, &|value| {
            let Err(failure) = run(value) else { return Ok(()) };
            let reason = known::reason(pair(value), &failure).ok_or(failure)?;
            *known.lock().unwrap().entry(reason).or_default() += 1;
            Ok(())
        });
        println!("{test}: {cases:?} took {:?}", started.elapsed());
        for (reason, count) in known.into_inner().unwrap() {
            println!("{count} times, as is known: {reason}");
        }
        assert!(failures.is_empty(), "{}", report(&failures));
    });
}

#[test]
fn the_target_holds_just_what_was_asked_for_or_is_as_it_was() {
    all(
        "the_target_holds_just_what_was_asked_for_or_is_as_it_was",
        2000,
        strategy::pair,
        |pair| pair,
        |pair| Trial::of(pair)?.run(),
    );
}

/// Pairs that go over a connection.
fn connected() -> impl Strategy<Value = Pair> {
    strategy::pair().prop_filter("a patch has no connection", |pair| pair.run.way != Way::Patch)
}

/// Runs it over a connection with a fault at this part of all that crosses it.
fn run_with(pair: &Pair, lane: Lane, at: u16, kind: FaultKind) -> Result<(), String> {
    let written = Trial::of(pair)?.traffic()?[lane as usize];
    Trial::of(pair)?.run_over(&[Fault { lane, at: written * u64::from(at) / 65536, kind }])
}

#[test]
fn a_cut_leaves_the_target_as_it_was_or_complete_and_the_next_run_completes_it() {
    let lane = || prop::sample::select(vec![Lane::Out, Lane::Back]);
    all(
        "a_cut_leaves_the_target_as_it_was_or_complete_and_the_next_run_completes_it",
        300,
        || (connected(), lane(), any::<u16>()),
        |(pair, ..)| pair,
        |(pair, lane, at)| run_with(pair, *lane, *at, FaultKind::Cut),
    );
}

/// A byte of the remote is damaged: no other image may come of it, and nothing that was there may go. Images are asked
/// for by name or ID, since for a pattern the remote says which there are.
#[test]
fn a_damaged_byte_makes_no_other_image() {
    let pairs = || {
        let is_one =
            |pair: &Pair| matches!(pair.run.select, Select::Names | Select::Id | Select::Manifest(_));
        connected().prop_filter("the remote says which there are", is_one)
    };
    all(
        "a_damaged_byte_makes_no_other_image",
        500,
        || (pairs(), any::<u16>(), 0..8_u8),
        |(pair, ..)| pair,
        |(pair, at, bit)| run_with(pair, Lane::Back, *at, FaultKind::Flip(1 << bit)),
    );
}

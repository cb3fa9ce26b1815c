//! A connection that breaks in the middle: the target holds what was asked for, or is as it was.

use std::thread;
use std::time::{Duration, Instant};

use dsync_testkit::pair::{Pair, Way};
use dsync_testkit::{Fault, FaultKind, Files, Lane, fixed, isolated};

use crate::trial::{TIMEOUT, Trial};

/// The places at which a direction of a connection falls silent.
const STALLS: u64 = 8;

/// Pairs of the fixed set, pulled and pushed.
fn pairs(names: &[&str]) -> Vec<(&'static str, Pair)> {
    let meant = fixed::pairs().into_iter().filter(|fixed| names.contains(&fixed.name));
    let pairs: Vec<_> = meant
        .flat_map(|fixed| {
            [Way::Pull, Way::Push].map(|way| (fixed.name, fixed.pair().run(|run| run.way = way)))
        })
        .collect();
    assert_eq!(pairs.len(), 2 * names.len());
    pairs
}

/// Runs each pair with a fault at this many places of each of these directions, the last byte among them.
fn sweep(pairs: &[(&str, Pair)], lanes: &[Lane], most: u64, kind: impl Fn(u64) -> FaultKind) {
    sweep_by(pairs, lanes, most, kind, |trial, fault| trial.run_over(&[fault]));
}

/// The same, run in this way.
fn sweep_by(
    pairs: &[(&str, Pair)],
    lanes: &[Lane],
    most: u64,
    kind: impl Fn(u64) -> FaultKind,
    run: impl Fn(&Trial<'_>, Fault) -> Result<(), String>,
) {
    let mut failures = Vec::new();
    for (name, pair) in pairs {
        let written = Trial::of(pair).unwrap().traffic().unwrap();
        for (lane, len) in lanes.iter().map(|lane| (*lane, written[*lane as usize])) {
            let places = len.min(most);
            for at in (1..=places).map(|place| place * len / places - 1) {
                let fault = Fault { lane, at, kind: kind(at) };
                if let Err(failure) = Trial::of(pair).and_then(|trial| run(&trial, fault)) {
                    failures.push(format!("{name} {:?} {fault:?}: {failure}", pair.run));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// A connection that falls silent and stays open: without a limit on the silence both ends would wait for ever.
#[test]
fn a_connection_that_stalls_at_any_place_ends_both_ends_soon_and_leaves_the_target_old_or_complete() {
    let name = "cuts::a_connection_that_stalls_at_any_place_ends_both_ends_soon_and_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        let pairs = pairs(&["usual", "env", "large", "attested"]);
        thread::scope(|scope| {
            for pair in &pairs {
                scope.spawn(move || {
                    let begin = Instant::now();
                    sweep(std::slice::from_ref(pair), &[Lane::Out, Lane::Back], STALLS, |_| FaultKind::Stall);
                    // Each of them waits for the timeout at both ends at once; the rest is for a busy machine.
                    let most = 2 * STALLS as u32 * (TIMEOUT + Duration::from_secs(5));
                    assert!(begin.elapsed() < most, "{:?}", begin.elapsed());
                });
            }
        });
    });
}

/// The last reply may be lost, too: then the image is there.
#[test]
fn a_run_whose_connection_fails_at_any_place_comes_to_its_end_over_another() {
    let name = "cuts::a_run_whose_connection_fails_at_any_place_comes_to_its_end_over_another";
    isolated(name, Duration::from_secs(300), || {
        let pairs = pairs(&["usual", "env", "attested"]);
        thread::scope(|scope| {
            for pair in &pairs {
                scope.spawn(move || {
                    for kind in [FaultKind::Cut, FaultKind::Stall] {
                        let run = |trial: &Trial<'_>, fault: Fault| trial.run_again_after(&[fault]);
                        sweep_by(std::slice::from_ref(pair), &[Lane::Out, Lane::Back], STALLS, |_| kind, run);
                    }
                });
            }
        });
    });
}

#[test]
fn a_cut_at_any_place_leaves_the_target_old_or_complete() {
    let name = "cuts::a_cut_at_any_place_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        let pairs = pairs(&["usual", "env", "files", "large", "twice-new", "attested"]);
        sweep(&pairs, &[Lane::Out, Lane::Back], 12, |_| FaultKind::Cut);
    });
}

/// Only what the remote says is damaged: the client is who says what is wanted, and ssh keeps its words whole.
#[test]
fn a_damaged_byte_at_any_place_leaves_the_target_old_or_complete() {
    let name = "cuts::a_damaged_byte_at_any_place_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        let pairs = pairs(&["usual", "env", "files", "attested"]);
        sweep(&pairs, &[Lane::Back], 40, |at| FaultKind::Flip(1 << (at % 8)));
    });
}

/// No digest of a manifest covers an image of which only the content is to stay the same.
#[test]
fn a_damaged_byte_of_an_image_without_an_id_leaves_the_target_old_or_complete() {
    let name = "cuts::a_damaged_byte_of_an_image_without_an_id_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        let pairs = pairs(&["env", "usual"]).into_iter().filter(|(_, pair)| pair.run.way == Way::Pull);
        let by_content = |(name, pair): (&'static str, Pair)| {
            let archive = Pair { files: Files::DockerOld, ..pair.clone() };
            [(name, archive), (name, pair.run(|run| run.content = true))]
        };
        let pairs: Vec<_> = pairs.flat_map(by_content).collect();
        sweep(&pairs, &[Lane::Back], 200, |at| FaultKind::Flip(1 << (at % 8)));
    });
}

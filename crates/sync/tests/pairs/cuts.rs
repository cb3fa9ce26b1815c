//! A connection that breaks in the middle: the target holds what was asked for, or is as it was.

use std::time::Duration;

use dsync_testkit::pair::Way;
use dsync_testkit::{Fault, FaultKind, Lane, fixed, isolated};

use crate::trial::Trial;

/// So many places of each direction, with the ends, where most happens.
const PLACES: u64 = 12;

/// Runs pairs of the fixed set with faults of these kinds at many places of these directions.
fn sweep(names: &[&str], lanes: &[Lane], kinds: &[FaultKind]) {
    let mut failures = Vec::new();
    for fixed in fixed::pairs().into_iter().filter(|fixed| names.contains(&fixed.name)) {
        for way in [Way::Pull, Way::Push] {
            let pair = fixed.pair().run(|run| run.way = way);
            let written = Trial::of(&pair).unwrap().traffic().unwrap();
            for (lane, len) in lanes.iter().map(|lane| (*lane, written[*lane as usize])) {
                let places = (0..PLACES).map(|place| place * len / PLACES).chain([len - 1]);
                for (at, kind) in places.flat_map(|at| kinds.iter().map(move |kind| (at, *kind))) {
                    let fault = Fault { lane, at, kind };
                    if let Err(failure) = Trial::of(&pair).and_then(|trial| trial.run_over(&[fault])) {
                        failures.push(format!("{} {way:?} {fault:?}: {failure}", fixed.name));
                    }
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_cut_at_any_place_leaves_the_target_old_or_complete() {
    let name = "cuts::a_cut_at_any_place_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        sweep(
            &["usual", "env", "files", "large", "twice-new", "attested"],
            &[Lane::Out, Lane::Back],
            &[FaultKind::Cut],
        );
    });
}

/// Only what the remote says is damaged: the client is who says what is wanted, and ssh keeps its words whole.
#[test]
fn a_damaged_byte_at_any_place_leaves_the_target_old_or_complete() {
    let name = "cuts::a_damaged_byte_at_any_place_leaves_the_target_old_or_complete";
    isolated(name, Duration::from_secs(300), || {
        sweep(
            &["usual", "env", "files", "attested"],
            &[Lane::Back],
            &[FaultKind::Flip(1), FaultKind::Flip(0x80)],
        );
    });
}

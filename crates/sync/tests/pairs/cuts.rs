//! A connection that breaks in the middle: the target holds what was asked for, or is as it was.

use std::time::Duration;

use dsync_testkit::pair::{Pair, Way};
use dsync_testkit::{Fault, FaultKind, Files, Lane, fixed, isolated};

use crate::trial::Trial;

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
    let mut failures = Vec::new();
    for (name, pair) in pairs {
        let written = Trial::of(pair).unwrap().traffic().unwrap();
        for (lane, len) in lanes.iter().map(|lane| (*lane, written[*lane as usize])) {
            let places = len.min(most);
            for at in (1..=places).map(|place| place * len / places - 1) {
                let fault = Fault { lane, at, kind: kind(at) };
                if let Err(failure) = Trial::of(pair).and_then(|trial| trial.run_over(&[fault])) {
                    failures.push(format!("{name} {:?} {fault:?}: {failure}", pair.run));
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

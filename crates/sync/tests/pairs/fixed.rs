//! The fixed set between files: what engines are tried with must hold here first.

use std::time::Duration;

use dsync_testkit::pair::{Pair, Select, Way};
use dsync_testkit::{Files, fixed, isolated};

use crate::known;
use crate::trial::Trial;

#[test]
fn every_pair_of_the_fixed_set_holds_in_every_way() {
    let name = "fixed::every_pair_of_the_fixed_set_holds_in_every_way";
    isolated(name, Duration::from_secs(300), || {
        let mut failures = Vec::new();
        for fixed in fixed::pairs() {
            let pair = fixed.pair();
            let archive = |files| Pair { files, ..pair.clone() };
            for pair in [
                pair.clone(),
                pair.clone().run(|run| run.way = Way::Push),
                pair.clone().run(|run| run.way = Way::Agentless),
                pair.clone().run(|run| run.content = true),
                // Each image of an index by its own digest, which an archive of configs does not know.
                pair.clone().run(|run| run.select = Select::Manifest(0)),
                pair.clone().run(|run| (run.select, run.way) = (Select::Manifest(1), Way::Push)),
                archive(Files::OciArchive).run(|run| run.select = Select::Manifest(1)),
                archive(Files::DockerOld).run(|run| run.select = Select::Manifest(0)),
                archive(Files::DockerOld),
                archive(Files::Docker),
                archive(Files::Podman),
            ] {
                let ran = Trial::of(&pair).and_then(|trial| trial.run());
                if let Err(failure) = ran
                    && known::reason(&pair, &failure).is_none()
                {
                    failures.push(format!("{} {:?} {:?}: {failure}", fixed.name, pair.files, pair.run));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

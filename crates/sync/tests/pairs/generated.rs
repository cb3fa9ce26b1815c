//! Many generated pairs.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dsync_testkit::{Cases, isolated, report, strategy};

use crate::known;
use crate::trial::Trial;

/// On a machine that does other things, too.
fn patience(cases: &Cases) -> Duration {
    Duration::from_secs(300) + Duration::from_millis(200 * cases.count)
}

#[test]
fn the_target_holds_just_what_was_asked_for_or_is_as_it_was() {
    let cases = Cases::from_env(2000);
    isolated("generated::the_target_holds_just_what_was_asked_for_or_is_as_it_was", patience(&cases), || {
        let started = Instant::now();
        let known: Mutex<BTreeMap<&'static str, u32>> = Mutex::default();
        let failures = cases.run(&strategy::pair, &|pair| {
            let Err(failure) = Trial::of(pair).and_then(|trial| trial.run()) else { return Ok(()) };
            match known::reason(pair, &failure) {
                Some(reason) => {
                    *known.lock().unwrap().entry(reason).or_default() += 1;
                    Ok(())
                }
                None => Err(failure),
            }
        });
        println!("{cases:?} took {:?}", started.elapsed());
        for (reason, count) in known.into_inner().unwrap() {
            println!("{count} times, as is known: {reason}");
        }
        assert!(failures.is_empty(), "{}", report(&failures));
    });
}

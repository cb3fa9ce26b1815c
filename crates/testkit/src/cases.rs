//! Runs a property over many generated values on all cores, and shrinks the ones that fail.
//!
//! Every case has a number, which is its seed: `TESTKIT_SEED=N TESTKIT_CASES=1` runs one again. All cases run, whatever
//! fails before; of each kind of failure the first one is shrunk and shown.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// No case takes so long; one that does hangs, and ends the process.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of stack for a strategy, whose parts are in each other.
const STACK: usize = 64 << 20;
/// The time for shrinking one failure.
const SHRINKING: Duration = Duration::from_secs(20);

/// The cases of a property to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    /// The number of the first one.
    pub seed: u64,
    /// The number of cases.
    pub count: u64,
}

/// A kind of failure.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The case that failed first.
    pub seed: u64,
    /// The number of cases that failed in this way.
    pub count: u64,
    /// The failure message of the smallest value that fails.
    pub reason: String,
    /// The smallest value that fails, for people.
    pub value: String,
}

impl Cases {
    /// The cases that the environment names, by default this many from 0 on.
    ///
    /// # Panics
    ///
    /// Where a variable is no number.
    pub fn from_env(count: u64) -> Cases {
        let number = |name: &str| {
            let text = env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
        };
        Cases { seed: number("TESTKIT_SEED").unwrap_or(0), count: number("TESTKIT_CASES").unwrap_or(count) }
    }

    /// Runs the property. `Err` says what failed; a panic is a failure, too.
    ///
    /// # Panics
    ///
    /// Where a value cannot be generated.
    pub fn run<S: Strategy>(
        &self,
        strategy: &(impl Fn() -> S + Sync),
        property: &(impl Fn(&S::Value) -> Result<(), String> + Sync),
    ) -> Vec<Failed> {
        let next = AtomicU64::new(0);
        let failures: Mutex<BTreeMap<String, Failed>> = Mutex::default();
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let watched: Vec<Mutex<Option<(u64, Instant)>>> = (0..workers).map(|_| Mutex::default()).collect();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let working: Vec<_> = watched
                .iter()
                .map(|watched| {
                    let (next, failures) = (&next, &failures);
                    let work = move || {
                        loop {
                            let at = next.fetch_add(1, Ordering::Relaxed);
                            if at >= self.count {
                                return;
                            }
                            let seed = self.seed + at;
                            one(seed, strategy(), property, watched, failures);
                        }
                    };
                    let worker = thread::Builder::new().name("cases".to_owned()).stack_size(STACK);
                    worker.spawn_scoped(scope, work).expect("there is room for threads")
                })
                .collect();
            let done = &done;
            let watched = &watched;
            scope.spawn(move || watch(watched, done));
            for worker in working {
                worker.join().ok();
            }
            done.store(true, Ordering::Relaxed);
        });
        failures.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
    }
}

/// Runs the case of this seed.
fn one<S: Strategy>(
    seed: u64,
    strategy: S,
    property: &impl Fn(&S::Value) -> Result<(), String>,
    watched: &Mutex<Option<(u64, Instant)>>,
    failures: &Mutex<BTreeMap<String, Failed>>,
) {
    let property = |value: &S::Value| {
        *watched.lock().unwrap_or_else(PoisonError::into_inner) = Some((seed, Instant::now()));
        let result = panic::catch_unwind(AssertUnwindSafe(|| property(value)));
        *watched.lock().unwrap_or_else(PoisonError::into_inner) = None;
        result.unwrap_or_else(|panic| Err(format!("a panic: {}", said(&*panic))))
    };
    let mut tree = tree(seed, &strategy);
    let Err(reason) = property(&tree.current()) else { return };
    let kind = kind(&reason);
    let mut all = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = all.get_mut(&kind) {
        failed.count += 1;
        return;
    }
    let failed = Failed { seed, count: 1, reason, value: String::new() };
    all.insert(kind.clone(), failed);
    drop(all);
    let reason = shrink(&mut tree, &property, &kind);
    let value = shown(&tree.current());
    let mut all = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = all.get_mut(&kind) {
        failed.value = value;
        failed.reason = reason.unwrap_or_else(|| failed.reason.clone());
    }
}

/// A value for people: on one line where there is room.
fn shown(value: &impl Debug) -> String {
    let short = format!("{value:?}");
    if short.len() <= 400 { short } else { format!("{value:#?}") }
}

/// The value of a seed.
fn tree<S: Strategy>(seed: u64, strategy: &S) -> S::Tree {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, ..Config::default() };
    strategy.new_tree(&mut TestRunner::new_with_rng(config, random)).expect("there are values")
}

/// Makes the value smaller as long as it fails in the same way; returns what was said of the smallest.
fn shrink<T: ValueTree>(
    tree: &mut T,
    property: &impl Fn(&T::Value) -> Result<(), String>,
    kind: &str,
) -> Option<String> {
    let started = Instant::now();
    let mut last = None;
    let mut fails = true;
    while started.elapsed() < SHRINKING {
        let moved = if fails { tree.simplify() } else { tree.complicate() };
        if !moved {
            break;
        }
        fails = match property(&tree.current()) {
            Err(reason) if self::kind(&reason) == *kind => {
                last = Some(reason);
                true
            }
            _ => false,
        };
    }
    // The last step may have been one too far.
    while !fails && tree.complicate() {
        fails = property(&tree.current()).is_err_and(|reason| self::kind(&reason) == *kind);
    }
    last
}

/// The common part of failures of one kind: the first words, without digests, numbers and paths.
fn kind(reason: &str) -> String {
    let words = reason.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1);
    words.filter(|word| !word.bytes().all(|b| b.is_ascii_hexdigit())).take(10).collect::<Vec<_>>().join(" ")
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "of no text".to_owned())
}

/// Ends the process where a case hangs: no thread can be ended.
fn watch(watched: &[Mutex<Option<(u64, Instant)>>], done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for case in watched {
            let case = *case.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((seed, started)) = case
                && started.elapsed() > PATIENCE
            {
                eprintln!("a case hangs: TESTKIT_SEED={seed} TESTKIT_CASES=1");
                std::process::exit(101);
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The text that a test prints for failures, with the variables that run them again.
pub fn report(failures: &[Failed]) -> String {
    let mut text = String::new();
    for Failed { seed, count, reason, value } in failures {
        text.push_str(&format!(
            "── {count} failed, the first with TESTKIT_SEED={seed} TESTKIT_CASES=1\n{reason}\n{value}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_is_shrunk_and_runs_again_by_its_seed() {
        let strategy = || proptest::collection::vec(0..1000_u32, 0..20);
        let property = |value: &Vec<u32>| match value.iter().find(|n| **n > 500) {
            Some(n) => Err(format!("{n} is large")),
            None => Ok(()),
        };
        let failures = Cases { seed: 0, count: 50 }.run(&strategy, &property);
        let [failed] = &failures[..] else { panic!("{failures:?}") };
        assert!(failed.count > 10 && failed.reason == "501 is large", "{failed:?}");
        assert_eq!(failed.value, format!("{:?}", vec![501]));
        let again = Cases { seed: failed.seed, count: 1 }.run(&strategy, &property);
        assert_eq!((again.len(), again[0].count), (1, 1));
        assert!(report(&again).contains(&format!("TESTKIT_SEED={} ", failed.seed)));
    }

    #[test]
    fn kinds_of_failures_are_told_apart_and_a_panic_is_one() {
        let property = |value: &u32| match value % 3 {
            0 => Err(format!("sha256:{value:064x} is bad")),
            1 => panic!("number {value}"),
            _ => Ok(()),
        };
        let failures = Cases { seed: 7, count: 60 }.run(&|| any::<u32>(), &property);
        let reasons: Vec<&str> = failures.iter().map(|failed| &failed.reason[..5]).collect();
        assert_eq!(reasons, ["a pan", "sha25"]);
    }

    #[test]
    fn no_failure_is_no_report() {
        let failures = Cases { seed: 0, count: 10 }.run(&|| any::<u8>(), &|_| Ok(()));
        assert_eq!(report(&failures), "");
    }
}

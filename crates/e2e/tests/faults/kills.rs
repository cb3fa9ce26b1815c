//! Runs the cases, and looks after each at the images, at the end of the run, and at what is left.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{Ran, Running};
use dsync_lab::{Engine, Gate, Link};

use crate::ground::{Ground, Pair, Place, temporary_names};
use crate::kill::{self, Case, Signal, Step, Victim};
use crate::record::Record;
use crate::told;

/// `--timeout` and `--engine-timeout` where a process is stopped, in seconds: a machine that is busy is silent for some.
const SILENCE: u64 = 8;
/// The time after which an agent gives up a client that has not said its `--timeout` yet, in seconds.
const SILENCE_OF_STRANGERS: u64 = 60;
/// The time beyond it within which the other end has ended, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);
/// The variable that names a part of the cases, by words that they have.
pub(crate) const ONLY: &str = "FAULTS_ONLY";
/// Cases for which two engines are started.
const BATCH: usize = 120;
/// Cases that run at the same time on the engines of a kind.
const WORKERS: usize = 3;

/// The bytes that cross in a clean run.
#[derive(Debug, Clone, Copy)]
struct Clean {
    up: u64,
    down: u64,
}

/// Waits until something is there.
fn wait_for<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("{what} within {patience:?}"));
        }
        // A look at all processes takes a millisecond, and several cases look at the same time.
        thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, pid: u32) -> Result<(), String> {
    let status = Command::new("kill").args([&format!("-{name}"), "--", &pid.to_string()]).status().unwrap();
    status.success().then_some(()).ok_or_else(|| format!("{pid} was gone before it got the signal"))
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// True if the client may be stopped before it has told the agent its `--timeout`.
fn is_unknown(case: &Case) -> bool {
    case.is_push && matches!(case.step, Step::Crossed(..20))
        || matches!(case.step, Step::SourceCall("info") | Step::TargetCall("info"))
}

/// The parent of a process.
fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The process of a line that begins with its number.
fn pid_of(line: &str) -> Option<u32> {
    line.split_whitespace().next()?.parse().ok()
}

impl Place {
    fn command(&self, remote: &str, is_push: bool, name: &str) -> Command {
        let mut command = self.bench.command();
        let podman = ["--docker", "podman", "--remote-docker", "podman"];
        command.args(self.bench.here().engine().is_podman().then_some(podman).into_iter().flatten());
        command.args(is_push.then_some("--push")).args([remote, name]);
        command
    }

    /// The process that is to get the signal, once it is there.
    fn victim(&self, case: &Case, running: &Running<'_>) -> Option<u32> {
        let [source, target] = self.sides(case.is_push);
        let find = |is_it: &dyn Fn(&str) -> bool| {
            self.bench.processes().iter().find(|line| is_it(line)).and_then(|line| pid_of(line))
        };
        match case.victim {
            Victim::Client => Some(running.child.id()),
            Victim::Agent => find(&|line| line.contains("/agent-")),
            Victim::Ssh => find(&|line| {
                let mut words = line.split_whitespace().skip(1);
                words.next() == Some("ssh") && words.all(|word| word != "-G")
            }),
            Victim::Session => self.bench.login().sessions().first().copied(),
            Victim::Load => find(&|line| line.contains("load --quiet")),
            Victim::SourceEngine => source.daemon_id(),
            Victim::TargetEngine => target.daemon_id(),
        }
    }

    /// The engines of the source and of the target.
    fn sides(&self, is_push: bool) -> [&Engine; 2] {
        let [here, there] = [self.bench.here().host.engine(), self.bench.there().host.engine()];
        if is_push { [here, there] } else { [there, here] }
    }

    /// Sets the gate of a case.
    fn shut(&self, case: &Case, clean: Clean) -> Result<(Gate, String), String> {
        // The directory of the one before goes with its pipe.
        let dir = self.bench.work().join("gate");
        fs::remove_dir_all(&dir).ok();
        let gate = Gate::new(&dir).map_err(|error| error.to_string())?;
        let at_gate = || Link { gate: Some(dir.clone()), ..Link::default() };
        let lane = if case.is_push { clean.up } else { clean.down };
        let link = match case.step {
            Step::Dialled => Link { hold_up: Some(0), ..at_gate() },
            Step::Crossed(hundredths) if case.is_push => {
                Link { hold_up: Some(lane * hundredths / 100), ..at_gate() }
            }
            Step::Crossed(hundredths) => Link { hold_down: Some(lane * hundredths / 100), ..at_gate() },
            Step::SourceCall(words) => {
                self.hold(case.is_push, words, &gate);
                Link::default()
            }
            Step::TargetCall(words) => {
                self.hold(!case.is_push, words, &gate);
                Link::default()
            }
        };
        let remote = self.bench.login().link("gated", &link).map_err(|error| error.to_string())?;
        Ok((gate, remote))
    }

    /// One case. The first error is of what was broken, the second of what was said.
    fn run(&self, case: &Case, pair: &Pair, clean: Clean) -> (Result<(), String>, Result<(), String>) {
        let broken = self.broken_run(case, pair, clean);
        self.release();
        if case.victim.is_daemon() && case.signal != Signal::Stop {
            let [source, target] = self.sides(case.is_push);
            let engine = if case.victim == Victim::SourceEngine { source } else { target };
            engine.revive().unwrap_or_else(|error| panic!("{case}: {error}"));
        }
        let (ran, client) = match broken {
            Ok(ran) => ran,
            Err(error) => return (Err(error), Ok(())),
        };
        let told = told::check(case, ran.exit, &ran.err);
        (self.afterwards(case, pair, client).map_err(|error| format!("{error}\nafter {ran}")), told)
    }

    /// The run that somebody breaks.
    fn broken_run(&self, case: &Case, pair: &Pair, clean: Clean) -> Result<(Ran, u32), String> {
        let (gate, remote) = self.shut(case, clean)?;
        let mut command = self.command(&remote, case.is_push, &pair.name);
        if case.signal == Signal::Stop {
            let is_engine = case.victim.is_daemon() || case.victim == Victim::Load;
            match is_engine {
                true => command.args(["--engine-timeout", &SILENCE.to_string()]),
                false => command.args(["--timeout", &SILENCE.to_string()]),
            };
        }
        command.args(case.is_retried().then_some(["--retries", "1"]).into_iter().flatten());
        let mut running = self.bench.spawn(command);
        let client = running.child.id();
        let reached = wait_for("its step was not reached", Duration::from_secs(60), || {
            gate.is_reached().then_some(true).or_else(|| running.child.try_wait().unwrap().map(|_| false))
        });
        match reached {
            Ok(true) => {}
            Ok(false) => return Err(format!("it ended before its step: {}", running.finish_untidily())),
            Err(error) => {
                running.child.kill().unwrap();
                return Err(format!("{error}: {}", running.finish_untidily()));
            }
        }
        let victim = wait_for("there is no victim", Duration::from_secs(5), || self.victim(case, &running));
        let victim = victim.inspect_err(|_| gate.open().unwrap())?;
        signal(case.signal.name(), victim).inspect_err(|_| gate.open().unwrap())?;
        let begin = Instant::now();
        let mut waited = Duration::ZERO;
        gate.open().unwrap();
        if case.signal == Signal::Stop && case.victim == Victim::Client && case.step == Step::Dialled {
            // Nobody is there yet who could miss it.
            signal("CONT", victim)?;
        } else if case.signal == Signal::Stop && case.victim == Victim::Client {
            // Its own children wait for it: an engine's client, and an ssh whose output nobody reads.
            let is_own = |line: &String| {
                let pid = pid_of(line);
                pid == Some(client) || pid.and_then(parent_of) == Some(client)
            };
            let others = || self.bench.processes().iter().all(is_own).then_some(());
            let patience = Duration::from_secs(if is_unknown(case) { SILENCE_OF_STRANGERS } else { SILENCE });
            let gone = wait_for("the other end did not end", patience + SOON, others)
                .map_err(|error| format!("{error}: {:?}", self.bench.processes()));
            waited = begin.elapsed();
            signal("CONT", victim)?;
            gone?;
        }
        let ran = running.finish_untidily();
        let took = begin.elapsed().saturating_sub(waited);
        if case.signal == Signal::Stop && is_there(victim) {
            signal("CONT", victim)?;
        }
        if took > Duration::from_secs(SILENCE) + SOON {
            return Err(format!("it took {took:?} to end: {ran}"));
        }
        Ok((ran, client))
    }

    /// The target has the old image or the new one; the same command completes it, and nothing is left.
    fn afterwards(&self, case: &Case, pair: &Pair, client: u32) -> Result<(), String> {
        let [source, target] = self.sides(case.is_push);
        let are_gone = || self.bench.processes().is_empty().then_some(());
        wait_for("processes are left", SOON, are_gone)
            .map_err(|error| format!("{error}: {:?}", self.bench.processes()))?;
        let now = target.image_id(&pair.name);
        if ![&pair.old, &pair.new].contains(&now.as_ref().ok_or("the name is lost")?) {
            return Err(format!("the name stands for {now:?}"));
        }
        if now.as_ref() != Some(&pair.old) && target.image_id(&pair.old).is_none() {
            return Err("the old image is lost".to_owned());
        }
        let again = self.bench.spawn(self.command(self.bench.remote(), case.is_push, &pair.name));
        let second = again.child.id();
        let again = again.finish_untidily();
        if again.exit != Some(0) {
            return Err(format!("the next run failed: {again}"));
        }
        if target.image_id(&pair.name).as_ref() != Some(&pair.new) {
            return Err(format!("the next run did not bring it: {again}"));
        }
        wait_for("something is left", SOON, || self.bench.left_behind().is_empty().then_some(())).map_err(
            |error| {
                let left = self.bench.left_behind();
                // The cases after this one are not blamed for it.
                let files = left.iter().filter_map(|line| line.strip_prefix("the file "));
                files.for_each(|file| drop(fs::remove_file(file)));
                format!("{error}: {left:?}\n{again}")
            },
        )?;
        let is_ours = |name: &String| {
            let process = name.split('-').nth(3).and_then(|process| process.parse().ok());
            process.is_none_or(|process| [client, second].contains(&process) || !is_there(process))
        };
        // A name of another case goes with the next run of that one, which takes its time on a busy machine.
        for engine in [source, target] {
            let left = || temporary_names(engine).into_iter().find(|name| is_ours(name));
            wait_for("a name is left", 3 * SOON, || left().is_none().then_some(()))
                .map_err(|error| format!("{error}: {:?}\n{again}", left()))?;
        }
        Ok(())
    }

    /// The bytes of a clean run, which also warms the caches.
    fn clean(&self, is_push: bool, pair: &Pair) -> Clean {
        let command = self.command(self.bench.remote(), is_push, &pair.name);
        let ran = self.bench.run_command(command).ok();
        Clean { up: ran.wire.up, down: ran.wire.down }
    }
}

/// Runs these cases, and says which failed.
fn run_all(kind: &'static str, cases: &[Case]) {
    let only = env::var(ONLY).unwrap_or_default();
    let cases: Vec<Case> = cases.iter().copied().filter(|case| case.to_string().contains(&only)).collect();
    let record = Record::new(kind);
    // Every run lists all images that are there.
    let failures: Vec<String> =
        cases.chunks(BATCH).flat_map(|cases| run_batch(kind, cases, &record)).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// Runs cases on two engines, several at a time, and returns what failed.
fn run_batch(kind: &'static str, cases: &[Case], record: &Record) -> Vec<String> {
    let begin = Instant::now();
    let ground = Ground::start(kind);
    // The first two are for the clean runs.
    let directions: Vec<bool> =
        [false, true].into_iter().chain(cases.iter().map(|case| case.is_push)).collect();
    let pairs = ground.pairs(&directions);
    let first = Place::new(&ground);
    let clean = [false, true].map(|is_push| first.clean(is_push, &pairs[usize::from(is_push)]));
    let places: Vec<Place> = [first].into_iter().chain((1..WORKERS).map(|_| Place::new(&ground))).collect();
    eprintln!("{kind}: ready after {:?}, {clean:?}", begin.elapsed());

    let failures: Mutex<Vec<String>> = Mutex::default();
    // Those that harm an engine have it for themselves.
    let (alone, together): (Vec<_>, Vec<_>) =
        cases.iter().zip(&pairs[2..]).partition(|(case, _)| case.victim.is_daemon());
    let work = |place: &Place, (case, pair): &(&Case, &Pair)| {
        let begin = Instant::now();
        let (safe, told) = place.run(case, pair, clean[usize::from(case.is_push)]);
        eprintln!("{kind}, {case}: {:.1?}", begin.elapsed());
        let fault = format!("{} of {}", case.signal.name(), case.victim);
        record.add(&fault, &case.to_string(), safe.is_ok(), told.is_ok());
        for failure in [safe, told].into_iter().filter_map(Result::err) {
            let text = format!("── {kind}, {case}:\n{failure}");
            eprintln!("{text}");
            failures.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    };
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for place in &places {
            let (next, together, work) = (&next, &together, &work);
            scope.spawn(move || {
                while let Some(case) = together.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(place, case);
                }
            });
        }
    });
    alone.iter().for_each(|case| work(&places[0], case));

    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.extend(ground.check_contents(&pairs, &directions));
    for is_push in [false, true] {
        failures.extend(ground.engines(is_push).iter().flat_map(|engine| temporary_names(engine)));
    }
    eprintln!("{kind}: {} cases in {:.1?}", cases.len(), begin.elapsed());
    failures
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_20_is_safe_from_kills() {
    run_all("docker", &kill::some("docker", 0));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn docker_28_with_containerd_is_safe_from_kills() {
    run_all("docker-28-containerd", &kill::some("docker-28-containerd", 1));
}

#[test]
#[ignore = "needs engines: cargo xtask test"]
fn podman_4_is_safe_from_kills() {
    run_all("podman", &kill::some("podman", 2));
}

#[test]
#[ignore = "every fault: cargo xtask faults"]
fn docker_20_is_safe_from_all_kills() {
    run_all("docker", &kill::all("docker"));
}

#[test]
#[ignore = "every fault: cargo xtask faults"]
fn docker_28_with_containerd_is_safe_from_all_kills() {
    run_all("docker-28-containerd", &kill::all("docker-28-containerd"));
}

#[test]
#[ignore = "every fault: cargo xtask faults"]
fn podman_4_is_safe_from_all_kills() {
    run_all("podman", &kill::all("podman"));
}

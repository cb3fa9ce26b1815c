//! One pair, run: two stores in files, both ends of a session in threads, and the look at what became of it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use dsync_core::ImageRef;
use dsync_sync::testing::{Client, Wire, connect_by, serve};
use dsync_sync::{
    Compression, Direction, Entry, Identity, Interrupt, Options, PatchInput, PatchOptions, PatchOutput,
    Remote, Retries, Session, Status, apply, diff,
};
use dsync_testkit::pair::{self, Outcome, Pair, Select, Way};
use dsync_testkit::{Built, Cable, End, Fault, FaultKind, Item, Lane, Snapshot, Wanted, files};
use tempfile::TempDir;

use crate::known;

const VERSION: &str = "test";
/// The longest silence on a connection that falls silent.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(250);
/// The default of `--memory`, and the least.
const MEMORY: [u64; 2] = [256 << 20, 32 << 20];

/// The faults of the connections of a run.
#[derive(Clone, Copy, Default)]
struct Faults<'a> {
    /// Those of the first one.
    first: &'a [Fault],
    /// Those of each one after it.
    later: &'a [Fault],
}

impl<'a> Faults<'a> {
    fn of_first(first: &'a [Fault]) -> Faults<'a> {
        Faults { first, later: &[] }
    }
}

/// A pair whose stores are written.
pub(crate) struct Trial<'a> {
    pair: &'a Pair,
    source: Vec<Built>,
    place: TempDir,
    source_spec: String,
    before: Snapshot,
    source_before: BTreeMap<String, String>,
    /// True if there was a run on the target already.
    was_run: Cell<bool>,
}

impl<'a> Trial<'a> {
    /// Writes the stores.
    pub(crate) fn of(pair: &'a Pair) -> Result<Trial<'a>, String> {
        let place = tempfile::tempdir().unwrap();
        let source: Vec<Built> = pair.source.iter().map(Item::build).collect();
        fs::create_dir(place.path().join("source")).unwrap();
        let source_spec = pair.write_source(&source, &place.path().join("source/store")).unwrap();
        for name in ["tmp", "here", "there"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        pair.write_target(&place.path().join("target")).unwrap();
        let before = Snapshot::read(&place.path().join("target"))?;
        let source_before = files(&place.path().join("source"))?;
        Ok(Trial { pair, source, place, source_spec, before, source_before, was_run: Cell::new(false) })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The outcome that the run must have.
    fn outcome(&self) -> Outcome {
        self.pair.outcome(&self.source, &self.before)
    }

    /// Runs it and looks at what became of it.
    pub(crate) fn run(&self) -> Result<(), String> {
        if self.pair.run.warm && self.pair.run.way != Way::Patch {
            self.pair.write_target(&self.path("copy")).unwrap();
            // Whatever comes of it will come again.
            self.session(&self.path("copy"), &[]).ok();
            self.was_run.set(false);
        }
        let outcome = self.outcome();
        let ran = match self.pair.run.way {
            Way::Patch => self.patch(),
            _ => self.session(&self.path("target"), &[]),
        };
        self.check(&outcome, ran)
    }

    /// Runs it over a cable with faults: it may fail, and then nothing has changed. An end whose words are damaged may
    /// seem to be a store that has no IDs of manifests, so only the content is certain where a byte was damaged.
    pub(crate) fn run_over(&self, faults: &[Fault]) -> Result<(), String> {
        let mut pair = self.pair.clone();
        pair.run.content |= faults.iter().any(|fault| matches!(fault.kind, FaultKind::Flip(_)));
        let outcome = match pair.outcome(&self.source, &self.before) {
            Outcome::Must(wanted) => Outcome::May(wanted),
            other => other,
        };
        let ran = self.session(&self.path("target"), faults);
        let failed = ran.is_err();
        let checked = self.check(&outcome, ran);
        match checked {
            Err(failure) if known::reason(&pair, &failure).is_none() => Err(failure),
            // The same command again, over a connection that holds, brings it to its end.
            Ok(()) if failed => {
                self.was_run.set(true);
                let again = self.session(&self.path("target"), &[]).map_err(Failure::into_words);
                self.check(&self.outcome(), again.map_err(Failure::Run))
                    .map_err(|failure| format!("run again: {failure}"))
            }
            _ => Ok(()),
        }
    }

    /// Runs it over a cable with faults and then, tried again, over one that holds: it must come out as if all was well.
    pub(crate) fn run_again_after(&self, faults: &[Fault]) -> Result<(), String> {
        let outcome = self.outcome();
        // A machine that is busy may take the silence of a moment for one that lasts.
        let ran = self.session_over(&self.path("target"), Faults::of_first(faults), 5).1;
        self.check(&outcome, ran)
    }

    /// Runs it where every connection has these faults, with so many further tries after one that brought nothing: it must
    /// come out as if all was well. Returns the number of connections.
    pub(crate) fn run_over_breaking(&self, faults: &[Fault], tries: u32) -> Result<usize, String> {
        let outcome = self.outcome();
        let faults = Faults { first: faults, later: faults };
        let (cables, ran) = self.session_over(&self.path("target"), faults, tries);
        self.check(&outcome, ran)?;
        Ok(cables.len())
    }

    /// Runs it, and says how many bytes crossed in each direction.
    pub(crate) fn traffic(&self) -> Result<[u64; 2], String> {
        let (cables, ran) = self.session_over(&self.path("target"), Faults::default(), 0);
        self.check(&self.outcome(), ran)?;
        Ok([Lane::Out, Lane::Back].map(|lane| cables[0].written(lane)))
    }

    /// Runs it over a cable with faults, which must break it: nothing has changed. Returns the bytes that were sent.
    pub(crate) fn broken(&self, faults: &[Fault]) -> Result<u64, String> {
        match self.attempt(faults)? {
            (_, true) => Err("it did not break".to_owned()),
            (bytes, false) => Ok(bytes),
        }
    }

    /// Runs it over a cable with faults, which may break it: then nothing has changed. Returns the bytes that were sent, and
    /// whether it came to its end.
    pub(crate) fn attempt(&self, faults: &[Fault]) -> Result<(u64, bool), String> {
        let outcome = match self.outcome() {
            Outcome::Must(wanted) => Outcome::May(wanted),
            other => other,
        };
        let (cables, ran) = self.session_over(&self.path("target"), Faults::of_first(faults), 0);
        self.was_run.set(true);
        let is_done = ran.is_ok();
        self.check(&outcome, ran)?;
        Ok(([Lane::Out, Lane::Back].map(|lane| cables[0].written(lane)).iter().sum(), is_done))
    }

    /// Takes over the caches of another trial, with the parts that its runs left.
    pub(crate) fn take_caches(&self, other: &Trial<'_>) {
        for end in ["here", "there"] {
            fs::remove_dir_all(self.path(end)).unwrap();
            fs::rename(other.path(end), self.path(end)).unwrap();
        }
    }

    fn check(&self, outcome: &Outcome, ran: Result<(), Failure>) -> Result<(), String> {
        let ran = match ran {
            Err(Failure::Lie(failure)) => return Err(failure),
            Err(Failure::Run(failure)) => Err(failure),
            Ok(()) => Ok(()),
        };
        let after = Snapshot::read(&self.path("target"))?;
        if files(&self.path("source"))? != self.source_before {
            return Err("the source has changed".to_owned());
        }
        let left = files(&self.path("tmp"))?;
        if !left.is_empty() {
            return Err(format!("temporary files are left: {left:?}"));
        }
        for end in ["here", "there"] {
            // Of a run that broke off there are parts, of one that did not nothing.
            let is_partial = |path: &String| ran.is_err() && path.starts_with("docker-sync/partial/");
            let belongs = |path: &String| {
                path.starts_with("docker-sync/index/") && !path.contains("/new-") || is_partial(path)
            };
            if let Some(path) = files(&self.path(end))?.keys().find(|path| !belongs(path)) {
                return Err(format!("{path} is left in the cache"));
            }
        }
        // Where all images are asked for, one that cannot be read is left out.
        let is_general = matches!(self.pair.run.select, Select::All | Select::Shop);
        let ran = match self.pair.damage {
            Some(_) if is_general => ran.and(Err("perhaps not all of it".to_owned())),
            _ => ran,
        };
        match (outcome, ran) {
            (Outcome::Must(wanted) | Outcome::May(wanted), Ok(())) => {
                if self.pair.run.dry_run {
                    return self.before.check_unchanged(&after);
                }
                self.before.check_holds(&after, wanted)
            }
            (Outcome::Refused, Ok(())) => Err("it succeeded, and there is nothing to be had".to_owned()),
            (Outcome::Must(_), Err(error)) => {
                let changed = self.before.check_unchanged(&after).err().unwrap_or_default();
                Err(format!("it failed: {error}{changed}"))
            }
            // All of it, or none; of several images each for itself.
            (Outcome::May(wanted), Err(_)) => {
                let arrived = |wanted: &&Wanted| match &wanted.name {
                    Some(name) => after.is_named(name, &wanted.what),
                    None => after.holds(&wanted.what),
                };
                let arrived: Vec<Wanted> = wanted.iter().filter(arrived).cloned().collect();
                match arrived.is_empty() {
                    true => self.before.check_unchanged(&after),
                    false => self.before.check_holds(&after, &arrived),
                }
            }
            (Outcome::Refused, Err(_)) => self.before.check_unchanged(&after),
        }
    }

    fn session(&self, target: &Path, faults: &[Fault]) -> Result<(), Failure> {
        self.session_over(target, Faults::of_first(faults), 0).1
    }

    /// A session of both ends over cables with faults, one after the other.
    fn session_over(
        &self,
        target: &Path,
        faults: Faults<'_>,
        tries: u32,
    ) -> (Vec<Cable>, Result<(), Failure>) {
        let reads = self.pair.run.reads.map_or(usize::MAX, usize::from);
        let (there, target) = (self.path("there"), format!("oci:{}", target.display()));
        let stalls = faults.first.iter().any(|fault| fault.kind == FaultKind::Stall);
        let timeout = stalls.then_some(TIMEOUT);
        let may_wait = !faults.first.is_empty() && !stalls && tries == 0;
        let agents = Arc::new(Mutex::new(Vec::new()));
        let (dialled, mut next) = (Arc::clone(&agents), faults.first.to_vec());
        let later = faults.later.to_vec();
        let wires = move || {
            let faults = std::mem::replace(&mut next, later.clone());
            let (cable, client, remote) = Cable::with_reads_of(reads, &faults);
            let there = there.clone();
            let serving = thread::spawn(move || serve(wire(remote, timeout), VERSION, &there));
            let idle = may_wait.then(|| {
                let cable = cable.clone();
                thread::spawn(move || cable.cut_when_idle(Duration::from_millis(500)))
            });
            dialled.lock().unwrap().push((cable, serving, idle));
            Some(wire(client, timeout))
        };
        let (direction, local, remote) = match self.pair.run.way {
            Way::Pull | Way::Patch => (Direction::Pull, target, self.source_spec.clone()),
            Way::Push | Way::Agentless => (Direction::Push, self.source_spec.clone(), target),
        };
        let retries = Retries { most: tries, first_pause: Duration::from_millis(1) };
        let client_end = Client {
            remote: Remote::Layout(remote),
            direction,
            options: Options { timeout, retries, ..self.options(local) },
            caches: self.path("here"),
            agentless: self.pair.run.way == Way::Agentless,
        };
        let is_whole = faults.first.is_empty() || tries > 0;
        let mut ran = connect_by(client_end, wires, Arc::new(()))
            .map_err(|error| Failure::Run(said(error)))
            .and_then(|mut session| self.converse(&mut session, is_whole));
        // Both ends are gone before anything is looked at.
        let mut cables = Vec::new();
        for (cable, serving, idle) in std::mem::take(&mut *agents.lock().unwrap()) {
            if serving.join().is_err() {
                ran = Err(Failure::Lie("the agent panicked".to_owned()));
            }
            if let Some(idle) = idle {
                idle.join().unwrap();
            }
            cables.push(cable);
        }
        (cables, ran)
    }

    fn converse(&self, session: &mut Session, is_whole: bool) -> Result<(), Failure> {
        let selection = self.pair.selection(&self.source);
        let run = |error| Failure::Run(said(error));
        let report = session.report(&selection).map_err(run)?;
        // Of a damaged connection it says what arrived.
        // The target may have changed since it was looked at.
        if let Outcome::Must(wanted) = self.outcome()
            && is_whole
            && !self.was_run.replace(true)
        {
            self.check_report(&report.entries, &wanted)?;
        }
        if let (Some(image), false) = (report.unreadable.first(), selection.is_empty()) {
            return Err(Failure::Run(format!("{image:?} cannot be read")));
        }
        let (junk, entries): (Vec<Entry>, Vec<Entry>) = report.entries.into_iter().partition(is_junk);
        for entry in junk.iter().filter(|_| !self.pair.run.dry_run) {
            // It is listed, and cannot be had; the others can.
            if session.sync(entry, &[], false).is_ok() {
                return Err(Failure::Lie(format!("{} was synced", entry.label())));
            }
        }
        for (entry, also) in by_image(&entries) {
            session.sync(entry, &also, self.pair.run.dry_run).map_err(run)?;
        }
        if self.pair.run.dry_run || !is_whole {
            return Ok(());
        }
        // It has said that all is well: from here on it has to be.
        let lie = |what: &str| {
            let what = what.to_owned();
            move |error| Failure::Lie(format!("{what}: {}", said(error)))
        };
        let report = session.report(&selection).map_err(lie("there is no report after a sync"))?;
        for entry in report.entries.into_iter().filter(|entry| !is_junk(entry)) {
            if entry.status != Status::Current {
                let (status, label) = (entry.status, entry.label());
                return Err(Failure::Lie(format!("after a sync the report says {status:?} of {label}")));
            }
            session.verify(&entry, &[]).map_err(lie("what was synced cannot be verified"))?;
        }
        Ok(())
    }

    /// The report must have a line for everything that is wanted, on the right list.
    fn check_report(&self, entries: &[Entry], wanted: &[Wanted]) -> Result<(), Failure> {
        let mut expected: Vec<(Option<String>, Status)> = Vec::new();
        for Wanted { name, what, seen_by } in wanted {
            let what = seen_by.as_ref().unwrap_or(what);
            let current = match name {
                Some(name) => self.before.is_named(name, what),
                None => self.before.holds(what),
            };
            let named = name.as_ref().is_some_and(|name| self.before.names().contains_key(name));
            let status = match (current, named) {
                (true, _) => Status::Current,
                (false, true) => Status::NeedUpdate,
                (false, false) => Status::New,
            };
            expected.push((name.clone(), status));
        }
        let said = |entry: &Entry| (entry.name.as_ref().map(ToString::to_string), entry.status);
        let mut entries: Vec<_> = entries.iter().filter(|entry| !is_junk(entry)).map(said).collect();
        entries.sort();
        expected.sort();
        if entries != expected {
            return Err(Failure::Lie(format!("the report says {entries:?}, not {expected:?}")));
        }
        Ok(())
    }

    fn memory(&self) -> u64 {
        MEMORY[usize::from(self.pair.run.small)]
    }

    fn options(&self, local_store: String) -> Options {
        let run = &self.pair.run;
        Options {
            local_store,
            tmpfolder: Some(self.path("tmp")),
            memory: self.memory(),
            platform: run.platform.as_ref().map(|platform| platform.parse().unwrap()),
            compression: compression(run.compression),
            identity: identity(run.content),
            basis: run.basis.as_ref().map(|name| name.parse().unwrap()),
            explain: run.explain,
            version: VERSION.to_owned(),
            ..Options::default()
        }
    }

    /// `diff` at the source, `apply` at the target.
    fn patch(&self) -> Result<(), Failure> {
        let run = &self.pair.run;
        let options = |store: String| PatchOptions {
            store,
            tmpfolder: self.path("tmp").display().to_string(),
            memory: self.memory(),
            compression: compression(run.compression),
            identity: identity(run.content),
            interrupt: Interrupt::default(),
        };
        let operand = |at: usize| format!("{}:{}", self.source_spec, self.source[at].names[0]);
        fs::create_dir_all(self.path("patches")).unwrap();
        let file = self.path("patches/patch");
        let output = PatchOutput::File { path: file.clone(), replaces: true };
        let made = diff(&options(self.source_spec.clone()), &operand(1), &operand(0), &output, &());
        if let Err(error) = made {
            let left = files(&self.path("patches")).map_err(Failure::Lie)?;
            let said = format!("diff: {}", said(error));
            return Err(if left.is_empty() {
                Failure::Run(said)
            } else {
                Failure::Lie(said + " and a file is left")
            });
        }
        let target = options(format!("oci:{}", self.path("target").display()));
        apply(&target, &PatchInput::File(file), false, &())
            .map(drop)
            .map_err(|error| Failure::Run(format!("apply: {}", said(error))))
    }
}

/// The failure of a run.
enum Failure {
    /// It said so.
    Run(String),
    /// Its words are false.
    Lie(String),
}

impl Failure {
    fn into_words(self) -> String {
        match self {
            Failure::Run(words) | Failure::Lie(words) => words,
        }
    }
}

/// True if it is one of those things in the source that are not images.
fn is_junk(entry: &Entry) -> bool {
    entry.name.as_ref().is_some_and(|name| name.name().starts_with("junk/"))
}

/// The first entry of each image, and the names of the others: an image goes over once, whatever it is called.
fn by_image(entries: &[Entry]) -> Vec<(&Entry, Vec<ImageRef>)> {
    let mut images: Vec<(&Entry, Vec<ImageRef>)> = Vec::new();
    for entry in entries {
        match images.iter_mut().find(|(first, _)| first.image.id == entry.image.id) {
            Some((_, also)) => also.extend(entry.name.clone()),
            None => images.push((entry, Vec::new())),
        }
    }
    images
}

/// An end, and the longest silence of a client that has not said yet how long it may be.
fn wire(end: End, timeout: Option<Duration>) -> Wire {
    let hang_up = Box::new(end.hanging_up());
    Wire { hang_up, timeout, ..Wire::new(end.input, end.output) }
}

fn compression(asked: pair::Compression) -> Compression {
    match asked {
        pair::Compression::Auto => Compression::Auto,
        pair::Compression::Level(level) => Compression::Level(i32::from(level)),
        pair::Compression::Max => Compression::Max,
    }
}

fn identity(content: bool) -> Identity {
    if content { Identity::Content } else { Identity::Exact }
}

/// An error with its causes.
fn said(error: dsync_sync::Error) -> String {
    match &error {
        dsync_sync::Error::Endpoint { host, failure } => {
            format!("{host}: {:?}: {}", failure.kind, failure.causes.join(": "))
        }
        error => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(error);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            text
        }
    }
}

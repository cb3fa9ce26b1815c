//! One pair, run: two stores in files, both ends of a session in threads, and the look at what became of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use dsync_core::ImageRef;
use dsync_sync::testing::{Client, Wire, connect, serve};
use dsync_sync::{
    Compression, Direction, Entry, Identity, Method, Options, PatchOptions, Remote, Session, Status, apply,
    diff,
};
use dsync_testkit::pair::{Effort, Outcome, Pair, Target, Way};
use dsync_testkit::{Built, Cable, End, Fault, FaultKind, Files, Item, Lane, Snapshot, Wanted, Wrap, files};
use tempfile::TempDir;

use crate::known;

const VERSION: &str = "test";
const MEMORY: u64 = 256 << 20;

/// A pair whose stores are written.
pub(crate) struct Trial<'a> {
    pair: &'a Pair,
    source: Vec<Built>,
    place: TempDir,
    source_spec: String,
    before: Snapshot,
    source_before: BTreeMap<String, String>,
}

impl<'a> Trial<'a> {
    /// Writes the stores.
    pub(crate) fn of(pair: &'a Pair) -> Result<Trial<'a>, String> {
        let place = tempfile::tempdir().unwrap();
        let source: Vec<Built> = pair.source.iter().map(Item::build).collect();
        fs::create_dir(place.path().join("source")).unwrap();
        let source_spec = pair.files.write(pair.wrap, &source, &place.path().join("source/store")).unwrap();
        for name in ["tmp", "here", "there"] {
            fs::create_dir(place.path().join(name)).unwrap();
        }
        write_target(&pair.target, &place.path().join("target"));
        let before = Snapshot::read(&place.path().join("target"))?;
        let source_before = files(&place.path().join("source"))?;
        Ok(Trial { pair, source, place, source_spec, before, source_before })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// What must come of it.
    fn outcome(&self) -> Outcome {
        self.pair.outcome(&self.source, &self.before)
    }

    /// Runs it and looks at what became of it.
    pub(crate) fn run(&self) -> Result<(), String> {
        if self.pair.run.warm && self.pair.run.way != Way::Patch {
            write_target(&self.pair.target, &self.path("copy"));
            // Whatever comes of it will come again.
            self.session(&self.path("copy"), &[]).ok();
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
        self.check(&outcome, ran).or_else(|failure| match known::reason(&pair, &failure) {
            Some(_) => Ok(()),
            None => Err(failure),
        })
    }

    /// Runs it, and says how many bytes crossed in each direction.
    pub(crate) fn traffic(&self) -> Result<[u64; 2], String> {
        let (cable, ran) = self.session_over(&self.path("target"), &[]);
        self.check(&self.outcome(), ran)?;
        Ok([Lane::Out, Lane::Back].map(|lane| cable.written(lane)))
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
            let belongs = |path: &String| path.starts_with("docker-sync/index/") && !path.contains("/new-");
            if let Some(path) = files(&self.path(end))?.keys().find(|path| !belongs(path)) {
                return Err(format!("{path} is left in the cache"));
            }
        }
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
        self.session_over(target, faults).1
    }

    /// A session of both ends over a cable.
    fn session_over(&self, target: &Path, faults: &[Fault]) -> (Cable, Result<(), Failure>) {
        let (cable, client, remote) = Cable::new(faults);
        let (there, target) = (self.path("there"), format!("oci:{}", target.display()));
        let serving = thread::spawn(move || serve(wire(remote), VERSION, &there));
        let idle = (!faults.is_empty()).then(|| {
            let cable = cable.clone();
            thread::spawn(move || cable.cut_when_idle(std::time::Duration::from_millis(500)))
        });
        let (direction, local, remote) = match self.pair.run.way {
            Way::Pull | Way::Patch => (Direction::Pull, target, self.source_spec.clone()),
            Way::Push | Way::Whole => (Direction::Push, self.source_spec.clone(), target),
        };
        let client_end = Client {
            remote: Remote::Layout(remote),
            direction,
            options: self.options(local),
            caches: self.path("here"),
            whole: self.pair.run.way == Way::Whole,
        };
        let ran = connect(client_end, wire(client), Arc::new(()))
            .map_err(|error| Failure::Run(said(error)))
            .and_then(|mut session| self.converse(&mut session, faults.is_empty()));
        // Both ends are gone before anything is looked at.
        let served = serving.join();
        if let Some(idle) = idle {
            idle.join().unwrap();
        }
        match served {
            Ok(_) => (cable, ran),
            Err(_) => (cable, Err(Failure::Lie("the agent panicked".to_owned()))),
        }
    }

    fn converse(&self, session: &mut Session, is_whole: bool) -> Result<(), Failure> {
        let selection = self.pair.selection(&self.source);
        let run = |error| Failure::Run(said(error));
        let report = session.report(&selection).map_err(run)?;
        // Of a damaged connection it says what arrived.
        if let Outcome::Must(wanted) = self.outcome()
            && is_whole
        {
            self.check_report(&report.entries, &wanted)?;
        }
        if let (Some(image), false) = (report.unreadable.first(), selection.is_empty()) {
            return Err(Failure::Run(format!("{image:?} cannot be read")));
        }
        for (entry, also) in by_image(&report.entries) {
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
        for entry in session.report(&selection).map_err(lie("there is no report after a sync"))?.entries {
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
        for Wanted { name, what } in wanted {
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
        let mut entries: Vec<_> = entries.iter().map(said).collect();
        entries.sort();
        expected.sort();
        if entries != expected {
            return Err(Failure::Lie(format!("the report says {entries:?}, not {expected:?}")));
        }
        Ok(())
    }

    fn options(&self, local_store: String) -> Options {
        let run = &self.pair.run;
        Options {
            ssh: Vec::new(),
            local_store,
            remote_store: String::new(),
            tmpfolder: Some(self.path("tmp")),
            memory: MEMORY,
            platform: run.platform.as_ref().map(|platform| platform.parse().unwrap()),
            compression: compression(run.effort),
            method: Method::Auto,
            identity: identity(run.content),
            basis: run.basis.as_ref().map(|name| name.parse().unwrap()),
            explain: false,
            version: VERSION.to_owned(),
        }
    }

    /// `diff` at the source, `apply` at the target.
    fn patch(&self) -> Result<(), Failure> {
        let run = &self.pair.run;
        let options = |store: String| PatchOptions {
            store,
            tmpfolder: self.path("tmp").display().to_string(),
            memory: MEMORY,
            compression: compression(run.effort),
            identity: identity(run.content),
        };
        let operand = |at: usize| format!("{}:{}", self.source_spec, self.source[at].names[0]);
        fs::create_dir_all(self.path("patches")).unwrap();
        let file = self.path("patches/patch");
        let made = diff(&options(self.source_spec.clone()), &operand(1), &operand(0), &file, &());
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
        apply(&target, &file, &()).map(drop).map_err(|error| Failure::Run(format!("apply: {}", said(error))))
    }
}

/// How a run failed.
enum Failure {
    /// It said so.
    Run(String),
    /// What it said is not so.
    Lie(String),
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

fn write_target(target: &Target, path: &Path) {
    match target {
        Target::Absent => {}
        Target::Bare => fs::create_dir(path).unwrap(),
        Target::Layout(items) => {
            let held: Vec<Built> = items.iter().map(Item::build).collect();
            Files::Layout.write(Wrap::None, &held, path).unwrap();
        }
    }
}

fn wire(end: End) -> Wire {
    Wire { input: Box::new(end.input), output: Box::new(end.output) }
}

fn compression(effort: Effort) -> Compression {
    match effort {
        Effort::Auto => Compression::Auto,
        Effort::Level(level) => Compression::Level(i32::from(level)),
        Effort::Max => Compression::Max,
    }
}

fn identity(content: bool) -> Identity {
    if content { Identity::Content } else { Identity::Exact }
}

/// An error with its causes.
fn said(error: dsync_sync::Error) -> String {
    match &error {
        dsync_sync::Error::Endpoint { side, failure } => {
            format!("{side}: {:?}: {}", failure.kind, failure.causes.join(": "))
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

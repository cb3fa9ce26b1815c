//! A layer of a million files, between two layouts: the client in one process, the agent in another.

use std::env;
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use dsync_sync::testing::{Client, Wire, connect, serve};
use dsync_sync::{Direction, Identity, Options, Remote};

use crate::many::Layout;
use crate::peak::{MEMORY, assert_bounded};
use crate::target::options;

/// Says to a process of this test program that it is an end, and where everything is.
const PLACE: &str = "DSYNC_MEMORY_PLACE";

/// Held by the test that runs.
static ALONE: Mutex<()> = Mutex::new(());

/// A run of both ends.
struct Run<'a> {
    /// The directory of sockets and caches.
    place: &'a Path,
    source: &'a Layout,
    target: &'a Layout,
    memory: u64,
    direction: Direction,
    explain: bool,
}

impl Run<'_> {
    /// Runs it, and looks at both ends.
    fn run(&self, what: &str) {
        let lines = [
            what.to_owned(),
            self.source.spec(),
            self.target.spec(),
            self.memory.to_string(),
            (self.direction == Direction::Push).to_string(),
            self.explain.to_string(),
        ];
        fs::write(self.place.join("run"), lines.join("\n")).unwrap();
        let socket = self.place.join("socket");
        fs::remove_file(&socket).ok();
        let agent = start("million::as_the_agent", self.place);
        let client = start("million::as_the_client", self.place);
        for (mut end, who) in [(client, "client"), (agent, "agent")] {
            let status = end.wait().unwrap();
            assert!(status.success(), "the {who} of {what} failed: {status}");
        }
    }
}

fn start(end: &str, place: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([end, "--exact", "--ignored", "--nocapture"]).env(PLACE, place).stdin(Stdio::null());
    command.spawn().unwrap()
}

/// The parameters of a run, as a process of it reads them.
struct Told {
    place: PathBuf,
    what: String,
    source: String,
    target: String,
    memory: u64,
    direction: Direction,
    explain: bool,
}

fn told() -> Told {
    let place = PathBuf::from(env::var_os(PLACE).expect("another test starts this one, and says where"));
    let run = fs::read_to_string(place.join("run")).unwrap();
    let mut lines = run.lines().map(str::to_owned);
    let mut next = || lines.next().unwrap();
    let (what, source, target) = (next(), next(), next());
    let memory = next().parse().unwrap();
    let direction = if next() == "true" { Direction::Push } else { Direction::Pull };
    let explain = next() == "true";
    Told { place, what, source, target, memory, direction, explain }
}

fn wire(stream: UnixStream) -> Wire {
    Wire::new(stream.try_clone().unwrap(), stream)
}

#[test]
#[ignore = "it is an end of other tests"]
fn as_the_agent() {
    let told = told();
    // Under another name, so that nobody connects too early.
    let bound = told.place.join("bound");
    fs::remove_file(&bound).ok();
    let listener = UnixListener::bind(&bound).unwrap();
    fs::rename(&bound, told.place.join("socket")).unwrap();
    let (stream, _) = listener.accept().unwrap();
    serve(wire(stream), "test", &told.place.join("agent")).unwrap();
    assert_bounded(&format!("{}, agent", told.what), told.memory);
}

#[test]
#[ignore = "it is an end of other tests"]
fn as_the_client() {
    let told = told();
    let stream = loop {
        match UnixStream::connect(told.place.join("socket")) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    };
    let (local, remote) = match told.direction {
        Direction::Pull => (told.target.clone(), told.source.clone()),
        Direction::Push => (told.source.clone(), told.target.clone()),
    };
    let options = Options {
        memory: told.memory,
        tmpfolder: Some(told.place.clone()),
        identity: Identity::Exact,
        explain: told.explain,
        ..options(local)
    };
    let client = Client {
        remote: Remote::Layout(remote),
        direction: told.direction,
        options,
        caches: told.place.join("client"),
        agentless: false,
    };
    let mut session = connect(client, wire(stream), Arc::new(())).unwrap();
    let report = session.report(&[]).unwrap();
    let outcome = session.sync(&report.entries[0], &[], false).unwrap();
    let crossed = outcome.traffic.sent + outcome.traffic.received;
    println!("{}: {crossed} bytes crossed", told.what);
    drop(session);
    assert_bounded(&format!("{}, client", told.what), told.memory);
}

/// Runs between layouts of so many files: first copy, updates by a source that remembers, knows nothing, and has the old
/// image; back again; and all files new.
fn bounded(files: u32, memory: u64, pax: bool) {
    // Two at once need the disk space of both.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (source, target) = (Layout::empty(), Layout::empty());
    source.write(files, 0, pax).unwrap();
    let pull = Run {
        place: place.path(),
        source: &source,
        target: &target,
        memory,
        direction: Direction::Pull,
        explain: false,
    };
    pull.run("first copy");
    source.write(files, 1, pax).unwrap();
    pull.run("update, remembered");
    let forget = |end: &str| fs::remove_dir_all(place.path().join(end)).unwrap();
    source.write(files, 2, pax).unwrap();
    forget("agent");
    pull.run("update, source knows nothing");
    forget("client");
    source.write(files, 3, pax).unwrap();
    Run { direction: Direction::Push, explain: true, ..pull }.run("update, nothing remembered, explained");
}

#[test]
#[ignore = "takes minutes: cargo xtask test"]
fn two_hundred_thousand_files_are_within_a_fifth_of_the_memory() {
    bounded(200_000, MEMORY / 5, false);
}

#[test]
#[ignore = "takes minutes, and 6 GB of disk: cargo xtask test --all-engines"]
fn a_million_files_are_within_the_memory() {
    bounded(1_000_000, MEMORY, false);
}

#[test]
#[ignore = "takes minutes, and 9 GB of disk: cargo xtask test --all-engines"]
fn a_million_files_with_pax_headers_are_within_the_memory() {
    bounded(1_000_000, MEMORY, true);
}

//! A layer of a million files, between two layouts: the client in one process, the agent in another.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
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
    /// The bytes after which the agent is gone.
    cut: Option<u64>,
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
            self.cut.unwrap_or(u64::MAX).to_string(),
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
    cut: u64,
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
    let cut = next().parse().unwrap();
    Told { place, what, source, target, memory, direction, explain, cut }
}

fn wire(stream: UnixStream, cut: u64) -> Wire {
    Wire::new(stream.try_clone().unwrap(), Cut { stream, left: cut })
}

/// A connection that is lost after so many bytes.
struct Cut {
    stream: UnixStream,
    left: u64,
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        if most == 0 {
            self.stream.shutdown(Shutdown::Both)?;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let written = self.stream.write(&bytes[..most])?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
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
    let served = serve(wire(stream, told.cut), "test", &told.place.join("agent"));
    assert!(served.is_ok() || told.cut < u64::MAX, "{served:?}");
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
    let mut session = connect(client, wire(stream, u64::MAX), Arc::new(())).unwrap();
    let report = session.report(&[]).unwrap();
    let crossed = match session.sync(&report.entries[0], &[], false) {
        Ok(_) if told.cut < u64::MAX => panic!("all crossed before the connection was lost"),
        Ok(outcome) => outcome.traffic.sent + outcome.traffic.received,
        Err(_) if told.cut < u64::MAX => told.cut,
        Err(error) => panic!("{error}"),
    };
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
        cut: None,
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

/// Copies an image of so many files that are kept until the connection is lost, and goes on.
fn bounded_after_a_cut(files: u32, memory: u64) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (source, target) = (Layout::empty(), Layout::empty());
    source.write(files, 0, false).unwrap();
    let pull = Run {
        place: place.path(),
        source: &source,
        target: &target,
        memory,
        direction: Direction::Pull,
        explain: false,
        cut: None,
    };
    // All of them take 2 bytes each, since they are much alike.
    let cut = u64::from(files) * 3 / 2;
    Run { cut: Some(cut), ..pull }.run("first copy, cut");
    let kept = fs::read_dir(place.path().join("client/docker-sync/partial")).unwrap().count();
    assert_eq!(kept, 1, "nothing was kept");
    pull.run("first copy, gone on with");
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

#[test]
#[ignore = "takes minutes, and 4 GB of disk: cargo xtask test --all-engines"]
fn a_million_files_that_were_kept_are_within_the_memory() {
    bounded_after_a_cut(1_000_000, MEMORY);
}

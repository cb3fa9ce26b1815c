//! The agent: this program on the remote host, talking frames on its standard input and output.
//!
//! It was put into a private directory under its own hash by the bootstrap. It keeps that directory small.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use dsync_proto::{MAGIC, PREAMBLE_LEN, PROTOCOL, Preamble};

use crate::endpoint::{self, Site};
use crate::error::seconds;
use crate::interrupt::{Interrupt, give_up};
use crate::link::{Link, Liveness};
use crate::transport::agent_binary::BUILD;

/// Agents of other versions go when they have not run for so long.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3600);
/// The time that an agent may take to end when its client is gone.
const GRACE: Duration = Duration::from_secs(5);
/// The time that the children of an agent have to end when it is to end at once; they are killed then.
const HASTE: Duration = Duration::from_millis(400);
/// The longest silence of a client that has not said yet how long it may be.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The most agents that stay, the one that runs included; uploads under way do not count.
const KEPT: usize = 4;
/// No upload takes so long.
const UPLOAD: Duration = Duration::from_secs(24 * 3600);
/// The beginning of an agent's file name; its build follows.
const PREFIX: &str = "agent-";

/// Runs as the agent until the client goes away. Returns the exit code.
///
/// `interrupt` is also used when the client goes away. `folder` is the directory that relative paths are meant from: the bootstrap runs the agent out of another.
pub fn serve_stdio(version: &str, folder: Option<&OsStr>, interrupt: &Interrupt) -> u8 {
    let served = serve(version, folder, interrupt);
    if ENDING.load(Ordering::SeqCst) {
        // Whoever ends the agent ends its children first.
        thread::sleep(10 * HASTE);
    }
    match served {
        Ok(()) => 0,
        Err(error) => {
            // The client shows the agent's standard error when the conversation ends early.
            writeln!(io::stderr(), "docker-sync agent: {error}").ok();
            1
        }
    }
}

/// The agent is about to end, with its children.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Ends the agent and its children within a second, whatever they are doing and whether or not anybody hears the reason.
pub fn end_agent(interrupt: &Interrupt, reason: &str) {
    ENDING.store(true, Ordering::SeqCst);
    thread::spawn(|| {
        thread::sleep(HASTE);
        give_up();
        thread::sleep(HASTE / 4);
        process::exit(1);
    });
    interrupt.interrupt();
    dsync_engine::terminate_children();
    // The client shows it.
    writeln!(io::stderr(), "docker-sync agent: {reason}").ok();
}

fn serve(version: &str, folder: Option<&OsStr>, interrupt: &Interrupt) -> io::Result<()> {
    if let Some(folder) = folder {
        // Without it nothing relative can be meant, least of all from the directory of agents.
        std::env::set_current_dir(folder).or_else(|_| std::env::set_current_dir("/"))?;
    }
    let mut output = io::stdout();
    output.write_all(&Preamble { protocol: PROTOCOL, build: BUILD }.encode())?;
    output.flush()?;
    tidy_cache();
    let ending = interrupt.clone();
    let liveness = Liveness::watch(Some(TIMEOUT), move |silence| {
        end_agent(&ending, &format!("nothing was heard from the client for {}", seconds(silence)));
    });
    let mut input = io::stdin();
    let mut preamble = [0; PREAMBLE_LEN];
    input.read_exact(&mut preamble)?;
    let (magic, rest) = preamble.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(io::Error::other("what arrives on standard input is not from docker-sync"));
    }
    Preamble::decode(rest.try_into().map_err(io::Error::other)?, &BUILD).map_err(io::Error::other)?;
    let watched = interrupt.clone();
    thread::spawn(move || {
        if is_hung_up(io::stdout()) {
            end_busy(&watched);
        }
    });
    let link = Link::over(
        Leash(input, interrupt.clone()),
        output,
        Default::default(),
        Default::default(),
        interrupt,
        liveness,
    );
    endpoint::serve(link, &Site::distant(version, interrupt))
}

/// The bytes of the client. When it goes away, an agent that is busy ends, too.
struct Leash<R>(R, Interrupt);

impl<R: Read> Read for Leash<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into);
        let gone = match &read {
            Ok(0) => !into.is_empty(),
            Ok(_) => false,
            Err(error) => error.kind() != io::ErrorKind::Interrupted,
        };
        if gone {
            end_busy(&self.1);
        }
        read
    }
}

/// Ends an agent whose client is gone: what it is doing stops, and where that waits for an engine, the agent ends all the
/// same.
fn end_busy(interrupt: &Interrupt) {
    interrupt.interrupt();
    thread::spawn(|| {
        thread::sleep(GRACE);
        give_up();
        process::exit(1);
    });
}

/// Waits until nobody can read what is written to a pipe any more. An agent that waits for its engine does not read its
/// input to the end, and so does not hear there that its client is gone. False where that cannot be told.
fn is_hung_up(output: impl AsFd) -> bool {
    loop {
        // Without a flag that it asks for, poll tells of errors and hang-ups alone.
        let mut output = [PollFd::new(&output, PollFlags::empty())];
        match poll(&mut output, None) {
            Ok(_) => return output[0].revents().intersects(PollFlags::ERR | PollFlags::HUP),
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Marks this agent as used and removes those that are not. That it cannot is no reason not to serve.
fn tidy_cache() {
    let Ok(program) = std::env::current_exe() else { return };
    let is_agent =
        program.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    let Some(directory) = program.parent().filter(|_| is_agent) else { return };
    if let Ok(file) = File::open(&program) {
        file.set_modified(SystemTime::now()).ok();
    }
    remove_unused(directory, &program, SystemTime::now());
}

fn remove_unused(directory: &Path, running: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    let files = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)))
        .filter(|entry| entry.path() != running)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
    // The bootstrap writes to `agent-HASH.PID` first.
    let (uploads, mut agents): (Vec<_>, Vec<_>) = files.partition(|(_, path)| path.extension().is_some());
    agents.sort_by(|a, b| b.cmp(a));
    let is_old = |used: &SystemTime, limit| now.duration_since(*used).is_ok_and(|age| age > limit);
    let surplus = agents
        .iter()
        .enumerate()
        .filter(|(position, (used, _))| position + 1 >= KEPT || is_old(used, UNUSED));
    let broken = uploads.iter().filter(|(written, _)| is_old(written, UPLOAD));
    for (_, path) in surplus.map(|(_, file)| file).chain(broken) {
        fs::remove_file(path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_few_recent_agents_stay() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let day = Duration::from_secs(24 * 3600);
        let agent = |name: &str, days: u32| {
            let path = dir.path().join(name);
            File::create(&path).unwrap().set_modified(now - day * days).unwrap();
            path
        };
        let running = agent("agent-self", 90);
        for (name, days) in [("agent-a", 1), ("agent-b", 2), ("agent-c", 3), ("agent-d", 4), ("agent-e", 31)]
        {
            agent(name, days);
        }
        agent("something-else", 99);
        agent("agent-f.4711", 0);
        agent("agent-g.4712", 2);
        remove_unused(dir.path(), &running, now);
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["agent-a", "agent-b", "agent-c", "agent-f.4711", "agent-self", "something-else"]);
    }

    #[test]
    fn an_unused_agent_goes_even_when_it_is_alone() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("agent-old");
        let now = SystemTime::now();
        File::create(&old).unwrap().set_modified(now - UNUSED - Duration::from_secs(1)).unwrap();
        remove_unused(dir.path(), &dir.path().join("agent-self"), now);
        assert!(!old.exists());
    }
}

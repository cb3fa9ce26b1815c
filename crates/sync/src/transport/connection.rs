//! Gets an agent at the other end: through ssh and the bootstrap, or as a child process of this host.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::{Failure, FailureKind, PREAMBLE_LEN, PROTOCOL, Preamble};

use super::agent_binary::{self, BUILD, agent_version};
use super::destination::Remote;
use crate::error::{Error, Host, SshFailure};
use crate::event::{Event, Observer};
use crate::interrupt::Interrupt;
use crate::link::{Link, Listening, Liveness};
use crate::options::Options;
use crate::transport::bootstrap::{self, BootstrapError};
use crate::transport::crash;
use crate::transport::limit::Limited;
use crate::transport::ssh::{self, Pipe};

/// The time that a person has to answer ssh, beyond the timeout: as long as sshd waits for a login (`LoginGraceTime`).
const LOGIN: Duration = Duration::from_secs(120);
/// The time that an end has to tidy up after its last reply.
const GRACE: Duration = Duration::from_secs(5);
/// Bytes a second at which an agent gets to its host at least: those that were written may be under way for long.
const SLOWEST_UPLOAD: u64 = 16 << 10;

/// The end of this host, in this process.
pub(crate) struct Local {
    pub(crate) link: Link,
    pub(crate) served: Served,
}

/// A connection to an agent.
pub(crate) struct Dialled {
    pub(crate) link: Link,
    /// The child process that holds the connection, if one does.
    pub(crate) pipe: Option<Pipe>,
    /// Bytes to the agent, its upload included.
    pub(crate) sent: Arc<AtomicU64>,
    /// Bytes from the agent.
    pub(crate) received: Arc<AtomicU64>,
    /// There is no agent: layers go whole.
    pub(crate) agentless: bool,
    pub(crate) served: Served,
}

/// The thread that serves an end in this process; whoever drops this waits for it. Its link must be gone before.
#[derive(Default)]
pub(crate) struct Served {
    thread: Option<thread::JoinHandle<io::Result<()>>>,
    /// Ends the wait for one that may be waiting for an engine.
    interrupt: Option<Interrupt>,
}

impl Served {
    /// A thread that ends soon when its link is gone.
    pub(crate) fn by(thread: thread::JoinHandle<io::Result<()>>) -> Served {
        Served { thread: Some(thread), interrupt: None }
    }

    /// A thread that may be waiting for an engine: it is left to itself after [`GRACE`], or when the run is interrupted.
    pub(crate) fn by_busy(thread: thread::JoinHandle<io::Result<()>>, interrupt: &Interrupt) -> Served {
        Served { thread: Some(thread), interrupt: Some(interrupt.clone()) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        if let Some(interrupt) = &self.interrupt {
            let begun = Instant::now();
            while !thread.is_finished() {
                if interrupt.happened() || begun.elapsed() > GRACE {
                    return;
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        // Its failure has crossed the link.
        thread.join().ok();
    }
}

/// Connects to an agent: through ssh and the bootstrap, or to a child process of this host.
pub(crate) fn dial_agent(
    remote: &Remote,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Dialled, Error> {
    let (host, interrupt) = (remote.to_string(), options.interrupt.of_connection());
    let (hash, size) = agent_binary::measure_own(&options.version, options.agents)
        .map_err(Error::io("cannot read this program's own file"))?;
    let words = match remote {
        Remote::Ssh(destination) => {
            let command = bootstrap::command(&hash, &agent_version(&options.version), size);
            ssh::arguments(&options.ssh, destination, &command)
        }
        Remote::Layout(_) => {
            let program =
                std::env::current_exe().map_err(Error::io("cannot find this program's own file"))?;
            vec![program.to_string_lossy().into_owned(), "agent".into()]
        }
    };
    let (mut pipe, output, input) = Pipe::spawn(&words, &host, observer, &interrupt)?;
    let (output, input) = (Limited::new(output, options.limit), Limited::new(input, options.limit));
    let silent = interrupt.clone();
    let liveness = Liveness::watch(login_timeout(options.timeout), move |_| silent.interrupt());
    let mut output = Listening { input: output, liveness: liveness.clone() };
    let mut input = Moving { output: input, liveness: liveness.clone() };
    let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut program = |system: &str, machine: &str| {
        let program =
            agent_binary::for_host((system, machine), &options.version, options.agents, &interrupt)?;
        let bytes = program.packed.len() as u64;
        sent.fetch_add(bytes, Ordering::Relaxed);
        let under_way = Duration::from_secs(bytes / SLOWEST_UPLOAD);
        liveness.set_timeout(options.timeout.map(|timeout| timeout + under_way));
        observer.event(Event::Uploading { bytes });
        Ok(program)
    };
    let greeting = match bootstrap::greet(&mut output, &mut input, &mut program) {
        Ok(greeting) => greeting,
        Err(error) => {
            drop((output, input));
            if let Some(silence) = liveness.silence() {
                pipe.hurry();
                pipe.end();
                return Err(Error::Silent { host, silence });
            }
            liveness.end();
            return Err(explain(error, &mut pipe, host, &interrupt));
        }
    };
    liveness.set_timeout(options.timeout);
    if !greeting.noise.is_empty() {
        let noise = String::from_utf8_lossy(&greeting.noise);
        observer.event(Event::Note(&format!("the login shell of {host} printed: {}", noise.trim())));
    }
    received.fetch_add((PREAMBLE_LEN + greeting.noise.len()) as u64, Ordering::Relaxed);
    let preamble = Preamble { protocol: PROTOCOL, build: BUILD }.encode();
    let greeted = input.write_all(&preamble).and_then(|()| input.flush());
    if greeted.is_err() {
        liveness.end();
        return Err(lost(&mut pipe, &host, &interrupt));
    }
    sent.fetch_add(PREAMBLE_LEN as u64, Ordering::Relaxed);
    let output = Cursor::new(greeting.rest).chain(output.input);
    let (counters, input) = ((Arc::clone(&sent), Arc::clone(&received)), input.output);
    let link = Link::over(output, input, counters.0, counters.1, &interrupt, liveness);
    Ok(Dialled { link, pipe: Some(pipe), sent, received, agentless: false, served: Served::default() })
}

/// The longest silence before a host has said anything: ssh may be asking a person for a password meanwhile.
pub(crate) fn login_timeout(timeout: Option<Duration>) -> Option<Duration> {
    let may_ask = File::open("/dev/tty").is_ok() || std::env::var_os("SSH_ASKPASS").is_some();
    timeout.map(|timeout| if may_ask { timeout + LOGIN } else { timeout })
}

/// Notes when bytes to the other end get on: a host that takes them is there.
struct Moving<W> {
    output: W,
    liveness: Liveness,
}

impl<W: Write> Write for Moving<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.write(bytes)?;
        self.liveness.heard();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The reason why a connection ended on which the agent had answered.
fn lost(pipe: &mut Pipe, host: &str, interrupt: &Interrupt) -> Error {
    pipe.end();
    if interrupt.happened() {
        return Error::Interrupted;
    }
    pipe.ended(host)
}

/// The reason why no agent answered. ssh exits with 255 for its own failures, and with the remote command's status
/// otherwise.
fn explain(error: BootstrapError, pipe: &mut Pipe, host: String, interrupt: &Interrupt) -> Error {
    if matches!(error, BootstrapError::Again | BootstrapError::Noise(_)) {
        pipe.hurry();
    }
    let status = pipe.end().and_then(|status| status.code());
    if interrupt.happened() {
        return Error::Interrupted;
    }
    let message = pipe.message();
    if let Some(message) = crash::last_words(&message) {
        return Error::Crashed { host, message };
    }
    match error {
        BootstrapError::Version(error) => error.into(),
        BootstrapError::Refused(reason) => Error::NoAgent { host, reason },
        BootstrapError::Faulty(reason) => Error::Bootstrap { host, reason: reason.into() },
        BootstrapError::Full => {
            let failure = Failure { kind: FailureKind::TemporaryFull, causes: vec![error.to_string()] };
            Error::Endpoint { host: Host::Remote(host), failure }
        }
        BootstrapError::Again => Error::Protocol { end: host, what: error.to_string() },
        // It had got there.
        BootstrapError::Silent { given: true, .. } if status == Some(255) => Error::Lost { host, message },
        BootstrapError::Silent { .. } | BootstrapError::Io(_) if status == Some(255) => {
            ssh::failed(&host, message)
        }
        BootstrapError::Io(error) => Error::Ssh { host, kind: SshFailure::Other, message: error.to_string() },
        // ssh itself was killed.
        BootstrapError::Silent { .. } if status.is_none() => Error::Lost { host, message },
        BootstrapError::Silent { given: true, .. } => {
            let said = if message.is_empty() { String::new() } else { format!(": {message}") };
            Error::Bootstrap { host, reason: format!("it was given the agent, which did not answer{said}") }
        }
        BootstrapError::Silent { said, .. } | BootstrapError::Noise(said) => {
            Error::NoShell { host, said: ssh::lines(&said, &message) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_thread_has_time_to_tidy_up() {
        let (tidied, seen) = mpsc::channel();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            tidied.send(()).map_err(io::Error::other)
        });
        drop(Served::by_busy(thread, &Interrupt::default()));
        seen.try_recv().unwrap();
    }

    #[test]
    fn a_thread_that_waits_for_an_engine_is_left_to_itself_by_an_interrupt() {
        let (engine, waiting) = mpsc::channel::<()>();
        let thread = thread::spawn(move || waiting.recv().map_err(io::Error::other));
        let (begun, run) = (Instant::now(), Interrupt::default());
        run.interrupt();
        drop(Served::by_busy(thread, &run));
        assert!(begun.elapsed() < GRACE);
        drop(engine);
    }
}

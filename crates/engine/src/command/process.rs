//! A running program: its output as a reader, its input as a writer, and its end.
//!
//! A child is never left behind: one that is dropped is killed and waited for.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dsync_core::Password;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::children::{EngineHost, ListedChild};
use super::prompt;
use crate::failure::{ProgramFailure, classify};
use crate::script;
use crate::store::StoreError;

/// Bytes of a program's output that are kept: the end, where the reason is.
const TAIL: usize = 16 << 10;
/// The most bytes of a login shell's output before the mark.
const MAX_NOISE: usize = 64 << 10;
/// The time that a program has to notice that its input has ended early.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program whose standard output is read.
pub(crate) struct Reading {
    // The order matters: a program behind sudo cannot be killed, and ends when nobody reads what it writes.
    stdout: Option<ChildStdout>,
    running: Running,
    /// True once a login shell's output before the mark was skipped.
    has_begun: bool,
    received: Option<Arc<AtomicU64>>,
}

impl Reading {
    /// Reads all that the program writes.
    pub(super) fn new(mut running: Running) -> Self {
        let stdout = running.child.stdout.take();
        Self { running, stdout, has_begun: true, received: None }
    }

    /// Reads what a program of another host writes after the mark, and counts it.
    pub(super) fn marked(running: Running, received: Arc<AtomicU64>) -> Self {
        Self { has_begun: false, received: Some(received), ..Self::new(running) }
    }

    /// The command line, for people.
    pub(super) fn command(&self) -> &str {
        &self.running.command
    }

    /// Closes its output, so that it does not wait for a reader, and waits for it: its status and standard error.
    pub(super) fn end(mut self) -> Result<(ExitStatus, String), StoreError> {
        self.stdout = None;
        self.running.wait()
    }

    /// After its output has been read to the end: its failure, if it failed.
    pub(crate) fn finish(self, image: Option<&str>) -> Result<(), StoreError> {
        let command = self.running.command.clone();
        let (status, stderr) = self.end()?;
        if status.success() { Ok(()) } else { Err(failure(&command, status, &stderr, image)) }
    }

    /// After its output turned out to be useless: the reason, if it gave one.
    pub(crate) fn explain(self, image: Option<&str>) -> Result<(), StoreError> {
        let command = self.running.command.clone();
        let (status, stderr) = self.end()?;
        if status.success() && stderr.trim().is_empty() {
            Ok(())
        } else {
            Err(failure(&command, status, &stderr, image))
        }
    }

    /// Reads up to the mark; a program that ends before it has its reason on standard error.
    fn skip_noise(&mut self) -> io::Result<()> {
        let Self { running, stdout, .. } = self;
        let Some(stdout) = stdout else { return Ok(()) };
        let mark = format!("{}\n", script::MARK);
        let mut noise = Vec::new();
        // One by one, so that nothing is read beyond the mark.
        let mut byte = [0];
        while noise.len() < MAX_NOISE && running.waiting(|| stdout.read(&mut byte))? == 1 {
            noise.push(byte[0]);
            if noise.ends_with(mark.as_bytes()) {
                break;
            }
        }
        Ok(())
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.has_begun {
            self.skip_noise()?;
            self.has_begun = true;
        }
        let Self { running, stdout, .. } = self;
        let count = stdout.as_mut().map_or(Ok(0), |stdout| running.waiting(|| stdout.read(buffer)))?;
        if let Some(received) = &self.received {
            received.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// A program whose standard input is written.
///
/// Dropped early, it sees its input end and gets the time to clean up after itself (podman keeps a copy
/// of its input on disk); only then is it killed.
pub(crate) struct Feeding {
    // The order matters: the input closes before the program is waited for.
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<String>>,
    running: Running,
    sent: Option<Arc<AtomicU64>>,
}

impl Feeding {
    /// Writes to the program, and counts what is written.
    pub(super) fn new(mut running: Running, sent: Option<Arc<AtomicU64>>) -> Self {
        let stdin = running.child.stdin.take();
        let stdout = running.child.stdout.take().map(tail);
        Self { stdin, stdout, running, sent }
    }

    /// Ends its input and waits: its output, on success.
    pub(crate) fn finish(mut self) -> Result<String, StoreError> {
        self.stdin = None;
        let command = self.running.command.clone();
        let (status, stderr) = self.running.wait()?;
        let printed = joined(self.stdout.take());
        // docker writes to standard output what podman writes to standard error.
        if status.success() {
            Ok(printed + &stderr)
        } else {
            Err(failure(&command, status, &format!("{printed}\n{stderr}"), None))
        }
    }
}

impl Write for Feeding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { running, stdin, .. } = self;
        let stdin = stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let count = running.waiting(|| stdin.write(bytes))?;
        if let Some(sent) = &self.sent {
            sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        if self.stdin.take().is_some() {
            self.running.wait_at_most(PATIENCE);
        }
    }
}

/// A child process, which is killed and waited for where nobody waited for it.
pub(super) struct Running {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    command: String,
    /// The name of the program, for people.
    program: String,
    /// The child on the list of those that run.
    listed: Option<ListedChild>,
    ended: bool,
    /// Told when a sudo has asked for the password, or never will.
    asked: Option<Receiver<()>>,
}

impl Running {
    /// Starts a program with pipes for its output. `shown` is its command line and `program` its name, for people;
    /// `asks` says that it is a sudo that will ask for the password.
    pub(super) fn start(
        mut command: Command,
        shown: String,
        program: &str,
        host: EngineHost,
        asks: bool,
    ) -> Result<Self, StoreError> {
        let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { program: program.to_owned() },
            _ => StoreError::Io { what: format!("cannot run `{shown}`"), source },
        })?;
        let (told, asked) = mpsc::channel();
        let stderr = child.stderr.take().map(|mut stderr| match asks {
            false => tail(stderr),
            true => thread::spawn(move || {
                let before = prompt::read_to_prompt(&mut stderr);
                // Who does not feed it does not wait for this.
                told.send(()).ok();
                kept(io::Cursor::new(before).chain(stderr))
            }),
        });
        let listed = ListedChild::new(child.id(), program, host);
        let asked = asks.then_some(asked);
        Ok(Self { child, stderr, command: shown, program: program.to_owned(), listed, ended: false, asked })
    }

    /// The standard input, for whoever has it now.
    pub(super) fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until a sudo asks for the password, and gives it.
    pub(super) fn answer(&mut self, password: &Password) -> Result<(), StoreError> {
        let asked = self.asked.take();
        let has_asked = asked.is_none_or(|asked| self.waiting(|| asked.recv_timeout(PATIENCE).is_ok()));
        if !has_asked {
            let message = "sudo did not ask for the password, and what it runs may be waiting for its input";
            return Err(StoreError::Permission { message: message.into() });
        }
        if let Some(input) = &mut self.child.stdin {
            // One that has ended says why.
            prompt::write(input, password).ok();
        }
        Ok(())
    }

    pub(super) fn wait(&mut self) -> Result<(ExitStatus, String), StoreError> {
        // A program that is still to read would wait for ever.
        self.child.stdin = None;
        let overdue = self.waiting_for_end();
        let status =
            reaped(self.listed.as_ref(), &mut self.child, Child::wait, |_| true).map_err(|source| {
                let what = format!("cannot learn how `{}` ended", self.command);
                StoreError::Io { what, source }
            })?;
        self.ended = true;
        if let Some(limit) = overdue {
            let message = format!("`{}` has not answered for {} s", self.program, limit.as_secs());
            return Err(StoreError::Down { message });
        }
        Ok((status, joined(self.stderr.take())))
    }

    /// Does something that waits for the child.
    fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        match &self.listed {
            Some(listed) => listed.waiting(wait),
            None => wait(),
        }
    }

    /// Waits for the end of the child, which stays to be reaped: until then its number is its own. Returns the limit
    /// beyond which it kept this process waiting, if that is why it ended.
    fn waiting_for_end(&self) -> Option<Duration> {
        let listed = self.listed.as_ref()?;
        let pid = listed.pid()?;
        let ended = || {
            let wait = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            while matches!(wait(), Err(Errno::INTR)) {}
        };
        listed.waiting(ended);
        listed.overdue()
    }

    /// Waits for its end, up to this limit and up to that for a program that keeps this process waiting.
    fn wait_at_most(&mut self, limit: Duration) {
        let start = Instant::now();
        let has_ended = |ended: &io::Result<Option<ExitStatus>>| matches!(ended, Ok(Some(_)));
        let (listed, child) = (self.listed.as_ref(), &mut self.child);
        let mut wait = || {
            loop {
                match reaped(listed, child, Child::try_wait, has_ended) {
                    Ok(Some(_)) => return true,
                    Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
                    Ok(None) | Err(_) => return false,
                }
            }
        };
        self.ended = match listed {
            Some(listed) => listed.waiting(wait),
            None => wait(),
        };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // Both fail only for a child that has already been waited for.
            let _ = self.child.kill();
            self.listed = None;
            let _ = self.child.wait();
        }
    }
}

/// Reaps the child, while nobody sends it a signal.
fn reaped<T>(
    listed: Option<&ListedChild>,
    child: &mut Child,
    reap: impl FnOnce(&mut Child) -> T,
    is_gone: impl FnOnce(&T) -> bool,
) -> T {
    match listed {
        Some(listed) => listed.reaping(|| reap(child), is_gone),
        None => reap(child),
    }
}

/// The error that the exit of a program stands for.
pub(super) fn failure(command: &str, status: ExitStatus, stderr: &str, image: Option<&str>) -> StoreError {
    classify(&ProgramFailure { command, status: &status.to_string(), stderr, image })
}

/// Reads to the end in a thread of its own and keeps the tail.
fn tail(reader: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || kept(reader))
}

fn kept(mut reader: impl Read) -> String {
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                kept.extend_from_slice(&buffer[..count]);
                let excess = kept.len().saturating_sub(TAIL);
                kept.drain(..excess);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn joined(thread: Option<JoinHandle<String>>) -> String {
    thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
}

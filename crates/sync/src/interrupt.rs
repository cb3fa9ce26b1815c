//! The end of a run before its time: whoever waits for an end of it fails, and its child processes are told to end.
//!
//! Nothing waits for a child to obey: from then on its pipes count as closed.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dsync_engine::{kill_children, temporary};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// The longest time after which whoever waits looks for an interrupt.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Ends what would stay of a process that ends without unwinding: the client programs of engines, and temporary
/// directories.
pub fn give_up() {
    kill_children();
    // They write to these directories.
    thread::sleep(TICK);
    temporary::remove_own();
}

/// Says to a run, or to one connection of it, that it is to end. Clones are of the same run.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    happened: AtomicBool,
    /// Child processes that have not been waited for.
    children: Mutex<Vec<Pid>>,
    /// The run that this is a connection of.
    run: Option<Interrupt>,
}

impl Interrupt {
    /// The interrupt of one connection, which also ends with the run.
    pub(crate) fn of_connection(&self) -> Interrupt {
        Interrupt(Arc::new(State { run: Some(self.clone()), ..State::default() }))
    }

    /// Ends it: what fails from now on fails for that reason.
    pub fn interrupt(&self) {
        self.0.happened.store(true, Ordering::SeqCst);
        for child in &*self.children() {
            // It may have heard the signal itself and be gone.
            kill_process(*child, Signal::TERM).ok();
        }
    }

    /// Kills the child processes that have not obeyed: nobody waits for them any longer.
    pub fn kill_children(&self) {
        for child in &*self.children() {
            kill_process(*child, Signal::KILL).ok();
        }
    }

    /// Fails where it is to end, for work that is no waiting.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.happened() { Err(io::Error::other("interrupted")) } else { Ok(()) }
    }

    /// True if it is to end.
    pub(crate) fn happened(&self) -> bool {
        self.0.happened.load(Ordering::SeqCst) || self.0.run.as_ref().is_some_and(Interrupt::happened)
    }

    /// Ends a child process with the run, until [`Interrupt::release`].
    pub(crate) fn adopt(&self, child: u32) {
        if let Some(child) = pid(child) {
            self.children().push(child);
            // The interrupt may have come after the child was started.
            if self.happened() {
                kill_process(child, Signal::TERM).ok();
            }
        }
        if let Some(run) = &self.0.run {
            run.adopt(child);
        }
    }

    /// Looks whether a child has ended. It is told to end with the run until it has, and not afterwards: its number may be
    /// another's then.
    pub(crate) fn reap(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let mut own = self.children();
        let mut of_run = self.0.run.as_ref().map(Interrupt::children);
        let status = child.try_wait();
        if !matches!(status, Ok(None)) {
            let lists = [Some(&mut own), of_run.as_mut()];
            lists.into_iter().flatten().for_each(|list| list.retain(|other| Some(*other) != pid(child.id())));
        }
        status
    }

    /// Leaves alone a child that is waited for: its number may be another's from then on.
    pub(crate) fn release(&self, child: u32) {
        self.children().retain(|other| Some(*other) != pid(child));
        if let Some(run) = &self.0.run {
            run.release(child);
        }
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<Pid>> {
        self.0.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pid(child: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(child).ok()?)
}

/// This process's end of a pipe to a child, which counts as closed once its run is interrupted.
///
/// The child may ignore a signal, or have left the other end to a child of its own.
pub(crate) struct Interruptible<T> {
    pipe: T,
    interrupt: Interrupt,
}

impl<T: AsFd> Interruptible<T> {
    /// Takes the end of a pipe.
    pub(crate) fn new(pipe: T, interrupt: &Interrupt) -> io::Result<Self> {
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Interruptible { pipe, interrupt: interrupt.clone() })
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.pipe, flags)], Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<T: AsFd + Read> Read for Interruptible<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.interrupt.happened() {
            match self.pipe.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                read => return read,
            }
        }
        Ok(0)
    }
}

impl<T: AsFd + Write> Write for Interruptible<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while !self.interrupt.happened() {
            match self.pipe.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                written => return written,
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_pipe_gives_everything_and_takes_everything() {
        let (input, output) = io::pipe().unwrap();
        let run = Interrupt::default();
        let (mut input, mut output) =
            (Interruptible::new(input, &run).unwrap(), Interruptible::new(output, &run).unwrap());
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 5) as u8).collect();
        let sending = bytes.clone();
        let writer = thread::spawn(move || {
            thread::sleep(2 * TICK);
            output.write_all(&sending)
        });
        // More than a pipe holds, so that either end waits for the other.
        let mut first = vec![0; 100_000];
        input.read_exact(&mut first).unwrap();
        thread::sleep(2 * TICK);
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        writer.join().unwrap().unwrap();
        assert!([first, rest].concat() == bytes);
    }

    #[test]
    fn a_connection_ends_with_its_run_and_not_with_another() {
        let run = Interrupt::default();
        let (one, other) = (run.of_connection(), run.of_connection());
        one.interrupt();
        assert!(one.happened() && !other.happened() && !run.happened());
        run.interrupt();
        assert!(other.happened());
    }

    #[test]
    fn a_child_ends_with_its_connection_and_with_its_run() {
        let sleep = || std::process::Command::new("sleep").arg("60").spawn().unwrap();
        for of_run in [false, true] {
            let run = Interrupt::default();
            let (one, other) = (run.of_connection(), run.of_connection());
            let (mut child, mut released, mut neighbour) = (sleep(), sleep(), sleep());
            one.adopt(child.id());
            one.adopt(released.id());
            one.release(released.id());
            other.adopt(neighbour.id());
            if of_run {
                run.interrupt()
            } else {
                one.interrupt()
            }
            assert!(!child.wait().unwrap().success());
            assert!(released.try_wait().unwrap().is_none());
            thread::sleep(2 * TICK);
            assert_eq!(neighbour.try_wait().unwrap().is_some(), of_run);
            for mut child in [released, neighbour] {
                child.kill().ok();
                child.wait().unwrap();
            }
        }
    }
}

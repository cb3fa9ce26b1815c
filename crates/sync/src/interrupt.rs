//! Ctrl-C: the child that holds the connection is told to end, and everything that waits for it fails.
//!
//! Nothing waits for the child to obey: from then on its pipes count as closed.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// The longest time after which whoever waits looks for an interrupt.
pub(crate) const TICK: Duration = Duration::from_millis(50);

static HAPPENED: AtomicBool = AtomicBool::new(false);
static CONNECTION: AtomicI32 = AtomicI32::new(0);

/// Says that the process is about to end because a person or the system wants it to: the connection is cut,
/// and what fails from now on fails for that reason.
pub fn interrupt() {
    HAPPENED.store(true, Ordering::SeqCst);
    end();
}

/// Whether somebody wants the process to end.
pub(crate) fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// Notes the child to be ended; 0 when it has been waited for, since its number may then be another's.
pub(crate) fn connection(pid: u32) {
    CONNECTION.store(i32::try_from(pid).unwrap_or(0), Ordering::SeqCst);
    // The interrupt may have come after the child was started and before it was noted.
    if happened() {
        end();
    }
}

fn end() {
    if let Some(pid) = Pid::from_raw(CONNECTION.load(Ordering::SeqCst)) {
        // It may have heard the signal itself and be gone.
        kill_process(pid, Signal::TERM).ok();
    }
}

/// This process's end of a pipe to a child, which counts as closed once the process is interrupted.
///
/// The child may ignore a signal, or have left the other end to a child of its own.
pub(crate) struct Interruptible<T>(T);

impl<T: AsFd> Interruptible<T> {
    /// Takes the end of a pipe.
    pub(crate) fn new(pipe: T) -> io::Result<Self> {
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Interruptible(pipe))
    }

    fn wait(&self, flags: PollFlags) -> io::Result<()> {
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.0, flags)], Some(&tick)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<T: AsFd + Read> Read for Interruptible<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !happened() {
            match self.0.read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                read => return read,
            }
        }
        Ok(0)
    }
}

impl<T: AsFd + Write> Write for Interruptible<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while !happened() {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                written => return written,
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_pipe_gives_everything_and_takes_everything() {
        let (input, output) = io::pipe().unwrap();
        let (mut input, mut output) =
            (Interruptible::new(input).unwrap(), Interruptible::new(output).unwrap());
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
}

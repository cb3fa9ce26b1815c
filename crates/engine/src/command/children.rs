//! The client programs that run as children of this process: the ones that it waits for, and the end of all of them.
//!
//! A process ends whenever it likes; its children do so only where they are told to. The list is that of the process,
//! since its end is.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The children of this process, and what it wants of them.
static CHILDREN: Mutex<Children> = Mutex::new(Children { running: Vec::new(), last: 0, is_ending: false });

struct Children {
    running: Vec<Child>,
    /// The number of the last one.
    last: u64,
    /// Nothing more is to run.
    is_ending: bool,
}

/// The host of the engine that a client program talks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineHost {
    /// The host of this process.
    This,
    /// A host that is reached by a command.
    Other,
}

struct Child {
    number: u64,
    pid: Pid,
    /// The name by which a person knows it.
    program: String,
    host: EngineHost,
    /// Since when this process waits for it, if it does.
    waited_since: Option<Instant>,
    /// The limit beyond which it kept this process waiting.
    overdue: Option<Duration>,
}

fn lock() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Children {
    fn find(&mut self, number: u64) -> Option<&mut Child> {
        self.running.iter_mut().find(|child| child.number == number)
    }
}

/// A child that runs, on the list.
#[derive(Debug)]
pub(super) struct ListedChild(u64);

impl ListedChild {
    /// Puts a child on the list.
    pub(super) fn new(pid: u32, program: &str, host: EngineHost) -> Option<ListedChild> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let mut children = lock();
        children.last += 1;
        let number = children.last;
        let program = program.rsplit('/').next().unwrap_or(program).to_owned();
        children.running.push(Child { number, pid, program, host, waited_since: None, overdue: None });
        if children.is_ending {
            kill_process(pid, Signal::KILL).ok();
        }
        Some(ListedChild(number))
    }

    /// Does something that waits for the child.
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        let set = |since| {
            if let Some(child) = lock().find(self.0) {
                child.waited_since = since;
            }
        };
        set(Some(Instant::now()));
        let waited = wait();
        set(None);
        waited
    }

    /// Does something after which the child is no more. Nobody sends it a signal meanwhile: its number may be another's
    /// from then on.
    pub(super) fn reaping<T>(&self, reap: impl FnOnce() -> T, is_gone: impl FnOnce(&T) -> bool) -> T {
        let mut children = lock();
        let reaped = reap();
        if is_gone(&reaped) {
            children.running.retain(|child| child.number != self.0);
        }
        reaped
    }

    /// The limit beyond which the child kept this process waiting, and was ended.
    pub(super) fn overdue(&self) -> Option<Duration> {
        lock().find(self.0)?.overdue
    }

    pub(super) fn pid(&self) -> Option<Pid> {
        lock().find(self.0).map(|child| child.pid)
    }
}

impl Drop for ListedChild {
    fn drop(&mut self) {
        lock().running.retain(|child| child.number != self.0);
    }
}

/// A client program that keeps this process waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The program: `docker`.
    pub program: String,
    /// For how long it has until now.
    pub elapsed: Duration,
}

/// The client program that keeps this process waiting for the longest time, of those that talk with an engine of a
/// host.
pub fn waiting(host: EngineHost) -> Option<Waiting> {
    let children = lock();
    let of_host = children.running.iter().filter(|child| child.host == host);
    let waiting = of_host.filter_map(|child| {
        Some(Waiting { program: child.program.clone(), elapsed: child.waited_since?.elapsed() })
    });
    waiting.max_by_key(|waiting| waiting.elapsed)
}

/// Ends the client programs that keep this process waiting for longer than this, of those that talk with an engine of a
/// host: their work fails.
pub fn end_overdue(host: EngineHost, limit: Duration) {
    for child in lock().running.iter_mut().filter(|child| child.host == host) {
        if child.overdue.is_none() && child.waited_since.is_some_and(|since| since.elapsed() > limit) {
            child.overdue = Some(limit);
            kill_process(child.pid, Signal::KILL).ok();
        }
    }
}

/// Asks all client programs to end, and starts no more: this process is about to end.
pub fn terminate_children() {
    signal_all(Signal::TERM);
}

/// Ends all client programs that did not when they were asked to.
pub fn kill_children() {
    signal_all(Signal::KILL);
}

fn signal_all(signal: Signal) {
    let mut children = lock();
    children.is_ending = true;
    for child in &children.running {
        kill_process(child.pid, signal).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread;

    use super::super::Program;
    use super::*;
    use crate::store::StoreError;

    fn shell() -> Program {
        Program::find(&["sh".to_owned(), "-c".to_owned()]).unwrap()
    }

    /// Waits for a program that this process waits for, of those that this test has started.
    fn wait_for(host: EngineHost) -> Waiting {
        loop {
            match waiting(host) {
                Some(waiting) if waiting.elapsed > Duration::from_millis(20) => return waiting,
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Set in a process of a test: the list is that of all tests in it.
    const CHILD: &str = "DSYNC_TEST_CHILDREN";

    /// Runs a test in a process of its own.
    fn alone(name: &str, test: impl FnOnce()) {
        if std::env::var_os(CHILD).is_some() {
            return test();
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let name = format!("command::children::tests::{name}");
        child.args(["--exact", "--nocapture", &name]).env(CHILD, "1").stdin(Stdio::null());
        let output = child.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    }

    #[test]
    fn a_program_that_keeps_this_process_waiting_is_named_and_ended() {
        alone("a_program_that_keeps_this_process_waiting_is_named_and_ended", || {
            let hung = thread::spawn(|| shell().output(&["exec sleep 60"]));
            assert_eq!(wait_for(EngineHost::This).program, "sh");
            assert_eq!(waiting(EngineHost::Other), None);
            end_overdue(EngineHost::Other, Duration::ZERO);
            thread::sleep(Duration::from_millis(20));
            assert!(!hung.is_finished(), "an engine of another host is meant");
            end_overdue(EngineHost::This, Duration::from_millis(10));
            let error = hung.join().unwrap().err().unwrap();
            assert!(matches!(&error, StoreError::Down { message } if message.contains("sh")), "{error:?}");
            assert_eq!(waiting(EngineHost::This), None);
        });
    }

    #[test]
    fn a_program_that_has_lost_its_input_is_ended_at_the_limit() {
        alone("a_program_that_has_lost_its_input_is_ended_at_the_limit", || {
            let begin = Instant::now();
            let hung = shell().feed(&["exec sleep 60"]).unwrap();
            let dropped = thread::spawn(move || drop(hung));
            assert_eq!(wait_for(EngineHost::This).program, "sh");
            end_overdue(EngineHost::This, Duration::from_millis(10));
            dropped.join().unwrap();
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        });
    }

    #[test]
    fn children_end_when_they_are_asked_to_or_not() {
        alone("children_end_when_they_are_asked_to_or_not", || {
            let begin = Instant::now();
            let obeys = thread::spawn(|| shell().output(&["exec sleep 60"]).is_ok());
            let does_not =
                thread::spawn(|| shell().output(&["trap '' TERM; while :; do sleep 0.1; done"]).is_ok());
            wait_for(EngineHost::This);
            thread::sleep(Duration::from_millis(200));
            terminate_children();
            assert!(obeys.join().unwrap());
            assert!(!does_not.is_finished());
            kill_children();
            assert!(does_not.join().unwrap());
            shell().output(&["exec sleep 60"]).ok();
            assert!(begin.elapsed() < Duration::from_secs(30), "nothing is started any more");
        });
    }
}

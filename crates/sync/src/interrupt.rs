//! Ctrl-C: the child that holds the connection is told to end, and everything that waits for it fails.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use rustix::process::{Pid, Signal, kill_process};

static HAPPENED: AtomicBool = AtomicBool::new(false);
static CONNECTION: AtomicI32 = AtomicI32::new(0);

/// Says that the process is about to end because a person or the system wants it to: the connection is cut,
/// and what fails from now on fails for that reason.
pub fn interrupt() {
    HAPPENED.store(true, Ordering::SeqCst);
    if let Some(pid) = Pid::from_raw(CONNECTION.load(Ordering::SeqCst)) {
        // It may have heard the signal itself and be gone.
        kill_process(pid, Signal::TERM).ok();
    }
}

/// Whether somebody wants the process to end.
pub(crate) fn happened() -> bool {
    HAPPENED.load(Ordering::SeqCst)
}

/// Notes the child to be ended; 0 when it has been waited for, since its number may then be another's.
pub(crate) fn connection(pid: u32) {
    CONNECTION.store(i32::try_from(pid).unwrap_or(0), Ordering::SeqCst);
}

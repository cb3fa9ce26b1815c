//! Signals that end the program: they stop the sync, which cleans up, and decide the exit code.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGABRT, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// The time that the sync has to clean up before the program ends all the same.
const GRACE: Duration = Duration::from_secs(10);
/// The exit code of a program that gets no memory: the standard library says so and aborts.
const NO_MEMORY: i32 = 1;

static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Has a file that may grow no larger be an error of whoever writes it, and an allocation that fails end the program with
/// an exit code. Either would be a signal that ends it without a word.
pub(crate) fn tame() {
    flag::register(SIGXFSZ, Arc::default()).ok();
    flag::register_conditional_shutdown(SIGABRT, NO_MEMORY, Arc::new(AtomicBool::new(true))).ok();
}

/// Calls `stop` when the program is asked to end. Who asks a second time does not want to wait: `give_up` is called, and
/// the program ends at once; so it does where it takes too long.
pub(crate) fn install(
    stop: impl Fn() + Send + 'static,
    give_up: impl Fn() + Clone + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if RECEIVED.swap(signal, Ordering::SeqCst) != 0 {
                give_up();
                process::exit(128 + signal);
            }
            stop();
            let give_up = give_up.clone();
            let ending = thread::Builder::new().spawn(move || {
                thread::sleep(GRACE);
                give_up();
                process::exit(128 + signal);
            });
            // Without it the next signal ends the program.
            ending.ok();
        }
    })?;
    Ok(())
}

/// 128 and the number of the signal that came, as a shell counts it.
pub(crate) fn exit_code() -> Option<u8> {
    match RECEIVED.load(Ordering::SeqCst) {
        0 => None,
        signal => u8::try_from(128 + signal).ok(),
    }
}

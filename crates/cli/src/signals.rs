//! Signals that end the program: they stop the sync, which cleans up, and decide the exit code.

use std::io;
use std::process;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The time that the sync has to clean up before the program ends all the same.
const GRACE: Duration = Duration::from_secs(10);

static RECEIVED: AtomicI32 = AtomicI32::new(0);

/// Calls `stop` when the program is asked to end. Who asks a second time does not want to wait.
pub(crate) fn install(stop: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        for signal in signals.forever() {
            if RECEIVED.swap(signal, Ordering::SeqCst) != 0 {
                process::exit(128 + signal);
            }
            stop();
            thread::spawn(move || {
                thread::sleep(GRACE);
                process::exit(128 + signal);
            });
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

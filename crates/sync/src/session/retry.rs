//! Further tries of a step whose connection failed: which failures are worth one, and the pauses between them.
//!
//! Three other failures are tried again elsewhere: a delta that came out wrong and an image that was removed meanwhile in
//! `Pair::sync`, and a host that runs no agent, by another method, in `connect`.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, SshFailure, seconds};
use crate::event::{Event, Observer};
use crate::interrupt::{Interrupt, TICK};
use crate::options::{Options, Retries};

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// The observer of a run, which also remembers how much of an image a target had when the last transfer began.
pub(super) struct Watch {
    observer: Arc<dyn Observer>,
    /// Of the last [`Event::Partial`].
    kept: AtomicU64,
}

impl Watch {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Arc<Watch> {
        Arc::new(Watch { observer, kept: AtomicU64::new(0) })
    }
}

impl Observer for Watch {
    fn event(&self, event: Event<'_>) {
        if let Event::Partial(bytes) = event {
            self.kept.store(bytes, Ordering::Relaxed);
        }
        self.observer.event(event);
    }
}

/// The tries of one step. They are counted from the last one that brought the target something to keep: a transfer over a
/// link that breaks again and again comes to its end.
pub(super) struct Tries {
    retries: Retries,
    /// Further tries until now that brought nothing.
    count: u32,
    /// The most that the target had kept when one of them began.
    kept: u64,
    watch: Arc<Watch>,
    interrupt: Interrupt,
}

impl Tries {
    pub(super) fn new(options: &Options, watch: &Arc<Watch>) -> Tries {
        watch.kept.store(0, Ordering::Relaxed);
        let (watch, interrupt) = (Arc::clone(watch), options.interrupt.clone());
        Tries { retries: options.retries, count: 0, kept: 0, watch, interrupt }
    }

    /// Says what failed and pauses, so that it can be tried again. Fails where that is no use, or was done often enough.
    pub(super) fn again(&mut self, failed: Error) -> Result<(), Error> {
        let kept = self.watch.kept.load(Ordering::Relaxed);
        if kept > self.kept {
            (self.kept, self.count) = (kept, 0);
        }
        if self.count >= self.retries.most || !is_transient(&failed) {
            return Err(failed);
        }
        let pause = pause(self.retries.first_pause, self.count, random());
        self.count += 1;
        let (count, most, shown) = (self.count, self.retries.most, seconds(pause));
        let line = format!("{}; trying again in {shown} ({count} of {most})", reason(&failed));
        self.watch.event(Event::Warning(&line));
        let begin = Instant::now();
        while begin.elapsed() < pause {
            if self.interrupt.happened() {
                return Err(Error::Interrupted);
            }
            thread::sleep(TICK.min(pause.saturating_sub(begin.elapsed())));
        }
        Ok(())
    }
}

/// True for failures of the link and of the bootstrap, which may be over in a moment. Others have an answer that stays the
/// same, and some hosts lock out who asks too often.
pub(super) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Lost { .. } | Error::Silent { .. } | Error::Bootstrap { .. } => true,
        Error::Ssh { kind, .. } => *kind == SshFailure::Unreachable,
        _ => false,
    }
}

/// The failure on one line.
fn reason(error: &Error) -> String {
    let (sentence, said) = match error {
        Error::Ssh { host, message, .. } => (format!("cannot connect to {host}"), &message[..]),
        Error::Lost { message, .. } => (error.to_string(), &message[..]),
        _ => (error.to_string(), ""),
    };
    match said.lines().rfind(|line| !line.trim().is_empty()) {
        Some(last) => format!("{sentence}: {}", last.trim()),
        None => sentence,
    }
}

/// The pause before a further try. Each is about twice as long as the one before: many runs that lost one host at once do
/// not all come back at once.
fn pause(first: Duration, count: u32, random: u8) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(count).unwrap_or(u32::MAX)).min(LONGEST);
    doubled.mul_f64(0.75 + f64::from(random) / 510.0).min(LONGEST)
}

/// A number that other runs do not have.
fn random() -> u8 {
    let mut byte = [0];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut byte)).ok();
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute_and_are_not_all_the_same() {
        let first = Duration::from_secs(1);
        let middle = |count| pause(first, count, 127).as_secs_f64().round();
        assert_eq!([0, 1, 2, 3, 4].map(middle), [1.0, 2.0, 4.0, 8.0, 16.0]);
        assert_eq!(pause(first, 0, 0), Duration::from_millis(750));
        assert_eq!(pause(first, 0, 255), Duration::from_millis(1250));
        for count in [5, 31, 32, 1_000] {
            assert_eq!(pause(first, count, 255), LONGEST, "{count}");
        }
    }

    #[test]
    fn failures_of_the_link_and_of_the_bootstrap_are_tried_again_and_no_others() {
        let host = || "h".to_owned();
        let ssh = |kind| Error::Ssh { host: host(), kind, message: String::new() };
        for error in [
            Error::Lost { host: host(), message: String::new() },
            Error::Silent { host: host(), silence: LONGEST },
            Error::Bootstrap { host: host(), reason: String::new() },
            ssh(SshFailure::Unreachable),
        ] {
            assert!(is_transient(&error), "{error:?}");
        }
        use SshFailure::{Authentication, HostKey, HostKeyChanged, NotFound, Other, UnknownHost};
        let of_ssh = [Authentication, HostKey, HostKeyChanged, NotFound, Other, UnknownHost].map(ssh);
        let others = [
            Error::NoAgent { host: host(), reason: String::new() },
            Error::NoShell { host: host(), said: Vec::new() },
            Error::Crashed { host: host(), message: String::new() },
            Error::Protocol { end: host(), what: String::new() },
            Error::Interrupted,
        ];
        for error in of_ssh.into_iter().chain(others) {
            assert!(!is_transient(&error), "{error:?}");
        }
    }

    #[test]
    fn the_line_of_a_try_has_the_last_words_of_ssh() {
        let message = "a banner\nConnection reset by peer\n\n".to_owned();
        let lost = Error::Lost { host: "h".into(), message };
        assert_eq!(reason(&lost), "the connection to h was lost: Connection reset by peer");
        let silent = Error::Silent { host: "h".into(), silence: Duration::from_secs(60) };
        assert_eq!(reason(&silent), "nothing was heard from h for 60 s");
    }

    #[test]
    fn a_failure_of_the_link_is_tried_again_as_often_as_may_be_and_another_one_not_at_all() {
        let retries = Retries { most: 2, first_pause: Duration::ZERO };
        let watch = Watch::new(Arc::new(()));
        let lost = || Error::Lost { host: "h".into(), message: String::new() };
        let (interrupt, own) = (Interrupt::default(), Arc::clone(&watch));
        let mut tries = Tries { retries, count: 0, kept: 0, watch: own, interrupt };
        assert!(tries.again(Error::NoAgent { host: "h".into(), reason: String::new() }).is_err());
        assert!(tries.again(lost()).is_ok() && tries.again(lost()).is_ok());
        assert!(tries.again(lost()).is_err());
        // A target that has kept more since begins anew.
        watch.event(Event::Partial(100));
        assert!(tries.again(lost()).is_ok());
    }
}

//! The signs of life of the two ends of a connection: keepalives of this end, and a limit on the silence of the other.
//!
//! An end that has nothing else to send sends a keepalive in each quarter of the timeout. An end that has heard nothing
//! for all of it gives up: no word comes from a host that lost its power, or from behind a router that forgot the
//! connection.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::limits::{KEEPALIVE_BURST, KEEPALIVE_RATE};

use crate::failure::Breach;

/// The longest time between two signs of life: routers forget connections that are idle for a few minutes.
const LONGEST: Duration = Duration::from_secs(15);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(10);
/// A process that sleeps for this much longer than it meant to was stopped, and could hear nothing.
const LATE: Duration = Duration::from_secs(1);

/// The signs of life of both ends of a connection. Clones are of the same connection.
#[derive(Clone)]
pub(crate) struct Liveness(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The longest silence; any where there is none.
    timeout: Option<Duration>,
    /// When bytes of the other end came last.
    heard: Instant,
    /// When this end has sent anything last.
    sent: Instant,
    /// Bytes have come that this end does not take yet, so that it hears no more.
    is_behind: bool,
    is_over: bool,
    /// The silence after which this end gave up.
    silence: Option<Duration>,
}

impl State {
    /// The time until this end gives up.
    fn patience(&self) -> Option<Duration> {
        let timeout = self.timeout?;
        Some(if self.is_behind { timeout } else { timeout.saturating_sub(self.heard.elapsed()) })
    }

    /// The time until this end has to send something.
    fn due(&self) -> Option<Duration> {
        let interval = (self.timeout? / 4).clamp(SHORTEST, LONGEST);
        Some(interval.saturating_sub(self.sent.elapsed()))
    }
}

impl Liveness {
    /// Listens from now on, and gives up once nothing was heard for as long as the timeout, as this says.
    pub(crate) fn watch(
        timeout: Option<Duration>,
        give_up: impl FnOnce(Duration) + Send + 'static,
    ) -> Liveness {
        let now = Instant::now();
        let state = State { timeout, heard: now, sent: now, is_behind: false, is_over: false, silence: None };
        let liveness = Liveness(Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() }));
        let watched = liveness.clone();
        thread::spawn(move || {
            if let Some(silence) = watched.silent() {
                give_up(silence);
            }
        });
        liveness
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, at most so long.
    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Option<Duration>) -> MutexGuard<'a, State> {
        let changed = &self.0.changed;
        match most {
            None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(most) => changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0,
        }
    }

    /// Waits until nothing was heard for too long; `None` where the connection ends before.
    fn silent(&self) -> Option<Duration> {
        let mut state = self.lock();
        while !state.is_over {
            let patience = state.patience();
            if patience == Some(Duration::ZERO) {
                state.silence = state.timeout;
                self.0.changed.notify_all();
                return state.silence;
            }
            let begin = Instant::now();
            state = self.wait(state, patience);
            if patience.is_some_and(|patience| begin.elapsed() > patience + patience / 4 + LATE) {
                state.heard = Instant::now();
            }
        }
        None
    }

    /// Sends a keepalive whenever one is due, until the connection ends. `send` is false where nothing more can be sent.
    pub(super) fn keep_alive(&self, mut send: impl FnMut() -> bool + Send + 'static) {
        let liveness = self.clone();
        thread::spawn(move || {
            let mut state = liveness.lock();
            while !state.is_over && state.silence.is_none() {
                match state.due() {
                    Some(Duration::ZERO) => {
                        drop(state);
                        if !send() {
                            return;
                        }
                        state = liveness.lock();
                        state.sent = Instant::now();
                    }
                    due => state = liveness.wait(state, due),
                }
            }
        });
    }

    /// Sets the longest silence, for which this end waits anew.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) {
        let mut state = self.lock();
        (state.timeout, state.heard) = (timeout, Instant::now());
        self.0.changed.notify_all();
    }

    /// Notes that bytes of the other end came.
    pub(crate) fn heard(&self) {
        let mut state = self.lock();
        (state.heard, state.is_behind) = (Instant::now(), false);
    }

    /// Notes that this end hears no more until it has taken what came.
    pub(super) fn is_behind(&self) {
        self.lock().is_behind = true;
    }

    /// Notes that this end has sent something.
    pub(super) fn sent(&self) {
        self.lock().sent = Instant::now();
    }

    /// The silence after which this end gave up, if it did.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.lock().silence
    }

    /// Listens no longer.
    pub(crate) fn end(&self) {
        self.lock().is_over = true;
        self.0.changed.notify_all();
    }
}

/// Notes when bytes of the other end come.
pub(crate) struct Listening<R> {
    pub(crate) input: R,
    pub(crate) liveness: Liveness,
}

impl<R: Read> Read for Listening<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        if read > 0 {
            self.liveness.heard();
        }
        Ok(read)
    }
}

/// The keepalives that came. An end that sends more than it needs to keeps the other busy, and is hung up on.
pub(super) struct Keepalives {
    begun: Instant,
    count: u64,
}

impl Keepalives {
    pub(super) fn new() -> Keepalives {
        Keepalives { begun: Instant::now(), count: 0 }
    }

    /// Counts one.
    pub(super) fn count(&mut self) -> io::Result<()> {
        self.count_after(self.begun.elapsed())
    }

    fn count_after(&mut self, elapsed: Duration) -> io::Result<()> {
        self.count += 1;
        match self.count > KEEPALIVE_BURST + KEEPALIVE_RATE.saturating_mul(elapsed.as_secs()) {
            true => Err(Breach("it sends more keepalives than anyone needs".into()).into()),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);

    fn watched(timeout: Option<Duration>) -> (Liveness, mpsc::Receiver<Duration>) {
        let (gave_up, given_up) = mpsc::channel();
        (Liveness::watch(timeout, move |silence| gave_up.send(silence).unwrap()), given_up)
    }

    #[test]
    fn an_end_gives_up_after_silence_and_not_before() {
        let (liveness, given_up) = watched(Some(TIMEOUT));
        let begin = Instant::now();
        for _ in 0..4 {
            thread::sleep(TIMEOUT / 4);
            liveness.heard();
        }
        assert_eq!((given_up.recv().unwrap(), liveness.silence()), (TIMEOUT, Some(TIMEOUT)));
        assert!(begin.elapsed() >= 2 * TIMEOUT);
    }

    #[test]
    fn nobody_gives_up_without_a_timeout_or_after_the_end() {
        let (never, never_given_up) = watched(None);
        let (ended, ended_given_up) = watched(Some(TIMEOUT));
        ended.end();
        thread::sleep(2 * TIMEOUT);
        assert!(never_given_up.try_recv().is_err() && ended_given_up.try_recv().is_err());
        never.set_timeout(Some(TIMEOUT));
        assert_eq!(never_given_up.recv(), Ok(TIMEOUT));
    }

    #[test]
    fn an_end_that_is_behind_does_not_take_its_own_slowness_for_silence() {
        let (liveness, given_up) = watched(Some(TIMEOUT));
        liveness.is_behind();
        assert!(given_up.recv_timeout(3 * TIMEOUT).is_err());
        liveness.heard();
        assert_eq!(given_up.recv(), Ok(TIMEOUT));
    }

    #[test]
    fn keepalives_are_sent_where_nothing_else_is() {
        let (sent, sending) = mpsc::channel();
        // On a machine that is busy nothing is heard for a while.
        let long = 10 * TIMEOUT;
        let (liveness, _given_up) = watched(Some(long));
        liveness.keep_alive(move || sent.send(Instant::now()).is_ok());
        let begin = Instant::now();
        while begin.elapsed() < long / 2 {
            liveness.sent();
            liveness.heard();
            thread::sleep(long / 40);
        }
        // A machine that is busy may have slept for longer.
        let needless = sending.try_iter().count();
        assert!(needless < 3, "{needless}");
        liveness.set_timeout(Some(100 * TIMEOUT));
        sending.try_iter().count();
        liveness.set_timeout(Some(long));
        liveness.heard();
        let first = sending.recv().unwrap();
        assert!(sending.recv().unwrap() - first >= long / 4);
        liveness.end();
        assert!(sending.iter().count() < 3, "the sender is gone");
    }

    #[test]
    fn keepalives_of_a_day_are_taken_and_a_flood_is_not() {
        let mut keepalives = Keepalives::new();
        for quarter in 0..24 * 3600 * 40 {
            keepalives.count_after(Duration::from_millis(quarter * 25)).unwrap();
        }
        let mut keepalives = Keepalives::new();
        let ended = (0..).find(|_| keepalives.count_after(Duration::from_secs(1)).is_err());
        assert_eq!(ended, Some(KEEPALIVE_BURST + KEEPALIVE_RATE));
    }
}

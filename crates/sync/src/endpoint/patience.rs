//! The waiting of an endpoint for the client program of its engine: the client is told, and it may have a limit.
//!
//! An engine that hangs keeps its client program waiting, and that this endpoint. The link is not to blame then.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dsync_engine::EngineHost;
use dsync_proto::Event;

use crate::link::Outbox;

/// The times of telling a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The time that is no news.
    pub(super) first: Duration,
    /// The time between two events.
    pub(super) every: Duration,
    /// The time between two looks.
    pub(super) tick: Duration,
}

/// Usual work of an engine is no news.
pub(super) const PACE: Pace =
    Pace { first: Duration::from_secs(10), every: Duration::from_secs(5), tick: Duration::from_millis(500) };

/// A thread that looks how long an endpoint waits for its engine, until this is dropped.
pub(super) struct Patience {
    is_over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Patience {
    /// Tells the client of long waiting, and ends what keeps this endpoint waiting for longer than the limit.
    pub(super) fn new(outbox: Outbox, engines: EngineHost, limit: Option<Duration>, pace: Pace) -> Patience {
        let is_over = Arc::new((Mutex::new(false), Condvar::new()));
        let ended = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut told: Option<Instant> = None;
            loop {
                let (lock, changed) = &*ended;
                let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
                let waited = changed.wait_timeout_while(guard, pace.tick, |is_over| !*is_over);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
                if let Some(limit) = limit {
                    dsync_engine::end_overdue(engines, limit);
                }
                let is_due = told.is_none_or(|told| told.elapsed() >= pace.every);
                if let Some(waiting) = dsync_engine::waiting(engines)
                    && waiting.elapsed >= pace.first
                    && is_due
                {
                    let seconds = u32::try_from(waiting.elapsed.as_secs()).unwrap_or(u32::MAX);
                    outbox.event(&Event::Waiting { program: waiting.program, seconds });
                    told = Some(Instant::now());
                }
            }
        });
        Patience { is_over, thread: Some(thread) }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        let (lock, changed) = &*self.is_over;
        *lock.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use dsync_engine::{Store, StoreSpec};
    use dsync_proto::{Channel, decode};

    use super::*;
    use crate::interrupt::Interrupt;
    use crate::link::Link;

    const SOON: Pace = Pace {
        first: Duration::from_millis(60),
        every: Duration::from_millis(30),
        tick: Duration::from_millis(10),
    };

    /// Opens the store of an engine that hangs.
    fn open_hung(folder: &std::path::Path) -> Result<Box<dyn Store>, dsync_engine::StoreError> {
        let program = folder.join("hung-engine");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        dsync_engine::open(&StoreSpec::Command(vec![program.display().to_string()]), folder)
    }

    #[test]
    fn an_engine_that_hangs_is_told_of_and_ends_at_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (link, client) = Link::pair(&Interrupt::default());
        let limit = Duration::from_millis(200);
        let heard = thread::spawn(move || {
            let frames = std::iter::from_fn(|| client.inbox.recv().ok());
            frames.map(|frame| (frame.channel, decode::<Event>(&frame.payload).unwrap())).collect::<Vec<_>>()
        });
        let patience = Patience::new(link.outbox.clone(), EngineHost::This, Some(limit), SOON);
        let begin = Instant::now();
        let error = open_hung(folder.path()).err().unwrap().to_string();
        assert!(error.contains("hung-engine` has not answered"), "{error}");
        assert!(begin.elapsed() >= limit && begin.elapsed() < Duration::from_secs(30));
        drop((patience, link));
        let heard = heard.join().unwrap();
        let is_waiting =
            |event: &Event| matches!(event, Event::Waiting { program, .. } if program == "hung-engine");
        assert!(!heard.is_empty(), "nothing was said");
        assert!(
            heard.iter().all(|(channel, event)| *channel == Channel::Event && is_waiting(event)),
            "{heard:?}"
        );
    }
}

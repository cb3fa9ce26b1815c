//! Tells the client how far a stream is, not more than ten times a second.

use std::time::{Duration, Instant};

use dsync_proto::Event;

use super::channel::Outbox;

const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Progress<'a> {
    outbox: &'a Outbox,
    pending: u64,
    last: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(outbox: &'a Outbox) -> Self {
        Progress { outbox, pending: 0, last: Instant::now() }
    }

    /// Tells that a batch follows: it counts while it crosses.
    pub(crate) fn batch(&mut self, raw: u64, packed: u64) {
        self.send();
        self.outbox.event(&Event::Batch { raw, packed });
    }

    pub(crate) fn advance(&mut self, bytes: u64) {
        self.pending += bytes;
        if self.last.elapsed() >= INTERVAL {
            self.send();
        }
    }

    pub(crate) fn finish(mut self) {
        self.send();
    }

    fn send(&mut self) {
        if self.pending > 0 {
            self.outbox.event(&Event::Advance(self.pending));
        }
        self.pending = 0;
        self.last = Instant::now();
    }
}

//! Tells the client how far a stream is, not more than ten times a second.

use std::time::{Duration, Instant};

use dsync_proto::Event;

use super::channel::Outbox;

const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Progress<'a> {
    outbox: &'a Outbox,
    pending: u64,
    told: Instant,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(outbox: &'a Outbox) -> Self {
        Progress { outbox, pending: 0, told: Instant::now() }
    }

    pub(crate) fn advance(&mut self, bytes: u64) {
        self.pending += bytes;
        if self.told.elapsed() >= INTERVAL {
            self.tell();
        }
    }

    pub(crate) fn finish(mut self) {
        self.tell();
    }

    fn tell(&mut self) {
        if self.pending > 0 {
            self.outbox.event(&Event::Advance(self.pending));
        }
        self.pending = 0;
        self.told = Instant::now();
    }
}

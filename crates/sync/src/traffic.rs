//! The bytes that cross a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes over the connection, without what ssh adds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// From this host.
    pub sent: u64,
    /// To this host.
    pub received: u64,
}

impl Traffic {
    pub(crate) fn plus(self, other: Traffic) -> Traffic {
        Traffic { sent: self.sent + other.sent, received: self.received + other.received }
    }

    pub(crate) fn minus(self, before: Traffic) -> Traffic {
        Traffic { sent: self.sent - before.sent, received: self.received - before.received }
    }
}

/// Counts the bytes of a connection while it is used.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Meter {
    pub(crate) fn new(sent: &Arc<AtomicU64>, received: &Arc<AtomicU64>) -> Self {
        Meter { sent: Arc::clone(sent), received: Arc::clone(received) }
    }

    /// Counts bytes from this host.
    pub fn count(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The bytes until now.
    pub fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic { sent: count(&self.sent), received: count(&self.received) }
    }
}

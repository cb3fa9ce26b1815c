//! The connection of two ends in frames, over a pipe to another process or over queues to a thread.

mod channel;
mod frame;
pub(crate) mod progress;
mod queue;

pub(crate) use channel::{DataReader, DataWriter, Inbox, Link, Outbox};
pub(crate) use frame::Frame;
#[cfg(feature = "fuzzing")]
pub(crate) use frame::read_frame;

/// Of fewer bytes it says nothing how long they were under way: buffers take them at once.
pub(crate) const TELLING: u64 = 512 << 10;

//! The connection of two ends in frames, over a pipe to another process or over queues to a thread.

mod channel;
mod frame;
mod liveness;
pub(crate) mod progress;
mod queue;

pub(crate) use channel::{DataReader, DataWriter, Inbox, Link, Outbox};
pub(crate) use frame::Frame;
#[cfg(feature = "fuzzing")]
pub(crate) use frame::read_frame;
pub(crate) use liveness::{Listening, Liveness};

/// The least bytes whose time measures the link; fewer go straight into buffers.
pub(crate) const MEASURABLE: u64 = 512 << 10;

//! A short queue of frames between two threads: short in frames and in bytes, since a frame may have megabytes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dsync_proto::limits::{QUEUE_BYTES, QUEUE_FRAMES};

use super::frame::Frame;

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    frames: VecDeque<io::Result<Frame>>,
    bytes: usize,
    /// The sender or the receiver is gone.
    is_closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }
}

/// The end that frames go into.
pub(super) struct Sender(Arc<Queue>);

/// The end that they come out of.
pub(super) struct Receiver(Arc<Queue>);

/// The reason why no frame came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoFrame {
    /// None is there yet.
    Yet,
    /// None will come.
    Ever,
}

pub(super) fn queue() -> (Sender, Receiver) {
    let queue = Arc::new(Queue::default());
    (Sender(Arc::clone(&queue)), Receiver(queue))
}

fn len(frame: &io::Result<Frame>) -> usize {
    frame.as_ref().map_or(0, |frame| frame.payload.len())
}

impl Sender {
    /// Waits for room. Fails where nobody listens any more.
    pub(super) fn send(&self, frame: io::Result<Frame>) -> io::Result<()> {
        let len = len(&frame);
        let is_full = |state: &mut State| {
            let is_full = state.frames.len() >= QUEUE_FRAMES || state.bytes.saturating_add(len) > QUEUE_BYTES;
            !state.is_closed && is_full && !state.frames.is_empty()
        };
        let mut state =
            self.0.changed.wait_while(self.0.lock(), is_full).unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.bytes += len;
        state.frames.push_back(frame);
        drop(state);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl Receiver {
    /// Waits for a frame, at most so long.
    pub(super) fn recv(&self, most: Option<Duration>) -> Result<io::Result<Frame>, NoFrame> {
        let is_empty = |state: &mut State| state.frames.is_empty() && !state.is_closed;
        let (lock, changed) = (self.0.lock(), &self.0.changed);
        let mut state = match most {
            None => changed.wait_while(lock, is_empty).unwrap_or_else(PoisonError::into_inner),
            Some(most) => {
                changed.wait_timeout_while(lock, most, is_empty).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        // Frames that are there already can be had even when the sender is gone.
        let frame = state.frames.pop_front();
        let frame = frame.ok_or(if state.is_closed { NoFrame::Ever } else { NoFrame::Yet })?;
        state.bytes -= len(&frame);
        drop(state);
        self.0.changed.notify_all();
        Ok(frame)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use dsync_proto::Channel;

    use super::*;

    fn frame(len: usize) -> io::Result<Frame> {
        Ok(Frame::new(Channel::Data, vec![0; len]))
    }

    #[test]
    fn large_frames_wait_alone_and_small_ones_in_a_short_row() {
        for (len, most) in [(10, QUEUE_FRAMES), (QUEUE_BYTES / 2, 2), (16 * QUEUE_BYTES, 1)] {
            let (sender, receiver) = queue();
            let sent = AtomicUsize::new(0);
            thread::scope(|scope| {
                let sent = &sent;
                scope.spawn(move || {
                    while sender.send(frame(len)).is_ok() {
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                });
                for taken in 0..10 {
                    while sent.load(Ordering::SeqCst) < taken + most {
                        thread::yield_now();
                    }
                    thread::sleep(Duration::from_millis(2));
                    assert_eq!(sent.load(Ordering::SeqCst), taken + most, "of {len} bytes");
                    assert!(receiver.recv(None).is_ok());
                }
                drop(receiver);
            });
        }
    }

    #[test]
    fn what_was_sent_is_had_before_the_end() {
        let (sender, receiver) = queue();
        assert_eq!(receiver.recv(Some(Duration::ZERO)).err(), Some(NoFrame::Yet));
        sender.send(frame(3)).unwrap();
        drop(sender);
        assert!(receiver.recv(None).is_ok());
        assert_eq!(receiver.recv(None).err(), Some(NoFrame::Ever));
    }

    #[test]
    fn a_sender_that_waits_hears_that_nobody_listens_any_more() {
        let (sender, receiver) = queue();
        (0..QUEUE_FRAMES).for_each(|_| sender.send(frame(1)).unwrap());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| sender.send(frame(1)));
            thread::sleep(Duration::from_millis(5));
            drop(receiver);
            let error = waiting.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    }

    #[test]
    fn bytes_that_were_taken_make_room() {
        let (sender, receiver) = queue();
        for _ in 0..5 {
            // Neither waits for ever: each pair of frames fills the queue.
            sender.send(frame(QUEUE_BYTES / 2)).unwrap();
            sender.send(frame(QUEUE_BYTES / 2)).unwrap();
            for _ in 0..2 {
                assert_eq!(receiver.recv(None).unwrap().unwrap().payload.len(), QUEUE_BYTES / 2);
            }
        }
    }
}

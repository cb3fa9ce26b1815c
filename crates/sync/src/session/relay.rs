//! The client between source and target: frames are passed on, events shown, and replies waited for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dsync_proto::{Channel, FrameError, MessageError, Peer, Reply, decode};

use crate::event::Observer;
use crate::failure::Breach;
use crate::link::{Frame, Inbox, Link, Outbox};
use crate::session::events::Events;
use crate::transport::link_speed::Speed;

/// The most bytes that a remote may have sent before it hears that it is to stop: what buffers and a fast link hold.
const UNDER_WAY: usize = 256 << 20;
/// What a frame counts for at least. Small ones are no more work to send, and as much to pass on.
const FRAME: usize = 1 << 10;

/// Passes everything between source and target until both have replied, and finds out how fast the link is. Beside each
/// is whether it is a remote.
pub(crate) fn both(
    (source, source_is_remote): (&mut Link, bool),
    (target, target_is_remote): (&mut Link, bool),
    observer: &dyn Observer,
) -> (io::Result<Reply>, io::Result<Reply>, Speed) {
    let (source, to_source) = ((&mut source.inbox, source_is_remote), &source.outbox);
    let (target, to_target) = ((&mut target.inbox, target_is_remote), &target.outbox);
    let over = &AtomicBool::new(false);
    thread::scope(|scope| {
        let mut speed = Speed::default();
        let forward = scope.spawn(move || pass(source, to_target, (observer, over), |_| {}));
        let received = pass(target, to_source, (observer, over), |frame| {
            if let Some(Peer::Took { len, micros }) = frame.note() {
                speed.took(len, Duration::from_micros(micros));
            }
        });
        let sent = forward.join().unwrap_or_else(|_| Err(io::Error::other("a relay ended early")));
        (sent, received, speed)
    })
}

/// Passes frames on until the reply comes, and shows them; tells the other end to give up when this one is gone.
///
/// After the reply of a remote nothing more comes of it, so the end in this process must not wait for it. An end in this
/// process has said all by then, and the wire is spared the message.
///
/// `over` is set once the end in this process has replied: what a remote sends from then on was under way.
fn pass(
    (from, is_remote): (&mut Inbox, bool),
    to: &Outbox,
    (observer, over): (&dyn Observer, &AtomicBool),
    mut show: impl FnMut(&Frame),
) -> io::Result<Reply> {
    let mut late = 0;
    let reply = reply(from, observer, |frame| {
        show(&frame);
        if is_remote && over.load(Ordering::Relaxed) {
            late += frame.payload.len().max(FRAME);
            if late > UNDER_WAY {
                return Err(Breach("it goes on sending after it was told to stop".into()).into());
            }
        }
        // Where the other end is gone, its own reader says so.
        to.send(frame).ok();
        Ok(())
    });
    if !is_remote {
        over.store(true, Ordering::Relaxed);
    }
    if is_remote || reply.is_err() {
        to.send_message(Channel::Peer, &Peer::Abort).ok();
    }
    reply
}

/// What was wrong about what came, where that is why nothing more is heard.
pub(crate) fn breach(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    if let Some(Breach(what)) = inner.downcast_ref() {
        return Some(what.to_string());
    }
    (inner.is::<FrameError>() || inner.is::<MessageError>()).then(|| inner.to_string())
}

/// Waits for a reply, showing events and handing everything else on.
pub(crate) fn reply(
    inbox: &mut Inbox,
    observer: &dyn Observer,
    mut other: impl FnMut(Frame) -> io::Result<()>,
) -> io::Result<Reply> {
    let mut events = Events::new(observer);
    loop {
        let frame = inbox.recv()?;
        match frame.channel {
            Channel::Control => return decode(&frame.payload).map_err(io::Error::other),
            Channel::Event => events.show(&frame.payload)?,
            Channel::Peer | Channel::Data => other(frame)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use dsync_proto::{Failure, FailureKind};

    use super::*;
    use crate::interrupt::Interrupt;

    #[test]
    fn frames_of_few_bytes_are_not_passed_on_without_end() {
        let ((mut source, evil), (mut target, here)) =
            (Link::pair(&Interrupt::default()), Link::pair(&Interrupt::default()));
        thread::scope(|scope| {
            scope.spawn(move || while evil.outbox.send(Frame::new(Channel::Peer, vec![9])).is_ok() {});
            scope.spawn(move || {
                let failure = Failure { kind: FailureKind::Other, causes: Vec::new() };
                here.outbox.reply(&Reply::Failed(failure)).unwrap();
                while here.inbox.recv().is_ok() {}
            });
            let (sent, received, _) = both((&mut source, true), (&mut target, false), &());
            assert!(received.is_ok());
            assert!(breach(&sent.unwrap_err()).is_some());
            drop((source, target));
        });
    }
}

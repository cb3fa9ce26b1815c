//! The client between source and target: frames are passed on, events shown, and replies waited for.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dsync_proto::{Channel, FrameError, MessageError, Peer, Reply, decode, limits};

use crate::error::Host;
use crate::event::Observer;
use crate::failure::Breach;
use crate::link::{Frame, Inbox, Link, Outbox};
use crate::session::events::Events;
use crate::transport::link_speed::Speed;

/// One end of a transfer.
pub(crate) struct Side<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) host: &'a Host,
}

/// The replies of both ends, and how fast the link was.
pub(crate) struct Relayed {
    pub(crate) sent: io::Result<Reply>,
    pub(crate) received: io::Result<Reply>,
    pub(crate) speed: Speed,
}

/// Passes everything between source and target until both have replied.
pub(crate) fn both(source: Side<'_>, target: Side<'_>, observer: &dyn Observer) -> Relayed {
    let over = &AtomicBool::new(false);
    let (to_source, to_target) = (&source.link.outbox, &target.link.outbox);
    let (from_source, from_target) = (&mut source.link.inbox, &mut target.link.inbox);
    let forward = Way { from: from_source, host: source.host, to: to_target, observer, over };
    let back = Way { from: from_target, host: target.host, to: to_source, observer, over };
    thread::scope(|scope| {
        let mut speed = Speed::default();
        let forward = scope.spawn(move || forward.pass(|_| {}));
        let received = back.pass(|frame| {
            if let Some(Peer::Took { len, micros }) = frame.peek_peer() {
                speed.took(len, Duration::from_micros(micros));
            }
        });
        let sent = forward.join().unwrap_or_else(|_| Err(io::Error::other("a relay ended early")));
        Relayed { sent, received, speed }
    })
}

/// One of the two directions.
struct Way<'a> {
    from: &'a mut Inbox,
    /// The host that the frames come from.
    host: &'a Host,
    to: &'a Outbox,
    observer: &'a dyn Observer,
    /// Set once the end in this process has replied: what a remote sends from then on was under way.
    over: &'a AtomicBool,
}

impl Way<'_> {
    /// Passes frames on until the reply comes, and shows them; tells the other end to give up when this one is gone.
    ///
    /// After the reply of a remote nothing more comes of it, so the end in this process must not wait for it. An end in
    /// this process has said all by then, and the wire is spared the message.
    fn pass(self, mut show: impl FnMut(&Frame)) -> io::Result<Reply> {
        let Way { from, host, to, observer, over } = self;
        let mut late = 0;
        let reply = reply(from, observer, host.name(), |frame| {
            show(&frame);
            if host.is_remote() && over.load(Ordering::Relaxed) {
                late += frame.payload.len().max(limits::FRAME_LEAST);
                if late > limits::UNDER_WAY {
                    return Err(Breach("it goes on sending after it was told to stop".into()).into());
                }
            }
            // If the other end is gone, its own reader says so.
            to.send(frame).ok();
            Ok(())
        });
        if !host.is_remote() {
            over.store(true, Ordering::Relaxed);
        }
        if host.is_remote() || reply.is_err() {
            to.send_message(Channel::Peer, &Peer::Abort).ok();
        }
        reply
    }
}

/// The breach of the protocol that ended a connection, if one did.
pub(crate) fn breach(error: &io::Error) -> Option<String> {
    let inner = error.get_ref()?;
    if let Some(Breach(what)) = inner.downcast_ref() {
        return Some(what.to_string());
    }
    (inner.is::<FrameError>() || inner.is::<MessageError>()).then(|| inner.to_string())
}

/// Waits for the reply of an end; `host` is its name. Events are shown, and all else is handed on.
pub(crate) fn reply(
    inbox: &mut Inbox,
    observer: &dyn Observer,
    host: &str,
    mut other: impl FnMut(Frame) -> io::Result<()>,
) -> io::Result<Reply> {
    let mut events = Events::new(observer, host);
    loop {
        let frame = inbox.recv()?;
        match frame.channel {
            Channel::Control => return decode(&frame.payload).map_err(io::Error::other),
            Channel::Event => events.show(&frame.payload)?,
            Channel::Peer | Channel::Data => other(frame)?,
            // The link takes them.
            Channel::Keepalive => {}
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
        let ((mut source_link, evil), (mut target_link, here)) =
            (Link::pair(&Interrupt::default()), Link::pair(&Interrupt::default()));
        thread::scope(|scope| {
            scope.spawn(move || while evil.outbox.send(Frame::new(Channel::Peer, vec![9])).is_ok() {});
            scope.spawn(move || {
                let failure = Failure { kind: FailureKind::Other, causes: Vec::new() };
                here.outbox.reply(&Reply::Failed(failure)).unwrap();
                while here.inbox.recv().is_ok() {}
            });
            let source = Side { link: &mut source_link, host: &Host::Remote("there".into()) };
            let target = Side { link: &mut target_link, host: &Host::Here };
            let Relayed { sent, received, .. } = both(source, target, &());
            assert!(received.is_ok());
            assert!(breach(&sent.unwrap_err()).is_some());
            drop((source_link, target_link));
        });
    }
}

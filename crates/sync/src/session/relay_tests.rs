//! A client between two ends that a test plays: whatever passes it, and how it hears that one of them is done or gone.

use std::sync::Mutex;

use dsync_proto::{Channel, Event as WireEvent, Peer, Phase, encode};

use super::relay::{Relayed, Side, both, breach, reply};
use super::*;
use crate::interrupt::Interrupt;
use crate::link::{Frame, Link};

fn sent() -> Reply {
    Reply::Sent { raw: 1, packed: 2, metadata: 3, costs: Vec::new() }
}

fn received() -> Reply {
    Reply::Received(Received { id: [7; 32], layers: Vec::new(), was_there: false, packed_again: 0 })
}

/// The phases that an observer was shown.
#[derive(Default)]
struct Phases(Mutex<Vec<Phase>>);

impl Observer for Phases {
    fn event(&self, event: Event<'_>) {
        if let Event::Phase { phase, .. } = event {
            self.0.lock().unwrap().push(phase);
        }
    }
}

/// Both replies and the speed, of a source on a remote and a target in this process that do these things.
fn between(
    observer: &dyn Observer,
    source: impl FnOnce(Link) + Send,
    target: impl FnOnce(Link) + Send,
) -> Relayed {
    let ((mut to_source, its), (mut to_target, own)) =
        (Link::pair(&Interrupt::default()), Link::pair(&Interrupt::default()));
    thread::scope(|scope| {
        scope.spawn(|| source(its));
        scope.spawn(|| target(own));
        let source = Side { link: &mut to_source, host: &Host::Remote("there".into()) };
        let target = Side { link: &mut to_target, host: &Host::Here };
        let replies = both(source, target, observer);
        // An end that listens to the last hears that there is no more.
        drop((to_source, to_target));
        replies
    })
}

/// The payloads of all frames that come until the other end is gone.
fn all(link: &Link) -> Vec<(Channel, Vec<u8>)> {
    std::iter::from_fn(|| link.inbox.recv().ok()).map(|frame| (frame.channel, frame.payload)).collect()
}

#[test]
fn frames_pass_in_their_order_and_both_replies_are_returned() {
    let came = Mutex::new(Vec::new());
    let Relayed { sent: a, received: b, .. } = between(
        &(),
        |source| {
            let need = source.inbox.recv().unwrap();
            assert_eq!((need.channel, need.payload), (Channel::Peer, b"need".to_vec()));
            for number in 0..50_u8 {
                let channel = if number % 2 == 0 { Channel::Peer } else { Channel::Data };
                source.outbox.send(Frame::new(channel, vec![number])).unwrap();
            }
            source.outbox.reply(&sent()).unwrap();
        },
        |target| {
            target.outbox.send(Frame::new(Channel::Peer, b"need".to_vec())).unwrap();
            let mut frames = came.lock().unwrap();
            frames.extend((0..50).map(|_| target.inbox.recv().unwrap()).map(|f| (f.channel, f.payload)));
            target.outbox.reply(&received()).unwrap();
        },
    );
    assert_eq!((a.unwrap(), b.unwrap()), (sent(), received()));
    let came = came.into_inner().unwrap();
    let order: Vec<u8> = came.iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(order, (0..50).collect::<Vec<u8>>());
    let is_kept =
        |(channel, payload): &(Channel, Vec<u8>)| (*channel == Channel::Peer) == (payload[0] % 2 == 0);
    assert!(came.iter().all(is_kept), "each on its channel");
}

#[test]
fn events_are_shown_and_not_passed_on() {
    let (phases, heard) = (Phases::default(), Mutex::new(Vec::new()));
    let _ = between(
        &phases,
        |source| {
            source.outbox.event(&WireEvent::Phase(Phase::Load));
            source.outbox.reply(&sent()).unwrap();
        },
        |target| {
            target.outbox.event(&WireEvent::Phase(Phase::Load));
            target.outbox.reply(&received()).unwrap();
            heard.lock().unwrap().extend(all(&target));
        },
    );
    assert_eq!(phases.0.into_inner().unwrap(), [Phase::Load; 2]);
    let heard = heard.into_inner().unwrap();
    assert!(heard.iter().all(|(channel, _)| *channel == Channel::Peer), "{heard:?}");
}

/// The wire is spared the message where the end that is done is in this process.
#[test]
fn an_end_hears_that_the_remote_is_done_and_the_remote_hears_nothing() {
    let (at_source, at_target) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let _ = between(
        &(),
        |source| {
            source.outbox.reply(&sent()).unwrap();
            at_source.lock().unwrap().extend(all(&source));
        },
        |target| {
            // It waits for the source, as one does that was promised more.
            let told = target.inbox.recv().unwrap();
            at_target.lock().unwrap().push((told.channel, told.payload));
            target.outbox.reply(&received()).unwrap();
        },
    );
    assert_eq!(at_target.into_inner().unwrap(), [(Channel::Peer, encode(&Peer::Abort).unwrap())]);
    assert_eq!(at_source.into_inner().unwrap(), []);
}

#[test]
fn an_end_that_is_lost_ends_the_other() {
    let told = Mutex::new(None);
    let Relayed { sent: a, received: b, .. } = between(
        &(),
        |source| {
            let frame = source.inbox.recv().unwrap();
            *told.lock().unwrap() = frame.peek_peer();
            source.outbox.reply(&sent()).unwrap();
        },
        drop,
    );
    assert_eq!(told.into_inner().unwrap(), Some(Peer::Abort));
    assert!(a.is_ok());
    let error = b.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(breach(&error), None, "to be gone is no breach");
}

#[test]
fn what_a_target_took_tells_the_speed_of_the_link() {
    let took = |len, micros| Peer::Took { len, micros };
    let Relayed { speed, .. } = between(
        &(),
        |source| {
            let came: Vec<Option<Peer>> = (0..2).map(|_| source.inbox.recv().unwrap().peek_peer()).collect();
            assert_eq!(
                came,
                [Some(took(1_000_000, 8_000_000)), Some(took(1, 1))],
                "the source hears it, too"
            );
            source.outbox.reply(&sent()).unwrap();
        },
        |target| {
            target.send_peer(&took(1_000_000, 8_000_000)).unwrap();
            target.send_peer(&took(1, 1)).unwrap();
            target.inbox.recv().unwrap();
            target.outbox.reply(&received()).unwrap();
        },
    );
    assert_eq!(speed.get(), Some(125_000));
}

#[test]
fn a_reply_that_is_none_is_a_breach() {
    let (mut client, end) = Link::pair(&Interrupt::default());
    for bytes in [&[][..], &[0xff; 40]] {
        end.outbox.send(Frame::new(Channel::Control, bytes.to_vec())).unwrap();
        let error = reply(&mut client.inbox, &(), "there", |_| Ok(())).unwrap_err();
        assert!(breach(&error).is_some(), "{error}");
    }
    let other = io::Error::other("a disk");
    assert_eq!(breach(&other), None);
}

#[test]
fn a_reply_is_not_waited_for_where_something_else_is_refused() {
    let (mut client, end) = Link::pair(&Interrupt::default());
    end.outbox.send(Frame::new(Channel::Data, vec![1])).unwrap();
    let failure = Failure { kind: FailureKind::Other, causes: Vec::new() };
    end.outbox.reply(&Reply::Failed(failure.clone())).unwrap();
    let refused = reply(&mut client.inbox, &(), "there", |_| Err(io::ErrorKind::InvalidData.into()));
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(reply(&mut client.inbox, &(), "there", |_| Ok(())).unwrap(), Reply::Failed(failure));
}

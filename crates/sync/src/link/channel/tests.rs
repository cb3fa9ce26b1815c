//! Streams and messages in turn and out of turn, and connections that end.

use super::*;
use crate::interrupt::Interruptible;

/// A connection that may be silent for any time.
fn still() -> Liveness {
    Liveness::watch(None, |_| {})
}

#[test]
fn a_stream_crosses_a_pipe_and_is_counted() {
    let (input, output) = io::pipe().unwrap();
    let (_, idle) = io::pipe().unwrap();
    let (nothing, _keep) = io::pipe().unwrap();
    let counters = || (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (sent, received) = counters();
    let left = Link::over(nothing, output, Arc::clone(&sent), Arc::default(), &Interrupt::default(), still());
    let mut right =
        Link::over(input, idle, Arc::default(), Arc::clone(&received), &Interrupt::default(), still());
    let stream: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 7) as u8).collect();
    let sending = stream.clone();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut writer = left.data_writer();
            writer.write_all(&sending).unwrap();
            writer.finish().unwrap();
            left.send_peer(&Peer::Candidates { bitmap: vec![1] }).unwrap();
        });
        let mut got = Vec::new();
        right.data_reader().read_to_end(&mut got).unwrap();
        assert_eq!(got, stream);
        assert_eq!(right.expect_peer().unwrap(), Peer::Candidates { bitmap: vec![1] });
    });
    assert_eq!(sent.load(Ordering::Relaxed), received.load(Ordering::Relaxed));
    assert!(sent.load(Ordering::Relaxed) > 1_000_000);
}

#[test]
fn an_abort_stops_a_sender_and_a_reader() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    right.send_peer(&Peer::Abort).unwrap();
    let error = left.data_writer().finish().unwrap_err();
    assert!(error.get_ref().is_some_and(|e| e.is::<Aborted>()));
    let error = left.data_reader().read(&mut [0]).unwrap_err();
    assert!(error.get_ref().is_some_and(|e| e.is::<Aborted>()));
}

#[test]
fn what_a_failed_sync_left_is_skipped() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    right.send_peer(&Peer::Abort).unwrap();
    right.outbox.send(Frame::new(Channel::Data, vec![1])).unwrap();
    right.outbox.request(&Request::List { patterns: Vec::new() }).unwrap();
    assert!(matches!(left.next_request().unwrap(), Request::List { .. }));
    left.data_writer().finish().unwrap();
}

#[test]
fn a_stream_that_ends_early_is_told_from_a_connection_that_does() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    let mut writer = right.data_writer();
    writer.write_all(&[7; 5]).unwrap();
    writer.finish().unwrap();
    let (mut some, mut more) = ([0; 4], [0; 4]);
    let mut reader = left.data_reader();
    reader.read_exact(&mut some).unwrap();
    assert_eq!(some, [7; 4]);
    let error = reader.read_exact(&mut more).unwrap_err();
    assert!(error.get_ref().is_some_and(|e| e.is::<Breach>()));
    drop(right);
    let error = left.data_reader().read_exact(&mut more).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn what_comes_after_all_that_belongs_to_a_stream_is_not_read() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    for (len, is_right) in [(4, true), (5, false)] {
        let mut writer = right.data_writer();
        writer.write_all(&[7; 5][..len]).unwrap();
        writer.finish().unwrap();
        let mut reader = left.data_reader();
        reader.read_exact(&mut [0; 4]).unwrap();
        let finished = reader.finish();
        assert_eq!(finished.is_ok(), is_right);
        assert!(is_right || finished.unwrap_err().get_ref().is_some_and(|e| e.is::<Breach>()));
    }
}

#[test]
fn a_note_of_any_length_is_no_breach() {
    let (left, right) = Link::pair(&Interrupt::default());
    left.outbox.event(&Event::Note("ä".repeat(100_000)));
    let frame = right.inbox.recv().unwrap();
    let header = Header { channel: frame.channel, len: frame.payload.len() };
    assert!(header.encode().is_some());
    assert!(matches!(decode(&frame.payload), Ok(Event::Note(note)) if note.ends_with("ä…")));
}

#[test]
fn any_number_of_messages_of_a_sync_that_is_over_is_skipped() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..200_000 {
                right.send_peer(&Peer::Took { len: 1, micros: 1 }).unwrap();
            }
            right.send_peer(&Peer::Candidates { bitmap: vec![1] }).unwrap();
        });
        assert_eq!(left.expect_peer().unwrap(), Peer::Candidates { bitmap: vec![1] });
    });
}

#[test]
fn the_end_of_the_connection_is_an_error() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    drop(right);
    assert_eq!(left.expect_peer().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

fn is_breach(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Breach>())
}

#[test]
fn anything_but_a_message_of_the_peer_is_out_of_turn() {
    let message = encode(&Peer::Candidates { bitmap: vec![1] }).unwrap();
    for channel in [Channel::Control, Channel::Data, Channel::Event] {
        let (mut left, right) = Link::pair(&Interrupt::default());
        right.outbox.send(Frame::new(channel, message.clone())).unwrap();
        assert!(is_breach(&left.expect_peer().unwrap_err()), "{channel:?}");
    }
    // And so is a message that is none.
    let (mut left, right) = Link::pair(&Interrupt::default());
    right.outbox.send(Frame::new(Channel::Peer, vec![0xff; 40])).unwrap();
    let error = left.expect_peer().unwrap_err();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<dsync_proto::MessageError>()), "{error}");
}

#[test]
fn a_message_within_a_stream_is_out_of_turn() {
    for message in [Peer::Candidates { bitmap: vec![1] }, Peer::Took { len: 1, micros: 1 }] {
        let (mut left, right) = Link::pair(&Interrupt::default());
        right.outbox.send(Frame::new(Channel::Data, vec![1, 2])).unwrap();
        right.send_peer(&message).unwrap();
        let mut reader = left.data_reader();
        reader.read_exact(&mut [0; 2]).unwrap();
        assert!(is_breach(&reader.read(&mut [0]).unwrap_err()), "{message:?}");
    }
}

#[test]
fn a_stream_has_frames_of_any_length_and_ends_with_an_empty_one() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    let mut writer = right.data_writer();
    // Nothing to be sent is no end.
    writer.flush().unwrap();
    writer.write_all(b"ab").unwrap();
    writer.flush().unwrap();
    writer.flush().unwrap();
    writer.write_all(b"cde").unwrap();
    writer.finish().unwrap();
    right.send_peer(&Peer::Candidates { bitmap: Vec::new() }).unwrap();
    let mut reader = left.data_reader();
    let mut one = [0];
    reader.read_exact(&mut one).unwrap();
    assert_eq!((one, reader.arrived().1), (*b"a", 1), "one byte more is here");
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bcde");
    assert_eq!(reader.read(&mut one).unwrap(), 0, "it stays at its end");
    reader.finish().unwrap();
    assert!(left.expect_peer().is_ok());
}

#[test]
fn a_stream_that_is_dropped_has_no_end() {
    let (mut left, right) = Link::pair(&Interrupt::default());
    let mut writer = right.data_writer();
    writer.write_all(b"ab").unwrap();
    drop(writer);
    drop(right);
    let error = left.data_reader().finish().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// A link whose other end says these bytes and no more.
fn over(bytes: &'static [u8]) -> (Link, Arc<AtomicU64>) {
    let received = Arc::new(AtomicU64::new(0));
    let link =
        Link::over(bytes, io::sink(), Arc::default(), Arc::clone(&received), &Interrupt::default(), still());
    (link, received)
}

#[test]
fn a_connection_that_ends_within_a_frame_ends_after_those_before() {
    let data = Header { channel: Channel::Data, len: 3 }.encode().unwrap();
    let whole = [&data[..], b"abc"].concat();
    for cut in 0..whole.len() {
        let bytes = [&whole[..], &whole[..cut]].concat().leak();
        let (mut link, received) = over(bytes);
        let mut reader = link.data_reader();
        let mut got = [0; 3];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"abc");
        // The first part of a frame of a stream is given, without an end of the stream.
        let part = cut.saturating_sub(data.len());
        reader.read_exact(&mut got[..part]).unwrap();
        assert_eq!(got[..part], b"abc"[..part]);
        assert_eq!(reader.read(&mut got).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(received.load(Ordering::Relaxed), (whole.len() + cut) as u64);
        assert_eq!(link.expect_peer().unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "and it stays so");
    }
}

#[test]
fn a_frame_that_is_none_is_the_reason_why_nothing_more_comes() {
    let (link, _) = over(&[0xff; 64]);
    let error = link.inbox.recv().err().unwrap();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<dsync_proto::FrameError>()), "{error}");
    assert!(link.inbox.recv().is_err(), "nothing is read after it");
}

#[test]
fn an_interrupt_ends_waiting() {
    let interrupt = Interrupt::default();
    let (mut left, _right) = Link::pair(&interrupt);
    interrupt.interrupt();
    assert_eq!(left.expect_peer().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(left.next_request().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn measurements_are_heard_while_sending_and_others_are_not_kept() {
    let (left, right) = Link::pair(&Interrupt::default());
    for micros in [5, 6] {
        right.send_peer(&Peer::Took { len: 600_000, micros }).unwrap();
    }
    right.send_peer(&Peer::Answer { answer: vec![1] }).unwrap();
    let took: Vec<_> = left.took().collect();
    assert_eq!(took, [5, 6].map(|micros| (600_000, Duration::from_micros(micros))));
    assert_eq!(left.took().count(), 0);
    assert!(left.inbox.failure().is_none(), "there may be more");
    drop(right);
    assert!(left.inbox.failure().is_none(), "the end is no failure of its own");
}

/// Both ends of a connection with this timeout. Each end hangs up by itself when it gives up, as one that kills its ssh.
fn connected(timeout: Duration) -> (Link, Link, [Interrupt; 2]) {
    let ((left_in, right_out), (right_in, left_out)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let interrupts = [Interrupt::default(), Interrupt::default()];
    let over = |input, output, interrupt: &Interrupt| {
        let (input, output) =
            (Interruptible::new(input, interrupt).unwrap(), Interruptible::new(output, interrupt).unwrap());
        let ending = interrupt.clone();
        let liveness = Liveness::watch(Some(timeout), move |_| ending.interrupt());
        Link::over(input, output, Arc::default(), Arc::default(), interrupt, liveness)
    };
    let left = over(left_in, left_out, &interrupts[0]);
    let right = over(right_in, right_out, &interrupts[1]);
    (left, right, interrupts)
}

const TIMEOUT: Duration = Duration::from_millis(400);

#[test]
fn ends_that_say_nothing_keep_each_other_alive() {
    let (left, right, _) = connected(TIMEOUT);
    thread::sleep(3 * TIMEOUT);
    right.send_peer(&Peer::Abort).unwrap();
    assert_eq!(left.inbox.recv().unwrap().peek_peer(), Some(Peer::Abort), "keepalives are not passed on");
    assert_eq!((left.inbox.silence(), right.inbox.silence()), (None, None));
}

#[test]
fn an_end_that_is_slow_is_not_taken_for_one_that_is_gone() {
    let (left, right, _) = connected(TIMEOUT);
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            // More than queue and pipe hold, so that it waits in a write.
            for _ in 0..12 {
                right.outbox.send(Frame::new(Channel::Data, vec![7; DATA])).unwrap();
            }
            right
        });
        thread::sleep(3 * TIMEOUT);
        for _ in 0..12 {
            assert_eq!(left.inbox.recv().unwrap().payload.len(), DATA);
        }
        let right = sending.join().unwrap();
        assert_eq!((left.inbox.silence(), right.inbox.silence()), (None, None));
    });
}

#[test]
fn an_end_gives_up_on_a_silent_one_though_it_waits_in_a_write() {
    let (input, _says_nothing) = io::pipe().unwrap();
    let (_reads_nothing, output) = io::pipe().unwrap();
    let interrupt = Interrupt::default();
    let output = Interruptible::new(output, &interrupt).unwrap();
    let input = Interruptible::new(input, &interrupt).unwrap();
    let ending = interrupt.clone();
    let liveness = Liveness::watch(Some(TIMEOUT), move |_| ending.interrupt());
    let link = Link::over(input, output, Arc::default(), Arc::default(), &interrupt, liveness);
    let begin = Instant::now();
    let failed = (0..100).map(|_| link.outbox.send(Frame::new(Channel::Data, vec![0; DATA])));
    assert!(failed.into_iter().any(|sent| sent.is_err()));
    assert!(begin.elapsed() >= TIMEOUT);
    assert_eq!(link.inbox.recv().err().unwrap().kind(), io::ErrorKind::TimedOut);
    assert_eq!(link.inbox.silence(), Some(TIMEOUT));
}

#[test]
fn a_flood_of_keepalives_ends_the_connection() {
    let (input, mut output) = io::pipe().unwrap();
    let keepalive = Header { channel: Channel::Keepalive, len: 0 }.encode().unwrap();
    let flood = keepalive.repeat(5_000);
    let writing = thread::spawn(move || output.write_all(&flood));
    let link = Link::over(input, io::sink(), Arc::default(), Arc::default(), &Interrupt::default(), still());
    let error = link.inbox.recv().err().unwrap();
    assert!(error.get_ref().is_some_and(|inner| inner.is::<Breach>()), "{error}");
    writing.join().unwrap().ok();
}

#[test]
fn a_stream_has_no_frame_of_more_than_a_data_frame_holds() {
    let (left, right) = Link::pair(&Interrupt::default());
    let mut writer = left.data_writer();
    writer.write_all(&[1; 10]).unwrap();
    writer.write_all(&vec![2; 2 * DATA]).unwrap();
    writer.finish().unwrap();
    drop(left);
    let lens: Vec<usize> =
        std::iter::from_fn(|| right.inbox.recv().ok()).map(|frame| frame.payload.len()).collect();
    assert_eq!(lens, [DATA, DATA, 10, 0]);
}

#[test]
fn progress_that_was_not_told_yet_is_told_at_the_end() {
    let (left, right) = Link::pair(&Interrupt::default());
    let mut progress = super::super::progress::Progress::new(&left.outbox);
    progress.advance(3);
    progress.advance(4);
    progress.finish();
    drop(left);
    let frame = right.inbox.recv().unwrap();
    assert_eq!(frame.payload, encode(&Event::Advance(7)).unwrap());
}

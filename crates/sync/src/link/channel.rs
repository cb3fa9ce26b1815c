//! A link: sends and receives frames over a pipe to another process, or over a queue to a thread.
//!
//! A reader thread (or the peer itself) fills a short queue, so that a slow reader slows the sender down
//! and an `Abort` is noticed even by an end that is busy sending.

use std::io::{self, BufWriter, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::limits::DATA;
use dsync_proto::{Channel, Event, Header, Peer, Reply, Request, decode, encode};
use serde::Serialize;

use super::frame::{Frame, read_frame};
use super::liveness::{Keepalives, Listening, Liveness};
use super::queue::{self, NoFrame, Receiver, Sender};
use crate::failure::{Aborted, Breach};
use crate::interrupt::{Interrupt, TICK};

/// The longest note that is sent, in bytes: some less than an event may have.
const NOTE: usize = 8 << 10;

/// The receiving half.
pub(crate) struct Inbox {
    frames: Receiver,
    aborted: Arc<AtomicBool>,
    interrupt: Interrupt,
    /// Of the connection, where the other end is not in this process.
    liveness: Option<Liveness>,
}

/// The sending half; clones send to the same place, whole frames at a time.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Mutex<Sink>>);

enum Sink {
    Process(FrameWriter),
    Queue(Sender, Arc<AtomicBool>),
}

/// The way to another process.
struct FrameWriter {
    output: BufWriter<Box<dyn Write + Send>>,
    liveness: Liveness,
}

/// Both halves.
pub(crate) struct Link {
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

impl Link {
    /// Two links of a run that are each other's other end.
    pub(crate) fn pair(interrupt: &Interrupt) -> (Link, Link) {
        let (left_out, right_in) = one_way(interrupt);
        let (right_out, left_in) = one_way(interrupt);
        (Link { inbox: left_in, outbox: left_out }, Link { inbox: right_in, outbox: right_out })
    }

    /// A link over a pipe; `sent` and `received` count its bytes. Its ends keep each other informed that they are there.
    pub(crate) fn over(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        sent: Arc<AtomicU64>,
        received: Arc<AtomicU64>,
        interrupt: &Interrupt,
        liveness: Liveness,
    ) -> Link {
        let (sender, frames) = queue::queue();
        let aborted = Arc::new(AtomicBool::new(false));
        let mut reader = FrameReader {
            input: Listening {
                input: Counted { stream: input, bytes: received },
                liveness: liveness.clone(),
            },
            aborted: Arc::clone(&aborted),
            keepalives: Keepalives::new(),
        };
        let listening = liveness.clone();
        thread::spawn(move || {
            loop {
                let frame = reader.next();
                let ended = frame.is_err();
                // Until there is room for the frame, nothing more is read.
                listening.is_behind();
                if sender.send(frame).is_err() || ended {
                    break;
                }
                listening.heard();
            }
            listening.end();
        });
        let output = Counted { stream: output, bytes: sent };
        let output = BufWriter::with_capacity(64 << 10, Box::new(output) as Box<dyn Write + Send>);
        let sink = Sink::Process(FrameWriter { output, liveness: liveness.clone() });
        let outbox = Outbox(Arc::new(Mutex::new(sink)));
        // The pipe closes with the link, whoever else could use it.
        let sink = Arc::downgrade(&outbox.0);
        liveness.keep_alive(move || {
            let Some(sink) = sink.upgrade() else { return false };
            // Who has the lock is sending.
            match sink.try_lock() {
                Ok(mut sink) => sink.send(Frame::new(Channel::Keepalive, Vec::new())).is_ok(),
                Err(TryLockError::WouldBlock) => true,
                Err(TryLockError::Poisoned(_)) => false,
            }
        });
        let inbox = Inbox { frames, aborted, interrupt: interrupt.clone(), liveness: Some(liveness) };
        Link { inbox, outbox }
    }

    /// Sets the longest silence of the other end of a connection.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) {
        if let Some(liveness) = &self.inbox.liveness {
            liveness.set_timeout(timeout);
        }
    }

    /// Sends a message to the other end of source and target.
    pub(crate) fn send_peer(&self, message: &Peer) -> io::Result<()> {
        self.outbox.send_message(Channel::Peer, message)
    }

    /// Waits for the other end's next message.
    pub(crate) fn expect_peer(&mut self) -> io::Result<Peer> {
        loop {
            let frame = self.inbox.recv()?;
            if frame.channel != Channel::Peer {
                return Err(out_of_turn());
            }
            match decode(&frame.payload).map_err(io::Error::other)? {
                Peer::Abort => return Err(Aborted.into()),
                // Of a sync that is over.
                Peer::Took { .. } => {}
                message => return Ok(message),
            }
        }
    }

    /// The next request, skipping what is left over of a sync that failed.
    pub(crate) fn next_request(&mut self) -> io::Result<Request> {
        loop {
            let frame = self.inbox.recv()?;
            if frame.channel == Channel::Control {
                self.inbox.aborted.store(false, Ordering::Relaxed);
                return decode(&frame.payload).map_err(io::Error::other);
            }
        }
    }

    /// The measurements of batches that the other end sent since: the bytes that came after the first ones, and their time.
    pub(crate) fn took(&self) -> impl Iterator<Item = (u64, Duration)> + '_ {
        // While this end sends the other says nothing else, but that it gave up, which is noted elsewhere.
        let frames = std::iter::from_fn(|| self.inbox.frames.recv(Some(Duration::ZERO)).ok()?.ok());
        frames.filter_map(|frame| match frame.peek_peer() {
            Some(Peer::Took { len, micros }) => Some((len, Duration::from_micros(micros))),
            _ => None,
        })
    }

    /// Begins a stream of data frames.
    pub(crate) fn data_writer(&self) -> DataWriter<'_> {
        DataWriter { link: self, buffer: Vec::with_capacity(DATA) }
    }

    /// The stream of data frames that comes next, to be read to its end.
    pub(crate) fn data_reader(&mut self) -> DataReader<'_> {
        let frame = Frame::new(Channel::Data, Vec::new());
        DataReader { inbox: &mut self.inbox, frame, at: 0, ended: false }
    }
}

impl Inbox {
    /// Waits for a frame. The end of the connection is `UnexpectedEof`, and so is an interrupt; its silence is `TimedOut`.
    pub(crate) fn recv(&self) -> io::Result<Frame> {
        loop {
            match self.frames.recv(Some(TICK)) {
                Ok(Ok(frame)) => return Ok(frame),
                // An end that gives up closes its own pipe.
                Ok(Err(_)) | Err(_) if self.silence().is_some() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(Err(error)) => return Err(error),
                Err(NoFrame::Yet) if !self.interrupt.happened() => {}
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// The silence of the other end after which this one gave up, if it did.
    pub(crate) fn silence(&self) -> Option<Duration> {
        self.liveness.as_ref().and_then(Liveness::silence)
    }

    /// The reason why nothing more comes, if it is known already. Frames that came before are forgotten.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let frames = std::iter::from_fn(|| self.frames.recv(Some(Duration::ZERO)).ok());
        frames.into_iter().find_map(Result::err)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        if let Some(liveness) = &self.liveness {
            liveness.end();
        }
    }
}

/// A stream that counts its bytes as they cross.
struct Counted<T> {
    stream: T,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(into)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The bytes of another process, in frames.
struct FrameReader<R> {
    input: Listening<R>,
    aborted: Arc<AtomicBool>,
    keepalives: Keepalives,
}

impl<R: Read> FrameReader<R> {
    /// The next frame that is for anyone.
    fn next(&mut self) -> io::Result<Frame> {
        loop {
            let frame = read_frame(&mut self.input)?;
            if frame.channel == Channel::Keepalive {
                self.keepalives.count()?;
                continue;
            }
            note_abort(&frame, &self.aborted);
            return Ok(frame);
        }
    }
}

impl Sink {
    fn send(&mut self, frame: Frame) -> io::Result<()> {
        match self {
            Sink::Queue(queue, aborted) => {
                note_abort(&frame, aborted);
                queue.send(Ok(frame))
            }
            Sink::Process(FrameWriter { output, liveness }) => {
                let header = Header { channel: frame.channel, len: frame.payload.len() };
                let header =
                    header.encode().ok_or_else(|| io::Error::other("a message is too long to send"))?;
                output.write_all(&header)?;
                output.write_all(&frame.payload)?;
                if frame.channel != Channel::Data || frame.payload.len() < DATA {
                    output.flush()?;
                }
                liveness.sent();
                Ok(())
            }
        }
    }
}

impl Outbox {
    /// Sends a frame; data frames may linger in a buffer until another kind follows or the stream ends.
    pub(crate) fn send(&self, frame: Frame) -> io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).send(frame)
    }

    pub(crate) fn send_message<T: Serialize>(&self, channel: Channel, message: &T) -> io::Result<()> {
        self.send(Frame::new(channel, encode(message).map_err(io::Error::other)?))
    }

    pub(crate) fn request(&self, request: &Request) -> io::Result<()> {
        self.send_message(Channel::Control, request)
    }

    pub(crate) fn reply(&self, reply: &Reply) -> io::Result<()> {
        self.send_message(Channel::Control, reply)
    }

    /// Tells the client; that it can no longer be told is noticed elsewhere.
    pub(crate) fn event(&self, event: &Event) {
        match event {
            Event::Note(note) if note.len() > NOTE => {
                let cut = Event::Note(format!("{}…", &note[..note.floor_char_boundary(NOTE)]));
                self.send_message(Channel::Event, &cut).ok();
            }
            event => drop(self.send_message(Channel::Event, event)),
        }
    }
}

/// Writes a stream as data frames. Dropped without `finish`, the stream has no end.
pub(crate) struct DataWriter<'a> {
    link: &'a Link,
    buffer: Vec<u8>,
}

impl DataWriter<'_> {
    /// Sends what is buffered, and the empty frame that ends the stream.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.send_buffer()?;
        }
        self.send_buffer()
    }

    fn send_buffer(&mut self) -> io::Result<()> {
        if self.link.inbox.aborted.load(Ordering::Relaxed) {
            return Err(Aborted.into());
        }
        let payload = std::mem::replace(&mut self.buffer, Vec::with_capacity(DATA));
        self.link.outbox.send(Frame::new(Channel::Data, payload))
    }
}

impl Write for DataWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(DATA - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..take]);
        if self.buffer.len() == DATA {
            self.send_buffer()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() { Ok(()) } else { self.send_buffer() }
    }
}

/// Reads a stream of data frames.
pub(crate) struct DataReader<'a> {
    inbox: &'a mut Inbox,
    frame: Frame,
    at: usize,
    ended: bool,
}

impl DataReader<'_> {
    /// When the last byte that was read was here, and how many more were then.
    pub(crate) fn arrived(&self) -> (Instant, usize) {
        (self.frame.arrived, self.frame.payload.len() - self.at)
    }

    /// Reads the end of the stream, so that the next message can come. Fails where anything comes before: it may have no
    /// end.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match self.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(Breach("it sent more than belongs to the image".into()).into()),
        }
    }
}

impl Read for DataReader<'_> {
    fn read_exact(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.read(into) {
                Ok(0) => return Err(Breach("it ended before it had sent all".into()).into()),
                Ok(read) => into = &mut into[read..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.frame.payload.len() && !self.ended {
            let frame = self.inbox.recv()?;
            match frame.channel {
                Channel::Data => {
                    self.ended = frame.payload.is_empty();
                    (self.frame, self.at) = (frame, 0);
                }
                Channel::Peer if matches!(frame.peek_peer(), Some(Peer::Abort)) => {
                    return Err(Aborted.into());
                }
                _ => return Err(out_of_turn()),
            }
        }
        let rest = &self.frame.payload[self.at..];
        let take = rest.len().min(into.len());
        into[..take].copy_from_slice(&rest[..take]);
        self.at += take;
        Ok(take)
    }
}

fn out_of_turn() -> io::Error {
    Breach("it sent something out of turn".into()).into()
}

fn one_way(interrupt: &Interrupt) -> (Outbox, Inbox) {
    let (sender, frames) = queue::queue();
    let aborted = Arc::new(AtomicBool::new(false));
    let sink = Sink::Queue(sender, Arc::clone(&aborted));
    let inbox = Inbox { frames, aborted, interrupt: interrupt.clone(), liveness: None };
    (Outbox(Arc::new(Mutex::new(sink))), inbox)
}

fn note_abort(frame: &Frame, aborted: &AtomicBool) {
    if matches!(frame.peek_peer(), Some(Peer::Abort)) {
        aborted.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

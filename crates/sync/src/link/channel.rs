//! One end of a conversation in frames: over a pipe to another process, or over channels to a thread.
//!
//! A reader thread (or the peer itself) fills a short queue, so that a slow reader slows the sender down
//! and an `Abort` is noticed even by an end that is busy sending.

use std::io::{self, BufWriter, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_proto::limits::DATA;
use dsync_proto::{Channel, Event, HEADER_LEN, Header, Peer, Reply, Request, decode, encode};
use serde::Serialize;

use super::frame::{Frame, read_frame};
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
}

/// The sending half; clones send to the same place, whole frames at a time.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Mutex<Sink>>);

enum Sink {
    Pipe(BufWriter<Box<dyn Write + Send>>, Arc<AtomicU64>),
    Queue(Sender, Arc<AtomicBool>),
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

    /// A link over a pipe; `sent` and `received` count its bytes.
    pub(crate) fn over(
        mut input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        sent: Arc<AtomicU64>,
        received: Arc<AtomicU64>,
        interrupt: &Interrupt,
    ) -> Link {
        let (sender, frames) = queue::queue();
        let aborted = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&aborted);
        thread::spawn(move || {
            loop {
                let frame = read_frame(&mut input);
                if let Ok(frame) = &frame {
                    note_abort(frame, &seen);
                    received.fetch_add((HEADER_LEN + frame.payload.len()) as u64, Ordering::Relaxed);
                }
                let ended = frame.is_err();
                if sender.send(frame).is_err() || ended {
                    break;
                }
            }
        });
        let sink = Sink::Pipe(BufWriter::with_capacity(64 << 10, Box::new(output)), sent);
        let inbox = Inbox { frames, aborted, interrupt: interrupt.clone() };
        Link { inbox, outbox: Outbox(Arc::new(Mutex::new(sink))) }
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
    /// Waits for a frame. The end of the connection is `UnexpectedEof`, and so is an interrupt.
    pub(crate) fn recv(&self) -> io::Result<Frame> {
        loop {
            match self.frames.recv(Some(TICK)) {
                Ok(frame) => return frame,
                Err(NoFrame::Yet) if !self.interrupt.happened() => {}
                Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }

    /// The reason why nothing more comes, if it is known already. Frames that came before are forgotten.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        let frames = std::iter::from_fn(|| self.frames.recv(Some(Duration::ZERO)).ok());
        frames.into_iter().find_map(Result::err)
    }
}

impl Outbox {
    /// Sends a frame; data frames may linger in a buffer until another kind follows or the stream ends.
    pub(crate) fn send(&self, frame: Frame) -> io::Result<()> {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *sink {
            Sink::Queue(queue, aborted) => {
                note_abort(&frame, aborted);
                queue.send(Ok(frame))
            }
            Sink::Pipe(pipe, sent) => {
                let header = Header { channel: frame.channel, len: frame.payload.len() };
                let header =
                    header.encode().ok_or_else(|| io::Error::other("a message is too long to send"))?;
                pipe.write_all(&header)?;
                pipe.write_all(&frame.payload)?;
                sent.fetch_add((HEADER_LEN + frame.payload.len()) as u64, Ordering::Relaxed);
                if frame.channel != Channel::Data || frame.payload.len() < DATA {
                    pipe.flush()?;
                }
                Ok(())
            }
        }
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
    (Outbox(Arc::new(Mutex::new(sink))), Inbox { frames, aborted, interrupt: interrupt.clone() })
}

fn note_abort(frame: &Frame, aborted: &AtomicBool) {
    if matches!(frame.peek_peer(), Some(Peer::Abort)) {
        aborted.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;

//! One frame in memory, when it arrived, and reading one from a pipe.

use std::io::{self, Read};
use std::time::Instant;

use dsync_proto::{Channel, HEADER_LEN, Header, Peer, decode};

/// Peer messages that the link or the relay reads (`Took`, `Abort`) are at most this long.
const SHORT: usize = 32;
/// A frame in memory.
pub(crate) struct Frame {
    pub(crate) channel: Channel,
    pub(crate) payload: Vec<u8>,
    /// When it was whole.
    pub(super) arrived: Instant,
}

impl Frame {
    pub(crate) fn new(channel: Channel, payload: Vec<u8>) -> Frame {
        Frame { channel, payload, arrived: Instant::now() }
    }

    /// The message between source and target, where that is short: other messages are for those alone, and may be
    /// megabytes.
    pub(crate) fn note(&self) -> Option<Peer> {
        let is_note = self.channel == Channel::Peer && self.payload.len() <= SHORT;
        is_note.then(|| decode(&self.payload).ok()).flatten()
    }
}

/// Reads a frame of a pipe.
pub(crate) fn read_frame(input: &mut impl Read) -> io::Result<Frame> {
    let mut header = [0; HEADER_LEN];
    input.read_exact(&mut header)?;
    let header = Header::decode(&header).map_err(io::Error::other)?;
    let mut payload = Vec::new();
    // Grows as bytes arrive: a length alone must not cost memory.
    input.take(header.len as u64).read_to_end(&mut payload)?;
    if payload.len() < header.len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Frame::new(header.channel, payload))
}

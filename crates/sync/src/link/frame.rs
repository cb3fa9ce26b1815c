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
    pub(crate) fn peek_peer(&self) -> Option<Peer> {
        let is_short = self.channel == Channel::Peer && self.payload.len() <= SHORT;
        is_short.then(|| decode(&self.payload).ok()).flatten()
    }
}

/// Reads a frame of a pipe. Of a data frame that is cut off the first part is given: what arrived of a layer is kept.
pub(crate) fn read_frame(input: &mut impl Read) -> io::Result<Frame> {
    let mut header = [0; HEADER_LEN];
    input.read_exact(&mut header)?;
    let header = Header::decode(&header).map_err(io::Error::other)?;
    let mut payload = Vec::new();
    // Grows as bytes arrive: a length alone must not cost memory.
    let read = input.take(header.len as u64).read_to_end(&mut payload);
    let is_part = header.channel == Channel::Data && !payload.is_empty();
    match payload.len() == header.len || is_part {
        true => Ok(Frame::new(header.channel, payload)),
        false => Err(read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
    }
}

#[cfg(test)]
mod tests {
    use dsync_proto::encode;

    use super::*;

    fn written(channel: Channel, payload: &[u8]) -> Vec<u8> {
        let header = Header { channel, len: payload.len() }.encode().unwrap();
        [&header[..], payload].concat()
    }

    #[test]
    fn frames_are_read_one_after_the_other_and_a_cut_one_is_no_frame() {
        let bytes = [written(Channel::Peer, b"first"), written(Channel::Data, b"")].concat();
        let mut input = &bytes[..];
        let first = read_frame(&mut input).unwrap();
        assert_eq!((first.channel, &first.payload[..]), (Channel::Peer, &b"first"[..]));
        let second = read_frame(&mut input).unwrap();
        assert_eq!((second.channel, second.payload.len(), input.len()), (Channel::Data, 0, 0));
        for end in 0..HEADER_LEN + 5 {
            let error = read_frame(&mut &bytes[..end]).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end} bytes");
        }
    }

    #[test]
    fn of_a_data_frame_that_is_cut_off_there_is_the_first_part() {
        let bytes = written(Channel::Data, b"contents");
        for end in HEADER_LEN + 1..bytes.len() {
            let mut input = &bytes[..end];
            let first = read_frame(&mut input).unwrap();
            assert_eq!((first.channel, &first.payload[..]), (Channel::Data, &bytes[HEADER_LEN..end]));
            assert_eq!(read_frame(&mut input).err().unwrap().kind(), io::ErrorKind::UnexpectedEof);
        }
        // An empty frame would be the end of a stream.
        assert!(read_frame(&mut &bytes[..HEADER_LEN]).is_err());
    }

    #[test]
    fn a_header_of_no_channel_or_of_too_many_bytes_is_refused_before_its_payload_is_read() {
        let mut bytes = written(Channel::Data, &[7; 100]);
        for wrong in [[0xff; HEADER_LEN], [0; HEADER_LEN]] {
            bytes[..HEADER_LEN].copy_from_slice(&wrong);
            let mut input = &bytes[..];
            let read = read_frame(&mut input);
            assert!(read.is_err() && input.len() == 100, "{wrong:?}");
        }
    }

    #[test]
    fn only_short_messages_of_the_peers_are_notes() {
        let took = encode(&Peer::Took { len: u64::MAX, micros: u64::MAX }).unwrap();
        assert!(took.len() <= SHORT);
        assert!(matches!(Frame::new(Channel::Peer, took.clone()).peek_peer(), Some(Peer::Took { .. })));
        assert_eq!(Frame::new(Channel::Data, took).peek_peer(), None);
        let long = encode(&Peer::Answer { answer: vec![0; SHORT] }).unwrap();
        assert_eq!(Frame::new(Channel::Peer, long).peek_peer(), None);
        assert_eq!(Frame::new(Channel::Peer, vec![0xff; 3]).peek_peer(), None);
    }
}

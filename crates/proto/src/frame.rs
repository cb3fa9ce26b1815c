//! Frames: everything after the preamble.
//!
//! ```text
//! 0  1  channel
//! 1  4  length of the payload, little-endian
//! 5  n  payload
//! ```

use crate::limits;

/// The length of a frame's header in bytes.
pub const HEADER_LEN: usize = 5;

/// The channel of a frame: how its payload is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A request of the client or the reply to it.
    Control = 1,
    /// A message between source and target, which the client only passes on.
    Peer = 2,
    /// A piece of the stream between source and target; an empty one ends the stream.
    Data = 3,
    /// Progress of an endpoint, for the client.
    Event = 4,
    /// Nothing: the end that sends it is there, and had nothing else to send for a while.
    Keepalive = 5,
}

/// A frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind of payload.
    pub channel: Channel,
    /// Bytes of payload.
    pub len: usize,
}

/// A header that no endpoint of this protocol sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No such channel.
    #[error("a frame of an unknown channel ({0}) arrived; the connection is not clean")]
    Channel(u8),
    /// Longer than the channel allows.
    #[error("a frame of {0} bytes arrived, which is more than this protocol allows")]
    Length(u32),
}

impl Header {
    /// The header's bytes; `None` when the payload is too long for its channel.
    pub fn encode(&self) -> Option<[u8; HEADER_LEN]> {
        let len = u32::try_from(self.len).ok().filter(|_| self.len <= self.channel.limit())?;
        let [a, b, c, d] = len.to_le_bytes();
        Some([self.channel as u8, a, b, c, d])
    }

    /// Reads a header, so that its length can be trusted for an allocation.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, FrameError> {
        let [channel, len @ ..] = *bytes;
        let channel = match channel {
            1 => Channel::Control,
            2 => Channel::Peer,
            3 => Channel::Data,
            4 => Channel::Event,
            5 => Channel::Keepalive,
            other => return Err(FrameError::Channel(other)),
        };
        let len = u32::from_le_bytes(len);
        match usize::try_from(len) {
            Ok(len) if len <= channel.limit() => Ok(Header { channel, len }),
            _ => Err(FrameError::Length(len)),
        }
    }
}

impl Channel {
    /// The longest payload in bytes.
    pub const fn limit(self) -> usize {
        match self {
            Channel::Data => limits::DATA,
            Channel::Control => limits::CONTROL,
            Channel::Peer => limits::PEER,
            Channel::Event => limits::EVENT,
            Channel::Keepalive => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let header = Header { channel: Channel::Data, len: 0x0203 };
        assert_eq!(header.encode(), Some([3, 0x03, 0x02, 0, 0]));
        assert_eq!(Header::decode(&[3, 0x03, 0x02, 0, 0]), Ok(header));
        assert_eq!(Header { channel: Channel::Keepalive, len: 0 }.encode(), Some([5, 0, 0, 0, 0]));
    }

    #[test]
    fn what_is_too_long_is_neither_sent_nor_believed() {
        for (channel, most) in [
            (Channel::Data, 256 << 10),
            (Channel::Event, 16 << 10),
            (Channel::Control, 16 << 20),
            (Channel::Peer, 16 << 20),
            (Channel::Keepalive, 0),
        ] {
            let header = Header { channel, len: most };
            assert_eq!(header.encode().and_then(|bytes| Header::decode(&bytes).ok()), Some(header));
            assert_eq!(Header { channel, len: most + 1 }.encode(), None);
        }
        assert_eq!(Header::decode(&[3, 0xff, 0xff, 0xff, 0xff]), Err(FrameError::Length(u32::MAX)));
        assert_eq!(Header::decode(&[9, 0, 0, 0, 0]), Err(FrameError::Channel(9)));
    }

    #[test]
    fn a_header_is_believed_up_to_the_limit_of_its_channel_and_of_no_other_channel() {
        for byte in 0..=u8::MAX {
            let all = [Channel::Control, Channel::Peer, Channel::Data, Channel::Event, Channel::Keepalive];
            let channel = all.into_iter().find(|channel| *channel as u8 == byte);
            let header = |len: usize| {
                let [a, b, c, d] = u32::try_from(len).unwrap().to_le_bytes();
                Header::decode(&[byte, a, b, c, d])
            };
            match channel {
                Some(channel) => {
                    let most = channel.limit();
                    assert_eq!(header(most), Ok(Header { channel, len: most }));
                    assert_eq!(header(most + 1), Err(FrameError::Length(most as u32 + 1)));
                }
                None => assert_eq!(header(0), Err(FrameError::Channel(byte))),
            }
        }
    }
}

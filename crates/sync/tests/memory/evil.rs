//! An end that says what no end says, in few bytes and with little memory of its own.

use std::io::{Read, Write};

use dsync_proto::limits::SECTION_BLOCK;
use dsync_proto::{Channel, HEADER_LEN, Header, Peer, Reply, Request, decode, encode};
use dsync_testkit::End;
use serde::Serialize;

/// One end of a connection, after the preambles.
pub(crate) struct Evil(End);

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Gone;

pub(crate) type Done = Result<(), Gone>;

impl Evil {
    pub(crate) fn new(end: End) -> Self {
        Evil(end)
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Done {
        self.0.output.write_all(bytes).map_err(|_| Gone)
    }

    pub(crate) fn frame(&mut self, channel: Channel, payload: &[u8]) -> Done {
        let header = Header { channel, len: payload.len() };
        self.bytes(&header.encode().unwrap())?;
        self.bytes(payload)
    }

    fn message(&mut self, channel: Channel, message: &impl Serialize) -> Done {
        self.frame(channel, &encode(message).unwrap())
    }

    pub(crate) fn reply(&mut self, reply: &Reply) -> Done {
        self.message(Channel::Control, reply)
    }

    pub(crate) fn peer(&mut self, peer: &Peer) -> Done {
        self.message(Channel::Peer, peer)
    }

    /// The next frame.
    pub(crate) fn hear(&mut self) -> Result<(Channel, Vec<u8>), Gone> {
        let mut header = [0; HEADER_LEN];
        self.0.input.read_exact(&mut header).map_err(|_| Gone)?;
        let header = Header::decode(&header).unwrap();
        let mut payload = vec![0; header.len];
        self.0.input.read_exact(&mut payload).map_err(|_| Gone)?;
        Ok((header.channel, payload))
    }

    /// The next request.
    pub(crate) fn request(&mut self) -> Result<Request, Gone> {
        loop {
            if let (Channel::Control, payload) = self.hear()? {
                return Ok(decode(&payload).unwrap());
            }
        }
    }

    /// The next message of the other of source and target.
    pub(crate) fn heard(&mut self) -> Result<Peer, Gone> {
        loop {
            if let (Channel::Peer, payload) = self.hear()? {
                return Ok(decode(&payload).unwrap());
            }
        }
    }

    /// Hears all that is said, until nobody says anything.
    pub(crate) fn hear_out(&mut self) {
        while self.hear().is_ok() {}
    }

    pub(crate) fn data(&mut self, bytes: &[u8]) -> Done {
        bytes.chunks(256 << 10).try_for_each(|chunk| self.frame(Channel::Data, chunk))
    }

    pub(crate) fn end_of_stream(&mut self) -> Done {
        self.frame(Channel::Data, &[])
    }
}

/// A section as in docs/protocol.md, in blocks, from pieces that come one by one.
pub(crate) fn told(pieces: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let (mut out, mut block) = (Vec::new(), Vec::new());
    let put = |block: &[u8], more: bool, out: &mut Vec<u8>| {
        let len = block.len() as u32 | u32::from(more) << 31;
        out.extend(len.to_le_bytes());
        let packed = frame(block);
        out.extend((packed.len() as u32).to_le_bytes());
        out.extend(packed);
    };
    for piece in pieces {
        let mut piece = &piece[..];
        while !piece.is_empty() {
            if block.len() == SECTION_BLOCK {
                put(&block, true, &mut out);
                block.clear();
            }
            let (taken, rest) = piece.split_at(piece.len().min(SECTION_BLOCK - block.len()));
            block.extend_from_slice(taken);
            piece = rest;
        }
    }
    put(&block, false, &mut out);
    out
}

/// A batch of one item and nothing old.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0];
    packed.extend(zstd::bulk::compress(bytes, 3).unwrap());
    packed
}

/// A number as columns have it.
pub(crate) fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The columns of a section, by their numbers in docs/header-delta.md; those that are not named are empty.
pub(crate) type Columns<'a> = &'a [(usize, Vec<u8>)];

pub(crate) const MATCH: usize = 0;
pub(crate) const SHAPE: usize = 1;
pub(crate) const MASK: usize = 2;
pub(crate) const SIZE: usize = 3;
pub(crate) const MTIME: usize = 4;
pub(crate) const BODY: usize = 6;
pub(crate) const BODY_BYTES: usize = 7;
pub(crate) const PAX_CODE: usize = 8;
pub(crate) const TAIL: usize = 12;
pub(crate) const ZEROS: usize = 13;
pub(crate) const RAW: usize = 14;
pub(crate) const CONTENTS: usize = 15;
pub(crate) const ORIGIN: usize = 16;
pub(crate) const LEN: usize = 17;
pub(crate) const LEN_LOW: usize = 18;

/// The beginning of a layer.
pub(crate) fn layer(diff_id: &[u8; 32], len: u64, groups: u64) -> Vec<u8> {
    [&diff_id[..], &number(len), &number(groups)].concat()
}

/// A section of a layer.
pub(crate) fn section(columns: Columns<'_>) -> Vec<u8> {
    let of = |column: usize| columns.iter().find(|(other, _)| *other == column).map_or(&[][..], |(_, of)| of);
    let mut bytes: Vec<u8> = (0..36).flat_map(|column| number(of(column).len() as u64)).collect();
    (0..36).for_each(|column| bytes.extend_from_slice(of(column)));
    bytes
}

//! Coded batches on the wire.
//!
//! A batch is its coded length (4 bytes, little-endian) and the bytes that `dsync_delta::batch`, or one of the methods of
//! this room, made of it. What is not chunks crosses as a [section](super::section).

use std::io::{self, Read, Write};

use dsync_proto::limits;

use crate::failure::Breach;

/// A batch that is to be coded: its old items and then the new ones, in one buffer.
#[derive(Debug)]
pub(crate) struct Uncoded<'a> {
    pub(crate) bytes: Vec<u8>,
    /// The beginning of the new items.
    pub(crate) begin: usize,
    pub(crate) old_lens: &'a [u64],
    pub(crate) new_lens: &'a [u64],
    /// Of each new item, the index of its old version.
    pub(crate) pairs: &'a [Option<usize>],
}

/// A batch that is to be decoded: its old items, and the lengths of the new ones.
#[derive(Debug)]
pub(crate) struct Coded<'a> {
    pub(crate) old: Vec<u8>,
    pub(crate) old_lens: &'a [u64],
    pub(crate) new_lens: &'a [u64],
    /// Of each new item, the index of its old version.
    pub(crate) pairs: &'a [Option<usize>],
}

/// Writes a coded batch.
pub(crate) fn write(packed: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(packed.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(packed)
}

/// Reads what was made of so many bytes.
pub(crate) fn read(stream: &mut impl Read, raw: u64) -> io::Result<Vec<u8>> {
    let len = read_len(stream, raw)?;
    let mut packed = Vec::new();
    read_packed(stream, len, &mut packed)?;
    Ok(packed)
}

pub(crate) fn read_len(stream: &mut impl Read, raw: u64) -> io::Result<u64> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let (len, most) = (u32::from_le_bytes(len).into(), limits::packed(raw));
    match len > most {
        true => Err(Breach(format!("{raw} bytes cannot become {len} by coding, {most} at most")).into()),
        false => Ok(len),
    }
}

/// Memory follows what arrives, which is in `packed` where the rest does not.
pub(crate) fn read_packed(stream: &mut impl Read, len: u64, packed: &mut Vec<u8>) -> io::Result<()> {
    stream.take(len).read_to_end(packed)?;
    match packed.len() as u64 == len {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

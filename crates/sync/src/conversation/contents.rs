//! The literals in batches, and before them all that is needed to form and to decode batches.
//!
//! One stream: the limit by which both ends form batches (4 bytes, little-endian); where the target has parts of literals,
//! a section with those; the address maps of old executables; the batches.

use std::io::{self, Read, Write};

use dsync_delta::batch::Effort;
use dsync_proto::limits;

use crate::coding::address_maps::SentMaps;
use crate::coding::section;
use crate::failure::Breach;

/// The bytes before the batches.
pub(crate) struct Head<'a> {
    /// The most bytes of a batch.
    pub(crate) limit: u32,
    /// The parts of literals that the target has; empty where nothing was asked.
    pub(crate) parts: &'a [u8],
    /// The address maps of old executables.
    pub(crate) maps: &'a SentMaps,
}

impl Head<'_> {
    /// Writes it. Returns how many bytes it took, but for the fixed ones.
    pub(crate) fn write(&self, effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(&self.limit.to_le_bytes())?;
        let parts = match self.parts.is_empty() {
            true => 0,
            false => section::write(self.parts, effort, out)?,
        };
        Ok(parts + self.maps.write(effort, out)?)
    }
}

/// Reads the limit of batches.
pub(crate) fn read_limit(stream: &mut impl Read) -> io::Result<u32> {
    let mut limit = [0; 4];
    stream.read_exact(&mut limit)?;
    let limit = u32::from_le_bytes(limit);
    match (limits::BATCH_LEAST..=limits::BATCH).contains(&limit) {
        true => Ok(limit),
        false => Err(Breach(format!("batches of {limit} bytes")).into()),
    }
}

/// Reads the parts of literals that are here, where any was asked for.
pub(crate) fn read_parts(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    section::read(stream, limits::LENGTHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_pinned() {
        let head = |parts| {
            let mut out = Vec::new();
            let maps = SentMaps::default();
            let head = Head { limit: 0x0010_0000, parts, maps: &maps };
            let packed = head.write(Effort::Level(1), &mut out).unwrap();
            (out, packed)
        };
        // The limit, and no address maps.
        assert_eq!(head(&[]), (vec![0, 0, 0x10, 0, 0, 0, 0, 0], 0));
        // The limit, a section with one part of two bytes, and no address maps.
        let (out, packed) = head(&[1, 2]);
        assert_eq!((&out[..8], &out[out.len() - 4..]), (&[0, 0, 0x10, 0, 2, 0, 0, 0][..], &[0; 4][..]));
        assert_eq!(out.len() as u64, 4 + 8 + packed + 4);
    }

    #[test]
    fn a_limit_beyond_those_of_the_protocol_is_a_breach() {
        for (limit, is_right) in
            [(limits::BATCH_LEAST, true), (limits::BATCH, true), (0, false), (limits::BATCH + 1, false)]
        {
            let read = read_limit(&mut &limit.to_le_bytes()[..]);
            assert_eq!(read.ok(), is_right.then_some(limit));
        }
    }
}

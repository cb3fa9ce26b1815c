//! A section: anything that crosses but chunks, coded in blocks, so that neither side holds more than one of them.
//!
//! A block is the number of its bytes (4 bytes, little-endian; the highest bit is set where another block follows), and a
//! batch of one item and nothing old: its packed length (4 bytes) and its bytes. Each block but the last is full.

use std::io::{self, Read, Write};

use dsync_delta::batch::{self, Effort, Items};
use dsync_proto::limits::SECTION_BLOCK;

use super::batch as wire;
use crate::failure::Breach;

/// Set in the number of a block's bytes where another one follows.
const MORE: u32 = 1 << 31;

/// Takes what is said, and writes it in blocks.
pub(crate) struct SectionWriter<'o> {
    out: &'o mut dyn Write,
    effort: Effort,
    block: Vec<u8>,
    /// Bytes of the blocks until now, packed.
    packed: u64,
}

impl<'o> SectionWriter<'o> {
    pub(crate) fn new(out: &'o mut dyn Write, effort: Effort) -> Self {
        SectionWriter { out, effort, block: Vec::new(), packed: 0 }
    }

    /// Ends it. Returns how many bytes it was packed.
    pub(crate) fn finish(mut self) -> io::Result<u64> {
        self.send(0)?;
        Ok(self.packed)
    }

    fn send(&mut self, more: u32) -> io::Result<()> {
        let items = Items { bytes: &self.block, lens: &[self.block.len() as u64] };
        let packed = batch::encode(Items::default(), items, self.effort)?;
        let len = u32::try_from(self.block.len()).map_err(io::Error::other)?;
        self.out.write_all(&(len | more).to_le_bytes())?;
        wire::write(&packed, self.out)?;
        self.packed += packed.len() as u64;
        self.block.clear();
        Ok(())
    }
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == SECTION_BLOCK {
            self.send(MORE)?;
        }
        let taken = bytes.len().min(SECTION_BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says some bytes. Returns how many they are, packed.
pub(crate) fn write(bytes: &[u8], effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
    let mut section = SectionWriter::new(out, effort);
    section.write_all(bytes)?;
    section.finish()
}

/// Reads what was said.
pub(crate) struct SectionReader<R> {
    stream: R,
    block: Vec<u8>,
    at: usize,
    /// True if another block follows.
    more: bool,
}

impl<R: Read> SectionReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        SectionReader { stream, block: Vec::new(), at: 0, more: true }
    }

    /// The end; fails where something is left.
    pub(crate) fn finish(mut self) -> io::Result<R> {
        match self.read(&mut [0])? {
            0 => Ok(self.stream),
            _ => Err(Breach("more is said than belongs to the image".into()).into()),
        }
    }

    fn next(&mut self) -> io::Result<()> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        (self.more, self.at) = (len & MORE != 0, 0);
        let len = u64::from(len & !MORE);
        if len > SECTION_BLOCK as u64 || self.more && len < SECTION_BLOCK as u64 {
            return Err(Breach(format!("a part of {len} bytes")).into());
        }
        // The last one goes first.
        self.block = Vec::new();
        let packed = wire::read(&mut self.stream, len)?;
        // Nothing old goes into it that could have been mistaken.
        let block = batch::decode(Items::default(), &[len], &packed);
        self.block = block.map_err(|error| Breach(error.to_string()))?;
        Ok(())
    }
}

impl<R: Read> Read for SectionReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && self.more {
            self.next()?;
        }
        let rest = &self.block[self.at..];
        let taken = rest.len().min(into.len());
        into[..taken].copy_from_slice(&rest[..taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Reads all that was said, which may be `most` bytes.
pub(crate) fn read(stream: &mut impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut section = SectionReader::new(stream);
    let mut bytes = Vec::new();
    (&mut section).take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Breach(format!("more than {most} bytes are said")).into());
    }
    section.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_they_were_said() {
        for len in [
            0,
            1,
            SECTION_BLOCK - 1,
            SECTION_BLOCK,
            SECTION_BLOCK + 1,
            2 * SECTION_BLOCK,
            2 * SECTION_BLOCK + 7,
        ] {
            let said: Vec<u8> = (0..len).map(|at| (at / 1000) as u8).collect();
            let mut out = Vec::new();
            let packed = write(&said, Effort::Level(1), &mut out).unwrap();
            let blocks = len.div_ceil(SECTION_BLOCK).max(1);
            assert_eq!(out.len() as u64, packed + 8 * blocks as u64);
            out.extend(b"next");
            let mut stream = &out[..];
            assert!(read(&mut stream, len as u64).unwrap() == said, "{len}");
            assert_eq!(stream, b"next");
            assert!(len == 0 || read(&mut &out[..], len as u64 - 1).is_err());
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let mut out = Vec::new();
        write(b"abc", Effort::Level(1), &mut out).unwrap();
        assert_eq!(out[..8], [3, 0, 0, 0, 13, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_is_refused_before_it_costs_anything() {
        let mut said = Vec::new();
        write(&vec![0; SECTION_BLOCK + 1], Effort::Level(1), &mut said).unwrap();
        let with = |at: usize, bytes: [u8; 4]| {
            let mut said = said.clone();
            said[at..at + 4].copy_from_slice(&bytes);
            let error = read(&mut &said[..], 1 << 40).unwrap_err();
            assert!(error.to_string().contains("broke the protocol"), "{error:?}");
        };
        with(0, (SECTION_BLOCK as u32 + 1).to_le_bytes());
        with(0, ((SECTION_BLOCK as u32 - 1) | MORE).to_le_bytes());
        with(0, u32::MAX.to_le_bytes());
        with(4, u32::MAX.to_le_bytes());
        with(4, (SECTION_BLOCK as u32 * 2).to_le_bytes());
        let short = SECTION_BLOCK as u32 - 1;
        said[..4].copy_from_slice(&(short | MORE).to_le_bytes());
        let error = read(&mut &said[..], 1 << 40).unwrap_err();
        assert!(
            error.to_string().contains(&format!("a part of {short} bytes")),
            "before it is decoded: {error}"
        );
    }
}

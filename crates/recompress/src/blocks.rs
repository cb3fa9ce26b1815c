//! Independent blocks, encoded on several threads.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use flate2::Crc;

use crate::klauspost::{self, Release};
use crate::method::CompressionMethod;
use crate::ordered::encode_all;
use crate::zlib;

/// An encoder of independent blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndependentBlocks {
    kind: BlockProgram,
    level: u8,
    /// Plain bytes in a block.
    size: usize,
}

#[derive(Debug, Clone, Copy)]
enum BlockProgram {
    Pgzip(Release),
    Pigz,
}

impl IndependentBlocks {
    /// The encoder of a method, if its blocks are independent.
    pub(crate) fn of(method: CompressionMethod) -> Option<Self> {
        let (kind, level, size) = match method {
            CompressionMethod::Pgzip { release, level, block } => {
                (BlockProgram::Pgzip(release), level, block)
            }
            CompressionMethod::Pigz { level, block } => (BlockProgram::Pigz, level, block),
            _ => return None,
        };
        Some(Self { kind, level: level.unsigned_abs(), size: size as usize })
    }

    /// Encodes one block, which follows `before`.
    fn encode(self, before: &[u8], plain: &[u8], is_last: bool) -> Vec<u8> {
        match self.kind {
            BlockProgram::Pgzip(release) => {
                klauspost::pgzip_block(release, self.level, before, plain, is_last)
            }
            BlockProgram::Pigz => zlib::pigz_block(self.level, before, plain, is_last),
        }
    }

    /// True if a full block is the last when nothing follows; else an empty one is.
    fn may_end_full(self) -> bool {
        matches!(self.kind, BlockProgram::Pigz)
    }

    /// Writes the deflate stream of the plain bytes. Returns their CRC-32 and length, and the length of the stream.
    pub(crate) fn run(
        self,
        plain: impl Read,
        mut out: impl Write,
        threads: NonZeroUsize,
    ) -> io::Result<Ends> {
        let mut pieces = PlainBlocks {
            plain,
            ends: Ends::default(),
            size: self.size,
            may_end_full: self.may_end_full(),
            next: None,
            tail: Vec::new(),
            is_ended: false,
        };
        let mut stream = 0;
        let encode = |piece: PlainBlock| self.encode(&piece.before, &piece.plain, piece.is_last);
        encode_all(
            threads,
            || pieces.next(),
            encode,
            |block| {
                stream += block.len() as u64;
                out.write_all(&block)
            },
        )?;
        Ok(Ends { stream, ..pieces.ends })
    }
}

/// Totals after all was encoded.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) crc: Crc,
    /// Plain bytes, and bytes of the stream.
    pub(crate) plain: u64,
    pub(crate) stream: u64,
}

/// No encoder knows more of the block before, in bytes.
const TAIL: usize = 1 << 15;

/// A block, and the end of the one before.
struct PlainBlock {
    before: Vec<u8>,
    plain: Vec<u8>,
    is_last: bool,
}

/// Plain bytes, block by block.
struct PlainBlocks<R> {
    plain: R,
    ends: Ends,
    size: usize,
    may_end_full: bool,
    /// The block that was read ahead.
    next: Option<Vec<u8>>,
    /// The end of the block before.
    tail: Vec<u8>,
    is_ended: bool,
}

impl<R: Read> PlainBlocks<R> {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut plain = Vec::with_capacity(self.size);
        self.plain.by_ref().take(self.size as u64).read_to_end(&mut plain)?;
        self.ends.crc.update(&plain);
        self.ends.plain += plain.len() as u64;
        Ok(plain)
    }

    /// The next block, until the last was given.
    fn next(&mut self) -> io::Result<Option<PlainBlock>> {
        if self.is_ended {
            return Ok(None);
        }
        let plain = match self.next.take() {
            Some(plain) => plain,
            None => self.read()?,
        };
        self.is_ended = plain.len() < self.size;
        if !self.is_ended {
            let next = self.read()?;
            self.is_ended = next.is_empty() && self.may_end_full;
            self.next = Some(next);
        }
        let tail = plain[plain.len().saturating_sub(TAIL)..].to_vec();
        let before = std::mem::replace(&mut self.tail, tail);
        Ok(Some(PlainBlock { before, plain, is_last: self.is_ended }))
    }
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;

//! Independent blocks, encoded on several threads.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::thread;

use flate2::Crc;

use crate::Method;
use crate::klauspost::{self, Release};
use crate::zlib;

/// An encoder of independent blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks {
    kind: Kind,
    level: u8,
    /// Plain bytes in a block.
    size: usize,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Pgzip(Release),
    Pigz,
}

impl Blocks {
    /// The encoder of a method, if its blocks are independent.
    pub(crate) fn of(method: Method) -> Option<Self> {
        let (kind, level, size) = match method {
            Method::Pgzip { release, level, block } => (Kind::Pgzip(release), level, block),
            Method::Pigz { level, block } => (Kind::Pigz, level, block),
            _ => return None,
        };
        Some(Self { kind, level: level.unsigned_abs(), size: size as usize })
    }

    /// Encodes one block, which follows `before`.
    fn encode(self, before: &[u8], plain: &[u8], is_last: bool) -> Vec<u8> {
        match self.kind {
            Kind::Pgzip(release) => klauspost::pgzip_block(release, self.level, before, plain, is_last),
            Kind::Pigz => zlib::pigz_block(self.level, before, plain, is_last),
        }
    }

    /// Whether a full block is the last if nothing follows; else an empty one is.
    fn may_end_full(self) -> bool {
        matches!(self.kind, Kind::Pigz)
    }

    /// Writes the deflate stream of the plain bytes. Returns their CRC-32 and length, and the length of the stream.
    pub(crate) fn run(
        self,
        plain: impl Read,
        mut out: impl Write,
        threads: NonZeroUsize,
    ) -> io::Result<Ends> {
        let mut pieces = Pieces { plain, size: self.size, may_end_full: self.may_end_full(), next: None };
        let mut ends = Ends::default();
        let mut before = Vec::new();
        let mut is_ended = false;
        while !is_ended {
            let mut batch = Vec::new();
            while batch.len() < threads.get() && !is_ended {
                let (piece, is_last) = pieces.next()?;
                ends.crc.update(&piece);
                ends.plain += piece.len() as u64;
                is_ended = is_last;
                batch.push(piece);
            }
            for block in self.encode_all(&before, &batch, is_ended) {
                ends.stream += block.len() as u64;
                out.write_all(&block)?;
            }
            before = batch.pop().unwrap_or_default();
        }
        Ok(ends)
    }

    /// Encodes blocks that follow each other, each on a thread.
    fn encode_all(self, before: &[u8], batch: &[Vec<u8>], is_ended: bool) -> Vec<Vec<u8>> {
        let befores = std::iter::once(before).chain(batch.iter().map(Vec::as_slice));
        thread::scope(|scope| {
            let threads: Vec<_> = befores
                .zip(batch)
                .enumerate()
                .map(|(index, (before, plain))| {
                    let is_last = is_ended && index + 1 == batch.len();
                    scope.spawn(move || self.encode(before, plain, is_last))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("encoders do not panic")).collect()
        })
    }
}

/// What is known when all was encoded.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) crc: Crc,
    /// Plain bytes, and bytes of the stream.
    pub(crate) plain: u64,
    pub(crate) stream: u64,
}

/// Plain bytes, block by block.
struct Pieces<R> {
    plain: R,
    size: usize,
    may_end_full: bool,
    /// The block that was read ahead.
    next: Option<Vec<u8>>,
}

impl<R: Read> Pieces<R> {
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(self.size);
        self.plain.by_ref().take(self.size as u64).read_to_end(&mut piece)?;
        Ok(piece)
    }

    /// The next block, and whether it is the last.
    fn next(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let piece = match self.next.take() {
            Some(piece) => piece,
            None => self.read()?,
        };
        if piece.len() < self.size {
            return Ok((piece, true));
        }
        let next = self.read()?;
        let is_last = next.is_empty() && self.may_end_full;
        self.next = Some(next);
        Ok((piece, is_last))
    }
}

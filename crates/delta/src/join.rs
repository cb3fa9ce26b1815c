//! Joins an assembly and its chunks to the exact layer, which its diff id proves.

use std::io::{self, Read, Write};

use dsync_core::{Digest, HashingWriter};

use crate::header_delta::{Assembly, Origin};
use crate::layer_index::Segment;

/// The chunks that [`join`] reads.
pub trait ChunkSource {
    /// Copies exactly the `len` bytes of the chunk to `out`. An error of `out` is to be passed on.
    fn copy(&mut self, from: Origin, len: u64, out: &mut dyn Write) -> io::Result<()>;
}

/// The reason why a layer was not joined. The bytes that were written are to be discarded.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A chunk could not be read.
    #[error("cannot read a chunk of {len} bytes ({from:?})")]
    Chunk {
        /// The origin of the chunk.
        from: Origin,
        /// Its length.
        len: u64,
        /// The error of the source of chunks.
        source: io::Error,
    },
    /// The source of chunks gave more or fewer bytes than the chunk has.
    #[error("a chunk has {got} bytes instead of {expected} ({from:?})")]
    Length {
        /// The origin of the chunk.
        from: Origin,
        /// The length it must have.
        expected: u64,
        /// The bytes that were given; of a chunk that is too long, those until that was noticed.
        got: u64,
    },
    /// The layer could not be written.
    #[error("cannot write a layer")]
    Write(#[source] io::Error),
    /// The layer has another diff id: some chunk was mistaken for another.
    #[error("a layer came out as {got} instead of {expected}")]
    Mismatch {
        /// The diff id that the assembly gives.
        expected: Digest,
        /// The diff id of what was written.
        got: Digest,
    },
}

/// Writes the exact layer to `out`, and checks its diff id at the end. Until this returns `Ok`, nobody may
/// rely on a byte of it. `out` is not flushed.
pub fn join(assembly: &Assembly, chunks: &mut dyn ChunkSource, out: &mut dyn Write) -> Result<(), JoinError> {
    let mut out = HashingWriter::new(out);
    let index = &assembly.index;
    let mut origins = assembly.origins.iter();
    index.segments(&mut |segment| match segment {
        Segment::Verbatim(bytes) => out.write_all(bytes).map_err(JoinError::Write),
        Segment::Zeros(len) => {
            io::copy(&mut io::repeat(0).take(len), &mut out).map(drop).map_err(JoinError::Write)
        }
        // An assembly has as many origins as chunks.
        Segment::Chunk(ordinal) => origins
            .next()
            .map_or(Ok(()), |origin| copy_chunk(*origin, index.chunks().at(ordinal).len, chunks, &mut out)),
    })?;
    let (got, _) = out.digest();
    if got != index.digest {
        return Err(JoinError::Mismatch { expected: index.digest, got });
    }
    Ok(())
}

fn copy_chunk(
    from: Origin,
    len: u64,
    chunks: &mut dyn ChunkSource,
    out: &mut dyn Write,
) -> Result<(), JoinError> {
    let mut slot = Slot { out, left: len, excess: 0, failed: false };
    let result = chunks.copy(from, len, &mut slot);
    // The slot's own findings come first: a source may wrap an error, or hide it.
    match result {
        Err(error) if slot.failed => Err(JoinError::Write(error)),
        _ if slot.excess > 0 => {
            Err(JoinError::Length { from, expected: len, got: len.saturating_add(slot.excess) })
        }
        Err(source) => Err(JoinError::Chunk { from, len, source }),
        Ok(()) if slot.failed => Err(JoinError::Write(io::Error::other("a failed write was ignored"))),
        Ok(()) if slot.left > 0 => Err(JoinError::Length { from, expected: len, got: len - slot.left }),
        Ok(()) => Ok(()),
    }
}

/// The writer of one chunk: takes as many bytes as it has, and not one more.
struct Slot<'a> {
    out: &'a mut dyn Write,
    left: u64,
    /// Bytes beyond the length of the chunk.
    excess: u64,
    /// The writer behind it failed.
    failed: bool,
}

impl Write for Slot<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if most == 0 && !bytes.is_empty() {
            self.excess = self.excess.saturating_add(bytes.len() as u64);
            return Err(io::Error::other("more bytes than the chunk has"));
        }
        match self.out.write(&bytes[..most]) {
            Ok(written) => {
                self.left -= written as u64;
                self.failed = written == 0 && most > 0;
                Ok(written)
            }
            Err(error) => {
                self.failed = error.kind() != io::ErrorKind::Interrupted;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

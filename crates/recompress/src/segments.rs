//! Encodes the parts of a stream between its checkpoints on several threads.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;

use crate::blocks::Ends;
use crate::checkpoint::{Checkpoint, FARTHEST, Mark, history};
use crate::method::CompressionMethod;
use crate::ordered::encode_all;

/// Lookahead beyond a segment that an encoder needs to decide as it did, in bytes: enough to fill its window.
const AHEAD: u64 = 1 << 16;

/// A stream with checkpoints.
pub(crate) struct Segments<'a> {
    pub(crate) method: CompressionMethod,
    pub(crate) checkpoints: &'a [Checkpoint],
}

/// A segment with what is before it and after it, as far as the encoder must know that.
struct StreamSegment {
    from: Checkpoint,
    plain: Vec<u8>,
    /// Its end; none for the last.
    to: Option<Checkpoint>,
}

impl Segments<'_> {
    /// Writes the deflate stream of the plain bytes. Returns their CRC-32 and length, and the length of the stream.
    ///
    /// Fails where the checkpoints are not those of the stream and that shows.
    pub(crate) fn run(&self, plain: impl Read, out: impl Write, threads: NonZeroUsize) -> io::Result<Ends> {
        let mut reader = SegmentReader {
            plain,
            ends: Ends::default(),
            known: Vec::new(),
            from: Some(Checkpoint::default()),
            rest: self.checkpoints.iter(),
        };
        let mut joint = Joint { out, last: 0, used: 0, len: 0 };
        encode_all(threads, || reader.next(), |segment| self.encode(&segment), |part| joint.add(part?))?;
        Ok(Ends { stream: joint.len, ..reader.ends })
    }

    fn encode(&self, segment: &StreamSegment) -> io::Result<EncodedSegment> {
        let mut encoder = self.method.resume(segment.from, &segment.plain).ok_or_else(misfit)?;
        let Some(to) = segment.to else {
            encoder.finish();
            let bytes = std::mem::take(encoder.output());
            return Ok(EncodedSegment { from: segment.from.bits, to: 0, bytes });
        };
        let marks = encoder.marks();
        let is_end = |mark: &&Mark| (mark.plain, mark.is_waiting) == (to.plain, to.is_waiting);
        let bits = marks.iter().find(is_end).ok_or_else(misfit)?.bits;
        encoder.finish();
        let mut bytes = std::mem::take(encoder.output());
        bytes.truncate(bits.div_ceil(8) as usize);
        if let Some(last) = bytes.last_mut().filter(|_| !bits.is_multiple_of(8)) {
            *last &= (1 << (bits % 8)) - 1;
        }
        Ok(EncodedSegment { from: segment.from.bits, to: (bits % 8) as u8, bytes })
    }
}

fn misfit() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the checkpoints of a compressed layer are not its own")
}

/// Plain bytes, segment by segment.
struct SegmentReader<'a, R> {
    plain: R,
    ends: Ends,
    /// Input from the start of the next segment's history on.
    known: Vec<u8>,
    /// The start of the next segment; none after the last.
    from: Option<Checkpoint>,
    rest: std::slice::Iter<'a, Checkpoint>,
}

impl<R: Read> SegmentReader<'_, R> {
    fn next(&mut self) -> io::Result<Option<StreamSegment>> {
        let Some(from) = self.from.take() else { return Ok(None) };
        let to = self.rest.next().copied();
        let start = from.plain - history(from.plain) as u64;
        let end = match to {
            Some(to) => to.plain.saturating_add(AHEAD),
            // One more shows whether the last is longer than it may be.
            None => from.plain.saturating_add(FARTHEST + 1),
        };
        self.read_to(end)?;
        let known = start + self.known.len() as u64;
        let Some(next) = to else {
            return match known < end {
                true => Ok(Some(StreamSegment { from, plain: std::mem::take(&mut self.known), to })),
                false => Err(misfit()),
            };
        };
        if known <= next.plain {
            return Err(misfit());
        }
        let next_start = next.plain - history(next.plain) as u64;
        let tail = self.known[(next_start - start) as usize..].to_vec();
        self.from = Some(next);
        Ok(Some(StreamSegment { from, plain: std::mem::replace(&mut self.known, tail), to }))
    }

    /// Reads until so many plain bytes were read, or to the end.
    fn read_to(&mut self, end: u64) -> io::Result<()> {
        let before = self.known.len();
        let wanted = end.saturating_sub(self.ends.plain);
        self.plain.by_ref().take(wanted).read_to_end(&mut self.known)?;
        self.ends.crc.update(&self.known[before..]);
        self.ends.plain += (self.known.len() - before) as u64;
        Ok(())
    }
}

/// The output of a segment.
struct EncodedSegment {
    /// Bits of the first byte that are not its own, which are 0, and of the last that are used; 0 if it is full.
    from: u8,
    to: u8,
    bytes: Vec<u8>,
}

/// Joins parts that begin and end within bytes.
#[derive(Default)]
struct Joint<W> {
    out: W,
    /// The byte that is not full, and how many bits of it are used.
    last: u8,
    used: u8,
    /// Bytes that were written.
    len: u64,
}

impl<W: Write> Joint<W> {
    fn add(&mut self, mut part: EncodedSegment) -> io::Result<()> {
        if part.from != self.used {
            return Err(misfit());
        }
        if let Some(first) = part.bytes.first_mut() {
            *first |= self.last;
        }
        self.used = part.to;
        self.last = if part.to > 0 { part.bytes.pop().unwrap_or_default() } else { 0 };
        self.len += part.bytes.len() as u64;
        self.out.write_all(&part.bytes)
    }
}

#[cfg(test)]
#[path = "segments_tests.rs"]
mod tests;

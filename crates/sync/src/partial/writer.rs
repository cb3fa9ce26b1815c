//! Writes the chunks that arrive into the file of a partial transfer.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_core::ustar::{BLOCK, checksum, padding, write_octal};
use dsync_delta::LayerIndex;
use dsync_delta::layer_index::{Entries, Segment};

use super::file::{PartialFile, PieceContent, head, piece};
use super::owner::Owner;

/// The most bytes that all files take.
pub const PARTIAL_LIMIT: u64 = 8 << 30;
/// Bytes of the file system that are left to others.
const RESERVE: u64 = 512 << 20;
/// Zeros of an entry beyond which it is left out: they are no padding.
const ZEROS: u64 = 64 << 10;
/// Bytes of pieces that wait to be written: a batch of 24 MiB may have files of a few bytes, whose headers are many times
/// as long.
pub(super) const WAITING: usize = 1 << 20;
/// Chunks that are as short as this are in no index: the scanner takes them for verbatim bytes.
const SHORT: usize = 64;

/// The writer of a file. Where nothing more can be written, that is no failure of the transfer.
#[derive(Debug)]
pub(crate) struct PartialWriter {
    layers: Vec<ArrivingLayer>,
    pieces: Pieces,
}

/// The basis of a layer of which chunks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BasisKind {
    /// The target has no older image.
    None,
    /// An older image.
    Image,
    /// An older image that has ranges of chunks, too, which do not arrive.
    ImageAndRanges,
}

/// The pieces of a file, and those that are not yet written.
#[derive(Debug)]
struct Pieces {
    file: Arc<File>,
    end: u64,
    buffer: Vec<u8>,
}

/// A layer of which chunks arrive.
#[derive(Debug)]
struct ArrivingLayer {
    /// Its number in the image.
    number: usize,
    index: Arc<LayerIndex>,
    /// Its chunks may be ranges of those that both ends know, of which the target has the rest.
    is_divided: bool,
    /// The first entry that was not passed yet, once one was; none at all where entries without chunks need not be written,
    /// since the old image has them.
    next: Option<Option<usize>>,
}

impl PartialWriter {
    /// Goes on behind the pieces of a file.
    pub(super) fn new(partial: &PartialFile, owner: &Owner) -> io::Result<PartialWriter> {
        let file = Arc::clone(&partial.file);
        let mut end = partial.end;
        file.set_len(end)?;
        if end == 0 {
            let head = head(owner)?;
            file.write_all_at(&head, 0)?;
            end = head.len() as u64;
        }
        Ok(PartialWriter { layers: Vec::new(), pieces: Pieces { file, end, buffer: Vec::new() } })
    }

    /// Adds a layer whose chunks arrive from here on; chunks name it by its place among those that were added.
    pub(crate) fn add_layer(&mut self, number: usize, index: &Arc<LayerIndex>, basis: BasisKind) {
        let next = (basis == BasisKind::None).then_some(None);
        let is_divided = basis == BasisKind::ImageAndRanges;
        self.layers.push(ArrivingLayer { number, index: Arc::clone(index), is_divided, next });
    }

    /// Writes chunks that follow each other in a layer; of the last ones bytes may be missing. An error is the reason why
    /// nothing more is written.
    pub(crate) fn write(&mut self, layer: usize, chunks: Range<usize>, bytes: &[u8]) -> Result<(), String> {
        let PartialWriter { layers, pieces } = self;
        let Some(ArrivingLayer { number, index, is_divided, next }) = layers.get_mut(layer) else {
            return Ok(());
        };
        let arrived = Arrived::of(index, chunks, bytes);
        let mut entries = Entries::of(index);
        let mut chunk = arrived.first;
        while chunk < arrived.end() {
            let Some(entry) = entries.with_chunk(chunk) else { break };
            if let Some(next) = next {
                for passed in next.unwrap_or(entry)..entry {
                    if entries.chunks(passed).is_empty()
                        && let Some(piece) = whole(&mut entries, passed, &arrived)
                    {
                        pieces.push((*number, passed), PieceContent::Entry, &piece)?;
                    }
                }
                *next = (*next).max(Some(entry + 1));
            }
            let own = entries.chunks(entry);
            match whole(&mut entries, entry, &arrived) {
                Some(piece) => pieces.push((*number, entry), PieceContent::Entry, &piece)?,
                None => {
                    for ordinal in chunk..own.end {
                        if let Some(bytes) = arrived.get(ordinal).filter(|bytes| bytes.len() >= SHORT) {
                            // There are fewer chunks than a 31-bit number can count.
                            let chunk = ordinal as u32;
                            let content = if *is_divided {
                                PieceContent::Range(chunk)
                            } else {
                                PieceContent::Chunk(chunk)
                            };
                            pieces.push((*number, entry), content, &alone(bytes))?;
                        }
                    }
                }
            }
            chunk = own.end.max(chunk + 1);
        }
        Ok(())
    }

    /// Writes what waits to be written. An error is the reason why nothing more is written.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        self.pieces.flush()
    }

    /// The bytes that the pieces take which wait to be written.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.pieces.buffer.capacity()
    }
}

impl Pieces {
    /// Adds a piece of an entry, by the numbers of its layer and of it.
    fn push(
        &mut self,
        (layer, entry): (usize, usize),
        content: PieceContent,
        bytes: &[u8],
    ) -> Result<(), String> {
        if self.buffer.len() + bytes.len() > WAITING {
            self.flush()?;
        }
        if let [Ok(layer), Ok(entry), Ok(len)] = [layer, entry, bytes.len()].map(u32::try_from) {
            self.buffer.extend(piece(layer, entry, content.number(), len));
            self.buffer.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), String> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let free = rustix::fs::fstatvfs(&*self.file).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        let len = self.buffer.len() as u64;
        if free.is_ok_and(|free| free < RESERVE.saturating_add(len)) {
            return Err("its disk is nearly full".into());
        }
        if self.end.saturating_add(len) > PARTIAL_LIMIT {
            return Err(format!("{} GiB are the most", PARTIAL_LIMIT >> 30));
        }
        if let Err(error) = self.file.write_all_at(&self.buffer, self.end) {
            self.file.set_len(self.end).ok();
            return Err(error.to_string());
        }
        self.end += len;
        // A piece may be as long as an entry.
        self.buffer.clear();
        self.buffer.shrink_to(2 * WAITING);
        Ok(())
    }
}

/// Chunks of a layer that follow each other and are all there.
struct Arrived<'a> {
    first: usize,
    /// The offset of each, and the end of the last.
    starts: Vec<usize>,
    bytes: &'a [u8],
}

impl<'a> Arrived<'a> {
    /// Those of some chunks whose bytes are there.
    fn of(index: &LayerIndex, chunks: Range<usize>, bytes: &'a [u8]) -> Self {
        let first = chunks.start;
        let ends = index.chunks().range(chunks).scan(0, |end, chunk| {
            // A chunk has at most 256 KiB.
            *end += chunk.len as usize;
            Some(*end)
        });
        let starts = std::iter::once(0).chain(ends.take_while(|end| *end <= bytes.len())).collect();
        Arrived { first, starts, bytes }
    }

    /// One more than the last.
    fn end(&self) -> usize {
        self.first + self.starts.len() - 1
    }

    fn get(&self, ordinal: usize) -> Option<&'a [u8]> {
        let number = ordinal.checked_sub(self.first)?;
        Some(&self.bytes[*self.starts.get(number)?..*self.starts.get(number + 1)?])
    }
}

/// The bytes of an entry, if all its chunks are there.
fn whole(entries: &mut Entries<'_>, entry: usize, arrived: &Arrived<'_>) -> Option<Vec<u8>> {
    let mut piece = Vec::new();
    let written = entries.segments(entry, &mut |segment| {
        match segment {
            Segment::Verbatim(bytes) => piece.extend_from_slice(bytes),
            Segment::Zeros(zeros) if zeros <= ZEROS => piece.resize(piece.len() + zeros as usize, 0),
            Segment::Zeros(_) => return Err(()),
            Segment::Chunk(ordinal) => piece.extend_from_slice(arrived.get(ordinal).ok_or(())?),
        }
        Ok(())
    });
    written.ok().map(|()| piece).filter(|piece| !piece.is_empty())
}

/// A chunk as a file of its own.
fn alone(bytes: &[u8]) -> Vec<u8> {
    let mut header = [0; BLOCK];
    header[..5].copy_from_slice(b"chunk");
    write_octal(bytes.len() as u64, &mut header[124..135]);
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum = checksum(&header);
    write_octal(sum, &mut header[148..154]);
    header[155] = b' ';
    let padding = vec![0; padding(bytes.len() as u64) as usize];
    [&header[..], bytes, &padding].concat()
}

//! The file of a partial transfer.
//!
//! `dsyncprt`, a format number (1 byte), the length of the owner (4 bytes, little-endian) and the owner; then *pieces*, each
//! after a header of 16 bytes: the number of its layer in the image, that of its entry in the layer, 0 for all of the entry
//! or one more than the number of a chunk, and its length. The highest bit of the third says that the piece is only a range
//! of a chunk, of which the target had the rest. Pieces follow in the order in which they arrived, and are read in that of
//! the layers. The last may be cut off.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use dsync_core::Digest;
use dsync_proto::{decode, encode};

use super::owner::Owner;

const MAGIC: &[u8; 8] = b"dsyncprt";
const FORMAT: u8 = 2;
/// Bytes of the header of a piece.
const PIECE: usize = 16;
/// Set in the number of a chunk of which a piece is a range.
const RANGE: u32 = 1 << 31;
/// The most bytes of an owner.
const OWNER_MAX: u32 = 1 << 20;
/// The most pieces of all files that are read: how much memory their tables may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct PieceBudget(u64);

impl PieceBudget {
    /// As many as take this much memory while they become a layer.
    pub(super) fn of_memory(memory: u64) -> Self {
        PieceBudget(memory / (size_of::<Piece>() + size_of::<Start>()) as u64)
    }

    /// Takes one, if there are any left.
    fn take(&mut self) -> bool {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or(0);
        left.is_some()
    }
}

/// A file that this process has locked.
#[derive(Debug)]
pub(super) struct PartialFile {
    pub(super) file: Arc<File>,
    path: PathBuf,
    /// The pieces, in the order of the layers.
    pieces: Vec<Piece>,
    /// The end of the last piece that is whole; 0 of a file without an owner.
    pub(super) end: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Piece {
    layer: u32,
    entry: u32,
    /// The number of a [`PieceContent`].
    chunk: u32,
    len: u32,
    at: u64,
}

/// The contents of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceContent {
    Entry,
    /// A chunk of the entry, by its number.
    Chunk(u32),
    /// A range of a chunk.
    Range(u32),
}

impl PieceContent {
    /// The third number of a header.
    pub(super) fn number(self) -> u32 {
        match self {
            PieceContent::Entry => 0,
            PieceContent::Chunk(chunk) => chunk + 1,
            PieceContent::Range(chunk) => (chunk + 1) | RANGE,
        }
    }
}

impl PartialFile {
    /// Reads which pieces of an image are there. A file that says to be of another one has none.
    pub(super) fn read(
        file: File,
        path: PathBuf,
        config: &Digest,
        budget: &mut PieceBudget,
    ) -> io::Result<PartialFile> {
        let (mut pieces, mut end) = (Vec::new(), 0);
        let len = file.metadata()?.len();
        if let Some((_, begin)) = owner(&file).filter(|(owner, _)| owner.config() == *config) {
            end = begin;
            while end + PIECE as u64 <= len && budget.take() {
                let mut header = [0; PIECE];
                file.read_exact_at(&mut header, end)?;
                let number =
                    |at: usize| header[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
                let at = end + PIECE as u64;
                let piece =
                    Piece { layer: number(0), entry: number(4), chunk: number(8), len: number(12), at };
                if piece.len == 0 || at + u64::from(piece.len) > len {
                    break;
                }
                end = at + u64::from(piece.len);
                pieces.push(piece);
            }
        }
        pieces.sort_unstable();
        Ok(PartialFile { file: Arc::new(file), path, pieces, end })
    }

    /// Bytes of all pieces.
    pub(super) fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.len)).sum()
    }

    /// Takes the pieces out, as a layer; `None` where there is none.
    pub(super) fn take_layer(&mut self) -> Option<PartialLayer> {
        let pieces = std::mem::take(&mut self.pieces);
        let mut starts = Vec::with_capacity(pieces.len());
        let mut len = 0;
        for piece in &pieces {
            starts.push(Start { in_layer: len, in_file: piece.at, is_range: piece.chunk & RANGE != 0 });
            len += u64::from(piece.len);
        }
        (!starts.is_empty()).then(|| PartialLayer { file: Arc::clone(&self.file), starts, len })
    }

    /// Drops all pieces.
    pub(super) fn clear(&mut self) {
        self.pieces.clear();
        self.end = 0;
        self.file.set_len(0).ok();
    }

    /// Removes the file.
    pub(super) fn remove(self) {
        fs::remove_file(&self.path).ok();
    }
}

impl Drop for PartialFile {
    /// A file in which nothing was written goes.
    fn drop(&mut self) {
        let len = self.file.metadata().map_or(0, |metadata| metadata.len());
        let begin = owner(&self.file).map_or(0, |(_, begin)| begin);
        if len <= begin {
            fs::remove_file(&self.path).ok();
        }
    }
}

/// The image that a file has parts of; `None` of a file without pieces, and of one of another image.
pub(super) fn read_owner(file: &File, config: &Digest) -> Option<Owner> {
    let (owner, begin) = owner(file).filter(|(owner, _)| owner.config() == *config)?;
    file.metadata().is_ok_and(|metadata| metadata.len() > begin).then_some(owner)
}

/// The owner, and where pieces begin.
fn owner(file: &File) -> Option<(Owner, u64)> {
    const HEAD: usize = MAGIC.len() + 1 + 4;
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let len = head.strip_prefix(MAGIC)?.strip_prefix(&[FORMAT])?;
    let len = u32::from_le_bytes(*len.first_chunk()?);
    if len > OWNER_MAX {
        return None;
    }
    let mut owner = vec![0; len as usize];
    file.read_exact_at(&mut owner, HEAD as u64).ok()?;
    Some((decode(&owner).ok()?, HEAD as u64 + u64::from(len)))
}

/// The beginning of the file of an image.
pub(crate) fn head(owner: &Owner) -> io::Result<Vec<u8>> {
    let owner = encode(owner).map_err(io::Error::other)?;
    let len = u32::try_from(owner.len()).ok().filter(|len| *len <= OWNER_MAX);
    let len = len.ok_or_else(|| io::Error::other("an image of too many names"))?;
    Ok([&MAGIC[..], &[FORMAT], &len.to_le_bytes(), &owner].concat())
}

/// The header of a piece.
pub(crate) fn piece(layer: u32, entry: u32, content: u32, len: u32) -> [u8; PIECE] {
    let mut header = [0; PIECE];
    for (bytes, number) in header.chunks_exact_mut(4).zip([layer, entry, content, len]) {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    header
}

/// The pieces of a file, one after the other: the bytes of a tar without an end.
#[derive(Debug)]
pub(crate) struct PartialLayer {
    file: Arc<File>,
    /// The start of each piece.
    starts: Vec<Start>,
    len: u64,
}

/// The offsets at which a piece begins.
#[derive(Debug, Clone, Copy)]
struct Start {
    in_layer: u64,
    in_file: u64,
    /// The piece is a range of a chunk.
    is_range: bool,
}

impl PartialLayer {
    /// The memory that it takes.
    pub(crate) fn memory(&self) -> u64 {
        (self.starts.capacity() * size_of::<Start>()) as u64
    }

    /// The bytes of all pieces.
    pub(crate) fn reader(&self) -> impl Read + '_ {
        PieceReader { layer: self, at: 0 }
    }

    /// True if the byte at this offset is of a range of a chunk.
    pub(crate) fn is_in_range(&self, at: u64) -> bool {
        let number = self.starts.partition_point(|start| start.in_layer <= at);
        number.checked_sub(1).is_some_and(|number| self.starts[number].is_range)
    }

    /// Copies bytes of the layer.
    pub(crate) fn copy(&self, mut at: u64, mut len: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut block = vec![0; 64 << 10];
        while len > 0 {
            let most = usize::try_from(len).unwrap_or(usize::MAX).min(block.len());
            let read = self.read_at(at, &mut block[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out.write_all(&block[..read])?;
            at += read as u64;
            len -= read as u64;
        }
        Ok(())
    }

    /// Reads bytes of one piece; none at the end.
    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let Some(number) = self.starts.partition_point(|start| start.in_layer <= at).checked_sub(1) else {
            return Ok(0);
        };
        let Start { in_layer, in_file, .. } = self.starts[number];
        let end = self.starts.get(number + 1).map_or(self.len, |next| next.in_layer);
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(into.len());
        self.file.read_at(&mut into[..most], in_file + (at - in_layer))
    }
}

struct PieceReader<'a> {
    layer: &'a PartialLayer,
    at: u64,
}

impl Read for PieceReader<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.layer.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}

//! The index itself: its accessors, and its segments.

use std::convert::Infallible;
use std::ops::Range;

use dsync_core::Digest;
use dsync_core::ustar::{BLOCK, padding};

use super::chunks::Chunks;
use super::cursor::{Cursor, Entry};
use super::packed::Packed;
use super::records::RecordKind;

/// A file with at least one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path as the tar has it; empty outside of a tar.
    pub path: Vec<u8>,
    /// Its chunks, by their ordinals in [`LayerIndex::chunks`].
    pub chunks: Range<usize>,
    /// Bytes in these chunks.
    pub len: u64,
}

/// A layer without the bytes of its chunks: its records, and id, length and offset of each chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerIndex {
    /// SHA-256 of the layer.
    pub digest: Digest,
    /// Bytes in the layer.
    pub len: u64,
    pub(super) packed: Packed,
    pub(super) chunks: Chunks,
}

/// A segment of a layer.
#[derive(Debug)]
pub enum Segment<'a> {
    /// Verbatim bytes.
    Verbatim(&'a [u8]),
    /// Zeros, by their number.
    Zeros(u64),
    /// The chunk with this ordinal.
    Chunk(usize),
}

impl LayerIndex {
    /// The first bytes of a keyed hash over all of the layer. It proves possession of the layer, which its diff id does
    /// not: that is in manifests and logs.
    pub fn possession_proof(&self, key: &[u8; 16]) -> [u8; 3] {
        let mut hasher = blake3::Hasher::new_derive_key("docker-sync 2026 possession of a layer");
        hasher.update(key);
        hasher.update(self.digest.as_bytes());
        let mut add = |kind: u8, len: u64, bytes: &[u8]| {
            hasher.update(&[kind]);
            hasher.update(&len.to_le_bytes());
            hasher.update(bytes);
        };
        // Many a layer has no chunks: small files are verbatim, folders and links have none.
        let hashed = self.segments(&mut |segment| {
            match segment {
                Segment::Verbatim(bytes) => add(0, bytes.len() as u64, bytes),
                Segment::Zeros(len) => add(1, len, &[]),
                Segment::Chunk(ordinal) => {
                    let chunk = self.chunks.at(ordinal);
                    add(2, chunk.len, chunk.id.as_bytes());
                }
            }
            Ok::<(), Infallible>(())
        });
        match hashed {
            Ok(()) => {}
            Err(never) => match never {},
        }
        let [a, b, c, ..] = *hasher.finalize().as_bytes();
        [a, b, c]
    }

    /// The chunks in the order of the layer, repeated ones included.
    pub fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// The number of entries: headers with their extension headers, and raw bytes.
    pub fn entries(&self) -> usize {
        self.packed.entries()
    }

    /// The number of records.
    pub fn records(&self) -> usize {
        self.packed.records()
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.packed.memory() + self.chunks.memory()
    }

    /// A cursor over the entries.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.packed, &self.chunks)
    }

    /// The files with chunks, in the order of the layer.
    pub fn files(&self) -> impl Iterator<Item = File> + '_ {
        let mut cursor = self.cursor();
        (0..self.entries()).filter_map(move |entry| {
            let entry = cursor.entry(entry)?;
            let chunks = entry.chunks();
            let len = self.chunks.bytes(chunks.clone());
            (!chunks.is_empty()).then(|| File { path: entry.path().into_owned(), chunks, len })
        })
    }

    /// The file with a chunk.
    pub fn file_of(&self, chunk: usize) -> Option<File> {
        let entry = self.cursor().entry_with(chunk)?;
        let chunks = entry.chunks();
        let len = self.chunks.bytes(chunks.clone());
        Some(File { path: entry.path().into_owned(), chunks, len })
    }

    /// Passes the segments of the layer to `take`, in the order of its bytes. Stops at the first failure.
    pub fn segments<E>(&self, take: &mut dyn FnMut(Segment<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut cursor = self.cursor();
        for entry in 0..self.entries() {
            let Some(entry) = cursor.entry(entry) else { break };
            entry.segments(&self.chunks, take)?;
        }
        Ok(())
    }
}

impl Entry {
    /// Passes its segments to `take`; `chunks` are those of the layer.
    pub(super) fn segments<E>(
        &self,
        chunks: &Chunks,
        take: &mut dyn FnMut(Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut own = self.chunks();
        for view in self.records() {
            match (view.record.kind, view.block()) {
                (RecordKind::Zeros(blocks), _) => take(Segment::Zeros(blocks.saturating_mul(BLOCK as u64)))?,
                (_, Some(block)) => take(Segment::Verbatim(&block))?,
                _ => {}
            }
            if !view.body().is_empty() {
                take(Segment::Verbatim(view.body()))?;
            }
            if view.record.fill() > 0 {
                take(Segment::Zeros(view.record.fill()))?;
            }
            let of_record = own.start..own.start + view.record.chunks;
            own.start = of_record.end;
            of_record.clone().map(Segment::Chunk).try_for_each(&mut *take)?;
            let fill = padding(chunks.bytes(of_record.clone()));
            if view.record.padded && !of_record.is_empty() && fill > 0 {
                take(Segment::Zeros(fill))?;
            }
        }
        Ok(())
    }
}

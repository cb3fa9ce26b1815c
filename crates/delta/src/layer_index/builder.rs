//! Builds an index record by record, each with its chunks.

use dsync_core::Digest;
use dsync_core::ustar::padding;

use super::chunks::Chunks;
use super::fields::Fields;
use super::index::LayerIndex;
use super::packed::Packer;
use super::records::{RecordKind, Records};
use crate::ChunkId;

/// Builds an index. The offset of each chunk follows from the records before it.
#[derive(Debug, Clone)]
pub(crate) struct Builder {
    /// The entry that is not complete.
    open: Records,
    packer: Packer,
    chunks: Chunks,
    /// Bytes in the chunks of the last record.
    filled: u64,
    /// Bytes of the layer up to the end of the last chunk, or else of the last record but one; `None` where that
    /// is more than a number can say.
    offset: Option<u64>,
}

/// An index that was built.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) index: LayerIndex,
    /// Bytes of the layer that records and chunks make up; `None` where that is more than a number can say.
    pub(crate) end: Option<u64>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            open: Records::default(),
            packer: Packer::default(),
            chunks: Chunks::default(),
            filled: 0,
            offset: Some(0),
        }
    }
}

impl Builder {
    /// Adds a record, without chunks and not padded.
    pub(crate) fn record(&mut self, kind: RecordKind, fields: &[u8], body: &[u8]) {
        self.end_record();
        if self.open.is_complete() {
            self.packer.push(&self.open, &self.chunks);
            self.open.clear();
        }
        self.open.push(kind, fields, body);
    }

    /// Adds a block of zeros: to the last record, where that is zeros.
    pub(crate) fn zeros(&mut self) {
        match self.open.last_mut().map(|last| (&mut last.kind, last.chunks)) {
            Some((RecordKind::Zeros(blocks), 0)) => *blocks += 1,
            _ => self.record(RecordKind::Zeros(1), b"", b""),
        }
    }

    /// Adds a chunk to the last record, which is not padded from then on. The id of a chunk is known of all or of
    /// none.
    pub(crate) fn chunk(&mut self, id: Option<ChunkId>, len: u64) {
        let Some(last) = self.open.last_mut() else { return };
        last.chunks += 1;
        last.padded = false;
        if last.chunks == 1 {
            let verbatim = last.verbatim_len();
            self.add(verbatim);
        }
        self.chunks.push(id, len, self.offset.unwrap_or(u64::MAX));
        self.filled += len;
        self.add(len);
    }

    /// Says which header the last record is. Its body stays as long as it was.
    pub(crate) fn set_header(&mut self, fields: Fields, bytes: &[u8], body: &[u8]) {
        self.open.replace_last(RecordKind::Header(fields), bytes, body);
    }

    /// Zeros fill up the last block of the last record.
    pub(crate) fn pad(&mut self) {
        if let Some(last) = self.open.last_mut() {
            last.padded = true;
        }
    }

    /// True if the last record is a header with nothing after it.
    pub(crate) fn is_bare_header(&self) -> bool {
        let last = self.open.last().map(|last| last.record);
        last.is_some_and(|last| {
            matches!(last.kind, RecordKind::Header(_)) && last.body == 0 && last.chunks == 0
        })
    }

    /// The number of records.
    pub(crate) fn records(&self) -> usize {
        self.packer.records() + self.open.len()
    }

    /// The number of chunks.
    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of memory until now.
    pub(crate) fn memory(&self) -> usize {
        self.packer.memory() + self.chunks.memory() + self.open.bytes()
    }

    /// The index of a layer with this digest and length.
    pub(crate) fn finish(mut self, digest: Digest, len: u64) -> Built {
        self.end_record();
        if self.open.len() > 0 {
            self.packer.push(&self.open, &self.chunks);
        }
        self.chunks.shrink_to_fit();
        let index = LayerIndex { digest, len, packed: self.packer.finish(), chunks: self.chunks };
        Built { index, end: self.offset }
    }

    /// Counts the padding after the chunks of the last record, or all of the record where it has none.
    fn end_record(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        let Some(last) = self.open.last().map(|last| *last.record) else { return };
        match last.chunks {
            0 => self.add(last.verbatim_len()),
            _ if last.padded => self.add(padding(filled)),
            _ => {}
        }
    }

    fn add(&mut self, len: u64) {
        self.offset = self.offset.and_then(|offset| offset.checked_add(len));
    }
}

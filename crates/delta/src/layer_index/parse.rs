//! Parses verbatim bytes into records. The parser decides less than the scanner and need not agree with it: bytes that
//! it does not understand are raw records.

use dsync_core::Digest;
use dsync_core::ustar::{BLOCK, octal, padding};

use super::builder::Builder;
use super::fields::{Field, Fields};
use super::index::LayerIndex;
use super::records::RecordKind;
use crate::ChunkId;
use crate::layer_index::records::VERBATIM_MAX;

/// Builds the index of the verbatim bytes and chunks that a scanner finds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parser {
    index: Builder,
    /// Bytes in the chunks since the last verbatim bytes; their padding comes next.
    pending: u64,
    fields: Vec<u8>,
}

impl Parser {
    /// Takes the next chunk.
    pub(crate) fn chunk(&mut self, id: ChunkId, len: u64) {
        if self.pending == 0 && !self.index.is_bare_header() {
            self.index.record(RecordKind::Raw, b"", b"");
        }
        self.index.chunk(Some(id), len);
        self.pending += len;
    }

    /// Takes all verbatim bytes up to the next chunk.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.pending > 0 {
            let fill = usize::try_from(padding(self.pending)).unwrap_or(BLOCK).min(rest.len());
            let (fill, blocks) = rest.split_at(fill);
            if fill.len() as u64 == padding(self.pending) && fill.iter().all(|byte| *byte == 0) {
                self.index.pad();
            } else {
                self.index.record(RecordKind::Raw, b"", fill);
            }
            self.pending = 0;
            rest = blocks;
        }
        while !rest.is_empty() {
            rest = self.record(rest);
        }
    }

    /// Bytes of memory until now.
    pub(crate) fn memory(&self) -> usize {
        self.index.memory()
    }

    /// The number of chunks until now.
    pub(crate) fn chunks(&self) -> usize {
        self.index.chunks()
    }

    /// The layer has ended.
    pub(crate) fn finish(mut self, digest: Digest, len: u64) -> LayerIndex {
        if self.pending > 0 && padding(self.pending) == 0 {
            self.index.pad();
        }
        self.index.finish(digest, len).index
    }

    /// Parses one record, and returns the bytes after it.
    fn record<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>() else {
            self.index.record(RecordKind::Raw, b"", bytes);
            return b"";
        };
        if *block == [0; BLOCK] {
            self.index.zeros();
            return rest;
        }
        self.fields.clear();
        let Some(fields) = Fields::take(block, &mut self.fields) else {
            self.index.record(RecordKind::Raw, b"", block);
            return rest;
        };
        let flag = fields.of(Field::Flag, &self.fields).first().copied().unwrap_or(0);
        let size = octal(fields.of(Field::Size, &self.fields)).and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| {
            *size <= rest.len().min(VERBATIM_MAX as usize) && !matches!(flag, b'1'..=b'6' | b'S')
        });
        let (body, rest) = rest.split_at(size.unwrap_or(0));
        let fill = padding(body.len() as u64);
        let (zeros, rest) = rest.split_at(usize::try_from(fill).unwrap_or(BLOCK).min(rest.len()));
        let padded = zeros.len() as u64 == fill && zeros.iter().all(|byte| *byte == 0);
        self.index.record(RecordKind::Header(fields), &self.fields, body);
        if padded {
            self.index.pad();
        } else if !zeros.is_empty() {
            self.index.record(RecordKind::Raw, b"", zeros);
        }
        rest
    }
}

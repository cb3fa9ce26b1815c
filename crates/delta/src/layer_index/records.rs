//! Unpacked records of one entry: their fields and bodies in one buffer.

use std::borrow::Cow;

use dsync_core::ustar::{BLOCK, padding};

use super::fields::{Field, Fields};
use super::pax_records;

/// The body of an extension header, or a range of zeros, is verbatim up to this many bytes; a longer one makes no sense
/// in a tar and is opaque.
pub const VERBATIM_MAX: u64 = 1 << 20;

/// The most records of an entry, and the bytes from which on an entry takes no more: an entry has at most a pax header
/// and two long names before it, and nothing in a tar may grow without limit.
pub const ENTRY_RECORDS: usize = 4;
const ENTRY_BYTES: usize = 1 << 20;

/// Some verbatim bytes of the layer, then some chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    /// The offset of its bytes in [`Records`]: the fields of a header, then the body.
    at: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
    /// The number of chunks that follow.
    pub(crate) chunks: usize,
    /// Zeros fill up the last block of the body or of the chunks.
    pub(crate) padded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// A block with a right checksum; its body are the verbatim bytes that follow it.
    Header(Fields),
    /// Blocks of zeros.
    Zeros(u64),
    /// The body is all.
    Raw,
}

/// Some records, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// A record with its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) record: &'a Record,
    bytes: &'a [u8],
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of fields and bodies.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }

    /// Adds a record without chunks.
    pub(crate) fn push(&mut self, kind: RecordKind, fields: &[u8], body: &[u8]) -> &mut Record {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(fields);
        self.bytes.extend_from_slice(body);
        self.records.push(Record { kind, at, body: body.len(), chunks: 0, padded: false });
        let last = self.records.len() - 1;
        &mut self.records[last]
    }

    /// Changes the last record; its chunks stay.
    pub(crate) fn replace_last(&mut self, kind: RecordKind, fields: &[u8], body: &[u8]) {
        if let Some(Record { at, chunks, padded, .. }) = self.records.pop() {
            self.bytes.truncate(at);
            let last = self.push(kind, fields, body);
            (last.chunks, last.padded) = (chunks, padded);
        }
    }

    pub(crate) fn last_mut(&mut self) -> Option<&mut Record> {
        self.records.last_mut()
    }

    /// The record with this number.
    pub(crate) fn get(&self, number: usize) -> Option<RecordView<'_>> {
        Some(RecordView { record: self.records.get(number)?, bytes: &self.bytes })
    }

    pub(crate) fn last(&self) -> Option<RecordView<'_>> {
        self.get(self.records.len().checked_sub(1)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = RecordView<'_>> {
        self.records.iter().map(|record| RecordView { record, bytes: &self.bytes })
    }

    /// The entry is complete: its records are an entry, or all that an entry may have.
    pub(super) fn is_complete(&self) -> bool {
        self.last().is_some_and(|last| !last.is_extension() || last.record.chunks > 0)
            || self.len() >= ENTRY_RECORDS
            || self.bytes.len() >= ENTRY_BYTES
    }
}

impl<'a> RecordView<'a> {
    /// The bytes of a header's field, without the zeros at its end.
    pub(crate) fn field(&self, field: Field) -> &'a [u8] {
        match &self.record.kind {
            RecordKind::Header(fields) => fields.of(field, &self.bytes[self.record.at..]),
            RecordKind::Zeros(_) | RecordKind::Raw => b"",
        }
    }

    /// The values of all fields of a header; none of another record.
    pub(crate) fn values(&self) -> [&'a [u8]; 16] {
        match &self.record.kind {
            RecordKind::Header(fields) => fields.values(&self.bytes[self.record.at..]),
            RecordKind::Zeros(_) | RecordKind::Raw => [b""; 16],
        }
    }

    /// The bytes of all fields, one after the other.
    pub(crate) fn fields(&self) -> &'a [u8] {
        let fields = if let RecordKind::Header(fields) = &self.record.kind { fields.len() } else { 0 };
        &self.bytes[self.record.at..][..fields]
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        &self.bytes[self.record.at + self.fields().len()..][..self.record.body]
    }

    /// The block of a header.
    pub(crate) fn block(&self) -> Option<[u8; BLOCK]> {
        match &self.record.kind {
            RecordKind::Header(fields) => Some(fields.block(&self.bytes[self.record.at..])),
            RecordKind::Zeros(_) | RecordKind::Raw => None,
        }
    }

    /// The type flag; 0 also where there is none.
    pub(crate) fn flag(&self) -> u8 {
        self.field(Field::Flag).first().copied().unwrap_or(0)
    }

    /// True if it is an extension of the header that follows.
    pub(super) fn is_extension(&self) -> bool {
        matches!(self.record.kind, RecordKind::Header(_)) && matches!(self.flag(), b'x' | b'L' | b'K')
    }

    /// The path that an extension header gives the entry; `None` where it gives none.
    pub(super) fn path(&self) -> Option<Cow<'a, [u8]>> {
        match self.flag() {
            b'x' => Some(pax_records::value(self.body(), b"path")?.into()),
            b'L' => Some(self.body().strip_suffix(b"\0").unwrap_or(self.body()).into()),
            _ => None,
        }
    }

    /// The path of the header itself.
    pub(super) fn own_path(&self) -> Cow<'a, [u8]> {
        let (prefix, name) = (self.field(Field::Prefix), self.field(Field::Name));
        if prefix.is_empty() { name.into() } else { [prefix, b"/", name].concat().into() }
    }
}

impl Record {
    /// Bytes before the chunks.
    pub(crate) fn verbatim_len(&self) -> u64 {
        let body = self.body as u64;
        match self.kind {
            RecordKind::Header(_) => BLOCK as u64 + body + self.fill(),
            RecordKind::Zeros(blocks) => blocks.saturating_mul(BLOCK as u64),
            RecordKind::Raw => body,
        }
    }

    /// Zeros that fill up the last block of a header's body.
    pub(crate) fn fill(&self) -> u64 {
        if self.padded && self.chunks == 0 { padding(self.body as u64) } else { 0 }
    }
}

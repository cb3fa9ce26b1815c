//! Stores records in little memory: some 20 bytes for a file.
//!
//! Entries are packed in independent blocks, each value as a difference from the same field of the header before.
//! Reading an entry unpacks its block.

use super::chunks::Chunks;
use super::fields::{FIELDS, Field, Fields, canonical_number};
use super::records::{Record, RecordKind, RecordView, Records};
use dsync_core::{common_prefix, varint};

/// The most entries of a block, and the bytes of records from which on it takes no more.
const BLOCK_ENTRIES: usize = 32;
const BLOCK_BYTES: usize = 64 << 10;

/// The first byte of a record: its kind, and flags.
const KIND: u8 = 3;
const ZEROS: u8 = 0;
const RAW: u8 = 1;
const HEADER: u8 = 2;
const PADDED: u8 = 1 << 2;
/// Flag of the last record of its entry.
const LAST: u8 = 1 << 3;
/// Flags of a record with one chunk, and with a number of them.
const ONE: u8 = 1 << 4;
const SEVERAL: u8 = 1 << 5;
/// Flag of a body that is not the one before.
const BODY: u8 = 1 << 6;
/// Flag of an extension header, which is encoded against the last one.
const EXTENSION: u8 = 1 << 7;

/// Packed entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packed {
    bytes: Vec<u8>,
    blocks: Vec<BlockStart>,
    entries: usize,
    records: usize,
}

/// The beginning of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BlockStart {
    at: usize,
    /// The first of its entries, and of its chunks.
    entry: usize,
    chunk: usize,
}

/// Unpacked entries.
#[derive(Debug)]
pub(super) struct UnpackedBlock {
    /// The first of them.
    pub(super) first: usize,
    pub(super) records: Records,
    /// The beginning of each, and the end of the last.
    pub(super) bounds: Vec<EntryBound>,
}

/// The beginning of an entry, or its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryBound {
    /// The number of its first record in the block.
    pub(super) record: usize,
    /// The ordinal of its first chunk in the layer.
    pub(super) chunk: usize,
}

impl Packed {
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn records(&self) -> usize {
        self.records
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.blocks.len() * size_of::<BlockStart>()
    }

    /// The block that has an entry.
    pub(super) fn block_of(&self, entry: usize) -> Option<usize> {
        let block = self.blocks.partition_point(|start| start.entry <= entry).checked_sub(1)?;
        (entry < self.entries).then_some(block)
    }

    /// The block that has a chunk.
    pub(super) fn block_with(&self, chunk: usize) -> Option<usize> {
        self.blocks.partition_point(|start| start.chunk <= chunk).checked_sub(1)
    }

    pub(super) fn unpack(&self, block: usize, chunks: &Chunks) -> UnpackedBlock {
        let BlockStart { at, entry, mut chunk } = self.blocks[block];
        let end = self.blocks.get(block + 1).map_or(self.bytes.len(), |next| next.at);
        let mut input = PackedReader { rest: &self.bytes[at..end], scratch: Vec::new() };
        let mut block = UnpackedBlock {
            first: entry,
            records: Records::default(),
            bounds: vec![EntryBound { record: 0, chunk }],
        };
        let mut before = [None; 2];
        while !input.rest.is_empty() {
            let head = input.byte();
            let count = match head & (ONE | SEVERAL) {
                0 => 0,
                ONE => 1,
                _ => input.number(),
            };
            let len = chunks.bytes(chunk..chunk + count);
            let record = input.record(head, &mut block.records, &mut before, len);
            (record.chunks, record.padded) = (count, head & PADDED != 0);
            chunk += count;
            if head & LAST != 0 {
                block.bounds.push(EntryBound { record: block.records.len(), chunk });
            }
        }
        block
    }
}

/// Packs entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Packer {
    packed: Packed,
    /// The last header of the block that is no extension of another, and the last that is.
    before: [Records; 2],
    /// The unpacked block.
    entries: usize,
    bytes: usize,
}

impl Packer {
    /// Packs an entry, whose chunks are the last of these.
    pub(super) fn push(&mut self, entry: &Records, chunks: &Chunks) {
        let count: usize = entry.iter().map(|view| view.record.chunks).sum();
        let mut chunk = chunks.len() - count;
        if self.packed.blocks.is_empty() || self.entries == BLOCK_ENTRIES || self.bytes >= BLOCK_BYTES {
            let start = BlockStart { at: self.packed.bytes.len(), entry: self.packed.entries, chunk };
            self.packed.blocks.push(start);
            self.before.iter_mut().for_each(Records::clear);
            (self.entries, self.bytes) = (0, 0);
        }
        for (number, view) in entry.iter().enumerate() {
            let len = chunks.bytes(chunk..chunk + view.record.chunks);
            let is_last = number + 1 == entry.len();
            self.record(view, len, if is_last { LAST } else { 0 });
            chunk += view.record.chunks;
        }
        self.entries += 1;
        self.bytes += entry.bytes();
        self.packed.entries += 1;
        self.packed.records += entry.len();
    }

    /// Packs a record whose chunks have `len` bytes.
    fn record(&mut self, view: RecordView<'_>, len: u64, mut head: u8) {
        let is_extension = view.is_extension();
        let before = &mut self.before[usize::from(is_extension)];
        let out = &mut self.packed.bytes;
        let record = view.record;
        head |= if record.padded { PADDED } else { 0 } | if is_extension { EXTENSION } else { 0 };
        head |= match record.chunks {
            0 => 0,
            1 => ONE,
            _ => SEVERAL,
        };
        let old = before.last();
        let (old_values, old_body) = old.map_or(([&b""[..]; 16], &b""[..]), |old| (old.values(), old.body()));
        let has_body = matches!(record.kind, RecordKind::Raw) || view.body() != old_body;
        head |= match record.kind {
            RecordKind::Zeros(_) => ZEROS,
            RecordKind::Raw => RAW,
            RecordKind::Header(_) => HEADER | if has_body { BODY } else { 0 },
        };
        out.push(head);
        if record.chunks > 1 {
            varint::write(record.chunks as u64, out);
        }
        match record.kind {
            RecordKind::Zeros(blocks) => varint::write(blocks, out),
            RecordKind::Raw => edit(view.body(), b"", out),
            RecordKind::Header(_) => {
                let mut mask: u64 = 0;
                let values = view.values();
                for (number, field) in FIELDS.into_iter().enumerate() {
                    let is_expected = match field {
                        Field::Size => is_size(values[number], len.saturating_add(record.body as u64)),
                        _ => values[number] == old_values[number],
                    };
                    mask |= u64::from(!is_expected) << number;
                }
                varint::write(mask, out);
                for number in (0..FIELDS.len()).filter(|number| mask >> number & 1 == 1) {
                    edit(values[number], old_values[number], out);
                }
                if has_body {
                    edit(view.body(), old_body, out);
                }
                before.clear();
                before.push(record.kind, view.fields(), view.body());
            }
        }
    }

    /// Bytes of memory until now.
    pub(super) fn memory(&self) -> usize {
        self.packed.memory()
    }

    pub(super) fn records(&self) -> usize {
        self.packed.records
    }

    pub(super) fn finish(mut self) -> Packed {
        self.packed.bytes.shrink_to_fit();
        self.packed.blocks.shrink_to_fit();
        self.packed
    }
}

fn is_size(value: &[u8], len: u64) -> bool {
    canonical_number(len).is_some_and(|number| number == *value)
}

/// Encodes a value as a prefix of the one before and a rest: two lengths and the bytes.
fn edit(value: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let same = common_prefix(value, before, usize::MAX);
    varint::write(same as u64, out);
    varint::write((value.len() - same) as u64, out);
    out.extend_from_slice(&value[same..]);
}

/// A value as a prefix of the one before and a rest.
#[derive(Debug, Clone, Copy)]
struct Edit<'a> {
    /// Bytes of the prefix.
    same: usize,
    rest: &'a [u8],
}

/// Packed bytes, which are this module's own.
struct PackedReader<'a> {
    rest: &'a [u8],
    /// The fields and the body of the header that is being read.
    scratch: Vec<u8>,
}

impl<'a> PackedReader<'a> {
    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn number(&mut self) -> usize {
        let number = varint::take(&mut self.rest);
        number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn edit(&mut self) -> Edit<'a> {
        let (same, len) = (self.number(), self.number());
        Edit { same, rest: self.take(len) }
    }

    /// Adds a record whose chunks have `len` bytes. `before` are the last header that is not about another one, and
    /// the last that is.
    fn record<'r>(
        &mut self,
        head: u8,
        records: &'r mut Records,
        before: &mut [Option<usize>; 2],
        len: u64,
    ) -> &'r mut Record {
        match head & KIND {
            ZEROS => {
                let blocks = self.number() as u64;
                records.push(RecordKind::Zeros(blocks), b"", b"")
            }
            RAW => {
                let Edit { rest, .. } = self.edit();
                records.push(RecordKind::Raw, b"", rest)
            }
            _ => {
                let before = &mut before[usize::from(head & EXTENSION != 0)];
                let fields = self.header(head, before.and_then(|at| records.get(at)), len);
                *before = Some(records.len());
                let (values, body) = self.scratch.split_at(fields.len());
                records.push(RecordKind::Header(fields), values, body)
            }
        }
    }

    /// Reads a header: its fields and its body are in `scratch` then.
    fn header(&mut self, head: u8, before: Option<RecordView<'_>>, len: u64) -> Fields {
        let old_values = before.map_or([&b""[..]; 16], |old| old.values());
        let old_body = before.map_or(&b""[..], |old| old.body());
        let mask = self.number();
        let mut edits = [None; 16];
        for (_, edit) in edits.iter_mut().enumerate().filter(|(number, _)| mask >> number & 1 == 1) {
            *edit = Some(self.edit());
        }
        let unchanged = Edit { same: old_body.len(), rest: b"" };
        let Edit { same, rest } = if head & BODY != 0 { self.edit() } else { unchanged };
        let size = canonical_number(len.saturating_add((same + rest.len()) as u64)).unwrap_or_default();
        let bytes = &mut self.scratch;
        bytes.clear();
        let mut lens = [0; 16];
        for (number, field) in FIELDS.into_iter().enumerate() {
            let begin = bytes.len();
            match (edits[number], field) {
                (Some(Edit { same, rest }), _) => {
                    bytes.extend_from_slice(&old_values[number][..same]);
                    bytes.extend_from_slice(rest);
                }
                (None, Field::Size) => bytes.extend_from_slice(&size),
                (None, _) => bytes.extend_from_slice(old_values[number]),
            }
            // A field has at most 155 bytes.
            lens[number] = (bytes.len() - begin) as u8;
        }
        bytes.extend_from_slice(&old_body[..same]);
        bytes.extend_from_slice(rest);
        Fields::of_lens(lens)
    }
}

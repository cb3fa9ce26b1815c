//! Entries as two sides compare them: a header with its extension headers and chunks, without times.

use std::borrow::Cow;
use std::ops::Range;

use dsync_core::Digest;
use dsync_core::pax::PaxRecord;

use super::builder::{Builder, Built};
use super::chunks::{CHUNK_MAX, Chunk};
use super::cursor::{Cursor, Entry};
use super::fields::{Field, Fields, canonical_number};
use super::index::{LayerIndex, Segment};
use super::pax_records::records;
use super::records::{RecordKind, RecordView};
use crate::ChunkId;

/// The mtime that replaces any other.
const NEVER: &[u8] = b"00000000000";

/// The entries of a layer.
#[derive(Debug)]
pub struct Entries<'a> {
    index: &'a LayerIndex,
    cursor: Cursor<'a>,
}

/// Entries that two sides have in common. Their indexes of the same entries are equal, wherever each side has them.
#[derive(Debug, Default)]
pub struct Selection(Builder);

impl<'a> Entries<'a> {
    /// The entries of a layer.
    pub fn of(index: &'a LayerIndex) -> Self {
        Entries { index, cursor: index.cursor() }
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.index.entries()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds of each entry the first 16 bytes of a BLAKE3 hash of all that it is but its times, in the order of the
    /// layer.
    pub fn ids(&mut self, ids: &mut Vec<[u8; 16]>) {
        for entry in 0..self.len() {
            ids.extend(self.cursor.entry(entry).map(|entry| self.id(&entry)));
        }
    }

    /// The chunks of an entry, by their ordinals in the layer.
    pub fn chunks(&mut self, entry: usize) -> Range<usize> {
        self.cursor.entry(entry).map_or(0..0, |entry| entry.chunks())
    }

    /// The entry with a chunk, by its ordinal in the layer.
    pub fn with_chunk(&mut self, chunk: usize) -> Option<usize> {
        self.cursor.entry_with(chunk).map(|entry| entry.number())
    }

    /// Passes the segments of an entry to `take`, in the order of its bytes; none of one that does not exist. Stops at
    /// the first failure.
    pub fn segments<E>(
        &mut self,
        entry: usize,
        take: &mut dyn FnMut(Segment<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.cursor.entry(entry).map_or(Ok(()), |entry| entry.segments(self.index.chunks(), take))
    }

    fn id(&self, entry: &Entry) -> [u8; 16] {
        let mut bytes = Vec::new();
        let number = |number: u64, bytes: &mut Vec<u8>| bytes.extend(number.to_le_bytes());
        for view in entry.records() {
            let timeless = Timeless::of(&view);
            match timeless.kind {
                RecordKind::Header(header) => {
                    bytes.push(b'h');
                    bytes.extend(header.block(&timeless.fields));
                }
                RecordKind::Zeros(blocks) => {
                    bytes.push(b'z');
                    number(blocks, &mut bytes);
                }
                RecordKind::Raw => bytes.push(b'r'),
            }
            bytes.push(u8::from(view.record.padded));
            number(timeless.body.len() as u64, &mut bytes);
            bytes.extend_from_slice(&timeless.body);
            number(view.record.chunks as u64, &mut bytes);
        }
        for chunk in self.index.chunks().range(entry.chunks()) {
            bytes.extend(chunk.id.as_bytes());
            number(chunk.len, &mut bytes);
        }
        *ChunkId::of(&bytes).as_bytes()
    }
}

impl Selection {
    /// An empty selection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds entries by their ordinals, without their times. Returns the ordinals of their chunks in the layer.
    /// Ordinals that do not exist are left out.
    pub fn add(&mut self, from: &mut Entries<'_>, entries: Range<usize>) -> Range<usize> {
        let mut chunks: Option<Range<usize>> = None;
        for entry in entries {
            let Some(entry) = from.cursor.entry(entry) else { break };
            let own = entry.chunks();
            let mut next = own.start;
            for view in entry.records() {
                let timeless = Timeless::of(&view);
                self.0.record(timeless.kind, &timeless.fields, &timeless.body);
                for chunk in from.index.chunks().range(next..next + view.record.chunks) {
                    self.0.chunk(Some(chunk.id), chunk.len);
                }
                next += view.record.chunks;
                if view.record.padded {
                    self.0.pad();
                }
            }
            chunks.get_or_insert(own.clone()).end = own.end;
        }
        chunks.unwrap_or(0..0)
    }

    /// Begins a record for chunks without an entry.
    pub fn begin_loose(&mut self) {
        self.0.record(RecordKind::Raw, b"", b"");
    }

    /// Adds a chunk without an entry.
    pub fn add_loose(&mut self, Chunk { id, len, .. }: Chunk) {
        self.0.chunk(Some(id), len.min(CHUNK_MAX));
    }

    /// Bytes of memory until now.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// The index of all entries. It is of no layer, so its diff id is all zeros, and the offsets of its chunks have no
    /// meaning.
    pub fn finish(self) -> LayerIndex {
        let Built { mut index, end } = self.0.finish(Digest::from_bytes([0; 32]), 0);
        index.len = end.unwrap_or(0);
        index
    }
}

/// A record with every time of the header and of pax records taken for the same one.
struct Timeless<'a> {
    kind: RecordKind,
    fields: Vec<u8>,
    body: Cow<'a, [u8]>,
}

impl<'a> Timeless<'a> {
    fn of(view: &RecordView<'a>) -> Self {
        let body = view.body();
        if !matches!(view.record.kind, RecordKind::Header(_)) {
            return Timeless { kind: view.record.kind, fields: Vec::new(), body: body.into() };
        }
        let timeless = if view.flag() == b'x' { timeless_pax(body) } else { body.into() };
        // Times take more or fewer bytes, which the header counts.
        let [before, after] = [body.len(), timeless.len()].map(|len| canonical_number(len as u64));
        let mut values = view.values();
        values[Field::Mtime as usize] = NEVER;
        if let (Some(before), Some(after)) = (&before, &after)
            && *before == *values[Field::Size as usize]
        {
            values[Field::Size as usize] = after;
        }
        let mut fields = Vec::new();
        let header = Fields::of_values(&values, &mut fields)
            .expect("fields of a header fit into one, and so does NEVER");
        Timeless { kind: RecordKind::Header(header), fields, body: timeless }
    }
}

fn timeless_pax(body: &[u8]) -> Cow<'_, [u8]> {
    let Some(records) = records(body) else { return body.into() };
    let timeless = |record: PaxRecord<'_>| match record.key {
        b"mtime" | b"atime" | b"ctime" => PaxRecord { value: b"0", ..record }.encode(),
        _ => record.encode(),
    };
    records.into_iter().flat_map(timeless).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Scanner;
    use crate::header_delta::{Decoder, Encoder, Limits, Mode};

    /// Three files, of which one has its times in pax records too.
    fn index(mtime: u64, changed: u8) -> LayerIndex {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, byte) in [("a", 1), ("b", changed), ("c", 3)] {
            if name == "a" {
                let time = format!("{mtime}.{}", 1_000 / u64::from(changed));
                tar.append_pax_extensions([("mtime", time.as_bytes()), ("user.x", &b"1"[..])]).unwrap();
            }
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_mtime(mtime);
            header.set_size(100);
            tar.append_data(&mut header, name, &[byte; 100][..]).unwrap();
        }
        let mut scanner = Scanner::new();
        scanner.push(&tar.into_inner().unwrap());
        scanner.finish()
    }

    fn ids(index: &LayerIndex) -> Vec<[u8; 16]> {
        let mut ids = Vec::new();
        Entries::of(index).ids(&mut ids);
        ids
    }

    #[test]
    fn ids_do_not_depend_on_times() {
        let (old, new) = (ids(&index(1_700_000_000, 2)), ids(&index(1_800_000_000, 9)));
        let equal: Vec<bool> = old.iter().zip(&new).map(|(old, new)| old == new).collect();
        assert_eq!(equal, [true, false, true, true]);
        assert_eq!(old.len(), 4);
    }

    #[test]
    fn the_segments_of_all_entries_are_those_of_the_layer() {
        let index = index(1_700_000_000, 2);
        let told = |segment: Segment<'_>, out: &mut Vec<String>| {
            out.push(format!("{segment:?}"));
            Ok::<(), ()>(())
        };
        let (mut all, mut each) = (Vec::new(), Vec::new());
        index.segments(&mut |segment| told(segment, &mut all)).unwrap();
        let mut entries = Entries::of(&index);
        for entry in 0..entries.len() + 1 {
            entries.segments(entry, &mut |segment| told(segment, &mut each)).unwrap();
        }
        assert_eq!(all, each);
        assert_eq!(all.iter().filter(|segment| segment.starts_with("Chunk")).count(), 3);
        let with = [0, 1, 2, 3].map(|chunk| entries.with_chunk(chunk));
        assert_eq!(with[..3], [Some(0), Some(1), Some(2)]);
        assert_eq!(with[3], None);
    }

    #[test]
    fn a_selection_is_equal_on_both_sides_and_serves_as_a_basis() {
        let (old, new) = (index(1_700_000_000, 2), Arc::new(index(1_800_000_000, 9)));
        let select = |index: &LayerIndex| {
            let (mut entries, mut selection) = (Entries::of(index), Selection::new());
            let chunks = [0..1, 2..3, 3..7, 9..9].map(|range| selection.add(&mut entries, range));
            assert_eq!(chunks, [0..1, 2..3, 3..3, 0..0]);
            selection.finish()
        };
        let (ours, theirs) = (select(&new), select(&old));
        assert_eq!(ours, theirs);
        assert_eq!(ours.chunks().len(), 2);
        let (ours, theirs) = ([&ours], [&theirs]);
        let mut encoded = Vec::new();
        Encoder::new(&ours, Mode::References).layer(&new, &mut encoded).unwrap();
        let limits = Limits { len: 1 << 20, entries: 100, memory: 1 << 20 };
        let mut decoder = Decoder::new(&theirs, Mode::References, limits);
        let assembly = decoder.layer(&mut &encoded[..]).unwrap();
        assert_eq!(decoder.literals().len(), 1);
        let lens = |index: &LayerIndex| index.chunks().iter().map(|c| (c.at, c.len)).collect::<Vec<_>>();
        assert_eq!(lens(&assembly.index), lens(&new));
        assert_eq!(ids(&assembly.index).len(), ids(&new).len());
    }
}

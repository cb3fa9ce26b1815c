//! Encodes layers as columns.

mod header;

use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::varint::zigzag;

use super::basis::{BasisEntry, BasisRecord, NumberedBasis};
use super::columns::{Column, ColumnWriter, put};
use super::origin::{ChunkNumber, Literal, Mode};
use super::prediction::{LastHeaders, MtimeOf, Prediction, RecordPosition};
use super::record_shape::RecordShape;
use super::tables::{ChunkKey, ChunkTable, PathTable};
use crate::layer_index::cursor::Entry;
use crate::layer_index::fields::{Field, canonical_number};
use crate::layer_index::records::{RecordKind, RecordView};
use crate::layer_index::{Chunk, LayerIndex};
use crate::path_hash::path_hash;

/// Encodes layers, one after the other.
///
/// Takes, besides the layer indexes, up to 24 bytes of memory for each entry and chunk of the basis, and up to 28 for
/// each chunk of the new layers.
#[derive(Debug)]
pub struct Encoder<'a> {
    basis: NumberedBasis<'a>,
    mode: Mode,
    paths: PathTable,
    /// The first occurrence of each chunk of the basis.
    chunks: ChunkTable,
    encoded: EncodedChunks,
    literals: Vec<Literal>,
}

/// The chunks that were encoded.
#[derive(Debug, Default)]
struct EncodedChunks {
    layers: Vec<Arc<LayerIndex>>,
    /// The number of chunks before each layer.
    starts: Vec<usize>,
    /// The number under which each chunk was encoded.
    used: Vec<ChunkNumber>,
    /// The last occurrence of each chunk.
    last: ChunkTable,
}

impl EncodedChunks {
    /// The last use of a chunk.
    fn find(&self, chunk: &ChunkKey) -> Option<LastUse> {
        let last = self.last.get(chunk, |number| key_in(&self.layers, &self.starts, number))?;
        Some(LastUse { distance: self.used.len() - last, number: self.used[last] })
    }
}

/// The last use of a chunk that was encoded before.
struct LastUse {
    /// The chunks that were encoded since, and one.
    distance: usize,
    number: ChunkNumber,
}

/// The key of the chunk with a number among those of all layers.
fn key_in(layers: &[Arc<LayerIndex>], starts: &[usize], number: usize) -> ChunkKey {
    let layer = starts.partition_point(|start| *start <= number) - 1;
    ChunkKey::of(&layers[layer].chunks().at(number - starts[layer]))
}

/// The key of the chunk of the basis with a number; that of no chunk where there is none.
fn key_at(basis: &NumberedBasis<'_>, number: usize) -> ChunkKey {
    basis.chunk(number).map_or(ChunkKey::NOTHING, |found| ChunkKey::of(&found.chunk))
}

impl<'a> Encoder<'a> {
    /// An encoder before the first layer. The decoder must have the same basis in the same order.
    pub fn new(basis: &'a [&'a LayerIndex], mode: Mode) -> Self {
        let mut basis = NumberedBasis::new(basis);
        let paths = PathTable::of(&mut basis);
        let mut chunks = ChunkTable::default();
        if mode != Mode::Literals {
            let key_of = |number| key_at(&basis, number);
            for (layer, index) in basis.layers.iter().enumerate() {
                for (ordinal, chunk) in index.chunks().iter().enumerate() {
                    chunks.insert(basis.number(layer, ordinal), &ChunkKey::of(&chunk), key_of);
                }
            }
        }
        Encoder { basis, mode, paths, chunks, encoded: EncodedChunks::default(), literals: Vec::new() }
    }

    /// The literals of all layers until now.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// The literals of all layers.
    pub fn into_literals(self) -> Vec<Literal> {
        self.literals
    }

    /// Encodes a layer.
    pub fn layer(&mut self, index: &Arc<LayerIndex>, out: &mut dyn Write) -> io::Result<()> {
        let mut begin = index.digest.as_bytes().to_vec();
        put(index.len, &mut begin);
        put(index.entries() as u64, &mut begin);
        out.write_all(&begin)?;
        let near = self.nearest(index);
        self.encoded.starts.push(self.encoded.used.len());
        self.encoded.layers.push(Arc::clone(index));
        let (prediction, headers, out) =
            (Prediction::default(), LastHeaders::default(), ColumnWriter::new(out));
        let mut layer =
            LayerEncoder { encoder: self, index, prediction, headers, out, near, is_overfull: false };
        let mut cursor = index.cursor();
        for number in 0..index.entries() {
            cursor.entry(number).iter().for_each(|entry| layer.entry(entry));
        }
        match layer.is_overfull {
            true => Err(io::Error::other("a layer has more chunks than can be numbered")),
            false => layer.out.finish(),
        }
    }

    /// The layer of the basis that has most of the paths of a new layer.
    fn nearest(&self, index: &LayerIndex) -> usize {
        let mut known = vec![0_usize; self.basis.layers.len()];
        if known.len() > 1 {
            let mut cursor = index.cursor();
            for number in 0..index.entries() {
                let Some(entry) = cursor.entry(number) else { break };
                let mut before = None;
                for number in self.paths.get(path_hash(&entry.path())) {
                    let layer = self.basis.layer_of(number);
                    if let Some(layer) = layer.filter(|layer| before != Some(*layer)) {
                        known[layer] += 1;
                        before = Some(layer);
                    }
                }
            }
        }
        (0..known.len()).max_by_key(|layer| (known[*layer], *layer)).unwrap_or(0)
    }
}

/// A layer that is being encoded.
struct LayerEncoder<'e, 'a, 'o> {
    encoder: &'e mut Encoder<'a>,
    index: &'e LayerIndex,
    prediction: Prediction,
    headers: LastHeaders,
    out: ColumnWriter<'o>,
    /// The layer of the basis whose paths take precedence.
    near: usize,
    /// There are more chunks than there are numbers.
    is_overfull: bool,
}

impl LayerEncoder<'_, '_, '_> {
    /// The entry of the basis with the same path: the expected one, else one in the nearest layer, else the
    /// topmost.
    fn find(&mut self, path: &[u8]) -> Option<BasisEntry> {
        let basis = &mut self.encoder.basis;
        if self.prediction.matched.is_some()
            && let Some(expected) = basis.entry(self.prediction.expected())
            && expected.entry.path() == path
        {
            return Some(expected);
        }
        if path.is_empty() {
            return None;
        }
        // The first one with this path of each layer, the lowest layer first.
        let layer = |number: usize| basis.layer_of(number);
        let mut numbers = self.encoder.paths.get(path_hash(path));
        let top = layer(numbers.next_back()?);
        let mut numbers = self.encoder.paths.get(path_hash(path));
        let near = numbers.clone().find(|number| layer(*number) == Some(self.near));
        let number = near.or_else(|| numbers.find(|number| layer(*number) == top))?;
        basis.entry(number)
    }

    fn entry(&mut self, entry: &Entry) {
        self.out.step();
        let matched = self.find(&entry.path());
        match &matched {
            None => self.out.number(Column::Match, 0),
            Some(BasisEntry { number, .. }) => {
                let delta = *number as i64 - self.prediction.expected() as i64;
                self.out.number(Column::Match, zigzag(delta) + 1);
                self.prediction.matched = Some(*number);
            }
        }
        let shape: Vec<RecordShape> = entry.records().map(|view| RecordShape::from(view.record)).collect();
        let is_expected = match &matched {
            Some(matched) => matched.shape().eq(shape.iter().copied()),
            None => std::mem::take(&mut self.prediction.shape) == shape,
        };
        if is_expected {
            self.out.number(Column::Shape, 0);
        } else {
            self.out.number(Column::Shape, shape.len() as u64);
            for kind in &shape {
                self.out.number(Column::Shape, *kind as u64);
            }
        }
        let mut chunk = entry.chunks().start;
        for (index, view) in entry.records().enumerate() {
            let record = matched.as_ref().and_then(|matched| matched.record(index, shape[index]));
            self.record(&view, RecordPosition { index, count: shape.len() }, chunk, record);
            chunk += view.record.chunks;
        }
        self.prediction.shape = shape;
    }

    fn record(
        &mut self,
        view: &RecordView<'_>,
        position: RecordPosition,
        chunk: usize,
        matched: Option<BasisRecord<'_>>,
    ) {
        self.out.step();
        match view.record.kind {
            RecordKind::Zeros(blocks) => self.out.number(Column::Zeros, blocks),
            RecordKind::Raw => self.out.bytes(Column::Raw, view.body()),
            RecordKind::Header(_) => {
                let reference = matched.map(|record| record.view).or(self.headers.get(position));
                header::fields(&mut self.out, view, reference);
                header::body(&mut self.out, &mut self.prediction, view, reference);
                let of = MtimeOf::new(position, matched);
                header::mtime(&mut self.out, &mut self.prediction.mtimes, view, reference, of);
                self.headers.note(position, view.record.kind, view.fields(), view.body());
            }
        }
        self.chunks(view, chunk, matched);
        if let RecordKind::Header(_) = view.record.kind {
            self.size(view, chunk, matched);
        }
        self.out.number(Column::Tail, u64::from(!view.record.padded));
    }

    fn size(&mut self, view: &RecordView<'_>, chunk: usize, matched: Option<BasisRecord<'_>>) {
        let value = view.field(Field::Size);
        let chunks = self.index.chunks().bytes(chunk..chunk + view.record.chunks);
        let len = chunks.saturating_add(view.record.body as u64);
        if canonical_number(len).is_some_and(|number| number == *value) {
            self.out.number(Column::Size, 0);
        } else if matched.is_some_and(|record| record.view.field(Field::Size) == value) {
            self.out.number(Column::Size, 1);
        } else {
            self.out.number(Column::Size, 2);
            self.out.bytes(Column::Size, value);
        }
    }

    fn chunks(&mut self, view: &RecordView<'_>, first: usize, matched: Option<BasisRecord<'_>>) {
        let range = first..first + view.record.chunks;
        let mut before = None;
        if let Some(record) = matched {
            let old = record.first_chunk..record.first_chunk + record.view.record.chunks;
            let is_same = old.len() == range.len()
                && self
                    .index
                    .chunks()
                    .range(range.clone())
                    .zip(old.clone())
                    .all(|(new, old)| key_at(&self.encoder.basis, old) == ChunkKey::of(&new));
            if is_same && (self.encoder.mode != Mode::Literals || range.is_empty()) {
                self.chunks_code(view, matched, 0);
                self.prediction.chunk = old.end.checked_sub(1).or(self.prediction.chunk);
                for (chunk, old) in self.index.chunks().range(range).zip(old) {
                    self.remember(&chunk, ChunkNumber::basis(old));
                }
                return;
            }
            self.prediction.chunk = record.first_chunk.checked_sub(1);
            if (range.len(), old.len()) == (1, 1) {
                before = self.encoder.basis.chunk(old.start).ok().map(|old| old.chunk.len);
            }
        }
        self.chunks_code(view, matched, range.len() as u64 + 1);
        for ordinal in range {
            self.chunk(ordinal, before);
        }
    }

    fn chunks_code(&mut self, view: &RecordView<'_>, matched: Option<BasisRecord<'_>>, code: u64) {
        let expected = self.prediction.expected_code(view.field(Field::Name), matched.is_some());
        self.out.number(Column::Chunks, if code == *expected { 0 } else { code + 1 });
        *expected = code;
    }

    fn chunk(&mut self, ordinal: usize, before: Option<u64>) {
        self.out.step();
        let chunk = self.index.chunks().at(ordinal);
        let key = ChunkKey::of(&chunk);
        let encoder = &*self.encoder;
        if encoder.mode != Mode::Literals {
            let expected = self.prediction.expected_chunk();
            let is_expected = key_at(&encoder.basis, expected) == key;
            let again = if is_expected { None } else { encoder.encoded.find(&key) };
            if let Some(LastUse { distance, number }) = again {
                self.out.number(Column::Origin, 2 * distance as u64);
                if let Some(literal) = number.as_literal() {
                    let uses = &mut self.encoder.literals[literal].uses;
                    *uses = uses.saturating_add(1);
                }
                self.remember(&chunk, Some(number));
                return;
            }
            let there = match is_expected {
                true => Some(expected),
                false => encoder.chunks.get(&key, |number| key_at(&encoder.basis, number)),
            };
            if let Some(number) = there {
                let delta = number as i64 - expected as i64;
                self.out.number(Column::Origin, 2 * zigzag(delta) + 1);
                self.prediction.chunk = Some(number);
                self.remember(&chunk, ChunkNumber::basis(number));
                return;
            }
        }
        self.literal(&chunk, ordinal, before);
    }

    fn literal(&mut self, chunk: &Chunk, ordinal: usize, before: Option<u64>) {
        self.out.number(Column::Origin, 0);
        let len = before.map_or(chunk.len, |before| zigzag(chunk.len as i64 - before as i64));
        self.out.number(Column::Len, len >> 8);
        self.out.column(Column::LenLow).push(len as u8);
        if self.encoder.mode == Mode::WithIds {
            self.out.column(Column::Id).extend_from_slice(chunk.id.as_bytes());
        }
        self.remember(chunk, ChunkNumber::literal(self.encoder.literals.len()));
        let layer = self.encoder.encoded.layers.len() - 1;
        let numbers = [layer as u64, ordinal as u64, chunk.len].map(u32::try_from);
        match numbers {
            [Ok(layer), Ok(chunk), Ok(len)] => {
                self.encoder.literals.push(Literal { layer, chunk, len, uses: 1 });
            }
            _ => self.is_overfull = true,
        }
    }

    /// Remembers the number under which a chunk was encoded.
    fn remember(&mut self, chunk: &Chunk, used: Option<ChunkNumber>) {
        let Some(used) = used else {
            self.is_overfull = true;
            return;
        };
        let EncodedChunks { layers, starts, used: all, last } = &mut self.encoder.encoded;
        all.push(used);
        // With literals alone nothing is looked up.
        if self.encoder.mode != Mode::Literals {
            let key_of = |number| key_in(layers, starts, number);
            last.replace(all.len() - 1, &ChunkKey::of(chunk), key_of);
        }
    }
}

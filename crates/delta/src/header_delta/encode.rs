//! Encodes layers as columns.

mod header;

use std::io::{self, Write};
use std::sync::Arc;

use super::basis::{Basis, BasisRecord, Matched};
use super::columns::{Column, Writer, put, zigzag};
use super::index::{Index, Paths};
use super::origin::{Literal, Mode, Used};
use super::prediction::{Headers, Prediction, Shape};
use crate::ChunkId;
use crate::layer_index::cursor::Group;
use crate::layer_index::fields::{Field, canonical_number};
use crate::layer_index::records::{RecordKind, View};
use crate::layer_index::{Chunk, LayerIndex};
use crate::path_hash::path_hash;

/// Encodes layers, one after the other.
///
/// Takes, besides the layer indexes, up to 24 bytes of memory for each entry and chunk of the basis, and up to 28 for each
/// chunk of the new layers.
#[derive(Debug)]
pub struct Encoder<'a> {
    basis: Basis<'a>,
    mode: Mode,
    paths: Paths,
    /// The first occurrence of each chunk of the basis.
    chunks: Index,
    encoded: History,
    literals: Vec<Literal>,
}

/// The chunks that were encoded.
#[derive(Debug, Default)]
struct History {
    layers: Vec<Arc<LayerIndex>>,
    /// The number of chunks before each layer.
    starts: Vec<usize>,
    /// The number under which each chunk was encoded.
    used: Vec<Used>,
    /// The last occurrence of each chunk.
    last: Index,
}

impl History {
    /// The distance to the last use of a chunk, in chunks, and its number.
    fn find(&self, chunk: &Key) -> Option<(usize, Used)> {
        let last = self.last.get(chunk, |number| key_in(&self.layers, &self.starts, number))?;
        Some((self.used.len() - last, self.used[last]))
    }
}

/// The chunk with a number among those of all layers.
fn key_in(layers: &[Arc<LayerIndex>], starts: &[usize], number: usize) -> Key {
    let layer = starts.partition_point(|start| *start <= number) - 1;
    key(&layers[layer].chunks().at(number - starts[layer]))
}

/// Two chunks are the same if these are equal.
type Key = (ChunkId, u64);
const NOTHING: Key = (ChunkId::UNKNOWN, 0);

fn key(chunk: &Chunk) -> Key {
    (chunk.id, chunk.len)
}

impl<'a> Encoder<'a> {
    /// An encoder before the first layer. The decoder must have the same basis in the same order.
    pub fn new(basis: &'a [&'a LayerIndex], mode: Mode) -> Self {
        let mut basis = Basis::new(basis);
        let paths = Paths::of(&mut basis);
        let mut chunks = Index::default();
        if mode != Mode::Literals {
            let key_of = |number| basis.chunk(number).map_or(NOTHING, |(.., there)| key(&there));
            for (layer, index) in basis.layers.iter().enumerate() {
                for (ordinal, chunk) in index.chunks().iter().enumerate() {
                    chunks.insert((basis.number(layer, ordinal), &key(&chunk)), false, key_of);
                }
            }
        }
        Encoder { basis, mode, paths, chunks, encoded: History::default(), literals: Vec::new() }
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
        put(index.groups() as u64, &mut begin);
        out.write_all(&begin)?;
        let near = self.nearest(index);
        self.encoded.starts.push(self.encoded.used.len());
        self.encoded.layers.push(Arc::clone(index));
        let (prediction, headers, out) = (Prediction::default(), Headers::default(), Writer::new(out));
        let mut layer =
            LayerEncoder { encoder: self, index, prediction, headers, out, near, is_overfull: false };
        let mut cursor = index.cursor();
        for number in 0..index.groups() {
            cursor.group(number).iter().for_each(|group| layer.group(group));
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
            for number in 0..index.groups() {
                let Some(group) = cursor.group(number) else { break };
                let mut before = None;
                for number in self.paths.get(path_hash(&group.path())) {
                    let layer = self.basis.layer(number).map(|(layer, _)| layer);
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
    headers: Headers,
    out: Writer<'o>,
    /// The layer of the basis whose paths take precedence.
    near: usize,
    /// There are more chunks than there are numbers.
    is_overfull: bool,
}

impl LayerEncoder<'_, '_, '_> {
    /// The group of the basis with the same path: the expected one, else one in the nearest layer, else the
    /// topmost.
    fn find(&mut self, path: &[u8]) -> Option<(usize, Matched)> {
        let basis = &mut self.encoder.basis;
        if self.prediction.matched.is_some()
            && let Some(matched) = basis.group(self.prediction.expected())
            && matched.group.path() == path
        {
            return Some((self.prediction.expected(), matched));
        }
        if path.is_empty() {
            return None;
        }
        // The first one with this path of each layer, the lowest layer first.
        let layer = |number: usize| basis.layer(number).map(|(layer, _)| layer);
        let mut numbers = self.encoder.paths.get(path_hash(path));
        let top = layer(numbers.next_back()?);
        let mut numbers = self.encoder.paths.get(path_hash(path));
        let near = numbers.clone().find(|number| layer(*number) == Some(self.near));
        let number = near.or_else(|| numbers.find(|number| layer(*number) == top))?;
        Some((number, basis.group(number)?))
    }

    fn group(&mut self, group: &Group) {
        self.out.step();
        let matched = match self.find(&group.path()) {
            None => {
                self.out.number(Column::Match, 0);
                None
            }
            Some((number, matched)) => {
                let delta = number as i64 - self.prediction.expected() as i64;
                self.out.number(Column::Match, zigzag(delta) + 1);
                self.prediction.matched = Some(number);
                Some(matched)
            }
        };
        let shape: Vec<Shape> = group.records().map(|view| Shape::from(view.record)).collect();
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
        let mut chunk = group.chunks().start;
        for (position, view) in group.records().enumerate() {
            let record = matched.as_ref().and_then(|matched| matched.record(position, shape[position]));
            self.record(&view, (shape.len(), position), chunk, record);
            chunk += view.record.chunks;
        }
        self.prediction.shape = shape;
    }

    fn record(
        &mut self,
        view: &View<'_>,
        (of, position): (usize, usize),
        chunk: usize,
        matched: Option<BasisRecord<'_>>,
    ) {
        self.out.step();
        match view.record.kind {
            RecordKind::Zeros(blocks) => self.out.number(Column::Zeros, blocks),
            RecordKind::Raw => self.out.bytes(Column::Raw, view.body()),
            RecordKind::Header(_) => {
                let reference = matched.map(|record| record.view).or(self.headers.get(of, position));
                header::fields(&mut self.out, view, reference);
                header::body(&mut self.out, &mut self.prediction, view, reference);
                let ends = (position + 1 == of).then_some(matched);
                header::mtime(&mut self.out, &mut self.prediction.mtimes, view, reference, ends);
                self.headers.note((of, position), view.record.kind, view.fields(), view.body());
            }
        }
        self.chunks(view, chunk, matched);
        if let RecordKind::Header(_) = view.record.kind {
            self.size(view, chunk, matched);
        }
        self.out.number(Column::Tail, u64::from(!view.record.padded));
    }

    fn size(&mut self, view: &View<'_>, chunk: usize, matched: Option<BasisRecord<'_>>) {
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

    fn chunks(&mut self, view: &View<'_>, first: usize, matched: Option<BasisRecord<'_>>) {
        let range = first..first + view.record.chunks;
        let mut before = None;
        if let Some(record) = matched {
            let old = record.number..record.number + record.view.record.chunks;
            let is_same = old.len() == range.len()
                && self.index.chunks().range(range.clone()).zip(old.clone()).all(|(new, old)| {
                    self.encoder.basis.chunk(old).is_ok_and(|(.., old)| key(&old) == key(&new))
                });
            if is_same && (self.encoder.mode != Mode::Literals || range.is_empty()) {
                self.chunks_code(view, true, 0);
                self.prediction.chunk = old.end.checked_sub(1).or(self.prediction.chunk);
                for (chunk, old) in self.index.chunks().range(range).zip(old) {
                    self.remember(&chunk, Used::basis(old));
                }
                return;
            }
            self.prediction.chunk = record.number.checked_sub(1);
            if (range.len(), old.len()) == (1, 1) {
                before = self.encoder.basis.chunk(old.start).ok().map(|(.., old)| old.len);
            }
        }
        self.chunks_code(view, matched.is_some(), range.len() as u64 + 1);
        for ordinal in range {
            self.chunk(ordinal, before);
        }
    }

    fn chunks_code(&mut self, view: &View<'_>, is_matched: bool, code: u64) {
        let expected = self.prediction.expected_code(view.field(Field::Name), is_matched);
        self.out.number(Column::Chunks, if code == *expected { 0 } else { code + 1 });
        *expected = code;
    }

    fn chunk(&mut self, ordinal: usize, before: Option<u64>) {
        self.out.step();
        let chunk = self.index.chunks().at(ordinal);
        let encoder = &*self.encoder;
        if encoder.mode != Mode::Literals {
            let expected = self.prediction.expected_chunk();
            let is_expected =
                encoder.basis.chunk(expected).is_ok_and(|(.., there)| key(&there) == key(&chunk));
            let again = if is_expected { None } else { encoder.encoded.find(&key(&chunk)) };
            if let Some((back, used)) = again {
                self.out.number(Column::Origin, 2 * back as u64);
                if let Some(literal) = used.as_literal() {
                    let uses = &mut self.encoder.literals[literal].uses;
                    *uses = uses.saturating_add(1);
                }
                self.remember(&chunk, Some(used));
                return;
            }
            let key_of = |number| encoder.basis.chunk(number).map_or(NOTHING, |(.., there)| key(&there));
            let there = match is_expected {
                true => Some(expected),
                false => encoder.chunks.get(&key(&chunk), key_of),
            };
            if let Some(number) = there {
                let delta = number as i64 - expected as i64;
                self.out.number(Column::Origin, 2 * zigzag(delta) + 1);
                self.prediction.chunk = Some(number);
                self.remember(&chunk, Used::basis(number));
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
        self.remember(chunk, Used::literal(self.encoder.literals.len()));
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
    fn remember(&mut self, chunk: &Chunk, used: Option<Used>) {
        let Some(used) = used else {
            self.is_overfull = true;
            return;
        };
        let History { layers, starts, used: all, last } = &mut self.encoder.encoded;
        all.push(used);
        // With literals alone nothing is looked up.
        if self.encoder.mode != Mode::Literals {
            let key_of = |number| key_in(layers, starts, number);
            last.insert((all.len() - 1, &key(chunk)), true, key_of);
        }
    }
}

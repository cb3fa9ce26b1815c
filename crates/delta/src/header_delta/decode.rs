//! Decodes columns. Any input ends in a layer or an error, within the limits of memory.

mod header;

use std::io::Read;
use std::sync::Arc;

use dsync_core::Digest;
use dsync_core::varint::unzigzag;

use super::basis::{BasisChunk, BasisRecord, NumberedBasis};
use super::columns::{Column, ColumnReader, number};
use super::error::{HeaderDeltaError, within};
use super::origin::{ChunkNumber, Literal, Mode, Origin};
use super::prediction::{LastHeaders, MtimeOf, Prediction, RecordPosition};
use super::record_shape::RecordShape;
use crate::ChunkId;
use crate::layer_index::builder::{Builder, Built};
use crate::layer_index::fields::{Field, Fields};
use crate::layer_index::records::{ENTRY_RECORDS, RecordKind};
use crate::layer_index::{CHUNK_MAX, LayerIndex};
use crate::scan::VERBATIM_MAX;

/// Limits of a decoder, for all layers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes in a layer.
    pub len: u64,
    /// The most records, and the most chunks.
    pub entries: u64,
    /// The most bytes of memory for the result.
    pub memory: usize,
}

impl Limits {
    /// The largest values that the format can express.
    pub const ANY: Limits = Limits { len: 1 << 44, entries: u32::MAX as u64 >> 1, memory: usize::MAX };
}

/// A decoded layer: its index, and the origin of each chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    /// The layer. Its chunks have ids only in [`Mode::WithIds`].
    pub index: Arc<LayerIndex>,
    /// The origin of each of its chunks.
    pub origins: Vec<Origin>,
}

/// Decodes layers, one after the other.
///
/// Takes, besides their indexes, 28 bytes of memory for each chunk.
#[derive(Debug)]
pub struct Decoder<'a> {
    basis: NumberedBasis<'a>,
    mode: Mode,
    limits: Limits,
    literals: Vec<Literal>,
    /// The id of each literal, in [`Mode::WithIds`].
    ids: Vec<ChunkId>,
    /// The numbers of all chunks of all layers until now.
    encoded: Vec<ChunkNumber>,
    layers: u32,
    /// Records and bytes of memory of the layers until now.
    records: usize,
    memory: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder before the first layer. The basis and the mode must be those of the encoder.
    pub fn new(basis: &'a [&'a LayerIndex], mode: Mode, limits: Limits) -> Self {
        Decoder {
            basis: NumberedBasis::new(basis),
            mode,
            limits,
            literals: Vec::new(),
            ids: Vec::new(),
            encoded: Vec::new(),
            layers: 0,
            records: 0,
            memory: 0,
        }
    }

    /// The literals of all layers until now.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// The literals of all layers.
    pub fn into_literals(self) -> Vec<Literal> {
        self.literals
    }

    /// Reads one layer and not a byte more.
    pub fn layer(&mut self, input: &mut dyn Read) -> Result<Assembly, HeaderDeltaError> {
        let mut digest = [0; 32];
        input.read_exact(&mut digest).map_err(|_| HeaderDeltaError::Short)?;
        let len = within("bytes", number(input)?, self.limits.len)?;
        let entries = within("entries", number(input)?, self.limits.entries)?;
        let columns = ColumnReader::new(input)?;
        let mut layer = LayerDecoder {
            decoder: self,
            prediction: Prediction::default(),
            headers: LastHeaders::default(),
            columns,
            index: Builder::default(),
            origins: Vec::new(),
        };
        for _ in 0..entries {
            layer.entry()?;
        }
        let LayerDecoder { columns, index, origins, .. } = layer;
        if !columns.is_empty() {
            return Err(HeaderDeltaError::Malformed("bytes after the last entry"));
        }
        self.records += index.records();
        let Built { index, end } = index.finish(Digest::from_bytes(digest), len);
        if end != Some(len) {
            return Err(HeaderDeltaError::Malformed(
                "the records and chunks do not add up to the length of the layer",
            ));
        }
        self.memory += index.memory() + origins.len() * size_of::<Origin>();
        self.layers += 1;
        Ok(Assembly { index: Arc::new(index), origins })
    }
}

/// A layer that is being read.
struct LayerDecoder<'d, 'a, 'i> {
    decoder: &'d mut Decoder<'a>,
    prediction: Prediction,
    headers: LastHeaders,
    columns: ColumnReader<'i>,
    index: Builder,
    origins: Vec<Origin>,
}

impl LayerDecoder<'_, '_, '_> {
    fn entry(&mut self) -> Result<(), HeaderDeltaError> {
        let matched = match self.columns.number(Column::Match)? {
            0 => None,
            code => {
                let number = shifted(self.prediction.expected(), unzigzag(code - 1))?;
                let matched = self.decoder.basis.entry(number);
                self.prediction.matched = Some(number);
                Some(matched.ok_or(HeaderDeltaError::Malformed("an entry that is not in the basis"))?)
            }
        };
        let shape: Vec<RecordShape> = match (self.columns.len(Column::Shape)?, &matched) {
            (0, Some(matched)) => matched.shape().collect(),
            (0, None) => std::mem::take(&mut self.prediction.shape),
            (count, _) if count > ENTRY_RECORDS => {
                return Err(HeaderDeltaError::Malformed("an entry of too many records"));
            }
            (count, _) => (0..count).map(|_| self.shape()).collect::<Result<_, _>>()?,
        };
        if shape.is_empty() {
            return Err(HeaderDeltaError::Malformed("an entry without records"));
        }
        for index in 0..shape.len() {
            let record = matched.as_ref().and_then(|matched| matched.record(index, shape[index]));
            self.record(shape[index], RecordPosition { index, count: shape.len() }, record)?;
        }
        self.prediction.shape = shape;
        Ok(())
    }

    fn shape(&mut self) -> Result<RecordShape, HeaderDeltaError> {
        match self.columns.number(Column::Shape)? {
            0 => Ok(RecordShape::Zeros),
            1 => Ok(RecordShape::Raw),
            2 => Ok(RecordShape::Header),
            _ => Err(HeaderDeltaError::Malformed("a record of an unknown kind")),
        }
    }

    fn record(
        &mut self,
        shape: RecordShape,
        position: RecordPosition,
        matched: Option<BasisRecord<'_>>,
    ) -> Result<(), HeaderDeltaError> {
        let Limits { entries, memory, .. } = self.decoder.limits;
        within("records", (self.decoder.records + self.index.records()) as u64 + 1, entries)?;
        within("bytes of headers", self.memory() as u64, memory as u64)?;
        match shape {
            RecordShape::Zeros => {
                let blocks = self.columns.number(Column::Zeros)?;
                self.index.record(RecordKind::Zeros(blocks), b"", b"");
                self.chunks(matched, b"")?;
            }
            RecordShape::Raw => {
                let body = self.columns.bytes(Column::Raw)?;
                within("bytes in a row", body.len() as u64, VERBATIM_MAX)?;
                self.index.record(RecordKind::Raw, b"", body);
                self.chunks(matched, b"")?;
            }
            RecordShape::Header => self.header(position, matched)?,
        }
        if self.columns.number(Column::Tail)? == 0 {
            self.index.pad();
        }
        Ok(())
    }

    fn header(
        &mut self,
        position: RecordPosition,
        matched: Option<BasisRecord<'_>>,
    ) -> Result<(), HeaderDeltaError> {
        let reference = matched.map(|record| record.view).or(self.headers.get(position));
        let columns = &mut self.columns;
        let mut fields = header::fields(columns, reference)?;
        let body = header::body(columns, &mut self.prediction, reference)?;
        let of = MtimeOf::new(position, matched);
        fields.mtime = header::mtime(columns, &mut self.prediction.mtimes, reference, of)?;
        // The size comes last, since it follows from the chunks.
        let none = Fields::default();
        self.index.record(RecordKind::Header(none), b"", &body);
        let len = self.chunks(matched, fields.get(Field::Name))?.saturating_add(body.len() as u64);
        fields.size = header::size(&mut self.columns, len, matched)?;
        let mut bytes = Vec::new();
        let header = fields.finish(&mut bytes);
        let header = header.ok_or(HeaderDeltaError::Malformed("a value that is none of its field"))?;
        self.index.set_header(header, &bytes, &body);
        self.headers.note(position, RecordKind::Header(header), &bytes, &body);
        Ok(())
    }

    /// Bytes of memory that the result takes until now.
    fn memory(&self) -> usize {
        let Decoder { memory, literals, ids, encoded, .. } = &*self.decoder;
        let lists = size_of_val(&literals[..]) + size_of_val(&ids[..]) + size_of_val(&encoded[..]);
        memory + lists + self.index.memory() + size_of_val(&self.origins[..])
    }

    /// Reads the chunks of a record. Returns their bytes.
    fn chunks(&mut self, matched: Option<BasisRecord<'_>>, name: &[u8]) -> Result<u64, HeaderDeltaError> {
        let expected = self.prediction.expected_code(name, matched.is_some());
        let code = match self.columns.number(Column::Chunks)? {
            0 => *expected,
            other => other - 1,
        };
        *expected = code;
        let mut len: u64 = 0;
        if code == 0 {
            let Some(record) = matched else {
                return Err(HeaderDeltaError::Malformed("the chunks of an entry that is not in the basis"));
            };
            let old = record.first_chunk..record.first_chunk + record.view.record.chunks;
            for number in old.clone() {
                len = len.saturating_add(self.basis_chunk(number)?);
            }
            self.prediction.chunk = old.end.checked_sub(1).or(self.prediction.chunk);
            return Ok(len);
        }
        let count = code - 1;
        let mut before = None;
        if let Some(record) = matched {
            self.prediction.chunk = record.first_chunk.checked_sub(1);
            if (count, record.view.record.chunks) == (1, 1) {
                before = Some(self.decoder.basis.chunk(record.first_chunk)?.chunk.len);
            }
        }
        for _ in 0..count {
            len = len.saturating_add(self.chunk(before)?);
        }
        Ok(len)
    }

    /// Adds a chunk to the layer, and remembers it.
    fn add(
        &mut self,
        origin: Origin,
        used: Option<ChunkNumber>,
        id: ChunkId,
        len: u64,
    ) -> Result<u64, HeaderDeltaError> {
        let Limits { entries, memory, .. } = self.decoder.limits;
        within("chunks", self.decoder.encoded.len() as u64 + 1, entries)?;
        within("bytes of chunks", self.memory() as u64, memory as u64)?;
        self.decoder.encoded.push(used.ok_or(HeaderDeltaError::Malformed("more chunks than numbers"))?);
        self.origins.push(origin);
        // Ids that were not encoded are not needed.
        self.index.chunk((self.decoder.mode == Mode::WithIds).then_some(id), len);
        Ok(len)
    }

    fn basis_chunk(&mut self, number: usize) -> Result<u64, HeaderDeltaError> {
        const BOUNDS: HeaderDeltaError = HeaderDeltaError::Malformed("a chunk out of bounds");
        let BasisChunk { layer, ordinal, chunk: found } = self.decoder.basis.chunk(number)?;
        let layer = u16::try_from(layer).map_err(|_| BOUNDS)?;
        let chunk = u32::try_from(ordinal).map_err(|_| BOUNDS)?;
        self.add(Origin::Basis { layer, chunk }, ChunkNumber::basis(number), found.id, found.len)
    }

    /// Reads a chunk; `before` is the length of its old version, where it may have one.
    fn chunk(&mut self, before: Option<u64>) -> Result<u64, HeaderDeltaError> {
        let code = self.columns.number(Column::Origin)?;
        if code % 2 == 1 {
            let number = shifted(self.prediction.expected_chunk(), unzigzag(code / 2))?;
            self.prediction.chunk = Some(number);
            return self.basis_chunk(number);
        }
        let decoder = &mut *self.decoder;
        if code > 0 {
            let back = usize::try_from(code / 2).map_err(|_| HeaderDeltaError::Short)?;
            let used =
                decoder.encoded.len().checked_sub(back).and_then(|at| decoder.encoded.get(at)).copied();
            let used =
                used.ok_or(HeaderDeltaError::Malformed("a repetition of a chunk that was not encoded"))?;
            let Some(number) = used.as_literal() else { return self.basis_chunk(used.as_basis()) };
            let id = decoder.ids.get(number).copied().unwrap_or(ChunkId::UNKNOWN);
            let literal = &mut decoder.literals[number];
            literal.uses = literal.uses.saturating_add(1);
            let len = literal.len.into();
            // As many literals as chunks, which are limited.
            return self.add(Origin::Literal(number as u32), Some(used), id, len);
        }
        self.literal(before)
    }

    fn literal(&mut self, before: Option<u64>) -> Result<u64, HeaderDeltaError> {
        const BOUNDS: HeaderDeltaError = HeaderDeltaError::Malformed("a length out of bounds");
        let high = self.columns.number(Column::Len)?.checked_mul(256).ok_or(BOUNDS)?;
        let len = high + self.columns.byte(Column::LenLow)?;
        let len = before.map_or(Some(len), |before| before.checked_add_signed(unzigzag(len)));
        // A scanner divides longer chunks.
        let len = len.filter(|len| (1..=CHUNK_MAX).contains(len)).ok_or(BOUNDS)?;
        let id = match self.decoder.mode {
            Mode::Literals | Mode::References => ChunkId::UNKNOWN,
            Mode::WithIds => {
                let id = self.columns.take(Column::Id, 16)?.first_chunk().copied();
                ChunkId::from_bytes(id.ok_or(HeaderDeltaError::Short)?)
            }
        };
        let decoder = &mut *self.decoder;
        let number = decoder.literals.len();
        let chunk = u32::try_from(self.origins.len()).map_err(|_| BOUNDS)?;
        // A chunk has at most 256 KiB.
        decoder.literals.push(Literal { layer: decoder.layers, chunk, len: len as u32, uses: 1 });
        if decoder.mode == Mode::WithIds {
            decoder.ids.push(id);
        }
        let origin = Origin::Literal(u32::try_from(number).map_err(|_| BOUNDS)?);
        self.add(origin, ChunkNumber::literal(number), id, len)
    }
}

/// A number at a distance from another.
fn shifted(from: usize, by: i64) -> Result<usize, HeaderDeltaError> {
    let to = (from as i64).checked_add(by).and_then(|to| usize::try_from(to).ok());
    to.ok_or(HeaderDeltaError::Malformed("a distance out of bounds"))
}

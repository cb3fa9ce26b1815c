//! The entries and chunks of the basis, numbered through all of its layers.

use super::error::HeaderDeltaError;
use super::record_shape::RecordShape;
use crate::layer_index::cursor::{Cursor, Entry};
use crate::layer_index::records::RecordView;
use crate::layer_index::{Chunk, LayerIndex};

/// An entry of the basis.
#[derive(Debug)]
pub(super) struct BasisEntry {
    pub(super) entry: Entry,
    /// Its number, counted through the basis.
    pub(super) number: usize,
    /// The number of its first chunk, counted through the basis.
    first_chunk: usize,
}

/// A record of the basis, against which another is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasisRecord<'a> {
    pub(super) view: RecordView<'a>,
    /// The number of its first chunk, counted through the basis.
    pub(super) first_chunk: usize,
}

/// A chunk of the basis.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasisChunk {
    /// The number of its layer.
    pub(super) layer: usize,
    /// Its ordinal in the layer.
    pub(super) ordinal: usize,
    pub(super) chunk: Chunk,
}

impl BasisEntry {
    /// Its record at a position, where that has the shape.
    pub(super) fn record(&self, position: usize, shape: RecordShape) -> Option<BasisRecord<'_>> {
        let view = self.entry.record(position).filter(|view| RecordShape::from(view.record) == shape)?;
        let before = self.entry.records().take(position).map(|view| view.record.chunks);
        Some(BasisRecord { view, first_chunk: self.first_chunk + before.sum::<usize>() })
    }

    /// The shapes of its records.
    pub(super) fn shape(&self) -> impl Iterator<Item = RecordShape> + '_ {
        self.entry.records().map(|view| RecordShape::from(view.record))
    }
}

/// The layers of the basis, whose entries and chunks are numbered through all of them.
#[derive(Debug)]
pub(super) struct NumberedBasis<'a> {
    pub(super) layers: &'a [&'a LayerIndex],
    cursors: Vec<Cursor<'a>>,
    starts: Vec<LayerStart>,
    pub(super) entries: usize,
    chunks: usize,
}

/// The numbers of the first entry and the first chunk of a layer.
#[derive(Debug, Clone, Copy)]
struct LayerStart {
    entry: usize,
    chunk: usize,
}

impl<'a> NumberedBasis<'a> {
    pub(super) fn new(layers: &'a [&'a LayerIndex]) -> Self {
        let (mut starts, mut entries, mut chunks) = (Vec::new(), 0, 0);
        for index in layers {
            starts.push(LayerStart { entry: entries, chunk: chunks });
            entries += index.entries();
            chunks += index.chunks().len();
        }
        let cursors = layers.iter().map(|index| index.cursor()).collect();
        NumberedBasis { layers, cursors, starts, entries, chunks }
    }

    /// The layer of an entry.
    pub(super) fn layer_of(&self, entry: usize) -> Option<usize> {
        let layer = self.starts.partition_point(|start| start.entry <= entry).checked_sub(1)?;
        (entry < self.entries).then_some(layer)
    }

    /// The entry with a number.
    pub(super) fn entry(&mut self, number: usize) -> Option<BasisEntry> {
        let layer = self.layer_of(number)?;
        let entry = self.cursors[layer].entry(number - self.starts[layer].entry)?;
        let first_chunk = self.number(layer, entry.chunks().start);
        Some(BasisEntry { entry, number, first_chunk })
    }

    /// The number of a chunk, counted through the basis.
    pub(super) fn number(&self, layer: usize, ordinal: usize) -> usize {
        self.starts[layer].chunk + ordinal
    }

    /// The chunk with a number.
    pub(super) fn chunk(&self, number: usize) -> Result<BasisChunk, HeaderDeltaError> {
        let layer = self.starts.partition_point(|start| start.chunk <= number).checked_sub(1);
        let layer = layer.filter(|_| number < self.chunks);
        let found = layer.and_then(|layer| {
            let ordinal = number - self.starts[layer].chunk;
            Some(BasisChunk { layer, ordinal, chunk: self.layers[layer].chunks().get(ordinal)? })
        });
        found.ok_or(HeaderDeltaError::Malformed("a chunk that is not in the basis"))
    }
}

//! The records and chunks of the basis, numbered through all of its layers.

use super::error::HeaderDeltaError;
use super::prediction::Shape;
use crate::layer_index::cursor::{Cursor, Group};
use crate::layer_index::records::View;
use crate::layer_index::{Chunk, LayerIndex};

/// A group of the basis.
#[derive(Debug)]
pub(super) struct Matched {
    pub(super) group: Group,
    /// The number of its first chunk, counted through the basis.
    chunk: usize,
}

/// A record of the basis, against which another is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasisRecord<'a> {
    pub(super) view: View<'a>,
    /// The number of its first chunk, counted through the basis.
    pub(super) number: usize,
}

impl Matched {
    /// Its record at a position, where that has the shape.
    pub(super) fn record(&self, position: usize, shape: Shape) -> Option<BasisRecord<'_>> {
        let view = self.group.record(position).filter(|view| Shape::from(view.record) == shape)?;
        let before = self.group.records().take(position).map(|view| view.record.chunks);
        Some(BasisRecord { view, number: self.chunk + before.sum::<usize>() })
    }

    /// The kinds of its records.
    pub(super) fn shape(&self) -> impl Iterator<Item = Shape> + '_ {
        self.group.records().map(|view| Shape::from(view.record))
    }
}

/// The groups and chunks of the basis, numbered through all of its layers.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub(super) layers: &'a [&'a LayerIndex],
    cursors: Vec<Cursor<'a>>,
    /// The numbers of the first group and the first chunk of each layer.
    starts: Vec<(usize, usize)>,
    pub(super) groups: usize,
    chunks: usize,
}

impl<'a> Basis<'a> {
    pub(super) fn new(layers: &'a [&'a LayerIndex]) -> Self {
        let (mut starts, mut groups, mut chunks) = (Vec::new(), 0, 0);
        for index in layers {
            starts.push((groups, chunks));
            groups += index.groups();
            chunks += index.chunks().len();
        }
        let cursors = layers.iter().map(|index| index.cursor()).collect();
        Basis { layers, cursors, starts, groups, chunks }
    }

    /// The layer of a group, and which of its groups it is.
    pub(super) fn layer(&self, group: usize) -> Option<(usize, usize)> {
        let layer = self.starts.partition_point(|(first, _)| *first <= group).checked_sub(1)?;
        (group < self.groups).then(|| (layer, group - self.starts[layer].0))
    }

    /// A group.
    pub(super) fn group(&mut self, number: usize) -> Option<Matched> {
        let (layer, within) = self.layer(number)?;
        let group = self.cursors[layer].group(within)?;
        let chunk = self.number(layer, group.chunks().start);
        Some(Matched { group, chunk })
    }

    /// The number of a chunk, counted through the basis.
    pub(super) fn number(&self, layer: usize, chunk: usize) -> usize {
        self.starts[layer].1 + chunk
    }

    /// The chunk with a number: its layer, which of the layer's it is, and the chunk.
    pub(super) fn chunk(&self, number: usize) -> Result<(usize, usize, Chunk), HeaderDeltaError> {
        let layer = self.starts.partition_point(|(_, first)| *first <= number).checked_sub(1);
        let layer = layer.filter(|_| number < self.chunks);
        let found = layer.and_then(|layer| {
            let chunk = number - self.starts[layer].1;
            Some((layer, chunk, self.layers[layer].chunks().get(chunk)?))
        });
        found.ok_or(HeaderDeltaError::Malformed("a chunk that is not in the basis"))
    }
}

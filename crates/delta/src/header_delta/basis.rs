//! The records and contents of the basis, numbered through all of its layers.

use super::error::HeaderDeltaError;
use super::prediction::Shape;
use crate::layer_index::cursor::{Cursor, Group};
use crate::layer_index::records::View;
use crate::layer_index::{Content, LayerIndex};

/// A group of the basis.
#[derive(Debug)]
pub(super) struct Matched {
    pub(super) group: Group,
    /// The number of its first content, counted through the basis.
    content: usize,
}

/// A record of the basis, against which another is encoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct BasisRecord<'a> {
    pub(super) view: View<'a>,
    /// The number of its first content, counted through the basis.
    pub(super) number: usize,
}

impl Matched {
    /// Its record at a position, where that has the shape.
    pub(super) fn record(&self, position: usize, shape: Shape) -> Option<BasisRecord<'_>> {
        let view = self.group.record(position).filter(|view| Shape::from(view.record) == shape)?;
        let before = self.group.records().take(position).map(|view| view.record.contents);
        Some(BasisRecord { view, number: self.content + before.sum::<usize>() })
    }

    /// The kinds of its records.
    pub(super) fn shape(&self) -> impl Iterator<Item = Shape> + '_ {
        self.group.records().map(|view| Shape::from(view.record))
    }
}

/// The groups and contents of the basis, numbered through all of its layers.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub(super) layers: &'a [&'a LayerIndex],
    cursors: Vec<Cursor<'a>>,
    /// The numbers of the first group and the first content of each layer.
    starts: Vec<(usize, usize)>,
    pub(super) groups: usize,
    contents: usize,
}

impl<'a> Basis<'a> {
    pub(super) fn new(layers: &'a [&'a LayerIndex]) -> Self {
        let (mut starts, mut groups, mut contents) = (Vec::new(), 0, 0);
        for index in layers {
            starts.push((groups, contents));
            groups += index.groups();
            contents += index.contents().len();
        }
        let cursors = layers.iter().map(|index| index.cursor()).collect();
        Basis { layers, cursors, starts, groups, contents }
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
        let content = self.number(layer, group.contents().start);
        Some(Matched { group, content })
    }

    /// The number of a content, counted through the basis.
    pub(super) fn number(&self, layer: usize, content: usize) -> usize {
        self.starts[layer].1 + content
    }

    /// The content with a number: its layer, which of the layer's it is, and the content.
    pub(super) fn content(&self, number: usize) -> Result<(usize, usize, Content), HeaderDeltaError> {
        let layer = self.starts.partition_point(|(_, first)| *first <= number).checked_sub(1);
        let layer = layer.filter(|_| number < self.contents);
        let found = layer.and_then(|layer| {
            let content = number - self.starts[layer].1;
            Some((layer, content, self.layers[layer].contents().get(content)?))
        });
        found.ok_or(HeaderDeltaError::Malformed("a content that is not in the basis"))
    }
}

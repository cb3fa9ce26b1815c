//! Listings that both ends know, and where this end has their contents.

use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::Digest;
use dsync_delta::LayerIndex;
use dsync_delta::batching::{Batch, ChunkRange};

use super::layer_set::Layers;
use super::place::{Place, Slice};

/// A listing, and where its contents lie.
#[derive(Debug)]
pub(crate) struct ChunkMap {
    pub(crate) listing: Arc<LayerIndex>,
    lie: Lie,
    /// Whether the source can read the contents.
    pub(crate) is_readable: bool,
}

#[derive(Debug)]
enum Lie {
    /// In the layer itself.
    Layer(Digest),
    /// Each in a row of slices.
    Slices(Slices),
}

/// Rows of slices, one for each content of a listing, in 20 bytes for each that is one slice.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    layers: Vec<Digest>,
    /// Where each row ends.
    ends: Vec<u32>,
    slices: Vec<Short>,
}

/// A slice: the number of its layer, the content, and bytes of that, which has at most 256 KiB.
#[derive(Debug, Clone, Copy)]
struct Short {
    layer: u32,
    content: u32,
    from: u32,
    len: u32,
}

impl Slices {
    /// Adds the row of the next content.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Slice>) {
        for Slice { place: (digest, content), from, len } in row {
            let layer = match self.layers.last() == Some(&digest) {
                true => self.layers.len() - 1,
                false => self.layers.iter().position(|other| *other == digest).unwrap_or_else(|| {
                    self.layers.push(digest);
                    self.layers.len() - 1
                }),
            };
            let short = [layer as u64, content as u64, from, len].map(|number| u32::try_from(number).ok());
            // What is no part of a content cannot be copied, and is noticed then.
            let [Some(layer), Some(content), Some(from), Some(len)] = short else { continue };
            self.slices.push(Short { layer, content, from, len });
        }
        self.ends.push(self.slices.len() as u32);
    }

    /// The contents that they are of.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.slices.iter().map(|short| (self.layers[short.layer as usize], short.content as usize))
    }

    fn row(&self, content: usize) -> impl Iterator<Item = Slice> + '_ {
        let start = content.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(content).copied().unwrap_or(start);
        self.slices[start as usize..end as usize].iter().map(|short| Slice {
            place: (self.layers[short.layer as usize], short.content as usize),
            from: short.from.into(),
            len: short.len.into(),
        })
    }
}

impl ChunkMap {
    /// A layer.
    pub(crate) fn layer(listing: Arc<LayerIndex>, is_readable: bool) -> ChunkMap {
        ChunkMap { lie: Lie::Layer(listing.digest), listing, is_readable }
    }

    /// A listing whose contents are these.
    pub(crate) fn slices(listing: LayerIndex, slices: Slices, is_readable: bool) -> ChunkMap {
        ChunkMap { listing: Arc::new(listing), lie: Lie::Slices(slices), is_readable }
    }

    /// Whether it is a layer itself.
    pub(crate) fn is_layer(&self) -> bool {
        matches!(self.lie, Lie::Layer(_))
    }

    /// What a content is made of.
    pub(crate) fn of(&self, content: usize) -> impl Iterator<Item = Slice> + '_ {
        let (whole, row) = match &self.lie {
            Lie::Layer(digest) => {
                let len = self.listing.contents().get(content).map_or(0, |content| content.len);
                (Some(Slice { place: (*digest, content), from: 0, len }), None)
            }
            Lie::Slices(slices) => (None, Some(slices.row(content))),
        };
        whole.into_iter().chain(row.into_iter().flatten())
    }

    /// Copies a content.
    pub(crate) fn copy(&self, own: &Layers<'_>, content: usize, out: &mut dyn Write) -> io::Result<()> {
        self.of(content).try_for_each(|slice| own.copy(slice, out))
    }
}

/// The listings.
pub(crate) fn listings(shelves: &[ChunkMap]) -> Vec<&LayerIndex> {
    shelves.iter().map(|shelf| &*shelf.listing).collect()
}

/// The listings of those that the source can read.
pub(crate) fn readable(shelves: &[ChunkMap]) -> Vec<Option<&LayerIndex>> {
    shelves.iter().map(|shelf| shelf.is_readable.then_some(&*shelf.listing)).collect()
}

/// Adds the bytes of a run of contents.
pub(crate) fn load(
    own: &Layers<'_>,
    shelves: &[ChunkMap],
    run: &ChunkRange,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    run.contents().try_for_each(|content| shelves[run.layer()].copy(own, content, out))
}

/// Where the old contents lie that batches are coded against.
pub(crate) fn places<'a>(batches: &'a [Batch], shelves: &'a [ChunkMap]) -> impl Iterator<Item = Place> + 'a {
    batches.iter().flat_map(|batch| &batch.old).flat_map(|run| {
        let shelf = &shelves[run.layer()];
        run.contents().flat_map(|content| shelf.of(content)).map(|slice| slice.place)
    })
}

//! Indexes that both ends know, and where this end has their chunks.

use std::io::{self, Write};
use std::sync::Arc;

use dsync_core::Digest;
use dsync_delta::LayerIndex;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_proto::Known;

use super::layer_set::Layers;
use super::place::{Place, Slice};

/// An index, and the places of its chunks.
#[derive(Debug)]
pub(crate) struct ChunkMap {
    pub(crate) index: Arc<LayerIndex>,
    location: Location,
    pub(crate) at_source: AtSource,
}

/// The part of an index that the source has, where both ends know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtSource {
    /// The chunks, too.
    Chunks,
    /// The index alone: only the target can read the chunks.
    Index,
}

impl AtSource {
    /// By what a source says that it knows of a layer; `None` where it does not know it.
    pub(crate) fn of(known: Known) -> Option<AtSource> {
        match known {
            Known::No => None,
            Known::Index => Some(AtSource::Index),
            Known::Bytes => Some(AtSource::Chunks),
        }
    }
}

#[derive(Debug)]
enum Location {
    /// In the layer itself.
    Layer(Digest),
    /// Each in a row of slices.
    Slices(Slices),
}

/// Rows of slices, one for each chunk of an index, in 20 bytes for each that is one slice.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    layers: Vec<Digest>,
    /// The end of each row.
    ends: Vec<u32>,
    slices: Vec<Short>,
}

/// A slice: the number of its layer, the chunk, and bytes of that, which has at most 256 KiB.
#[derive(Debug, Clone, Copy)]
struct Short {
    layer: u32,
    chunk: u32,
    from: u32,
    len: u32,
}

impl Short {
    fn place(&self, layers: &[Digest]) -> Place {
        Place { layer: layers[self.layer as usize], chunk: self.chunk as usize }
    }
}

impl Slices {
    /// Room for this number of rows, each of one slice.
    pub(crate) fn with_capacity(rows: usize) -> Slices {
        Slices { layers: Vec::new(), ends: Vec::with_capacity(rows), slices: Vec::with_capacity(rows) }
    }

    /// Adds the row of the next chunk.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Slice>) {
        for Slice { place: Place { layer: digest, chunk }, from, len } in row {
            let layer = match self.layers.last() == Some(&digest) {
                true => self.layers.len() - 1,
                false => self.layers.iter().position(|other| *other == digest).unwrap_or_else(|| {
                    self.layers.push(digest);
                    self.layers.len() - 1
                }),
            };
            let short = [layer as u64, chunk as u64, from, len].map(|number| u32::try_from(number).ok());
            // A slice that is no part of a chunk is noticed when it is copied.
            let [Some(layer), Some(chunk), Some(from), Some(len)] = short else { continue };
            self.slices.push(Short { layer, chunk, from, len });
        }
        self.ends.push(self.slices.len() as u32);
    }

    /// The chunks that they are of.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.slices.iter().map(|short| short.place(&self.layers))
    }

    fn row(&self, chunk: usize) -> impl Iterator<Item = Slice> + '_ {
        let start = chunk.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(chunk).copied().unwrap_or(start);
        self.slices[start as usize..end as usize].iter().map(|short| Slice {
            place: short.place(&self.layers),
            from: short.from.into(),
            len: short.len.into(),
        })
    }
}

impl ChunkMap {
    /// A layer.
    pub(crate) fn layer(index: Arc<LayerIndex>, at_source: AtSource) -> ChunkMap {
        ChunkMap { location: Location::Layer(index.digest), index, at_source }
    }

    /// An index whose chunks are these.
    pub(crate) fn slices(index: LayerIndex, slices: Slices, at_source: AtSource) -> ChunkMap {
        ChunkMap { index: Arc::new(index), location: Location::Slices(slices), at_source }
    }

    /// True if the source can read the chunks.
    pub(crate) fn is_at_source(&self) -> bool {
        self.at_source == AtSource::Chunks
    }

    /// True if it is a layer itself.
    pub(crate) fn is_layer(&self) -> bool {
        matches!(self.location, Location::Layer(_))
    }

    /// The slices that a chunk is made of.
    pub(crate) fn of(&self, chunk: usize) -> impl Iterator<Item = Slice> + '_ {
        let (whole, row) = match &self.location {
            Location::Layer(digest) => {
                let len = self.index.chunks().get(chunk).map_or(0, |chunk| chunk.len);
                (Some(Slice { place: Place { layer: *digest, chunk }, from: 0, len }), None)
            }
            Location::Slices(slices) => (None, Some(slices.row(chunk))),
        };
        whole.into_iter().chain(row.into_iter().flatten())
    }

    /// Copies a chunk.
    pub(crate) fn copy(&self, own: &Layers<'_>, chunk: usize, out: &mut dyn Write) -> io::Result<()> {
        self.of(chunk).try_for_each(|slice| own.copy(slice, out))
    }
}

/// The indexes.
pub(crate) fn indexes(chunk_maps: &[ChunkMap]) -> Vec<&LayerIndex> {
    chunk_maps.iter().map(|chunk_map| &*chunk_map.index).collect()
}

/// The indexes of those that the source can read.
pub(crate) fn readable(chunk_maps: &[ChunkMap]) -> Vec<Option<&LayerIndex>> {
    chunk_maps.iter().map(|chunk_map| chunk_map.is_at_source().then_some(&*chunk_map.index)).collect()
}

/// Adds the bytes of a range of chunks.
pub(crate) fn load(
    own: &Layers<'_>,
    chunk_maps: &[ChunkMap],
    run: &ChunkRange,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    run.chunks().try_for_each(|chunk| chunk_maps[run.layer()].copy(own, chunk, out))
}

/// The places of the old chunks that batches are coded against.
pub(crate) fn places<'a>(
    batches: &'a [Batch],
    chunk_maps: &'a [ChunkMap],
) -> impl Iterator<Item = Place> + 'a {
    batches.iter().flat_map(|batch| &batch.old).flat_map(|run| {
        let chunk_map = &chunk_maps[run.layer()];
        run.chunks().flat_map(|chunk| chunk_map.of(chunk)).map(|slice| slice.place)
    })
}

#[cfg(test)]
mod tests;

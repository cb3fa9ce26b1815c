//! Listings that both ends know, and where this end has their contents.

use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

use dsync_core::DiffId;
use dsync_delta::Listing;
use dsync_delta::gather::{Batch, Run};

use super::{Layers, Place};

/// A listing, and where its contents lie.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) listing: Arc<Listing>,
    lie: Lie,
    /// Whether the source can read the contents.
    pub(crate) is_readable: bool,
}

#[derive(Debug)]
enum Lie {
    /// In the layer itself.
    Layer(DiffId),
    /// Each in a row of slices.
    Slices(Vec<Vec<Slice>>),
}

/// Some bytes of a content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    pub(crate) place: Place,
    pub(crate) from: u64,
    pub(crate) len: u64,
}

impl Shelf {
    /// A layer.
    pub(crate) fn layer(listing: Arc<Listing>, is_readable: bool) -> Shelf {
        Shelf { lie: Lie::Layer(listing.diff_id), listing, is_readable }
    }

    /// A listing whose contents are these.
    pub(crate) fn slices(listing: Listing, slices: Vec<Vec<Slice>>, is_readable: bool) -> Shelf {
        Shelf { listing: Arc::new(listing), lie: Lie::Slices(slices), is_readable }
    }

    /// Whether it is a layer itself.
    pub(crate) fn is_layer(&self) -> bool {
        matches!(self.lie, Lie::Layer(_))
    }

    /// What a content is made of.
    pub(crate) fn of(&self, content: usize) -> Vec<Slice> {
        match &self.lie {
            Lie::Layer(diff_id) => {
                let len = self.listing.contents().get(content).map_or(0, |content| content.len);
                vec![Slice { place: (*diff_id, content), from: 0, len }]
            }
            Lie::Slices(slices) => slices.get(content).cloned().unwrap_or_default(),
        }
    }

    /// Copies a content.
    pub(crate) fn copy(&self, own: &Layers<'_>, content: usize, out: &mut dyn Write) -> io::Result<()> {
        self.of(content).into_iter().try_for_each(|slice| own.copy(slice, out))
    }
}

/// The listings.
pub(crate) fn listings(shelves: &[Shelf]) -> Vec<&Listing> {
    shelves.iter().map(|shelf| &*shelf.listing).collect()
}

/// The listings of those that the source can read.
pub(crate) fn readable(shelves: &[Shelf]) -> Vec<Option<&Listing>> {
    shelves.iter().map(|shelf| shelf.is_readable.then_some(&*shelf.listing)).collect()
}

/// Adds the bytes of a run of contents.
pub(crate) fn load(own: &Layers<'_>, shelves: &[Shelf], run: &Run, out: &mut Vec<u8>) -> io::Result<()> {
    run.contents.clone().try_for_each(|content| shelves[run.layer].copy(own, content, out))
}

/// Where the old contents lie that batches are coded against.
pub(crate) fn places<'a>(batches: &'a [Batch], shelves: &'a [Shelf]) -> impl Iterator<Item = Place> + 'a {
    batches.iter().flat_map(|batch| &batch.old).flat_map(|run| {
        let Range { start, end } = run.contents;
        (start..end).flat_map(|content| shelves[run.layer].of(content)).map(|slice| slice.place)
    })
}

//! The contents of the missing layers: those of this side's own layers, and those that arrive.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};

use dsync_core::Image;
use dsync_delta::ContentSource;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_delta::header_delta::Origin;
use dsync_engine::Import;
use dsync_proto::LayerState;

use super::arrivals::Arrivals;
use super::build::{build, copy_own};
use super::offered::Offered;
use super::transfer::LOST;
use crate::coding::address_maps::Aligned;
use crate::conversation::contents::{read_limit, read_maps, read_parts};
use crate::conversation::parts::Candidates;
use crate::failure::EndpointError;
use crate::layers::workspace::Workspace;
use crate::layers::{ChunkMap, Layers, load, places};
use crate::link::{DataReader, Outbox};

/// The stream of contents, after the limit of its batches and the parts that are here.
pub(super) struct Contents<'l> {
    stream: DataReader<'l>,
    outbox: Outbox,
    limit: u32,
}

/// The same, with all that batches are decoded against.
pub(super) struct Ready<'a, 'l> {
    stream: DataReader<'l>,
    outbox: Outbox,
    own: &'a Layers<'a>,
    offered: &'a Offered,
    batches: Vec<Batch>,
    aligned: Aligned,
    file: File,
}

impl<'l> Contents<'l> {
    /// Reads up to the address maps; literals of which parts are here are divided.
    pub(super) fn begin(
        (mut stream, outbox): (DataReader<'l>, Outbox),
        offered: &mut Offered,
        parts: &Candidates,
    ) -> Result<Self, EndpointError> {
        let limit = read_limit(&mut stream)?;
        if !parts.is_empty() {
            let lengths = read_parts(&mut stream)?;
            offered.divide(&parts.parts(&lengths)?);
        }
        Ok(Contents { stream, outbox, limit })
    }

    /// Reads the rest, which of a dry run has no batches.
    pub(super) fn skip(mut self, offered: &Offered, workspace: &Workspace) -> Result<(), EndpointError> {
        read_maps(&mut self.stream, &offered.basis, workspace.memory)?;
        self.stream.finish().map_err(EndpointError::io(LOST))
    }

    /// Reads the address maps, and the old versions that batches are decoded against.
    pub(super) fn prepare<'a>(
        mut self,
        own: &'a mut Layers<'_>,
        offered: &'a Offered,
        basis: &[&Image],
        workspace: &Workspace,
    ) -> Result<Ready<'a, 'l>, EndpointError> {
        let maps = read_maps(&mut self.stream, &offered.basis, workspace.memory)?;
        let batches = offered.batches(self.limit);
        let old = places(&batches, &offered.basis).chain(maps.places(&offered.basis));
        own.fetch(basis, offered.places().chain(old))?;
        let aligned = maps.align(own, &offered.basis, &workspace.folder)?;
        let file = workspace.file()?;
        let Contents { stream, outbox, .. } = self;
        Ok(Ready { stream, outbox, own, offered, batches, aligned, file })
    }
}

impl Ready<'_, '_> {
    /// Builds the layers of an image that the store does not have, as the contents arrive.
    pub(super) fn build(
        self,
        image: &Image,
        states: &[LayerState],
        import: &mut dyn Import,
    ) -> Result<(), EndpointError> {
        let Ready { stream, outbox, own, offered, batches, aligned, file } = self;
        let basis = &offered.basis[..];
        let old = |run: &ChunkRange, out: &mut Vec<u8>| {
            aligned.load(run, out, &|run: &ChunkRange, out: &mut Vec<u8>| load(own, basis, run, out))
        };
        let arrivals = Arrivals::new((stream, outbox), batches, &old, &offered.literals, file);
        let mut contents = Sources { own, basis, arrivals };
        let mut done = HashSet::new();
        for (diff_id, state) in image.diff_ids.iter().zip(states) {
            if *state == LayerState::Shared || !done.insert(diff_id) {
                continue;
            }
            match offered.layer(diff_id) {
                None => copy_own(own, diff_id, import)?,
                Some(recipe) => build(recipe, &mut contents, import)?,
            }
        }
        contents.arrivals.into_stream().finish().map_err(EndpointError::io(LOST))
    }
}

/// Contents of either kind.
struct Sources<'a> {
    own: &'a Layers<'a>,
    basis: &'a [ChunkMap],
    arrivals: Arrivals<'a>,
}

impl ContentSource for Sources<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Basis { layer, content } => {
                self.basis[usize::from(layer)].copy(self.own, content as usize, out)
            }
            Origin::Literal(ordinal) => self.arrivals.copy_literal(ordinal, out),
        }
    }
}

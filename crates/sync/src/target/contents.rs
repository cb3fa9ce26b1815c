//! The chunks of the missing layers: those of this side's own layers, and those that arrive.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};

use dsync_core::{Image, LayerKey};
use dsync_delta::ChunkSource;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_delta::header_delta::Origin;
use dsync_engine::Import;
use dsync_proto::LayerState;

use super::arrivals::{Arrivals, Incoming};
use super::build::{build, copy_own};
use super::offered::Offered;
use crate::coding::address_maps::{Aligned, ReceivedMaps};
use crate::conversation::Step;
use crate::conversation::contents::{read_limit, read_parts};
use crate::conversation::parts::PartMatches;
use crate::failure::EndpointError;
use crate::layers::workspace::Workspace;
use crate::layers::{ChunkMap, Layers, load, places};
use crate::partial::PartialWriter;

const AWAITED: &str = Step::Contents.awaited();

/// The stream of chunks, after the limit of its batches and the parts that are here.
pub(super) struct Contents<'l> {
    incoming: Incoming<'l>,
    limit: u32,
}

/// The same, with all that batches are decoded against.
pub(super) struct Ready<'a, 'l> {
    incoming: Incoming<'l>,
    own: &'a Layers<'a>,
    offered: &'a Offered,
    batches: Vec<Batch>,
    aligned: Aligned,
    file: File,
}

impl<'l> Contents<'l> {
    /// Reads up to the address maps; literals of which parts are here are divided.
    pub(super) fn begin(
        mut incoming: Incoming<'l>,
        offered: &mut Offered,
        parts: &PartMatches,
    ) -> Result<Self, EndpointError> {
        let limit = read_limit(&mut incoming.stream).map_err(EndpointError::io(AWAITED))?;
        if !parts.is_empty() {
            let lengths = read_parts(&mut incoming.stream).map_err(EndpointError::io(AWAITED))?;
            offered.divide(&parts.parts(&lengths)?);
        }
        Ok(Contents { incoming, limit })
    }

    /// Reads the rest, which of a dry run has no batches.
    pub(super) fn skip(mut self, offered: &Offered, workspace: &Workspace) -> Result<(), EndpointError> {
        ReceivedMaps::read(&mut self.incoming.stream, &offered.basis, workspace.memory)
            .and_then(|_| self.incoming.stream.finish())
            .map_err(EndpointError::io(AWAITED))
    }

    /// Reads the address maps, and the old versions that batches are decoded against.
    pub(super) fn prepare<'a>(
        mut self,
        own: &'a mut Layers<'_>,
        offered: &'a Offered,
        basis: &[&Image],
        workspace: &Workspace,
    ) -> Result<Ready<'a, 'l>, EndpointError> {
        let maps = ReceivedMaps::read(&mut self.incoming.stream, &offered.basis, workspace.memory)
            .map_err(EndpointError::io(AWAITED))?;
        let batches = offered.batches(self.limit);
        let old = places(&batches, &offered.basis).chain(maps.places(&offered.basis));
        own.fetch(basis, offered.places().chain(old))?;
        let aligned = maps.align(own, &offered.basis, &workspace.folder)?;
        let file = workspace.file()?;
        Ok(Ready { incoming: self.incoming, own, offered, batches, aligned, file })
    }
}

impl Ready<'_, '_> {
    /// Builds the layers that the store does not have, as the chunks arrive.
    pub(super) fn build(
        self,
        keys: &[LayerKey],
        states: &[LayerState],
        partial_writer: Option<PartialWriter>,
        import: &mut dyn Import,
    ) -> Result<(), EndpointError> {
        let Ready { incoming, own, offered, batches, aligned, file } = self;
        let basis = &offered.basis[..];
        let old = |run: &ChunkRange, out: &mut Vec<u8>| {
            aligned.load(run, out, &|run: &ChunkRange, out: &mut Vec<u8>| load(own, basis, run, out))
        };
        let mut arrivals = Arrivals::new(incoming, &old, file, partial_writer);
        let literals = &offered.literals;
        arrivals.expect(batches, literals, literals.iter().map(|literal| literal.uses));
        let mut chunks = Sources { own, basis, arrivals };
        let mut done = HashSet::new();
        for (key, state) in keys.iter().zip(states) {
            if *state == LayerState::Shared || !done.insert(key) {
                continue;
            }
            match offered.layer(key) {
                None => copy_own(own, key, import)?,
                Some(assembly) => build(key, assembly, &mut chunks, import)?,
            }
        }
        chunks.arrivals.into_stream().finish().map_err(EndpointError::io(AWAITED))
    }
}

/// Contents of either kind.
struct Sources<'a> {
    own: &'a Layers<'a>,
    basis: &'a [ChunkMap],
    arrivals: Arrivals<'a>,
}

impl ChunkSource for Sources<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Basis { layer, chunk } => {
                self.basis[usize::from(layer)].copy(self.own, chunk as usize, out)
            }
            Origin::Literal(ordinal) => self.arrivals.copy_literal(ordinal, out),
        }
    }
}

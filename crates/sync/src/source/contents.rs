//! The chunks that are sent: formed into batches beside their old versions, coded, and accounted for.

use std::io::{self, Write};
use std::sync::Arc;

use dsync_delta::LayerIndex;
use dsync_delta::batching::{self, Batch, ChunkRange};
use dsync_proto::{Cost, Event, Phase, Reply};

use super::basis::NamedBasis;
use super::batch_encoder::{self, Sources, UNREAD};
use super::code::{CodeMap, Version};
use super::divide::SentChunks;
use super::executables::{ChunkMaps, ExecutablePairs};
use super::explain;
use super::transfer::Transfer;
use crate::coding::address_maps::{Aligned, SentMaps};
use crate::coding::batch;
use crate::conversation::Step;
use crate::conversation::contents::Head;
use crate::failure::EndpointError;
use crate::layers::{ChunkMap, Layers, indexes, load, places, readable};
use crate::link::progress::Progress;

/// Contents that are ready to be coded.
pub(super) struct Contents<'a> {
    own: &'a Layers<'a>,
    /// The new layers, and the basis.
    new: &'a [ChunkMap],
    old: &'a [ChunkMap],
    limit: u32,
    batches: Vec<Batch>,
    aligned: Aligned,
    maps: SentMaps,
    programs: CodeMap,
}

impl<'a> Contents<'a> {
    /// Forms batches, reads the old versions that they are coded against, and gives old executables the new addresses.
    pub(super) fn prepare(
        transfer: &Transfer<'_>,
        own: &'a mut Layers<'_>,
        layers: &'a [Arc<LayerIndex>],
        sent: &'a SentChunks,
        old: &'a [ChunkMap],
        basis: &NamedBasis<'_>,
    ) -> Result<Self, EndpointError> {
        let (new, known) = (&sent.layers[..], readable(old));
        let limit = match known.iter().any(Option::is_some) {
            true => transfer.controller.limit(),
            false => transfer.controller.cold_limit(),
        };
        let batches = batching::form_batches(&indexes(new), &sent.chunk_refs, &known, limit.into());
        let executables = match transfer.controller.runs_filters() {
            true => {
                ExecutablePairs::find(&batches, own, ChunkMaps { old, new }, transfer.controller.memory())
                    .map_err(EndpointError::io(UNREAD))?
            }
            false => ExecutablePairs::default(),
        };
        own.fetch(&basis.images, places(&batches, old).chain(executables.places(old)))?;
        let (aligned, maps) = executables.align(own, ChunkMaps { old, new }, &transfer.workspace.folder)?;
        let mut programs = CodeMap::default();
        for index in layers {
            let read_at = |at: u64, out: &mut [u8]| own.read_at(&index.digest, at, out);
            programs.add(index, &read_at).map_err(EndpointError::io(UNREAD))?;
        }
        Ok(Contents { own, new, old, limit, batches, aligned, maps, programs })
    }

    /// Sends them; a dry run sends only what comes before them, and counts.
    pub(super) fn send(&self, transfer: &mut Transfer<'_>, parts: &[u8]) -> Result<Reply, EndpointError> {
        let raw = self.batches.iter().map(Batch::len).sum();
        transfer.talk.event(&Event::Phase(Phase::Transfer));
        transfer.talk.event(&Event::Total(raw));
        self.with_sources(|sources| {
            let sizes = self.code(transfer, sources, parts)?;
            let costs = match transfer.how.explain {
                true => self.costs(transfer, sources, &sizes).map_err(EndpointError::io(UNREAD))?,
                false => Vec::new(),
            };
            Ok(transfer.account(raw, sizes.iter().sum(), costs))
        })
    }

    fn with_sources<T>(&self, run: impl FnOnce(Sources<'_>) -> T) -> T {
        let (own, new) = (self.own, indexes(self.new));
        let load_new = |run: &ChunkRange, out: &mut Vec<u8>| load(own, self.new, run, out);
        let load_old = |run: &ChunkRange, out: &mut Vec<u8>| {
            self.aligned.load(run, out, &|run: &ChunkRange, out: &mut Vec<u8>| load(own, self.old, run, out))
        };
        let version = |run: &ChunkRange| match &self.old[run.layer()] {
            _ if self.aligned.has(run) => Version::Rewritten,
            chunk_map if chunk_map.is_layer() => Version::Plain,
            chunk_map => Version::Shared(&chunk_map.index),
        };
        let code = |batch: &Batch| self.programs.of(batch, &new, &version);
        run(Sources { new: &load_new, old: &load_old, code: &code })
    }

    /// Codes and sends all batches. Returns the bytes of each.
    fn code(
        &self,
        transfer: &mut Transfer<'_>,
        sources: Sources<'_>,
        parts: &[u8],
    ) -> Result<Vec<u64>, EndpointError> {
        let unsent = || EndpointError::io(Step::Contents.sent());
        let (controller, dry_run) = (&mut transfer.controller, transfer.how.dry_run);
        let link = &*transfer.talk.step(Step::Contents)?;
        let mut out = link.data_writer();
        let head = Head { limit: self.limit, parts, maps: &self.maps };
        transfer.metadata += head.write(controller.effort(), &mut out).map_err(unsent())?;
        let mut progress = Progress::new(&link.outbox);
        let sizes = batch_encoder::encode_batches(
            &self.batches,
            self.limit,
            sources,
            controller,
            link,
            |batch, packed| {
                if dry_run {
                    progress.advance(batch.len());
                    return Ok(());
                }
                progress.batch(batch.len(), packed.len() as u64);
                batch::write(packed, &mut out).and_then(|()| out.flush()).map_err(unsent())
            },
        )?;
        progress.finish();
        out.finish().map_err(unsent())?;
        Ok(sizes)
    }

    fn costs(&self, transfer: &Transfer<'_>, sources: Sources<'_>, sizes: &[u64]) -> io::Result<Vec<Cost>> {
        let layer = |index| explain::Layer { index, position: transfer.position(index) };
        let layers: Vec<explain::Layer<'_>> = indexes(self.new).into_iter().map(layer).collect();
        explain::costs(&self.batches, sizes, &layers, sources, transfer.controller.effort())
    }
}

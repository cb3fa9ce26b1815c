//! Sends an image to a target that has nothing to build on: [`conversation::cold`](crate::conversation::cold).

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use dsync_core::{Digest, LayerKey};
use dsync_delta::LayerIndex;
use dsync_delta::batching::{self, Batch, ChunkRange};
use dsync_delta::header_delta::Encoder;
use dsync_engine::Export;
use dsync_proto::{Event, Reply};

use super::batch_encoder::{self, Sources, UNREAD};
use super::code::{CodeMap, Version};
use super::effort::EffortController;
use super::explain;
use super::transfer::{Sending, Transfer, position};
use crate::coding::batch;
use crate::conversation::cold::{self, batch_limits, chunk_refs, no_old};
use crate::conversation::headers::mode;
use crate::conversation::want::WantedLayers;
use crate::conversation::{Preserved, Step};
use crate::failure::EndpointError;
use crate::layers::memory::Memory;
use crate::layers::{Layers, SpooledLayer};
use crate::link::progress::Progress;
use crate::link::{DataWriter, Link};

fn unsent() -> impl FnOnce(io::Error) -> EndpointError {
    EndpointError::io(Step::Cold.sent())
}

/// Sends the layers that the target wants.
pub(super) fn send(
    mut transfer: Transfer<'_>,
    own: &mut Layers<'_>,
    want: &WantedLayers,
) -> Result<Reply, EndpointError> {
    let Transfer { talk, image, keys, how, controller, memory, metadata, .. } = &mut transfer;
    talk.event(&Event::Total(image.size));
    let link = &*talk.step(Step::Cold)?;
    let (announce, kept) = channel();
    let (reader, id) = (&mut *own, image.id);
    let (export, sent) = thread::scope(|scope| {
        // The sender waits for layers as long as the reader has the other end.
        let reading = scope.spawn(move || {
            reader.spool_and_announce(&id, want.layers.iter().copied(), &mut |layer| {
                announce.send(layer).map_err(|_| io::ErrorKind::BrokenPipe.into())
            })
        });
        let mut sender = ColdSender {
            link,
            out: link.data_writer(),
            encoder: Encoder::new(&[], mode(want.attempt)),
            controller,
            memory: *memory,
            progress: Progress::new(&link.outbox),
            dry_run: how.dry_run,
            layers: Vec::new(),
            programs: CodeMap::default(),
            totals: Totals { metadata: *metadata, ..Totals::default() },
        };
        let sent = sender.all(&want.layers, kept).map(|()| sender);
        (reading.join(), sent)
    });
    own.take_notes().into_iter().for_each(|note| link.outbox.event(&Event::Note(note)));
    let ended = || EndpointError::Broken("the reader of the image ended early".into());
    let export = export.map_or_else(|_| Err(ended()), |read| read.map_err(EndpointError::from));
    // Each that stops stops the other, and only the first knows why: a reader that nobody listens to has a broken
    // pipe, a sender that gets no more a store that did not give a layer.
    let (export, sender) = match (export, sent) {
        (Err(error), Err(EndpointError::Broken(_)) | Ok(_)) => return Err(error),
        (Err(_), Err(error)) => return Err(error),
        (Ok(export), sent) => (export, sent?),
    };
    sender.finish(&export, keys, how)
}

/// Sends layers as they come.
struct ColdSender<'a> {
    link: &'a Link,
    out: DataWriter<'a>,
    encoder: Encoder<'a>,
    controller: &'a mut EffortController,
    memory: Memory,
    progress: Progress<'a>,
    dry_run: bool,
    layers: Vec<SpooledLayer>,
    programs: CodeMap,
    totals: Totals,
}

/// The account of what was sent until now.
#[derive(Default)]
struct Totals {
    metadata: u64,
    batches: Vec<Batch>,
    sizes: Vec<u64>,
}

impl ColdSender<'_> {
    fn all(&mut self, layers: &[LayerKey], spooled: Receiver<SpooledLayer>) -> Result<(), EndpointError> {
        let mut waiting: HashMap<Digest, SpooledLayer> = HashMap::new();
        for key in layers {
            // An archive may have them in another order.
            let layer = loop {
                if let Some(layer) = waiting.remove(&key.digest()) {
                    break layer;
                }
                let missing = || EndpointError::Broken(format!("the store did not give layer {key}"));
                let next = spooled.recv().map_err(|_| missing())?;
                waiting.insert(next.index.digest, next);
            };
            self.layers.push(layer);
            self.last()?;
        }
        Ok(())
    }

    /// Sends the layer that came last.
    fn last(&mut self) -> Result<(), EndpointError> {
        let (layers, controller) = (&self.layers, &mut self.controller);
        let Some(last) = layers.last() else { return Ok(()) };
        // Indexes leave less and less for coding.
        let indexes = layers.iter().map(|layer| Memory::new_layer(&layer.index)).sum();
        controller.leave(self.memory.for_coding(indexes, 0));
        let limit = controller.cold_limit();
        let before = self.encoder.literals().len();
        let (out, encoder) = (&mut self.out, &mut self.encoder);
        let written = cold::write_layer(out, limit, encoder, &last.index, controller.effort());
        self.totals.metadata += written.map_err(unsent())?;
        let literals = &self.encoder.literals()[before..];
        let mut batches = batching::form_in_order(&[&*last.index], chunk_refs(literals), batch_limits(limit));
        let read_at = |at: u64, out: &mut [u8]| last.read_at(at, out);
        self.programs.add(&last.index, &read_at).map_err(EndpointError::io(UNREAD))?;
        let load_new = |run: &ChunkRange, out: &mut Vec<u8>| last.load(run, out);
        let programs = &self.programs;
        let code = |batch: &Batch| programs.of(batch, &[&*last.index], &|_| Version::Plain);
        let sources = Sources { new: &load_new, old: &no_old, code: &code };
        let chunks: u64 = literals.iter().map(|literal| u64::from(literal.len)).sum();
        self.progress.advance(last.index.len.saturating_sub(chunks));
        let (dry_run, out, progress) = (self.dry_run, &mut self.out, &mut self.progress);
        let sizes = batch_encoder::encode_batches(
            &batches,
            limit,
            sources,
            controller,
            self.link,
            |batch, packed| {
                if dry_run {
                    progress.advance(batch.len());
                    return Ok(());
                }
                progress.batch(batch.len(), packed.len() as u64);
                batch::write(packed, out).and_then(|()| out.flush()).map_err(unsent())
            },
        )?;
        // From here on a layer has its number among all, of which there are few.
        let number = (layers.len() - 1) as u32;
        batches.iter_mut().flat_map(|batch| &mut batch.new).for_each(|run| *run = run.of_layer(number));
        self.totals.batches.extend(batches);
        self.totals.sizes.extend(sizes);
        Ok(())
    }

    fn finish(mut self, export: &Export, keys: &[LayerKey], how: &Sending) -> Result<Reply, EndpointError> {
        let Totals { mut metadata, batches, sizes } = self.totals;
        self.progress.finish();
        if how.preserved == Preserved::Content {
            let written = cold::write_config(&mut self.out, &export.config, self.controller.effort());
            metadata += written.map_err(unsent())?;
        }
        self.out.finish().map_err(unsent())?;
        let costs = if how.explain {
            let layers = &self.layers;
            let position = |index: &LayerIndex| position(keys, index);
            let indexes = layers.iter().map(|kept| &*kept.index);
            let explained: Vec<explain::Layer<'_>> =
                indexes.map(|index| explain::Layer { index, position: position(index) }).collect();
            let load_new = |run: &ChunkRange, out: &mut Vec<u8>| layers[run.layer()].load(run, out);
            let new: Vec<&LayerIndex> = layers.iter().map(|kept| &*kept.index).collect();
            let code = |batch: &Batch| self.programs.of(batch, &new, &|_| Version::Plain);
            let sources = Sources { new: &load_new, old: &no_old, code: &code };
            explain::costs(&batches, &sizes, &explained, sources, self.controller.effort())
                .map_err(EndpointError::io(UNREAD))?
        } else {
            Vec::new()
        };
        let raw = batches.iter().map(Batch::len).sum();
        Ok(Reply::Sent { raw, packed: sizes.iter().sum(), metadata, costs })
    }
}

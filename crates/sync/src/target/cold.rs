//! Takes an image for which no basis was named: [`conversation::cold`](crate::conversation::cold).

use std::collections::HashSet;

use dsync_core::LayerKey;
use dsync_delta::batching;
use dsync_delta::header_delta::{Assembly, Decoder, Origin};
use dsync_engine::{Import, ImportSize};
use dsync_proto::{LayerOutcome, LayerState, Received};

use super::arrivals::{Arrivals, Incoming};
use super::build::{build, check_config, copy_own};
use super::form::Form;
use super::offered::size_of;
use super::plan::{Plan, distinct};
use super::transfer::{Transfer, check_room};
use crate::conversation::Step;
use crate::conversation::cold::{self, batch_limits, chunk_refs, no_old};
use crate::conversation::headers::mode;
use crate::failure::EndpointError;
use crate::layers::Layers;

/// Takes an image of which only `own` layers are here.
pub(super) fn receive(
    mut transfer: Transfer<'_>,
    own: &Layers<'_>,
    form: &Form,
    plan: &Plan<'_>,
) -> Result<Received, EndpointError> {
    let Transfer { store, what, workspace, memory, .. } = transfer;
    let missing = distinct(&transfer.keys, &plan.states, LayerState::Missing).len();
    let file = workspace.file()?;
    let mut import = if what.dry_run { None } else { Some(form.begin(store, transfer.config)?) };
    let partial_writer = transfer.partial_writer();
    let outbox = transfer.talk.outbox();
    let incoming = Incoming { stream: transfer.talk.step(Step::Cold)?.data_reader(), outbox };
    let mut receiver = ColdReceiver {
        arrivals: Arrivals::new(incoming, &no_old, file, partial_writer),
        decoder: cold::decoder(mode(what.attempt), memory),
        left: missing,
        before: 0,
    };
    let mut done = HashSet::new();
    let mut layers: Vec<LayerOutcome> = Vec::new();
    let mut taken = ImportSize::default();
    for (number, (key, &state)) in transfer.keys.iter().zip(&plan.states).enumerate() {
        let mut layer = LayerOutcome { state, len: 0, reused: 0 };
        match state {
            LayerState::Local if done.insert(key) => {
                layer.len = own.spooled(&key.digest()).unwrap_or(0);
                layer.reused = layer.len;
                if let Some(import) = &mut import {
                    copy_own(own, key, &mut **import)?;
                }
            }
            LayerState::Missing if done.insert(key) => {
                let (limit, assembly) = receiver.announced(key)?;
                layer.len = assembly.index.len;
                let size = form.size(&[*key], &[state], |_| size_of(&assembly.index));
                taken.contents = taken.contents.saturating_add(size.contents);
                // The layers before have been written as they were given, and are unpacked together at the end.
                let given = if what.dry_run { taken.given } else { 0 };
                taken.given = given.saturating_add(size.given);
                check_room(store, workspace, &taken)?;
                if let Some(import) = &mut import {
                    receiver.build((number, key), &assembly, limit, &mut **import)?;
                }
            }
            _ => {}
        }
        layers.push(layer);
    }
    let awaited = || EndpointError::io(Step::Cold.awaited());
    let config = match form.has_own_config() {
        true => cold::read_config(receiver.arrivals.stream()).map_err(awaited())?,
        false => Vec::new(),
    };
    receiver.arrivals.into_stream().finish().map_err(awaited())?;
    if form.has_own_config() {
        check_config(&config, transfer.image, &transfer.config)?;
    }
    let id = match import {
        None => transfer.image.id,
        Some(import) => transfer.commit(import, form.config(&config))?,
    };
    Ok(transfer.account(id, layers, form))
}

/// Takes layers as they come.
struct ColdReceiver<'a> {
    arrivals: Arrivals<'a>,
    decoder: Decoder<'a>,
    /// The number of layers that are still to come.
    left: usize,
    /// The number of literals of the layers before the last.
    before: usize,
}

impl ColdReceiver<'_> {
    /// Receives what the next layer, which must be this one, is put together of, and the limit of its batches.
    fn announced(&mut self, key: &LayerKey) -> Result<(u32, Assembly), EndpointError> {
        self.before = self.decoder.literals().len();
        let announced = cold::read_layer(self.arrivals.stream(), &mut self.decoder, key)?;
        self.left = self.left.saturating_sub(1);
        Ok(announced)
    }

    /// Builds the layer that was announced last, which is this one of the image.
    fn build(
        &mut self,
        (number, key): (usize, &LayerKey),
        assembly: &Assembly,
        limit: u32,
        import: &mut dyn Import,
    ) -> Result<(), EndpointError> {
        self.expect(self.before, number, assembly, limit);
        build(key, assembly, &mut self.arrivals, import)
    }

    /// Gets ready for the literals of a layer, which are those from `before` on.
    fn expect(&mut self, before: usize, layer: usize, Assembly { index, origins }: &Assembly, limit: u32) {
        let literals = &self.decoder.literals()[before..];
        let mut batches = batching::form_in_order(&[index], chunk_refs(literals), batch_limits(limit));
        let number = literals.first().map_or(0, |literal| literal.layer);
        batches.iter_mut().flat_map(|batch| &mut batch.new).for_each(|run| *run = run.of_layer(number));
        // The chunks that a later layer uses are known only when it comes.
        let mut uses: Vec<u32> = vec![if self.left > 0 { u32::MAX } else { 0 }; literals.len()];
        for origin in origins {
            if let Origin::Literal(literal) = origin
                && let Some(uses) = (*literal as usize).checked_sub(before).and_then(|at| uses.get_mut(at))
            {
                *uses = uses.saturating_add(1);
            }
        }
        self.arrivals.add_layer(layer, index);
        self.arrivals.expect(batches, literals, uses.into_iter());
    }
}

//! Codes batches on all cores while the link drains.

use std::io;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dsync_delta::batch::Effort;
use dsync_delta::batching::Batch;

use super::effort::{self, BatchTiming, EffortController};
use crate::coding::batch::Uncoded;
use crate::coding::branch::{self, BatchCode};
use crate::coding::inflated;
use crate::coding::runs::{Load, concat, lens};
use crate::failure::EndpointError;
use crate::link::Link;

/// The reason why batches are not coded.
pub(super) const UNREAD: &str = "cannot read the contents of the layers";

/// The bytes that batches are coded from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) new: &'a Load<'a>,
    pub(crate) old: &'a Load<'a>,
    /// The code in a batch that is to tell addresses.
    pub(crate) code: &'a (dyn Fn(&Batch) -> BatchCode + Sync),
}

/// Codes batches that were formed by a limit, and hands them on in their order. Returns the packed bytes of each.
///
/// The sources are asked on several threads. Each thread holds one batch, and no more than one packed batch
/// for each thread waits.
pub(crate) fn encode_batches(
    batches: &[Batch],
    limit: u32,
    sources: Sources<'_>,
    controller: &mut EffortController,
    link: &Link,
    mut out: impl FnMut(&Batch, &[u8]) -> Result<(), EndpointError>,
) -> Result<Vec<u64>, EndpointError> {
    let ended = || EndpointError::Broken("a thread that codes batches ended early".into());
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(controller.most_workers(limit));
    let (tokens, todo) = channel::<(usize, Effort)>();
    let todo = Mutex::new(todo);
    let (slots, results): (Vec<Sender<io::Result<_>>>, Vec<Receiver<io::Result<_>>>) =
        batches.iter().map(|_| channel()).unzip();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (todo, slots) = (&todo, &slots);
            scope.spawn(move || {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, effort)) = next else { break };
                    // Who no longer listens has failed, and said why.
                    let begun = Instant::now();
                    let packed = encode_batch(&batches[number], sources, effort, effort);
                    slots[number].send(packed.map(|packed| (packed, effort, begun.elapsed()))).ok();
                }
            });
        }
        let mut given = 0;
        let mut sizes = Vec::with_capacity(batches.len());
        for (number, result) in results.iter().enumerate() {
            while given < batches.len().min(number + workers + 1) {
                tokens.send((given, controller.effort())).map_err(|_| ended())?;
                given += 1;
            }
            let packed = result.recv().map_err(|_| ended())?;
            let (packed, effort, coding) = packed.map_err(EndpointError::io(UNREAD))?;
            let begun = Instant::now();
            sizes.push(packed.len() as u64);
            out(&batches[number], &packed)?;
            link.took().for_each(|(len, time)| controller.took(len, time));
            let (raw, packed) = (batches[number].len(), packed.len() as u64);
            controller
                .observe(BatchTiming { effort, raw, packed, coding, sending: begun.elapsed() }, workers);
        }
        // Moved in, so that the threads end however this ends.
        drop(tokens);
        Ok(sizes)
    })
}

/// Codes a batch, prepared as for one effort, with another.
pub(crate) fn encode_batch(
    batch: &Batch,
    sources: Sources<'_>,
    prepared: Effort,
    level: Effort,
) -> io::Result<Vec<u8>> {
    let (new_lens, old_lens) = (lens(&batch.new), lens(&batch.old));
    let (old, new) = ((&batch.old[..], sources.old), (&batch.new[..], sources.new));
    let bytes = concat(&[old, new])?;
    let pairs: Vec<Option<usize>> = batch.pairs().collect();
    let begin = usize::try_from(batch.len()).ok().and_then(|len| bytes.len().checked_sub(len));
    let begin = begin.ok_or_else(|| io::Error::other("chunks have another length than they should"))?;
    let code = if effort::tells_addresses(prepared) { (sources.code)(batch) } else { BatchCode::default() };
    let batch = Uncoded { bytes, begin, old_lens: &old_lens, new_lens: &new_lens, pairs: &pairs };
    match effort::runs_filters(prepared) {
        true => inflated::encode(batch, code, level),
        false => branch::encode(batch, &code, level),
    }
}

//! Literals as they arrive: decoded batch by batch, and put away until they are used.

use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_delta::batching::{Batch, ChunkRange};
use dsync_delta::header_delta::{Literal, Origin};
use dsync_delta::{ChunkSource, LayerIndex};
use dsync_proto::{Channel, Event, Peer};

use crate::coding::batch::{Coded, read_len, read_packed};
use crate::coding::inflated;
use crate::coding::runs::{Load, concat, lens};
use crate::layers::copy_at;
use crate::link::{DataReader, Outbox};
use crate::partial::{BasisKind, PartialWriter};

/// The stream of a source, and the way back to it.
pub(crate) struct Incoming<'a> {
    pub(crate) stream: DataReader<'a>,
    /// Is told of each batch.
    pub(crate) outbox: Outbox,
}

/// Literals as they arrive.
///
/// The batch that was decoded last is in memory; what of it is needed later, or once more, goes into a file
/// before the next one is decoded.
pub(crate) struct Arrivals<'a> {
    incoming: Incoming<'a>,
    batches: std::vec::IntoIter<Batch>,
    old: &'a Load<'a>,
    literals: Vec<Arriving>,
    /// The bytes of the last batch.
    last: Vec<u8>,
    /// The literals in them, by their numbers.
    here: Vec<LiteralAt>,
    file: File,
    file_len: u64,
    /// Saves all of them in case that the transfer breaks off.
    partial: Option<PartialWriter>,
}

/// A literal in the bytes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LiteralAt {
    literal: u32,
    /// The offset of its first byte.
    at: u32,
}

/// A literal, in 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Arriving {
    layer: u32,
    chunk: u32,
    len: u32,
    /// The number of times that it is still to be copied.
    uses: u32,
    /// One more than its offset in the file, where it is there.
    stored: Option<NonZeroU64>,
}

impl Arriving {
    fn of(literal: &Literal, uses: u32) -> Self {
        let Literal { layer, chunk, len, .. } = *literal;
        Arriving { layer, chunk, len, uses, stored: None }
    }
}

impl ChunkSource for Arrivals<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Literal(literal) => self.copy_literal(literal, out),
            Origin::Basis { .. } => Err(io::Error::other("there is nothing to build on")),
        }
    }
}

impl<'a> Arrivals<'a> {
    /// `file` is an empty temporary file. None is expected yet.
    pub(crate) fn new(
        incoming: Incoming<'a>,
        old: &'a Load<'a>,
        file: File,
        partial: Option<PartialWriter>,
    ) -> Self {
        Arrivals {
            incoming,
            batches: Vec::new().into_iter(),
            old,
            literals: Vec::new(),
            last: Vec::new(),
            here: Vec::new(),
            file,
            file_len: 0,
            partial,
        }
    }

    /// Copies a literal, waiting for it to arrive.
    pub(crate) fn copy_literal(&mut self, literal: u32, out: &mut dyn Write) -> io::Result<()> {
        loop {
            let of = |literal: u32| io::Error::other(format!("there is no literal {literal}"));
            let it = self.literals.get_mut(literal as usize).ok_or_else(|| of(literal))?;
            if let Ok(at) = self.here.binary_search_by_key(&literal, |here| here.literal) {
                it.uses = it.uses.saturating_sub(1);
                let LiteralAt { at, .. } = self.here[at];
                return out.write_all(&self.last[at as usize..][..it.len as usize]);
            }
            if let Some(stored) = it.stored {
                return copy_at(&self.file, stored.get() - 1, it.len.into(), out);
            }
            self.put_away()?;
            self.receive()?;
        }
    }

    /// Gets ready for more batches, after all of those before, with more literals: `uses` says how often each of them
    /// will be copied.
    pub(crate) fn expect(
        &mut self,
        batches: Vec<Batch>,
        literals: &[Literal],
        uses: impl Iterator<Item = u32>,
    ) {
        self.batches = batches.into_iter();
        self.literals.extend(literals.iter().zip(uses).map(|(literal, uses)| Arriving::of(literal, uses)));
    }

    /// The stream, for what lies between batches.
    pub(crate) fn stream(&mut self) -> &mut DataReader<'a> {
        &mut self.incoming.stream
    }

    /// The rest of the stream.
    pub(crate) fn into_stream(self) -> DataReader<'a> {
        self.incoming.stream
    }

    fn put_away(&mut self) -> io::Result<()> {
        for LiteralAt { literal, at } in self.here.drain(..) {
            let it = &mut self.literals[literal as usize];
            if it.uses > 0 {
                let bytes = &self.last[at as usize..][..it.len as usize];
                self.file.write_all_at(bytes, self.file_len)?;
                it.stored = NonZeroU64::new(self.file_len + 1);
                self.file_len += u64::from(it.len);
            }
        }
        Ok(())
    }

    /// Reads a batch of so many bytes before it was coded, and tells how long what followed its first bytes was under way.
    /// Of one that is cut off `packed` has the first part.
    fn receive_packed(&mut self, raw: u64, packed: &mut Vec<u8>) -> io::Result<()> {
        let len = read_len(&mut self.incoming.stream, raw)?;
        let (begun, here) = self.incoming.stream.arrived();
        read_packed(&mut self.incoming.stream, len, packed)?;
        let (ended, _) = self.incoming.stream.arrived();
        let took = Peer::Took {
            len: len.saturating_sub(here as u64),
            micros: (ended - begun).as_micros().try_into().unwrap_or(u64::MAX),
        };
        // A source that is gone is noticed by the next read.
        self.incoming.outbox.send_message(Channel::Peer, &took).ok();
        Ok(())
    }

    /// Adds the next layer of which literals are expected, by its number in an image that has no older one here.
    pub(crate) fn add_layer(&mut self, number: usize, index: &Arc<LayerIndex>) {
        if let Some(partial) = &mut self.partial {
            partial.add_layer(number, index, BasisKind::None);
        }
    }

    /// Saves literals that arrived, run by run, for a next transfer.
    fn save<'b>(&mut self, mut runs: impl Iterator<Item = (&'b ChunkRange, &'b [u8])>) {
        let Some(partial) = &mut self.partial else { return };
        let written = runs.try_for_each(|(run, bytes)| partial.write(run.layer(), run.chunks(), bytes));
        if let Err(why) = written.and_then(|()| partial.flush()) {
            self.incoming.outbox.event(&Event::Note(format!("no more of what arrives is saved: {why}")));
            self.partial = None;
        }
    }

    /// Saves the literals that the first part of a batch gives.
    fn save_prefix(&mut self, batch: &Batch, packed: &[u8]) {
        let Some(old) = concat(&[(&batch.old[..], self.old)]).ok().filter(|_| self.partial.is_some()) else {
            return;
        };
        let pairs: Vec<Option<usize>> = batch.pairs().collect();
        let (old_lens, new_lens) = (lens(&batch.old), lens(&batch.new));
        let coded = Coded { old, old_lens: &old_lens, new_lens: &new_lens, pairs: &pairs };
        let given = inflated::decode_prefix(coded, packed);
        self.save(batch.new.iter().zip(given.iter().map(Vec::as_slice)));
    }

    fn receive(&mut self) -> io::Result<()> {
        let Some(batch) = self.batches.next() else {
            return Err(io::Error::other("a chunk is neither here nor on its way"));
        };
        // Before the next is unpacked the last one goes.
        self.last = Vec::new();
        let mut packed = Vec::new();
        if let Err(error) = self.receive_packed(batch.len(), &mut packed) {
            self.save_prefix(&batch, &packed);
            return Err(error);
        }
        let (old, old_lens) = (concat(&[(&batch.old[..], self.old)])?, lens(&batch.old));
        let pairs: Vec<Option<usize>> = batch.pairs().collect();
        let coded = Coded { old, old_lens: &old_lens, new_lens: &lens(&batch.new), pairs: &pairs };
        self.last = inflated::decode(coded, &packed)?;
        let mut at = 0;
        for chunk_ref in batch.new.iter().flat_map(ChunkRange::chunk_refs) {
            let key = (chunk_ref.layer, chunk_ref.chunk);
            let found = self.literals.binary_search_by_key(&key, |it| (it.layer, it.chunk));
            let literal = found.map_err(|_| io::Error::other("a batch has what is no literal"))?;
            // There are fewer literals than a 32-bit number can count, and a batch has fewer bytes.
            self.here.push(LiteralAt { literal: literal as u32, at: at as u32 });
            at += self.literals[literal].len as usize;
        }
        if at != self.last.len() {
            return Err(io::Error::other("a batch has another length than its chunks"));
        }
        self.here.sort_unstable();
        let last = std::mem::take(&mut self.last);
        let runs = batch.new.iter().scan(&last[..], |rest, run| {
            let (bytes, left) =
                rest.split_at(usize::try_from(run.len()).unwrap_or(usize::MAX).min(rest.len()));
            *rest = left;
            Some((run, bytes))
        });
        self.save(runs);
        self.last = last;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

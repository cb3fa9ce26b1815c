//! Literals on the wire, in batches: coded on all cores while the link drains, and put away as they arrive.
//!
//! The stream begins with the limit that both sides form batches by (4 bytes, little-endian); each batch is
//! its packed length (4 bytes) and what `dsync_delta::batch` made of it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dsync_delta::ContentSource;
use dsync_delta::batch::{self, Effort, Items};
use dsync_delta::columns::Origin;
use dsync_delta::gather::{Batch, Run};

use dsync_proto::{Channel, Peer};

use crate::absolute::Stretches;
use crate::failure::EndpointError;
use crate::layers::copy_at;
use crate::link::{DataReader, Link, Outbox};
use crate::opened;
use crate::pace::{self, Pace, Sent};

/// Adds the bytes of a run of contents: of a new layer, or of a layer of the basis.
pub(crate) type Load<'a> = dyn Fn(&Run, &mut Vec<u8>) -> io::Result<()> + Sync + 'a;

/// What batches are coded from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    pub(crate) new: &'a Load<'a>,
    pub(crate) old: &'a Load<'a>,
    /// Where in a batch code is that is to tell addresses.
    pub(crate) code: &'a (dyn Fn(&Batch) -> Stretches + Sync),
}

/// Codes batches that were formed by a limit, and hands them on in their order. Returns the packed bytes of each.
///
/// The sources are asked on several threads. Each thread holds one batch, and no more than one packed batch
/// for each thread waits.
pub(crate) fn pack(
    (limit, batches): (u32, &[Batch]),
    sources: Sources<'_>,
    (pace, link): (&mut Pace, &Link),
    mut out: impl FnMut(&Batch, &[u8]) -> io::Result<()>,
) -> io::Result<Vec<u64>> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(pace.most_workers(limit));
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
                    let packed = pack_one(&batches[number], sources, effort, effort);
                    slots[number].send(packed.map(|packed| (packed, effort, begun.elapsed()))).ok();
                }
            });
        }
        let mut told = 0;
        let mut sizes = Vec::with_capacity(batches.len());
        for (number, result) in results.iter().enumerate() {
            while told < batches.len().min(number + workers + 1) {
                tokens.send((told, pace.effort())).map_err(io::Error::other)?;
                told += 1;
            }
            let (packed, effort, coding) = result.recv().map_err(io::Error::other)??;
            let begun = Instant::now();
            sizes.push(packed.len() as u64);
            out(&batches[number], &packed)?;
            link.took().for_each(|(len, time)| pace.took(len, time));
            let (raw, packed) = (batches[number].len(), packed.len() as u64);
            pace.note(Sent { effort, raw, packed, coding, sending: begun.elapsed() }, workers);
        }
        // Moved in, so that the threads end however this ends.
        drop(tokens);
        Ok(sizes)
    })
}

/// Codes a batch, prepared as for one effort, with another.
pub(crate) fn pack_one(
    batch: &Batch,
    sources: Sources<'_>,
    prepared: Effort,
    effort: Effort,
) -> io::Result<Vec<u8>> {
    let (new_lens, old_lens) = (lens(&batch.new), lens(&batch.old));
    let (old, new) = ((&batch.old[..], sources.old), (&batch.new[..], sources.new));
    let bytes = all(&[old, new])?;
    let begin = usize::try_from(batch.len()).ok().and_then(|len| bytes.len().checked_sub(len));
    let begin = begin.ok_or_else(|| io::Error::other("contents have another length than they should"))?;
    let code = if pace::tells_addresses(prepared) { (sources.code)(batch) } else { Stretches::default() };
    let open = pace::is_patient(prepared);
    opened::encode((bytes, begin), (&old_lens, &new_lens), (&batch.pairs, code), effort, open)
}

fn lens(runs: &[Run]) -> Vec<u64> {
    runs.iter().map(|run| run.len).collect()
}

/// The bytes of all runs, one after the other.
fn all(runs: &[(&[Run], &Load<'_>)]) -> io::Result<Vec<u8>> {
    let len: u64 = runs.iter().flat_map(|(runs, _)| *runs).map(|run| run.len).sum();
    // All at once: what grows leaves gaps behind that are never given back.
    let mut bytes = dsync_exe::roomy(usize::try_from(len).map_err(io::Error::other)?);
    for (runs, load) in runs {
        runs.iter().try_for_each(|run| load(run, &mut bytes))?;
    }
    Ok(bytes)
}

/// A batch on the wire.
pub(crate) fn write(packed: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(packed.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(packed)
}

/// Bytes that are coded by themselves: their length (8 bytes, little-endian), and a batch. Returns how many bytes
/// it has.
pub(crate) fn write_alone(bytes: &[u8], effort: Effort, out: &mut dyn Write) -> io::Result<u64> {
    let items = Items { bytes, lens: &[bytes.len() as u64] };
    let packed = batch::encode(Items::default(), items, &[None], effort)?;
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    write(&packed, out)?;
    Ok(packed.len() as u64)
}

/// Reads such bytes, of which there may be `most`.
pub(crate) fn read_alone(stream: &mut impl Read, most: u64) -> Result<Vec<u8>, EndpointError> {
    const LOST: &str = "the source did not send what it offered";
    let mut len = [0; 8];
    stream.read_exact(&mut len).map_err(EndpointError::io(LOST))?;
    let len = u64::from_le_bytes(len);
    if len > most {
        return Err(EndpointError::Protocol(format!(
            "the source tells {len} bytes, at most {most} are taken"
        )));
    }
    let packed = read(stream).map_err(EndpointError::io(LOST))?;
    Ok(batch::decode(Items::default(), &[len], &[None], &packed)?)
}

/// Literals as they arrive.
///
/// The batch that was decoded last is in memory; what of it is needed later, or once more, goes into a file
/// before the next one is decoded.
pub(crate) struct Arrivals<'a> {
    stream: DataReader<'a>,
    outbox: Outbox,
    batches: std::vec::IntoIter<Arriving>,
    old: &'a Load<'a>,
    /// How often each literal is still to be copied.
    uses: Vec<u64>,
    /// The bytes of the last batch, and where in them each literal lies.
    last: Vec<u8>,
    here: HashMap<usize, (usize, usize)>,
    file: File,
    file_len: u64,
    kept: HashMap<usize, (u64, u64)>,
}

impl ContentSource for Arrivals<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Literal(literal) => self.copy_literal(literal, out),
            Origin::Basis { .. } => Err(io::Error::other("there is nothing to build on")),
        }
    }
}

/// A batch that is to come.
pub(crate) struct Arriving {
    pub(crate) batch: Batch,
    /// Its literals with their lengths, in its order.
    pub(crate) literals: Vec<(usize, u64)>,
}

impl<'a> Arrivals<'a> {
    /// The outbox is told of each batch. `uses` says for each literal how often it will be copied. `file` is an empty temporary file.
    pub(crate) fn new(
        (stream, outbox): (DataReader<'a>, Outbox),
        batches: Vec<Arriving>,
        old: &'a Load<'a>,
        uses: Vec<u64>,
        file: File,
    ) -> Self {
        Arrivals {
            stream,
            outbox,
            batches: batches.into_iter(),
            old,
            uses,
            last: Vec::new(),
            here: HashMap::new(),
            file,
            file_len: 0,
            kept: HashMap::new(),
        }
    }

    /// Copies a literal, waiting for it to arrive.
    pub(crate) fn copy_literal(&mut self, literal: usize, out: &mut dyn Write) -> io::Result<()> {
        loop {
            if let Some(&(at, len)) = self.here.get(&literal) {
                self.spend(literal);
                return out.write_all(&self.last[at..at + len]);
            }
            if let Some(&(at, len)) = self.kept.get(&literal) {
                return copy_at(&self.file, at, len, out);
            }
            self.put_away()?;
            self.receive()?;
        }
    }

    /// Gets ready for more batches, after all of those before, with literals that are not numbered yet: `uses`
    /// says how often each will be copied.
    pub(crate) fn expect(&mut self, batches: Vec<Arriving>, uses: Vec<u64>) {
        self.batches = batches.into_iter();
        self.uses.extend(uses);
    }

    /// What lies between batches.
    pub(crate) fn stream(&mut self) -> &mut DataReader<'a> {
        &mut self.stream
    }

    /// What is left of the stream.
    pub(crate) fn into_stream(self) -> DataReader<'a> {
        self.stream
    }

    fn spend(&mut self, literal: usize) {
        if let Some(uses) = self.uses.get_mut(literal) {
            *uses = uses.saturating_sub(1);
        }
    }

    fn put_away(&mut self) -> io::Result<()> {
        for (literal, (at, len)) in self.here.drain() {
            if self.uses.get(literal).is_some_and(|uses| *uses > 0) {
                self.file.write_all_at(&self.last[at..at + len], self.file_len)?;
                self.kept.insert(literal, (self.file_len, len as u64));
                self.file_len += len as u64;
            }
        }
        Ok(())
    }

    /// Reads a batch, and tells how long what followed its first bytes was under way.
    fn receive_packed(&mut self) -> io::Result<Vec<u8>> {
        let len = read_len(&mut self.stream)?;
        let (begun, here) = self.stream.arrived();
        let packed = read_packed(&mut self.stream, len)?;
        let (ended, _) = self.stream.arrived();
        let took = Peer::Took {
            len: len.saturating_sub(here as u64),
            micros: (ended - begun).as_micros().try_into().unwrap_or(u64::MAX),
        };
        // A source that is gone is noticed by the next read.
        self.outbox.send_message(Channel::Peer, &took).ok();
        Ok(packed)
    }

    fn receive(&mut self) -> io::Result<()> {
        let Some(Arriving { batch, literals }) = self.batches.next() else {
            return Err(io::Error::other("a content is neither here nor on its way"));
        };
        let packed = self.receive_packed()?;
        let (old, old_lens) = (all(&[(&batch.old[..], self.old)])?, lens(&batch.old));
        // Before the next is unpacked the last one goes.
        self.last = Vec::new();
        self.last = opened::decode((old, &old_lens), &lens(&batch.new), &batch.pairs, &packed)?;
        let mut at = 0;
        for (literal, len) in literals {
            let len = usize::try_from(len).map_err(io::Error::other)?;
            self.here.insert(literal, (at, len));
            at += len;
        }
        if at != self.last.len() {
            return Err(io::Error::other("a batch has another length than its contents"));
        }
        Ok(())
    }
}

/// Reads a batch.
pub(crate) fn read(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let len = read_len(stream)?;
    read_packed(stream, len)
}

fn read_len(stream: &mut impl Read) -> io::Result<u64> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    Ok(u32::from_le_bytes(len).into())
}

/// Memory follows what arrives.
fn read_packed(stream: &mut impl Read, len: u64) -> io::Result<Vec<u8>> {
    let mut packed = Vec::new();
    stream.take(len).read_to_end(&mut packed)?;
    match packed.len() as u64 == len {
        true => Ok(packed),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

//! Literals on the wire, in batches: coded on all cores while the link drains, and put away as they arrive.
//!
//! The stream begins with the limit that both sides form batches by (4 bytes, little-endian); each batch is
//! its packed length (4 bytes) and what `dsync_delta::batch` made of it. What an end says of an image besides goes in
//! parts (see `told`).

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use dsync_delta::ContentSource;
use dsync_delta::batch::Effort;
use dsync_delta::columns::{Literal, Origin};
use dsync_delta::gather::{Batch, Run};

use dsync_proto::{Channel, Peer, limits};

use crate::absolute::Stretches;
use crate::failure::Breach;
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
    let pairs: Vec<Option<usize>> = batch.pairs().collect();
    let begin = usize::try_from(batch.len()).ok().and_then(|len| bytes.len().checked_sub(len));
    let begin = begin.ok_or_else(|| io::Error::other("contents have another length than they should"))?;
    let code = if pace::tells_addresses(prepared) { (sources.code)(batch) } else { Stretches::default() };
    let open = pace::is_patient(prepared);
    opened::encode((bytes, begin), (&old_lens, &new_lens), (&pairs, code), effort, open)
}

fn lens(runs: &[Run]) -> Vec<u64> {
    runs.iter().map(Run::len).collect()
}

/// The bytes of all runs, one after the other.
fn all(runs: &[(&[Run], &Load<'_>)]) -> io::Result<Vec<u8>> {
    let len: u64 = runs.iter().flat_map(|(runs, _)| *runs).map(Run::len).sum();
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

/// Literals as they arrive.
///
/// The batch that was decoded last is in memory; what of it is needed later, or once more, goes into a file
/// before the next one is decoded.
pub(crate) struct Arrivals<'a> {
    stream: DataReader<'a>,
    outbox: Outbox,
    batches: std::vec::IntoIter<Batch>,
    old: &'a Load<'a>,
    literals: Vec<Arriving>,
    /// The bytes of the last batch, and where in them each of its literals begins, by their numbers.
    last: Vec<u8>,
    here: Vec<(u32, u32)>,
    file: File,
    file_len: u64,
}

/// A literal, in 24 bytes.
#[derive(Debug, Clone, Copy)]
struct Arriving {
    layer: u32,
    content: u32,
    len: u32,
    /// How often it is still to be copied.
    uses: u32,
    /// One more than where it begins in the file; 0 where it is not there.
    kept: u64,
}

impl Arriving {
    fn of(literal: &Literal, uses: u32) -> Self {
        let Literal { layer, content, len, .. } = *literal;
        Arriving { layer, content, len, uses, kept: 0 }
    }
}

impl ContentSource for Arrivals<'_> {
    fn copy(&mut self, from: Origin, _: u64, out: &mut dyn Write) -> io::Result<()> {
        match from {
            Origin::Literal(literal) => self.copy_literal(literal, out),
            Origin::Basis { .. } => Err(io::Error::other("there is nothing to build on")),
        }
    }
}

impl<'a> Arrivals<'a> {
    /// The outbox is told of each batch. `file` is an empty temporary file.
    pub(crate) fn new(
        (stream, outbox): (DataReader<'a>, Outbox),
        batches: Vec<Batch>,
        old: &'a Load<'a>,
        literals: &[Literal],
        file: File,
    ) -> Self {
        Arrivals {
            stream,
            outbox,
            batches: batches.into_iter(),
            old,
            literals: literals.iter().map(|literal| Arriving::of(literal, literal.uses)).collect(),
            last: Vec::new(),
            here: Vec::new(),
            file,
            file_len: 0,
        }
    }

    /// Copies a literal, waiting for it to arrive.
    pub(crate) fn copy_literal(&mut self, literal: u32, out: &mut dyn Write) -> io::Result<()> {
        loop {
            let of = |literal: u32| io::Error::other(format!("there is no literal {literal}"));
            let it = self.literals.get_mut(literal as usize).ok_or_else(|| of(literal))?;
            if let Ok(at) = self.here.binary_search_by_key(&literal, |(literal, _)| *literal) {
                it.uses = it.uses.saturating_sub(1);
                let (_, at) = self.here[at];
                return out.write_all(&self.last[at as usize..][..it.len as usize]);
            }
            if let Some(at) = it.kept.checked_sub(1) {
                return copy_at(&self.file, at, it.len.into(), out);
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

    /// What lies between batches.
    pub(crate) fn stream(&mut self) -> &mut DataReader<'a> {
        &mut self.stream
    }

    /// What is left of the stream.
    pub(crate) fn into_stream(self) -> DataReader<'a> {
        self.stream
    }

    fn put_away(&mut self) -> io::Result<()> {
        for (literal, at) in self.here.drain(..) {
            let it = &mut self.literals[literal as usize];
            if it.uses > 0 {
                let bytes = &self.last[at as usize..][..it.len as usize];
                self.file.write_all_at(bytes, self.file_len)?;
                it.kept = self.file_len + 1;
                self.file_len += u64::from(it.len);
            }
        }
        Ok(())
    }

    /// Reads a batch of so many bytes before it was coded, and tells how long what followed its first bytes was under way.
    fn receive_packed(&mut self, raw: u64) -> io::Result<Vec<u8>> {
        let len = read_len(&mut self.stream, raw)?;
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
        let Some(batch) = self.batches.next() else {
            return Err(io::Error::other("a content is neither here nor on its way"));
        };
        // Before the next is unpacked the last one goes.
        self.last = Vec::new();
        let packed = self.receive_packed(batch.len())?;
        let (old, old_lens) = (all(&[(&batch.old[..], self.old)])?, lens(&batch.old));
        let pairs: Vec<Option<usize>> = batch.pairs().collect();
        self.last = opened::decode((old, &old_lens), &lens(&batch.new), &pairs, &packed)?;
        let mut at = 0;
        for spot in batch.new.iter().flat_map(Run::spots) {
            let key = (spot.layer, spot.content);
            let found = self.literals.binary_search_by_key(&key, |it| (it.layer, it.content));
            let literal = found.map_err(|_| io::Error::other("a batch has what is no literal"))?;
            // There are fewer literals than a 32-bit number can count, and a batch has fewer bytes.
            self.here.push((literal as u32, at as u32));
            at += self.literals[literal].len as usize;
        }
        if at != self.last.len() {
            return Err(io::Error::other("a batch has another length than its contents"));
        }
        self.here.sort_unstable();
        Ok(())
    }
}

/// Reads what was made of so many bytes.
pub(crate) fn read(stream: &mut impl Read, raw: u64) -> io::Result<Vec<u8>> {
    let len = read_len(stream, raw)?;
    read_packed(stream, len)
}

fn read_len(stream: &mut impl Read, raw: u64) -> io::Result<u64> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let (len, most) = (u32::from_le_bytes(len).into(), limits::packed(raw));
    match len > most {
        true => Err(Breach(format!("{raw} bytes cannot become {len} by coding, {most} at most")).into()),
        false => Ok(len),
    }
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

/// Reads the limit of batches.
pub(crate) fn read_limit(stream: &mut impl Read) -> io::Result<u32> {
    let mut limit = [0; 4];
    stream.read_exact(&mut limit)?;
    let limit = u32::from_le_bytes(limit);
    match (limits::BATCH_LEAST..=limits::BATCH).contains(&limit) {
        true => Ok(limit),
        false => Err(Breach(format!("batches of {limit} bytes")).into()),
    }
}

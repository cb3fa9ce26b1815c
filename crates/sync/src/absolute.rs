//! Batches with code that tells addresses: method 3 of `docs/batch.md`.
//!
//! The source knows where in its files code is, and says so; how that becomes addresses and distances again follows from
//! the bytes, so the target need not know files at all.

use std::collections::{BTreeMap, HashMap};
use std::io;

use dsync_core::DiffId;
use dsync_delta::Listing;
use dsync_delta::batch::{self, BatchError, Effort, Items};
use dsync_delta::gather::{Batch, Run};
use dsync_exe::{Code, Machine, absolute, find_code, relative};
use dsync_proto::{decode as from_wire, encode as to_wire, limits, room};
use serde::{Deserialize, Serialize};

use crate::told;

/// The method, as the first byte of a batch.
const ABSOLUTE: u8 = 3;
/// Shorter files are not looked at, in bytes.
const LEAST_FILE: u64 = 16 << 10;
/// Less code in a row is not worth telling where it is, in bytes.
const LEAST: u64 = 256;
/// The most stretches of code that are known of in all: their files tell addresses, others do not.
const MOST: usize = 1 << 18;

/// Reads bytes of a layer from one on.
pub(crate) type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> io::Result<()> + 'a;

/// Code in an item of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Which item.
    pub(crate) item: usize,
    /// Which of its bytes.
    from: u64,
    len: u64,
    /// The address of the first of them.
    addr: u32,
    machine: Machine,
}

/// Code in a batch, item by item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stretches {
    pub(crate) new: Vec<Stretch>,
    pub(crate) old: Vec<Stretch>,
}

/// What an old item is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version<'a> {
    /// Bytes of an old file as they are.
    Plain,
    /// Such with the addresses of a new one.
    Planned,
    /// What both sides have of a new file, which is in this listing.
    Shared(&'a Listing),
}

/// The programs in layers.
///
/// Of each layer where the bytes of each program begin, and its code.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    layers: HashMap<DiffId, BTreeMap<u64, Vec<Code>>>,
    /// How many stretches there are in all.
    count: usize,
}

impl Programs {
    /// Finds those in a layer.
    pub(crate) fn add(&mut self, listing: &Listing, read_at: &ReadAt<'_>) -> io::Result<()> {
        let mut programs = BTreeMap::new();
        for file in listing.files().filter(|file| file.len >= LEAST_FILE) {
            let begin = listing.contents().at(file.contents.start).at;
            let code = find_code(file.len, |at, out| read_at(begin + at, out))?;
            if !code.is_empty() && self.count + code.len() <= MOST {
                self.count += code.len();
                programs.insert(begin, code);
            }
        }
        self.layers.insert(listing.diff_id, programs);
        Ok(())
    }

    /// The code in a batch that is to tell addresses: that of files which have no old version, or one that does so, too.
    pub(crate) fn of<'a>(
        &self,
        batch: &Batch,
        new: &[&Listing],
        version: &dyn Fn(&Run) -> Version<'a>,
    ) -> Stretches {
        let mut stretches = Stretches::default();
        let mut is_done = vec![false; batch.old.len()];
        for (item, (run, pair)) in batch.new.iter().zip(batch.pairs()).enumerate() {
            if let Some(pair) = pair {
                match version(&batch.old[pair]) {
                    Version::Plain => continue,
                    Version::Planned => {}
                    Version::Shared(listing) => {
                        if !std::mem::replace(&mut is_done[pair], true) {
                            self.find(listing, &batch.old[pair], pair, &mut stretches.old);
                        }
                    }
                }
            }
            self.find(new[run.layer()], run, item, &mut stretches.new);
        }
        stretches.old.sort_by_key(|stretch| (stretch.item, stretch.from));
        stretches
    }

    /// The code in an item, whose contents lie in the layer of this listing.
    fn find(&self, listing: &Listing, run: &Run, item: usize, stretches: &mut Vec<Stretch>) {
        let Some(programs) = self.layers.get(&listing.diff_id).filter(|programs| !programs.is_empty()) else {
            return;
        };
        let mut found: Vec<Stretch> = Vec::new();
        let mut before = 0;
        for content in listing.contents().range(run.contents()) {
            let (at, end) = (content.at, content.at + content.len);
            if let Some((begin, code)) = programs.range(..=at).next_back() {
                let first = code.partition_point(|code| begin + code.range.end <= at);
                for code in code[first..].iter().take_while(|code| begin + code.range.start < end) {
                    let (from, to) = ((begin + code.range.start).max(at), (begin + code.range.end).min(end));
                    // Addresses are below 2³².
                    let addr = code.addr + (from - begin - code.range.start) as u32;
                    let (from, len, machine) = (before + from - at, to - from, code.machine);
                    let here = Stretch { item, from, len, addr, machine };
                    match found.last_mut() {
                        Some(last) if last.goes_on_with(&here) => last.len += here.len,
                        _ => found.push(here),
                    }
                }
            }
            before += content.len;
        }
        stretches.extend(found.into_iter().filter(|stretch| stretch.len >= LEAST));
    }
}

impl Stretch {
    fn goes_on_with(&self, next: &Stretch) -> bool {
        self.from + self.len == next.from && u64::from(self.addr) + self.len == u64::from(next.addr)
    }
}

/// Of each stretch in all items, one after the other: the bytes between the one before and it, its length, its address, its machine.
type Places = Vec<(u64, u64, u32, u8)>;
/// Machines by their numbers.
const MACHINES: [Machine; 2] = [Machine::X86, Machine::Arm];

/// Where code is, as postcard encodes it.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    #[serde(deserialize_with = "room::list")]
    new: Places,
    #[serde(deserialize_with = "room::list")]
    old: Places,
}

/// Codes new items, given old ones: their bytes in one piece, which change, and where the new ones begin.
pub(crate) fn encode(
    (bytes, begin): (&mut [u8], usize),
    (old_lens, new_lens): (&[u64], &[u64]),
    pairs: &[Option<usize>],
    code: &Stretches,
    effort: Effort,
) -> io::Result<Vec<u8>> {
    let told = Told { new: places(&code.new, new_lens), old: places(&code.old, old_lens) };
    let mut packed = Vec::new();
    if !told.new.is_empty() {
        let (old, new) = bytes.split_at_mut(begin);
        each(new, &told.new, absolute).ok_or_else(malformed)?;
        each(old, &told.old, absolute).ok_or_else(malformed)?;
        packed.push(ABSOLUTE);
        told::write(&to_wire(&told).map_err(io::Error::other)?, effort, &mut packed)?;
    }
    packed.append(&mut batch::encode_joined(bytes, begin, new_lens, pairs, effort)?);
    Ok(packed)
}

/// All new items, one after the other; the bytes of the old ones change.
pub(crate) fn decode(
    (old, old_lens): (&mut [u8], &[u64]),
    new_lens: &[u64],
    pairs: &[Option<usize>],
    packed: &[u8],
) -> io::Result<Vec<u8>> {
    let mut packed = packed;
    let mut told = Told { new: Vec::new(), old: Vec::new() };
    if let Some(mut rest) = packed.strip_prefix(&[ABSOLUTE]) {
        told = from_wire(&told::read(&mut rest, limits::CODE).map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
        packed = rest;
    }
    each(old, &told.old, absolute).ok_or_else(malformed)?;
    let old = Items { bytes: old, lens: old_lens };
    let mut new = batch::decode(old, new_lens, pairs, packed).map_err(io::Error::other)?;
    each(&mut new, &told.new, relative).ok_or_else(malformed)?;
    Ok(new)
}

fn places(stretches: &[Stretch], lens: &[u64]) -> Places {
    let mut places = Vec::with_capacity(stretches.len());
    let (mut item, mut begin, mut end) = (0, 0, 0);
    for stretch in stretches {
        begin += lens[item..stretch.item].iter().sum::<u64>();
        item = stretch.item;
        let from = begin + stretch.from;
        let machine = MACHINES.iter().position(|machine| *machine == stretch.machine);
        places.push((from - end, stretch.len, stretch.addr, machine.unwrap_or_default() as u8));
        end = from + stretch.len;
    }
    places
}

/// Changes the bytes of stretches; `None` where one is not within the bytes, or of no machine.
fn each(mut bytes: &mut [u8], places: &Places, change: fn(&mut [u8], Machine, u32)) -> Option<()> {
    for (gap, len, addr, machine) in places {
        let (_, rest) = bytes.split_at_mut_checked(usize::try_from(*gap).ok()?)?;
        let (code, rest) = rest.split_at_mut_checked(usize::try_from(*len).ok()?)?;
        change(code, *MACHINES.get(usize::from(*machine))?, *addr);
        bytes = rest;
    }
    Some(())
}

fn malformed() -> io::Error {
    io::Error::other(BatchError::Malformed("code that is not within the bytes"))
}

#[cfg(test)]
mod tests;

//! Where code is in the layers that are sent, for the [branch filter](crate::coding::branch) of their batches.

use std::collections::{BTreeMap, HashMap};
use std::io;

use dsync_core::Digest;
use dsync_delta::LayerIndex;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_exe::{CodeRange, find_code};

use crate::coding::branch::{Stretch, Stretches};

/// Shorter files are not looked at, in bytes.
const LEAST_FILE: u64 = 16 << 10;
/// Less code in a row is not worth telling where it is, in bytes.
const LEAST: u64 = 256;
/// The most stretches of code that are known of in all: their files tell addresses, others do not.
const MOST: usize = 1 << 18;

/// Reads bytes of a layer from one on.
pub(crate) type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> io::Result<()> + 'a;

/// What an old item is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version<'a> {
    /// Bytes of an old file as they are.
    Plain,
    /// Such with the addresses of a new one.
    Planned,
    /// What both sides have of a new file, which is in this listing.
    Shared(&'a LayerIndex),
}

/// The programs in layers.
///
/// Of each layer where the bytes of each program begin, and its code.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    layers: HashMap<Digest, BTreeMap<u64, Vec<CodeRange>>>,
    /// How many stretches there are in all.
    count: usize,
}

impl CodeMap {
    /// Finds those in a layer.
    pub(crate) fn add(&mut self, listing: &LayerIndex, read_at: &ReadAt<'_>) -> io::Result<()> {
        let mut programs = BTreeMap::new();
        for file in listing.files().filter(|file| file.len >= LEAST_FILE) {
            let begin = listing.contents().at(file.contents.start).at;
            let code = find_code(file.len, |at, out| read_at(begin + at, out))?;
            if !code.is_empty() && self.count + code.len() <= MOST {
                self.count += code.len();
                programs.insert(begin, code);
            }
        }
        self.layers.insert(listing.digest, programs);
        Ok(())
    }

    /// The code in a batch that is to tell addresses: that of files which have no old version, or one that does so, too.
    pub(crate) fn of<'a>(
        &self,
        batch: &Batch,
        new: &[&LayerIndex],
        version: &dyn Fn(&ChunkRange) -> Version<'a>,
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
    fn find(&self, listing: &LayerIndex, run: &ChunkRange, item: usize, stretches: &mut Vec<Stretch>) {
        let Some(programs) = self.layers.get(&listing.digest).filter(|programs| !programs.is_empty()) else {
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

#[cfg(test)]
mod tests;

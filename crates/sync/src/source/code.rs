//! The ranges of code in the layers that are sent, for the [branch filter](crate::coding::branch) of their batches.

use std::collections::{BTreeMap, HashMap};
use std::io;

use dsync_core::Digest;
use dsync_delta::LayerIndex;
use dsync_delta::batching::{Batch, ChunkRange};
use dsync_exe::{CodeRange, find_code};

use crate::coding::branch::{BatchCode, ItemCode};

/// Shorter files are not looked at, in bytes.
const LEAST_FILE: u64 = 16 << 10;
/// Less code in a row is not worth telling where it is, in bytes.
const LEAST: u64 = 256;
/// The most ranges of code that are known of in all: their files tell addresses, others do not.
const MOST: usize = 1 << 18;

/// Fills the buffer from an offset of the layer.
pub(crate) type ReadAt<'a> = dyn Fn(u64, &mut [u8]) -> io::Result<()> + 'a;

/// The kinds of old items.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Version<'a> {
    /// Bytes of an old file as they are.
    Plain,
    /// Bytes of an old file with the addresses of a new one.
    Rewritten,
    /// Chunks of a new file that both sides have; the file is in this index.
    Shared(&'a LayerIndex),
}

/// The programs in layers.
///
/// Of each layer where the bytes of each program begin, and its code.
#[derive(Debug, Default)]
pub(crate) struct CodeMap {
    layers: HashMap<Digest, BTreeMap<u64, Vec<CodeRange>>>,
    /// The number of ranges in all.
    count: usize,
}

impl CodeMap {
    /// Finds those in a layer.
    pub(crate) fn add(&mut self, index: &LayerIndex, read_at: &ReadAt<'_>) -> io::Result<()> {
        let mut programs = BTreeMap::new();
        for file in index.files().filter(|file| file.len >= LEAST_FILE) {
            let begin = index.chunks().at(file.chunks.start).at;
            let code = find_code(file.len, |at, out| read_at(begin + at, out))?;
            if !code.is_empty() && self.count + code.len() <= MOST {
                self.count += code.len();
                programs.insert(begin, code);
            }
        }
        self.layers.insert(index.digest, programs);
        Ok(())
    }

    /// The code in a batch that is to tell addresses: that of files which have no old version, or one that does so, too.
    pub(crate) fn of<'a>(
        &self,
        batch: &Batch,
        new: &[&LayerIndex],
        version: &dyn Fn(&ChunkRange) -> Version<'a>,
    ) -> BatchCode {
        let mut batch_code = BatchCode::default();
        let mut is_done = vec![false; batch.old.len()];
        for (item, (run, pair)) in batch.new.iter().zip(batch.pairs()).enumerate() {
            if let Some(pair) = pair {
                match version(&batch.old[pair]) {
                    Version::Plain => continue,
                    Version::Rewritten => {}
                    Version::Shared(index) => {
                        if !std::mem::replace(&mut is_done[pair], true) {
                            self.find(index, &batch.old[pair], pair, &mut batch_code.old);
                        }
                    }
                }
            }
            self.find(new[run.layer()], run, item, &mut batch_code.new);
        }
        batch_code.old.sort_by_key(|code| (code.item, code.from));
        batch_code
    }

    /// The code in an item, whose chunks lie in the layer of this index.
    fn find(&self, index: &LayerIndex, run: &ChunkRange, item: usize, into: &mut Vec<ItemCode>) {
        let Some(programs) = self.layers.get(&index.digest).filter(|programs| !programs.is_empty()) else {
            return;
        };
        let mut found: Vec<ItemCode> = Vec::new();
        let mut before = 0;
        for chunk in index.chunks().range(run.chunks()) {
            let (at, end) = (chunk.at, chunk.at + chunk.len);
            if let Some((begin, code)) = programs.range(..=at).next_back() {
                let first = code.partition_point(|code| begin + code.range.end <= at);
                for code in code[first..].iter().take_while(|code| begin + code.range.start < end) {
                    let (from, to) = ((begin + code.range.start).max(at), (begin + code.range.end).min(end));
                    // Addresses are below 2³².
                    let addr = code.addr + (from - begin - code.range.start) as u32;
                    let (from, len, machine) = (before + from - at, to - from, code.machine);
                    let here = ItemCode { item, from, len, addr, machine };
                    match found.last_mut() {
                        Some(last) if last.goes_on_with(&here) => last.len += here.len,
                        _ => found.push(here),
                    }
                }
            }
            before += chunk.len;
        }
        into.extend(found.into_iter().filter(|code| code.len >= LEAST));
    }
}

#[cfg(test)]
mod tests;

//! Layers in one temporary file, scanned on their way in.
//!
//! The file has no name in any directory, so however the process ends, nothing is left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dsync_core::DiffId;
use dsync_delta::{Index, Layout, Scanner, Segment};
use dsync_engine::LayerSink;

use crate::interrupt;

/// How much is read from an engine at once.
const BLOCK: usize = 1 << 20;

/// A temporary file with the layers in play.
pub(crate) struct Spool {
    file: File,
    len: u64,
    wanted: HashSet<DiffId>,
    /// Of the wanted layers those that are only scanned: their bytes are not kept.
    passing: HashSet<DiffId>,
    layers: HashMap<DiffId, Spooled>,
    scanned: BTreeMap<DiffId, Layout>,
    notes: Vec<String>,
}

/// Where a content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the spool's file.
    Spool(u64),
    /// In a layer that was only scanned: which one of [`Spool::scanned`], and where in it.
    Layer(usize, u64),
}

/// A layer in the spool.
pub(crate) struct Spooled {
    /// Where its tar begins.
    pub(crate) at: u64,
    /// How its tar divides.
    pub(crate) layout: Layout,
}

impl Spool {
    /// A new spool in this folder.
    pub(crate) fn new(folder: &Path) -> io::Result<Spool> {
        let file = tempfile::tempfile_in(folder)?;
        Ok(Spool {
            file,
            len: 0,
            wanted: HashSet::new(),
            passing: HashSet::new(),
            layers: HashMap::new(),
            scanned: BTreeMap::new(),
            notes: Vec::new(),
        })
    }

    /// Says which of the layers to come are kept.
    pub(crate) fn want(&mut self, diff_ids: impl IntoIterator<Item = DiffId>) -> &HashSet<DiffId> {
        self.passing.clear();
        self.wanted = diff_ids.into_iter().filter(|id| !self.layers.contains_key(id)).collect();
        &self.wanted
    }

    /// Says which layers are to come, and which of them only pass by to be scanned.
    pub(crate) fn want_passing(
        &mut self,
        diff_ids: impl IntoIterator<Item = DiffId>,
        passing: &HashSet<DiffId>,
    ) -> &HashSet<DiffId> {
        self.want(diff_ids);
        self.wanted.retain(|id| !self.scanned.contains_key(id));
        self.passing = self.wanted.intersection(passing).copied().collect();
        &self.wanted
    }

    /// What a store remarked while it was read.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Takes it that these layers, as far as they were only scanned, have not come.
    pub(crate) fn forget_scanned(&mut self, diff_ids: &HashSet<DiffId>) {
        self.scanned.retain(|id, _| !diff_ids.contains(id));
    }

    /// A layer that is there.
    pub(crate) fn get(&self, diff_id: &DiffId) -> Option<&Spooled> {
        self.layers.get(diff_id)
    }

    /// All contents by where they are; what is in the file comes before what was only scanned.
    pub(crate) fn index(&self) -> Index<Place> {
        let mut index = Index::new();
        for spooled in self.layers.values() {
            for (at, segment) in spooled.layout.spans() {
                if let Segment::Content { id, len } = segment {
                    index.insert(id, len, Place::Spool(spooled.at + at));
                }
            }
        }
        for (number, layout) in self.scanned.values().enumerate() {
            for (at, segment) in layout.spans() {
                if let Segment::Content { id, len } = segment {
                    index.insert(id, len, Place::Layer(number, at));
                }
            }
        }
        index
    }

    /// The layers that were only scanned.
    pub(crate) fn scanned(&self) -> Vec<DiffId> {
        self.scanned.keys().copied().collect()
    }

    /// The bytes of a layer's tar that are no content, in order.
    pub(crate) fn verbatim<'a>(&'a self, spooled: &'a Spooled) -> impl Read + 'a {
        let pieces = spooled.layout.spans().filter_map(|(at, segment)| match segment {
            Segment::Verbatim { len } => Some((spooled.at + at, len)),
            Segment::Content { .. } => None,
        });
        Pieces { file: &self.file, pieces, at: 0, left: 0 }
    }

    /// Copies a stretch of the file.
    pub(crate) fn copy(&self, at: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        copy_at(&self.file, at, len, out)
    }
}

impl LayerSink for Spool {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        if let Some(passing) = diff_id.filter(|id| self.passing.contains(id)) {
            let layout = scan(Some(passing), tar, &mut |_| Ok(()))?;
            self.scanned.insert(passing, layout);
            return Ok(());
        }
        let at = self.len;
        let mut end = at;
        let layout = scan(diff_id, tar, &mut |block| {
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        if self.wanted.contains(&layout.diff_id) && !self.layers.contains_key(&layout.diff_id) {
            self.layers.insert(layout.diff_id, Spooled { at, layout });
            self.len = end;
        } else {
            self.file.set_len(at)?;
        }
        Ok(())
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }
}

/// Scans a layer and hands its bytes on.
fn scan(
    diff_id: Option<DiffId>,
    tar: &mut dyn Read,
    keep: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Layout> {
    let mut scanner = Scanner::new();
    blocks(tar, &mut |block| {
        keep(block)?;
        scanner.push(block);
        Ok(())
    })?;
    let layout = scanner.finish();
    match diff_id {
        Some(expected) if expected != layout.diff_id => {
            let got = layout.diff_id;
            let reason = format!("the engine gave layer {expected} as {got}: its store is damaged");
            Err(io::Error::new(io::ErrorKind::InvalidData, reason))
        }
        _ => Ok(layout),
    }
}

/// Reads to the end, in blocks, unless somebody wants the process to end.
pub(crate) fn blocks(input: &mut dyn Read, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        if interrupt::happened() {
            return Err(io::Error::other("interrupted"));
        }
        match input.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&block[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Copies a stretch of a file.
pub(crate) fn copy_at(file: &File, mut at: u64, mut len: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut block = [0; 64 << 10];
    while len > 0 {
        let take = usize::try_from(len).unwrap_or(usize::MAX).min(block.len());
        file.read_exact_at(&mut block[..take], at)?;
        out.write_all(&block[..take])?;
        at += take as u64;
        len -= take as u64;
    }
    Ok(())
}

/// Reads pieces of a file one after the other.
struct Pieces<'a, I> {
    file: &'a File,
    pieces: I,
    at: u64,
    left: u64,
}

impl<I: Iterator<Item = (u64, u64)>> Read for Pieces<'_, I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            match self.pieces.next() {
                None => return Ok(0),
                Some((at, len)) => (self.at, self.left) = (at, len),
            }
        }
        let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        self.file.read_exact_at(&mut into[..take], self.at)?;
        self.at += take as u64;
        self.left -= take as u64;
        Ok(take)
    }
}

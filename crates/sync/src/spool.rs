//! Layers in one temporary file, scanned on their way in.
//!
//! The file has no name in any directory, so however the process ends, nothing is left.

use std::collections::{HashMap, HashSet};
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
    layers: HashMap<DiffId, Spooled>,
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
        Ok(Spool { file, len: 0, wanted: HashSet::new(), layers: HashMap::new() })
    }

    /// Says which of the layers to come are kept.
    pub(crate) fn want(&mut self, diff_ids: impl IntoIterator<Item = DiffId>) -> &HashSet<DiffId> {
        self.wanted = diff_ids.into_iter().filter(|id| !self.layers.contains_key(id)).collect();
        &self.wanted
    }

    /// A layer that is there.
    pub(crate) fn get(&self, diff_id: &DiffId) -> Option<&Spooled> {
        self.layers.get(diff_id)
    }

    /// All contents by where they are in the file.
    pub(crate) fn index(&self) -> Index<u64> {
        let mut index = Index::new();
        for spooled in self.layers.values() {
            for (at, segment) in spooled.segments() {
                if let Segment::Content { id, len } = segment {
                    index.insert(*id, *len, at);
                }
            }
        }
        index
    }

    /// The bytes of a layer's tar that are no content, in order.
    pub(crate) fn verbatim<'a>(&'a self, spooled: &'a Spooled) -> impl Read + 'a {
        let pieces = spooled.segments().filter_map(|(at, segment)| match segment {
            Segment::Verbatim { len } => Some((at, *len)),
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
        let at = self.len;
        let mut scanner = Scanner::new();
        let mut block = vec![0; BLOCK];
        let mut end = at;
        loop {
            if interrupt::happened() {
                return Err(io::Error::other("interrupted"));
            }
            let n = match tar.read(&mut block) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.file.write_all_at(&block[..n], end)?;
            scanner.push(&block[..n]);
            end += n as u64;
        }
        let layout = scanner.finish();
        if let Some(expected) = diff_id.filter(|id| *id != layout.diff_id) {
            let got = layout.diff_id;
            let reason = format!("the engine gave layer {expected} as {got}: its store is damaged");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if self.wanted.contains(&layout.diff_id) && !self.layers.contains_key(&layout.diff_id) {
            self.layers.insert(layout.diff_id, Spooled { at, layout });
            self.len = end;
        } else {
            self.file.set_len(at)?;
        }
        Ok(())
    }
}

impl Spooled {
    /// Each segment with where it is in the file.
    fn segments(&self) -> impl Iterator<Item = (u64, &Segment)> {
        let mut next = self.at;
        self.layout.segments.iter().map(move |segment| {
            let at = next;
            next += segment.len();
            (at, segment)
        })
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

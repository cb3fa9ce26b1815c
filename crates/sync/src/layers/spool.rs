//! Layers in one temporary file, listed on their way in.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_core::DiffId;
use dsync_delta::batching::ChunkRange;
use dsync_delta::{LayerIndex, Scanner};
use dsync_engine::LayerSink;
use dsync_proto::ShortId;

use super::memory::Memory;
use super::workspace::Workspace;
use crate::cache::Cache;
use crate::failure::TooLarge;
use crate::interrupt::Interrupt;

/// How much is read from an engine at once.
const BLOCK: usize = 1 << 20;

/// For what a layer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The target lacks it: its source sends it.
    New,
    /// Others are built on it, or it is itself built from elsewhere in the store.
    Basis,
}

/// A temporary file with the kept layers, and what is known of all.
pub(super) struct Spool {
    file: Arc<File>,
    len: u64,
    /// Of the layers to come those that are kept, and for what they come.
    keeping: HashSet<DiffId>,
    role: Role,
    /// Where each kept layer begins, and how long it is.
    kept: HashMap<DiffId, (u64, u64)>,
    listings: HashMap<DiffId, Arc<LayerIndex>>,
    memory: Memory,
    interrupt: Interrupt,
    /// What the listings take of it, those of new layers and those of others.
    taken: [u64; 2],
    cache: Option<Cache>,
    notes: Vec<String>,
}

impl Spool {
    pub(super) fn new(workspace: &Workspace, cache: Option<Cache>) -> io::Result<Spool> {
        Ok(Spool {
            file: Arc::new(tempfile::tempfile_in(&workspace.folder)?),
            len: 0,
            keeping: HashSet::new(),
            role: Role::New,
            kept: HashMap::new(),
            listings: HashMap::new(),
            memory: Memory(workspace.memory),
            interrupt: workspace.interrupt.clone(),
            taken: [0; 2],
            cache,
            notes: Vec::new(),
        })
    }

    /// What all listings take, their tables included.
    pub(super) fn taken(&self) -> u64 {
        self.taken.iter().sum()
    }

    /// What one more listing may take.
    fn left(&self) -> u64 {
        self.memory.share().saturating_sub(self.taken[self.role as usize])
    }

    fn cost(&self, listing: &LayerIndex) -> u64 {
        match self.role {
            Role::New => Memory::new_layer(listing),
            Role::Basis => Memory::basis_layer(listing),
        }
    }

    fn know(&mut self, diff_id: DiffId, listing: LayerIndex) {
        self.taken[self.role as usize] += self.cost(&listing);
        self.listings.insert(diff_id, Arc::new(listing));
    }

    /// Says which layers are to come and which of them to keep, and returns those that must be read for it.
    pub(super) fn want(
        &mut self,
        diff_ids: impl IntoIterator<Item = DiffId>,
        keeps: impl Fn(&DiffId) -> bool,
        role: Role,
    ) -> HashSet<DiffId> {
        self.keeping.clear();
        self.role = role;
        let mut wanted = HashSet::new();
        for diff_id in diff_ids {
            let known = self.recall(&diff_id);
            if keeps(&diff_id) {
                if !self.kept.contains_key(&diff_id) {
                    self.keeping.insert(diff_id);
                    wanted.insert(diff_id);
                }
            } else if !known {
                wanted.insert(diff_id);
            }
        }
        wanted
    }

    /// Whether the layer is known, be it from the cache.
    pub(super) fn recall(&mut self, diff_id: &DiffId) -> bool {
        if self.listings.contains_key(diff_id) {
            return true;
        }
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let listing = self.cache.as_ref().and_then(|cache| cache.listing(diff_id, left));
        match listing.filter(|listing| self.cost(listing) <= self.left()) {
            Some(listing) => {
                self.know(*diff_id, listing);
                true
            }
            None => false,
        }
    }

    /// Whether the cache knows a layer whose diff id begins so.
    pub(super) fn recall_short(&mut self, short: &ShortId) -> Option<DiffId> {
        self.role = Role::Basis;
        let diff_id = self.cache.as_ref()?.find(short)?;
        self.recall(&diff_id).then_some(diff_id)
    }

    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Takes it that these layers, as far as they were only listed, have not come.
    pub(super) fn forget_listed(&mut self, diff_ids: &HashSet<DiffId>) {
        self.listings.retain(|id, _| self.kept.contains_key(id) || !diff_ids.contains(id));
    }

    pub(super) fn listing(&self, diff_id: &DiffId) -> Option<&Arc<LayerIndex>> {
        self.listings.get(diff_id)
    }

    /// Where a kept layer begins, and how long it is.
    pub(super) fn kept(&self, diff_id: &DiffId) -> Option<(u64, u64)> {
        self.kept.get(diff_id).copied()
    }

    /// Copies a stretch of the file.
    pub(super) fn copy(&self, at: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        copy_at(&self.file, at, len, out)
    }

    /// Takes a layer that is known already: its bytes are kept, its diff id is checked by whoever joins it.
    fn take_known(&mut self, diff_id: DiffId, tar: &mut dyn Read) -> io::Result<()> {
        let at = self.len;
        let mut end = at;
        blocks(tar, &self.interrupt.clone(), &mut |block| {
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        if self.listings.get(&diff_id).is_none_or(|listing| listing.len != end - at) {
            return Err(damaged(&diff_id, "with another length"));
        }
        self.kept.insert(diff_id, (at, end - at));
        self.len = end;
        Ok(())
    }
}

/// A layer that is kept, for another thread.
pub(crate) struct Kept {
    pub(crate) listing: Arc<LayerIndex>,
    file: Arc<File>,
    at: u64,
}

impl Kept {
    /// Adds the bytes of a run of contents of the layer.
    pub(crate) fn load(&self, run: &ChunkRange, out: &mut Vec<u8>) -> io::Result<()> {
        let mut contents = self.listing.contents().range(run.contents());
        contents.try_for_each(|content| copy_at(&self.file, self.at + content.at, content.len, out))
    }

    /// Reads bytes of the layer, from one on.
    pub(crate) fn read_at(&self, at: u64, mut out: &mut [u8]) -> io::Result<()> {
        copy_at(&self.file, self.at + at, out.len() as u64, &mut out)
    }
}

/// A spool that tells of each layer that came.
pub(super) struct Telling<'a> {
    pub(super) spool: &'a mut Spool,
    pub(super) tell: &'a mut dyn FnMut(Kept) -> io::Result<()>,
}

impl LayerSink for Telling<'_> {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        let diff_id = self.spool.take(diff_id, tar)?;
        match (self.spool.listings.get(&diff_id), self.spool.kept.get(&diff_id)) {
            (Some(listing), Some(&(at, _))) => {
                (self.tell)(Kept { listing: Arc::clone(listing), file: Arc::clone(&self.spool.file), at })
            }
            _ => Ok(()),
        }
    }

    fn note(&mut self, note: &str) {
        self.spool.note(note.to_owned());
    }
}

impl LayerSink for Spool {
    fn layer(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<()> {
        self.take(diff_id, tar).map(drop)
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }
}

impl Spool {
    /// Takes a layer in, and says which it is.
    fn take(&mut self, diff_id: Option<DiffId>, tar: &mut dyn Read) -> io::Result<DiffId> {
        if let Some(known) = diff_id.filter(|id| self.keeping.contains(id) && self.listings.contains_key(id))
        {
            return self.take_known(known, tar).map(|()| known);
        }
        // Of a layer without a name it is known only afterwards whether it is kept.
        let keeping = diff_id.is_none_or(|id| self.keeping.contains(&id));
        let at = self.len;
        let mut end = at;
        let mut scanner = Scanner::new();
        let (left, mut is_whole) = (self.left(), true);
        blocks(tar, &self.interrupt.clone(), &mut |block| {
            if keeping {
                self.file.write_all_at(block, end)?;
                end += block.len() as u64;
            }
            // Nearly all of it: what follows is listed, too, in large pieces.
            if is_whole && self.memory.is_near(&scanner, left) {
                scanner.make_opaque();
                is_whole = false;
            }
            scanner.push(block);
            Ok(())
        })?;
        let listing = scanner.finish();
        let got = listing.diff_id;
        if let Some(expected) = diff_id.filter(|expected| *expected != got) {
            return Err(damaged(&expected, &format!("as {got}")));
        }
        if self.keeping.contains(&got) && !self.kept.contains_key(&got) {
            self.kept.insert(got, (at, end - at));
            self.len = end;
        } else if keeping {
            self.file.set_len(at)?;
        }
        self.list(got, listing, is_whole)?;
        Ok(got)
    }

    /// Takes the listing of a layer that came, which is whole or has its end in large pieces.
    fn list(&mut self, diff_id: DiffId, listing: LayerIndex, is_whole: bool) -> io::Result<()> {
        let fits = self.cost(&listing) <= self.left();
        match (self.role, is_whole, fits) {
            (_, true, true) => {
                self.know(diff_id, listing);
                if let (Some(cache), Some(listing)) = (&self.cache, self.listings.get(&diff_id)) {
                    cache.put(&diff_id, listing);
                }
            }
            (Role::New, false, true) => {
                self.note(format!(
                    "layer {diff_id} has more files than --memory has room for; its end goes as mere bytes"
                ));
                self.know(diff_id, listing);
            }
            // Nobody knows what is in it, then.
            (Role::Basis, ..) => {
                self.note(format!(
                    "layer {diff_id} has more files than --memory has room for; nothing is built on it"
                ));
            }
            (Role::New, _, false) => {
                return Err(TooLarge { what: "what is listed of the image", memory: self.memory.0 }.into());
            }
        }
        Ok(())
    }
}

fn damaged(diff_id: &DiffId, how: &str) -> io::Error {
    let reason = format!("the engine gave layer {diff_id} {how}: its store is damaged");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Reads to the end, in blocks, unless the run is to end.
pub(crate) fn blocks(
    input: &mut dyn Read,
    interrupt: &Interrupt,
    take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        if interrupt.happened() {
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

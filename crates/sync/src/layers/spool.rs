//! Layers in one temporary file, listed on their way in.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use dsync_core::{Digest, LayerKey};
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
    keeping: HashSet<Digest>,
    role: Role,
    /// Where each kept layer begins, and how long it is.
    kept: HashMap<Digest, (u64, u64)>,
    listings: HashMap<Digest, Arc<LayerIndex>>,
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

    fn know(&mut self, listing: LayerIndex) {
        self.taken[self.role as usize] += self.cost(&listing);
        self.listings.insert(listing.digest, Arc::new(listing));
    }

    /// Says which layers are to come and which of them to keep, and returns those that must be read for it.
    pub(super) fn want(
        &mut self,
        keys: impl IntoIterator<Item = LayerKey>,
        keeps: impl Fn(&LayerKey) -> bool,
        role: Role,
    ) -> HashSet<LayerKey> {
        self.keeping.clear();
        self.role = role;
        let mut wanted = HashSet::new();
        for key in keys {
            let digest = key.digest();
            let known = self.recall(&digest);
            if keeps(&key) {
                if !self.kept.contains_key(&digest) {
                    self.keeping.insert(digest);
                    wanted.insert(key);
                }
            } else if !known {
                wanted.insert(key);
            }
        }
        wanted
    }

    /// Whether the layer is known, be it from the cache.
    pub(super) fn recall(&mut self, digest: &Digest) -> bool {
        if self.listings.contains_key(digest) {
            return true;
        }
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let listing = self.cache.as_ref().and_then(|cache| cache.listing(digest, left));
        match listing.filter(|listing| self.cost(listing) <= self.left()) {
            Some(listing) => {
                self.know(listing);
                true
            }
            None => false,
        }
    }

    /// Finds a layer in the cache whose digest begins so.
    pub(super) fn recall_short(&mut self, short: &ShortId) -> Option<Digest> {
        self.role = Role::Basis;
        let digest = self.cache.as_ref()?.find(short)?;
        self.recall(&digest).then_some(digest)
    }

    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Takes it that these layers, as far as they were only listed, have not come.
    pub(super) fn forget_listed(&mut self, keys: &HashSet<LayerKey>) {
        for digest in keys.iter().map(LayerKey::digest).filter(|digest| !self.kept.contains_key(digest)) {
            self.listings.remove(&digest);
        }
    }

    pub(super) fn listing(&self, digest: &Digest) -> Option<&Arc<LayerIndex>> {
        self.listings.get(digest)
    }

    /// Where a kept layer begins, and how long it is.
    pub(super) fn kept(&self, digest: &Digest) -> Option<(u64, u64)> {
        self.kept.get(digest).copied()
    }

    /// Copies a stretch of the file.
    pub(super) fn copy(&self, at: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        copy_at(&self.file, at, len, out)
    }

    /// Takes a layer that is known already: its bytes are kept, its digest is checked by whoever joins it.
    fn take_known(&mut self, digest: Digest, tar: &mut dyn Read) -> io::Result<()> {
        let at = self.len;
        let mut end = at;
        blocks(tar, &self.interrupt.clone(), &mut |block| {
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        if self.listings.get(&digest).is_none_or(|listing| listing.len != end - at) {
            return Err(damaged(&digest, "with another length"));
        }
        self.kept.insert(digest, (at, end - at));
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
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        let digest = self.spool.take(key, bytes)?;
        match (self.spool.listings.get(&digest), self.spool.kept.get(&digest)) {
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
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        self.take(key, bytes).map(drop)
    }

    fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }
}

impl Spool {
    /// Takes a layer in, and says which it is.
    fn take(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<Digest> {
        let expected = key.map(|key| key.digest());
        let is_known = |digest: &Digest| self.keeping.contains(digest) && self.listings.contains_key(digest);
        if let Some(known) = expected.filter(is_known) {
            return self.take_known(known, bytes).map(|()| known);
        }
        // Of a layer without a key it is known only afterwards whether it is kept.
        let keeping = expected.is_none_or(|digest| self.keeping.contains(&digest));
        let at = self.len;
        let mut end = at;
        let mut scanner = Scanner::new();
        let (left, mut is_whole) = (self.left(), true);
        blocks(bytes, &self.interrupt.clone(), &mut |block| {
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
        let got = listing.digest;
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(damaged(&expected, &format!("as {got}")));
        }
        if self.keeping.contains(&got) && !self.kept.contains_key(&got) {
            self.kept.insert(got, (at, end - at));
            self.len = end;
        } else if keeping {
            self.file.set_len(at)?;
        }
        self.list(listing, is_whole)?;
        Ok(got)
    }

    /// Takes the listing of a layer that came, which is whole or has its end in large pieces.
    fn list(&mut self, listing: LayerIndex, is_whole: bool) -> io::Result<()> {
        let digest = listing.digest;
        let fits = self.cost(&listing) <= self.left();
        match (self.role, is_whole, fits) {
            (_, true, true) => {
                self.know(listing);
                if let (Some(cache), Some(listing)) = (&self.cache, self.listings.get(&digest)) {
                    cache.put(listing);
                }
            }
            (Role::New, false, true) => {
                self.note(format!(
                    "layer {digest} has more files than --memory has room for; its end goes as mere bytes"
                ));
                self.know(listing);
            }
            // Nobody knows what is in it, then.
            (Role::Basis, ..) => {
                self.note(format!(
                    "layer {digest} has more files than --memory has room for; nothing is built on it"
                ));
            }
            (Role::New, _, false) => {
                return Err(TooLarge { what: "what is listed of the image", memory: self.memory.0 }.into());
            }
        }
        Ok(())
    }
}

fn damaged(digest: &Digest, how: &str) -> io::Error {
    let reason = format!("the engine gave layer {digest} {how}: its store is damaged");
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

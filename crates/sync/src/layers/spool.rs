//! Layers in one temporary file, scanned as they come.

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

/// The bytes that are read from an engine at once.
const BLOCK: usize = 1 << 20;

/// For what a layer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The target lacks it: its source sends it.
    New,
    /// Others are built on it, or it is itself built from elsewhere in the store.
    Basis,
}

/// A temporary file with the layers that are spooled, and what is known of all.
pub(super) struct Spool {
    file: Arc<File>,
    len: u64,
    /// Of the layers to come those to spool, and for what they come.
    to_spool: HashSet<Digest>,
    role: Role,
    spooled: HashMap<Digest, SpoolRange>,
    indexes: HashMap<Digest, Arc<LayerIndex>>,
    memory: Memory,
    interrupt: Interrupt,
    taken: Taken,
    cache: Option<Cache>,
    notes: Vec<String>,
}

/// A spooled layer in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct SpoolRange {
    pub(super) at: u64,
    pub(super) len: u64,
}

/// The files of a layer that are indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexed {
    /// All of them.
    Whole,
    /// Those at its beginning: the rest is indexed as one file.
    Beginning,
}

/// The memory that indexes take, by the role of their layers.
#[derive(Default)]
struct Taken {
    new: u64,
    basis: u64,
}

impl Spool {
    pub(super) fn new(workspace: &Workspace, cache: Option<Cache>) -> io::Result<Spool> {
        Ok(Spool {
            file: Arc::new(tempfile::tempfile_in(&workspace.folder)?),
            len: 0,
            to_spool: HashSet::new(),
            role: Role::New,
            spooled: HashMap::new(),
            indexes: HashMap::new(),
            memory: Memory(workspace.memory),
            interrupt: workspace.interrupt.clone(),
            taken: Taken::default(),
            cache,
            notes: Vec::new(),
        })
    }

    /// The memory that all indexes take, their tables included.
    pub(super) fn taken(&self) -> u64 {
        self.taken.new + self.taken.basis
    }

    /// The memory that one more index may take.
    fn left(&self) -> u64 {
        let taken = match self.role {
            Role::New => self.taken.new,
            Role::Basis => self.taken.basis,
        };
        self.memory.share().saturating_sub(taken)
    }

    fn cost(&self, index: &LayerIndex) -> u64 {
        match self.role {
            Role::New => Memory::new_layer(index),
            Role::Basis => Memory::basis_layer(index),
        }
    }

    fn know(&mut self, index: LayerIndex) {
        let cost = self.cost(&index);
        match self.role {
            Role::New => self.taken.new += cost,
            Role::Basis => self.taken.basis += cost,
        }
        self.indexes.insert(index.digest, Arc::new(index));
    }

    /// Says which layers are to come and which of them to spool, and returns those that must be read for it.
    pub(super) fn request(
        &mut self,
        keys: impl IntoIterator<Item = LayerKey>,
        to_spool: impl Fn(&LayerKey) -> bool,
        role: Role,
    ) -> HashSet<LayerKey> {
        self.to_spool.clear();
        self.role = role;
        let mut wanted = HashSet::new();
        for key in keys {
            let digest = key.digest();
            let known = self.recall(&digest);
            if to_spool(&key) {
                if !self.spooled.contains_key(&digest) {
                    self.to_spool.insert(digest);
                    wanted.insert(key);
                }
            } else if !known {
                wanted.insert(key);
            }
        }
        wanted
    }

    /// True if the layer is known, be it from the cache.
    pub(super) fn recall(&mut self, digest: &Digest) -> bool {
        if self.indexes.contains_key(digest) {
            return true;
        }
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let index = self.cache.as_ref().and_then(|cache| cache.index(digest, left));
        match index.filter(|index| self.cost(index) <= self.left()) {
            Some(index) => {
                self.know(index);
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

    /// Forgets those of these layers that were scanned and not spooled.
    pub(super) fn forget_scanned(&mut self, keys: &HashSet<LayerKey>) {
        for digest in keys.iter().map(LayerKey::digest).filter(|digest| !self.spooled.contains_key(digest)) {
            self.indexes.remove(&digest);
        }
    }

    pub(super) fn index(&self, digest: &Digest) -> Option<&Arc<LayerIndex>> {
        self.indexes.get(digest)
    }

    /// The range of the file that is a spooled layer.
    pub(super) fn spooled(&self, digest: &Digest) -> Option<SpoolRange> {
        self.spooled.get(digest).copied()
    }

    /// Copies a range of the file.
    pub(super) fn copy(&self, at: u64, len: u64, out: &mut dyn Write) -> io::Result<()> {
        copy_at(&self.file, at, len, out)
    }

    /// Takes a layer that is known already: its bytes are spooled and only its length is checked. Chunks are proven
    /// by the diff id of the layer joined from them; a layer that is copied whole, by the store that takes it.
    fn take_known(&mut self, digest: Digest, tar: &mut dyn Read) -> io::Result<()> {
        let at = self.len;
        let mut end = at;
        blocks(tar, &self.interrupt.clone(), &mut |block| {
            self.file.write_all_at(block, end)?;
            end += block.len() as u64;
            Ok(())
        })?;
        if self.indexes.get(&digest).is_none_or(|index| index.len != end - at) {
            return Err(damaged(&digest, "with another length"));
        }
        self.spooled.insert(digest, SpoolRange { at, len: end - at });
        self.len = end;
        Ok(())
    }
}

/// A spooled layer, for another thread.
pub(crate) struct SpooledLayer {
    pub(crate) index: Arc<LayerIndex>,
    file: Arc<File>,
    at: u64,
}

impl SpooledLayer {
    /// Adds the bytes of a run of chunks of the layer.
    pub(crate) fn load(&self, run: &ChunkRange, out: &mut Vec<u8>) -> io::Result<()> {
        let mut chunks = self.index.chunks().range(run.chunks());
        chunks.try_for_each(|chunk| copy_at(&self.file, self.at + chunk.at, chunk.len, out))
    }

    /// Reads bytes of the layer, from one on.
    pub(crate) fn read_at(&self, at: u64, mut out: &mut [u8]) -> io::Result<()> {
        copy_at(&self.file, self.at + at, out.len() as u64, &mut out)
    }
}

/// A spool that announces each layer that came.
pub(super) struct Announcing<'a> {
    pub(super) spool: &'a mut Spool,
    pub(super) announce: &'a mut dyn FnMut(SpooledLayer) -> io::Result<()>,
}

impl LayerSink for Announcing<'_> {
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        let digest = self.spool.take(key, bytes)?;
        match (self.spool.indexes.get(&digest), self.spool.spooled.get(&digest)) {
            (Some(index), Some(&SpoolRange { at, .. })) => (self.announce)(SpooledLayer {
                index: Arc::clone(index),
                file: Arc::clone(&self.spool.file),
                at,
            }),
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
        let is_known = |digest: &Digest| self.to_spool.contains(digest) && self.indexes.contains_key(digest);
        if let Some(known) = expected.filter(is_known) {
            return self.take_known(known, bytes).map(|()| known);
        }
        // Of a layer without a key it is known only afterwards whether it is spooled.
        let spools = expected.is_none_or(|digest| self.to_spool.contains(&digest));
        let at = self.len;
        let mut end = at;
        let mut scanner = Scanner::new();
        let (left, mut indexed) = (self.left(), Indexed::Whole);
        blocks(bytes, &self.interrupt.clone(), &mut |block| {
            if spools {
                self.file.write_all_at(block, end)?;
                end += block.len() as u64;
            }
            // Nearly all of it: what follows is indexed as one file.
            if indexed == Indexed::Whole && self.memory.is_near(&scanner, left) {
                scanner.make_opaque();
                indexed = Indexed::Beginning;
            }
            scanner.push(block);
            Ok(())
        })?;
        let index = scanner.finish();
        let got = index.digest;
        if let Some(expected) = expected.filter(|expected| *expected != got) {
            return Err(damaged(&expected, &format!("as {got}")));
        }
        if self.to_spool.contains(&got) && !self.spooled.contains_key(&got) {
            self.spooled.insert(got, SpoolRange { at, len: end - at });
            self.len = end;
        } else if spools {
            self.file.set_len(at)?;
        }
        self.list(index, indexed)?;
        Ok(got)
    }

    /// Scans a layer of the basis that is not spooled and takes `beside` bytes of memory itself. Returns its digest;
    /// `None` where there is no room for its index.
    pub(super) fn scan(&mut self, bytes: &mut dyn Read, beside: u64) -> io::Result<Option<Digest>> {
        self.role = Role::Basis;
        let left = self.left().saturating_sub(beside);
        let (mut scanner, mut fits) = (Scanner::new(), true);
        blocks(bytes, &self.interrupt.clone(), &mut |block| {
            fits &= !self.memory.is_near(&scanner, left);
            if fits {
                scanner.push(block);
            }
            Ok(())
        })?;
        let index = scanner.finish();
        let digest = index.digest;
        fits &= self.cost(&index) <= left;
        if fits {
            self.taken.basis += beside;
            self.know(index);
        }
        Ok(fits.then_some(digest))
    }

    /// Takes the index of a layer that came.
    fn list(&mut self, index: LayerIndex, indexed: Indexed) -> io::Result<()> {
        let digest = index.digest;
        let fits = self.cost(&index) <= self.left();
        match (self.role, indexed, fits) {
            (_, Indexed::Whole, true) => {
                self.know(index);
                if let (Some(cache), Some(index)) = (&self.cache, self.indexes.get(&digest)) {
                    cache.put(index);
                }
            }
            (Role::New, Indexed::Beginning, true) => {
                self.note(format!(
                    "layer {digest} has more files than --memory has room for; its end goes as mere bytes"
                ));
                self.know(index);
            }
            // Nobody knows what is in it, then.
            (Role::Basis, ..) => {
                self.note(format!(
                    "layer {digest} has more files than --memory has room for; nothing is built on it"
                ));
            }
            (Role::New, _, false) => {
                return Err(
                    TooLarge { what: "the index of the image's layers", memory: self.memory.0 }.into()
                );
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
        interrupt.check()?;
        match input.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&block[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Copies a range of a file.
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

#[cfg(test)]
mod tests;

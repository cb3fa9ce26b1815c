//! Partial transfers: the parts of layers that arrived before a transfer broke off, kept for the next run of the same image
//! or of a newer one.
//!
//! There is a file for each image, of entries of its layers and of single chunks. The next run reads it as one more layer of
//! its basis, of which the source knows nothing: reconciling finds the chunks that are of use. Nothing relies on a file:
//! damaged bytes have another hash, so nobody asks for them. docs/cache.md says how long files stay.

mod file;
mod owner;
mod writer;

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use dsync_core::Digest;
use rustix::fs::OFlags;

use crate::cache::{self, CacheError};
pub(crate) use file::PartialLayer;
use file::{PartialFile, PieceBudget};
#[cfg(feature = "fuzzing")]
pub(crate) use file::{head, piece};
pub(crate) use owner::Owner;
pub use writer::PARTIAL_LIMIT;
pub(crate) use writer::{BasisKind, PartialWriter};

/// The age in days at which parts of an image go.
pub(crate) const EXPIRES: u64 = 7;
/// The time in which a run whose connection broke lets go of its file: the next one may begin before it has ended.
const RELEASE: Duration = Duration::from_secs(3);
/// The time between two looks.
const TICK: Duration = Duration::from_millis(20);
/// The most images of which parts are used at a time: the one that is taken, and older ones of its names.
const USED: usize = 4;

/// The directory of partial transfers.
#[derive(Debug, Clone)]
pub struct Partials {
    directory: PathBuf,
}

/// A partial transfer, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialEntry {
    /// The digest of the image's config.
    pub config: Digest,
    /// The names that the image was to have.
    pub names: Vec<String>,
    /// Bytes on disk.
    pub size: u64,
    /// When the last of it arrived.
    pub written: SystemTime,
    /// A run is using it.
    pub in_use: bool,
}

/// The partial transfers that a run builds on, and the one that it goes on with.
#[derive(Debug, Default)]
pub(crate) struct PartialBasis {
    /// The file of the image that is taken; none where another run takes it too.
    own: Option<PartialFile>,
    /// Files of older images.
    others: Vec<PartialFile>,
}

impl Partials {
    /// `$XDG_CACHE_HOME/docker-sync/partial`, or else `~/.cache/docker-sync/partial`, which is made if need be.
    ///
    /// # Errors
    ///
    /// If there is no such place, or it is not ours alone.
    pub fn locate() -> Result<Partials, CacheError> {
        Partials::locate_below(None)
    }

    /// The same below another folder of caches, where one is named.
    pub(crate) fn locate_below(caches: Option<&Path>) -> Result<Partials, CacheError> {
        Ok(Partials { directory: cache::directory(caches, "partial")? })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All partial transfers, the newest first.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<PartialEntry>> {
        let mut entries = Vec::new();
        for config in self.configs()? {
            let Ok(file) = open(&self.path(&config), IfMissing::Fail) else { continue };
            let (Ok(metadata), Some(owner)) = (file.metadata(), file::read_owner(&file, &config)) else {
                continue;
            };
            let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let (size, in_use) = (metadata.len(), is_locked(&self.path(&config)));
            entries.push(PartialEntry { config, names: owner.into_names(), size, written, in_use });
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.written), entry.config));
        Ok(entries)
    }

    /// Removes what has expired, and the oldest of the rest until that has at most `limit` bytes; nothing that a run uses.
    /// Returns what was removed.
    ///
    /// # Errors
    ///
    /// If something cannot be removed; what comes after it is still there then.
    pub fn prune(&self, limit: u64) -> io::Result<Vec<PartialEntry>> {
        let mut pruned = Vec::new();
        for entry in surplus(self.entries()?, limit) {
            let path = self.path(&entry.config);
            if !is_locked(&path) {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => pruned.push(entry),
                }
            }
        }
        // A file without an owner was cut off before anything was in it.
        for config in self.configs()? {
            let path = self.path(&config);
            let is_empty =
                open(&path, IfMissing::Fail).is_ok_and(|file| file::read_owner(&file, &config).is_none());
            if is_empty && !is_locked(&path) {
                fs::remove_file(&path).ok();
            }
        }
        Ok(pruned)
    }

    /// The partial transfers that a run that takes this image may build on. The tables of their pieces take at most this
    /// much memory: of a file that has more the rest is not read.
    pub(crate) fn begin(&self, owner: &Owner, memory: u64) -> io::Result<PartialBasis> {
        self.prune(PARTIAL_LIMIT)?;
        let config = owner.config();
        let mut budget = PieceBudget::of_memory(memory);
        let mut read = |(file, path), config: &Digest| PartialFile::read(file, path, config, &mut budget);
        let own = self.lock(&config, PartialOf::ThisImage)?.map(|file| read(file, &config));
        let mut others = Vec::new();
        for entry in self.entries()? {
            let other = Owner::of_file(&entry.config, entry.names);
            if entry.config == config || !owner.is_like(&other) || others.len() + 1 == USED {
                continue;
            }
            others.extend(
                self.lock(&entry.config, PartialOf::OtherImage)?.map(|file| read(file, &entry.config)),
            );
        }
        Ok(PartialBasis { own: own.transpose()?, others: others.into_iter().collect::<io::Result<_>>()? })
    }

    /// Removes what is left of an image that is there, and of older ones of its names; nothing that a run uses.
    pub(crate) fn remove(&self, owner: &Owner) -> io::Result<()> {
        for entry in self.entries()? {
            let other = Owner::of_file(&entry.config, entry.names);
            if entry.config != owner.config() && !owner.is_like(&other) {
                continue;
            }
            if let Some((_, path)) = self.lock(&entry.config, PartialOf::OtherImage)? {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Removes what is left of images with these configs, which are there; nothing that a run uses.
    pub(crate) fn remove_complete(&self, configs: &HashSet<Digest>) -> io::Result<()> {
        for entry in self.entries()?.iter().filter(|entry| configs.contains(&entry.config)) {
            if let Some((_, path)) = self.lock(&entry.config, PartialOf::OtherImage)? {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Opens and locks the file of an image; `None` where there is none or another run has it.
    fn lock(&self, config: &Digest, which: PartialOf) -> io::Result<Option<(File, PathBuf)>> {
        let (path, begun) = (self.path(config), Instant::now());
        let mut tries = 0..8;
        // Another run may remove it between the two.
        while tries.next().is_some() {
            let file = match open(&path, which.if_missing()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            match file.try_lock() {
                Err(TryLockError::WouldBlock)
                    if which == PartialOf::ThisImage && begun.elapsed() < RELEASE =>
                {
                    thread::sleep(TICK);
                    tries = 0..8;
                    continue;
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
                Ok(()) => {}
            }
            let (here, there) = (file.metadata()?, fs::symlink_metadata(&path));
            if there.is_ok_and(|there| (there.dev(), there.ino()) == (here.dev(), here.ino())) {
                return Ok(Some((file, path)));
            }
        }
        Ok(None)
    }

    fn path(&self, config: &Digest) -> PathBuf {
        self.directory.join(config.hex())
    }

    /// The images that there are files of, by the digests of their configs.
    fn configs(&self) -> io::Result<Vec<Digest>> {
        let mut configs = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let name = name.to_str().filter(|name| name.len() == 64);
            configs.extend(name.and_then(|name| name.parse::<Digest>().ok()));
        }
        Ok(configs)
    }
}

impl PartialBasis {
    /// Bytes of all parts.
    pub(crate) fn bytes(&self) -> u64 {
        self.others.iter().chain(&self.own).map(PartialFile::bytes).sum()
    }

    /// Takes the parts out, as layers of a basis, the image's own last.
    pub(crate) fn take_layers(&mut self) -> Vec<PartialLayer> {
        self.others.iter_mut().chain(&mut self.own).filter_map(PartialFile::take_layer).collect()
    }

    /// Forgets all: a layer that was built on it came out wrong.
    pub(crate) fn discard(&mut self) {
        self.others.drain(..).for_each(PartialFile::remove);
        if let Some(own) = &mut self.own {
            own.clear();
        }
    }

    /// The writer of what arrives; `None` where nothing can be written.
    pub(crate) fn writer(&mut self, owner: &Owner) -> Option<PartialWriter> {
        PartialWriter::new(self.own.as_ref()?, owner).ok()
    }

    /// Removes all of it: the image is there.
    pub(crate) fn complete(self) {
        self.others.into_iter().chain(self.own).for_each(PartialFile::remove);
    }
}

/// The entries that have expired, and the oldest of the rest beyond so many bytes; the newest is the first.
pub(crate) fn surplus(entries: Vec<PartialEntry>, limit: u64) -> impl Iterator<Item = PartialEntry> {
    let mut total = 0_u64;
    entries.into_iter().filter(move |entry| {
        total = total.saturating_add(entry.size.max(1));
        total > limit
            || entry.written.elapsed().is_ok_and(|age| age > Duration::from_secs(EXPIRES * 24 * 3600))
    })
}

/// The image that a partial transfer is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PartialOf {
    /// The one that is taken: its file is made if need be, and waited for.
    ThisImage,
    /// One like it.
    OtherImage,
}

impl PartialOf {
    fn if_missing(self) -> IfMissing {
        match self {
            PartialOf::ThisImage => IfMissing::Make,
            PartialOf::OtherImage => IfMissing::Fail,
        }
    }
}

/// The way to go where there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IfMissing {
    Make,
    Fail,
}

/// Opens a file; a pipe in its place does not block.
fn open(path: &Path, if_missing: IfMissing) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let mut options = File::options();
    options
        .read(true)
        .write(true)
        .create(if_missing == IfMissing::Make)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags);
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other(format!("{} is no file", path.display()))),
    }
}

fn is_locked(path: &Path) -> bool {
    open(path, IfMissing::Fail).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests;

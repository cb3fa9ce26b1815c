//! The index cache: layer indexes by the digest of a layer's bytes, and recipes by that of a compressed layer, kept
//! between runs. Layers never change, so an index is right as long as it is undamaged; it outlives the images, and a
//! layer is scanned once.
//!
//! A file of the cache is `dsyncidx`, a format number (1 byte), the SHA-256 of the rest (32 bytes), and the
//! index as one zstd frame. It is written under another name and renamed, so that concurrent runs see whole
//! files only; one that is damaged counts as absent and is removed. The cache is never a reason to fail.
//! docs/cache.md says how it behaves.

use std::fs::{self, DirBuilder, DirEntry, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use dsync_core::{Digest, HashingWriter};
use dsync_delta::LayerIndex;
use dsync_delta::header_delta::HeaderDeltaError;
use dsync_proto::{ShortId, limits};
use rustix::fs::OFlags;

const MAGIC: &[u8; 8] = b"dsyncidx";
/// Of these files; what an index is encoded in has a number of its own.
const FORMAT: u8 = 1;
const HEADER: usize = MAGIC.len() + 1 + 32;
/// The most bytes that the cache takes on disk, but for what the current run uses.
pub const CACHE_LIMIT: u64 = 512 << 20;
/// The most bytes of an index, and of its file; more is not kept.
const INDEX_MAX: u64 = 256 << 20;
/// The most bytes of a recipe.
const RECIPE_MAX: u64 = limits::RECIPES as u64;
/// The precision of the time when an entry was used last.
const TOUCH: Duration = Duration::from_secs(3600);
/// The age at which a file that another run writes counts as left behind.
const STALE: Duration = Duration::from_secs(24 * 3600);
const TEMPORARY: &str = "new-";
/// The end of the name of a file with the recipe of a compressed layer; before it is the digest of the stored bytes.
const RECIPE: &str = ".recipe";
const LEVEL: i32 = 3;
/// Bytes of the file system that are left to others.
const RESERVE: u64 = 64 << 20;

/// When this process used a cache first.
static STARTED: OnceLock<SystemTime> = OnceLock::new();

/// The directory of indexes.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
    used: Used,
    /// Bytes of its file system that it leaves to others.
    reserve: u64,
}

/// The files of the cache that a transfer relied on. What is wrong in one is noticed only by what comes of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Used(Arc<Mutex<Vec<PathBuf>>>);

impl Used {
    fn note(&self, path: &Path) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
    }

    /// Begins a transfer, which has relied on nothing yet.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Removes all of them: a layer came out wrong.
    pub(crate) fn remove(&self) {
        for path in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            fs::remove_file(path).ok();
        }
    }
}

/// One index of the cache, or one recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The layer; of a recipe the compressed layer that it makes.
    pub digest: Digest,
    /// The kind of entry.
    pub kind: EntryKind,
    /// Bytes on disk.
    pub size: u64,
    /// When it was used last, to the hour.
    pub used: SystemTime,
}

/// The kinds of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// The index of a layer.
    Index,
    /// The recipe of a compressed layer.
    Recipe,
}

/// The entries that were removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The indexes.
    pub layers: Vec<CacheEntry>,
    /// Bytes on disk, those of files that killed runs left included.
    pub bytes: u64,
}

/// The reason why there is no cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The environment names no place.
    #[error("neither XDG_CACHE_HOME nor HOME is the path of a directory")]
    Nowhere,
    /// The directory is not there and cannot be made.
    #[error("cannot make {0}")]
    Make(PathBuf, #[source] io::Error),
    /// The directory is not ours alone; how that is.
    #[error("{0} {1}")]
    Foreign(PathBuf, &'static str),
}

impl Cache {
    /// `$XDG_CACHE_HOME/docker-sync/index`, or else `~/.cache/docker-sync/index`, which is made if need be.
    ///
    /// # Errors
    ///
    /// Fails if there is no such place, or if it is not ours alone.
    pub fn locate() -> Result<Cache, CacheError> {
        Cache::locate_below(None)
    }

    /// The same below another folder of caches, where one is named.
    pub(crate) fn locate_below(caches: Option<&Path>) -> Result<Cache, CacheError> {
        STARTED.get_or_init(SystemTime::now);
        Ok(Cache { directory: directory(caches, "index")?, used: Used::default(), reserve: RESERVE })
    }

    /// The same, which notes there what it gives.
    pub(crate) fn noting(self, used: &Used) -> Cache {
        Cache { used: used.clone(), ..self }
    }

    /// True if there is room for more: where a disk is nearly full, the job goes first.
    pub(crate) fn has_room(&self) -> bool {
        let free = rustix::fs::statvfs(&self.directory).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        free.is_ok_and(|free| free >= self.reserve)
    }

    /// The directory of the cache.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The index of a layer, unless it takes more than this memory, in bytes.
    pub(crate) fn index(&self, digest: &Digest, memory: usize) -> Option<LayerIndex> {
        let index =
            self.load(&self.path(digest, EntryKind::Index), |kept| match LayerIndex::read(kept, memory) {
                Ok(index) => Ok((kept.read(&mut [0])? == 0).then_some(index)),
                Err(HeaderDeltaError::Io(error)) => Err(error),
                // Of another version, or too large: that is no damage.
                Err(_) => Ok(None),
            });
        index.flatten().filter(|index| index.digest == *digest)
    }

    /// The recipe of a blob, or the mark that no encoder makes it.
    pub(crate) fn recipe(&self, blob: &Digest) -> Option<Vec<u8>> {
        self.load(&self.path(blob, EntryKind::Recipe), |kept| {
            let mut recipe = Vec::new();
            kept.take(RECIPE_MAX + 1).read_to_end(&mut recipe)?;
            if recipe.len() as u64 > RECIPE_MAX { Err(damaged()) } else { Ok(recipe) }
        })
    }

    /// Keeps the recipe of a blob, if that can be done. As [`Cache::put`] it sees to the limit.
    pub(crate) fn put_recipe(&self, blob: &Digest, recipe: &[u8]) {
        self.write(&self.path(blob, EntryKind::Recipe), &mut |out| out.write_all(recipe)).ok();
        self.prune_once();
    }

    fn load<T>(&self, path: &Path, take: impl FnOnce(&mut dyn Read) -> io::Result<T>) -> Option<T> {
        let file = open(path).ok()?;
        match read(&file).and_then(|mut kept| take(&mut kept)) {
            Ok(kept) => {
                self.used.note(path);
                touch(&file);
                Some(kept)
            }
            Err(_) => {
                fs::remove_file(path).ok();
                None
            }
        }
    }

    /// Sees to the limit, once in a process.
    fn prune_once(&self) {
        static PRUNED: AtomicBool = AtomicBool::new(false);
        if !PRUNED.swap(true, Ordering::Relaxed) {
            // Entries that this run used were touched, or needed no touch.
            let started = STARTED.get().copied().unwrap_or_else(SystemTime::now);
            self.remove(CACHE_LIMIT, started.checked_sub(TOUCH)).ok();
        }
    }

    /// Keeps what is known of a layer, if that can be done. The first call of a process also sees to the limit.
    pub(crate) fn put(&self, index: &Arc<LayerIndex>) {
        self.write(&self.path(&index.digest, EntryKind::Index), &mut |out| index.write(out)).ok();
        self.prune_once();
    }

    /// The layer whose digest begins so, if it is there and the only one.
    pub(crate) fn find(&self, short: &ShortId) -> Option<Digest> {
        let files = fs::read_dir(&self.directory).ok()?.flatten();
        let mut fits = files
            .filter_map(|file| entry(&file))
            .filter(|(digest, kind)| *kind == EntryKind::Index && digest.as_bytes().starts_with(short));
        let found = fits.next()?;
        fits.next().is_none().then_some(found.0)
    }

    /// All indexes and recipes, the one that was used last first.
    ///
    /// # Errors
    ///
    /// Fails if the directory cannot be read.
    pub fn entries(&self) -> io::Result<Vec<CacheEntry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            // A file that another run removed meanwhile has no metadata.
            if let (Some((digest, kind)), Ok(metadata)) = (entry(&file), file.metadata())
                && metadata.is_file()
            {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push(CacheEntry { digest, kind, size: metadata.len(), used });
            }
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.used), entry.digest));
        Ok(entries)
    }

    /// Removes what was not used for longest until the rest has at most `limit` bytes, and what killed runs
    /// left. With a limit of 0 nothing stays, and what is being written at this moment is not kept.
    ///
    /// # Errors
    ///
    /// Fails if something cannot be removed; what comes after it is still there then.
    pub fn prune(&self, limit: u64) -> io::Result<Pruned> {
        self.remove(limit, None)
    }

    /// [`Cache::prune`] that spares what was used at `spared` or later.
    fn remove(&self, limit: u64, spared: Option<SystemTime>) -> io::Result<Pruned> {
        let mut pruned = Pruned::default();
        let mut total: u64 = 0;
        for entry in self.entries()? {
            // An empty file is damage and goes with the others.
            total = total.saturating_add(entry.size.max(1));
            let goes = total > limit && spared.is_none_or(|spared| entry.used < spared);
            if goes && removed(&self.path(&entry.digest, entry.kind))? {
                pruned.bytes += entry.size;
                pruned.layers.push(entry);
            }
        }
        for file in fs::read_dir(&self.directory)? {
            let file = file?;
            if !file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY)) {
                continue;
            }
            let Ok(metadata) = file.metadata() else { continue };
            let left = metadata.modified().is_ok_and(|written| older(written, STALE));
            if (left || limit == 0) && removed(&file.path())? {
                pruned.bytes += metadata.len();
            }
        }
        Ok(pruned)
    }

    fn path(&self, digest: &Digest, kind: EntryKind) -> PathBuf {
        let ending = match kind {
            EntryKind::Index => "",
            EntryKind::Recipe => RECIPE,
        };
        self.directory.join(digest.hex() + ending)
    }

    /// A file or a directory beside the cache.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.with_file_name(name)
    }

    /// Replaces a file that is beside the cache, as a whole. Drafts of killed processes go when the cache is pruned.
    ///
    /// # Errors
    ///
    /// If it cannot be written; then it is as it was.
    pub fn replace_beside(&self, file: &Path, bytes: &[u8]) -> io::Result<()> {
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        let mut new = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.directory)?;
        new.write_all(bytes)?;
        new.persist(file).map(drop).map_err(|error| error.error)
    }

    /// Writes what `fill` gives, as it comes.
    fn write(&self, path: &Path, fill: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        if !self.has_room() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.directory)?;
        file.write_all(MAGIC)?;
        file.write_all(&[FORMAT])?;
        file.write_all(&[0; 32])?;
        let hashed = HashingWriter::new(BufWriter::new(file));
        let mut limited = Limited { out: zstd::Encoder::new(hashed, LEVEL)?, left: INDEX_MAX };
        fill(&mut limited)?;
        let (digest, out) = limited.out.finish()?.digest();
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start((HEADER - 32) as u64))?;
        file.write_all(digest.as_bytes())?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }
}

/// Passes on so much and no more.
struct Limited<W> {
    out: W,
    left: u64,
}

impl<W: Write> Write for Limited<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        self.out.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The directory of one kind of cached files, which is made if need be, below the folder of caches that is named or else
/// that of the environment.
pub(crate) fn directory(caches: Option<&Path>, kind: &str) -> Result<PathBuf, CacheError> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || Some(absolute("HOME")?.join(".cache"));
    let of_environment = || absolute("XDG_CACHE_HOME").or_else(home);
    let caches = caches.map(Path::to_owned).or_else(of_environment).ok_or(CacheError::Nowhere)?;
    let ours = caches.join("docker-sync");
    let directory = ours.join(kind);
    // The agents share the outer one, and all that matters there is who may replace the inner.
    prepare(&ours, 0o022)?;
    prepare(&directory, 0o077)?;
    Ok(directory)
}

/// Makes a directory, or sees that it is one, ours, and not open to `others` (bits of a mode).
pub(crate) fn prepare(directory: &Path, others: u32) -> Result<(), CacheError> {
    let foreign = |how| Err(CacheError::Foreign(directory.to_owned(), how));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    match fs::symlink_metadata(directory) {
        Err(error) => Err(CacheError::Make(directory.to_owned(), made.err().unwrap_or(error))),
        Ok(metadata) if metadata.is_symlink() => foreign("is a symbolic link"),
        Ok(metadata) if !metadata.is_dir() => foreign("is no directory"),
        Ok(metadata) if metadata.uid() != rustix::process::geteuid().as_raw() => {
            foreign("belongs to another user")
        }
        Ok(metadata) if metadata.mode() & others != 0 => foreign("is open to other users"),
        Ok(_) => Ok(()),
    }
}

/// The entry that a file has, by its name.
fn entry(file: &DirEntry) -> Option<(Digest, EntryKind)> {
    let name = file.file_name();
    let name = name.to_str()?;
    let (hex, kind) = match name.strip_suffix(RECIPE) {
        Some(hex) => (hex, EntryKind::Recipe),
        None => (name, EntryKind::Index),
    };
    let hex = Some(hex).filter(|hex| hex.len() == 64)?;
    Some((hex.parse().ok()?, kind))
}

/// Removes a file; false where another run did already.
fn removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

/// Opens a file, whatever is there: a pipe would be waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(damaged()) }
}

/// Sees that a file is as it was written, and reads what is in it.
fn read(mut file: &File) -> io::Result<impl Read> {
    let mut header = [0; HEADER];
    file.read_exact(&mut header)?;
    let hash =
        header.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[FORMAT])).ok_or_else(damaged)?;
    let mut hashed = HashingWriter::new(io::sink());
    // A longer file is cut here, so its checksum is wrong.
    io::copy(&mut file.take(INDEX_MAX), &mut hashed)?;
    if hash != &hashed.digest().0.as_bytes()[..] {
        return Err(damaged());
    }
    file.seek(SeekFrom::Start(HEADER as u64))?;
    Ok(BufReader::new(zstd::Decoder::new(file)?.take(INDEX_MAX)))
}

/// Notes that an entry was used; that it cannot be noted does not matter. A time to come is put right.
fn touch(file: &File) {
    let used = file.metadata().and_then(|metadata| metadata.modified());
    if used.is_ok_and(|used| used.elapsed().is_err() || older(used, TOUCH)) {
        file.set_modified(SystemTime::now()).ok();
    }
}

fn older(time: SystemTime, age: Duration) -> bool {
    time.elapsed().is_ok_and(|elapsed| elapsed > age)
}

#[cfg(test)]
mod tests;

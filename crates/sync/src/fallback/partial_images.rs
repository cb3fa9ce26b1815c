//! Partial transfers without an agent: the layers and archives that arrived before one broke off, for the next run of
//! the same image or of a newer one.
//!
//! There is a folder for each image below one of mode 0700, which is below that of temporary files. It has `names`, the
//! names that the image was to have, which is locked while a run uses it; `layers`, the layers that arrived whole, by their
//! digests; and `archive`, the longest part of an archive that rsync was bringing. Nothing relies on them: a layer is
//! checked by whoever is given it, and rsync looks into an archive for blocks. docs/cache.md says how long they stay.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use dsync_core::{Digest, HashingWriter, Image, ImageRef, LayerKey};
use dsync_engine::{LayerSink, temporary};

use crate::cache::prepare;
use crate::partial::{PARTIAL_LIMIT, PartialEntry, surplus};

/// Bytes of the file system that are left to others.
const RESERVE: u64 = 512 << 20;
/// The most bytes after which the room is looked at again.
const LOOK: u64 = 1 << 20;
/// The beginning of the name of the folder; the user's ID follows.
pub(super) const PREFIX: &str = "docker-sync-partial-";

const NAMES: &str = "names";
const LAYERS: &str = "layers";
const ARCHIVE: &str = "archive";
const ARRIVING: &str = "arriving";

/// The folder of the partial transfers of all images.
#[derive(Debug, Clone)]
pub struct PartialImages(PathBuf);

/// The partial transfer of one image, locked.
#[derive(Debug)]
pub(super) struct PartialImage {
    folder: PathBuf,
    /// The folders of older images of its names, locked too.
    older: Vec<(PathBuf, File)>,
    /// Its lock.
    _names: File,
}

impl PartialImages {
    /// The folder below this one, or below the system's place for temporary files, where there is one.
    pub fn find(below: Option<&Path>) -> Option<PartialImages> {
        let folder = PartialImages::path(below);
        folder.is_dir().then(|| PartialImages::locate(below)).and_then(Result::ok)
    }

    fn path(below: Option<&Path>) -> PathBuf {
        let below = below.map_or_else(temporary::place, Path::to_owned);
        below.join(format!("{PREFIX}{}", rustix::process::geteuid().as_raw()))
    }

    /// The same, made if need be. Fails where it is not ours alone.
    pub(super) fn locate(below: Option<&Path>) -> io::Result<PartialImages> {
        let folder = PartialImages::path(below);
        prepare(&folder, 0o077).map_err(io::Error::other)?;
        Ok(PartialImages(folder))
    }

    /// The folder.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// All images of which something is here, the newest first.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read.
    pub fn entries(&self) -> io::Result<Vec<PartialEntry>> {
        let mut entries = Vec::new();
        for folder in self.folders()? {
            let Some(config) = digest_of(&folder) else { continue };
            let names = fs::read_to_string(folder.join(NAMES)).unwrap_or_default();
            let names = names.lines().map(str::to_owned).collect();
            let (size, written) = extent(&folder);
            entries.push(PartialEntry { config, names, size, written, in_use: false });
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.written), entry.config));
        Ok(entries)
    }

    /// Removes what has expired, and the oldest of the rest until that has at most `limit` bytes; nothing that a run uses.
    /// Returns what was removed.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read, or something cannot be removed.
    pub fn prune(&self, limit: u64) -> io::Result<Vec<PartialEntry>> {
        let mut pruned = Vec::new();
        for entry in surplus(self.entries()?, limit) {
            let folder = self.0.join(entry.config.hex());
            if lock(&folder, false).is_ok_and(|lock| lock.is_some()) {
                fs::remove_dir_all(&folder)?;
                pruned.push(entry);
            }
        }
        // Only an empty one can be removed so.
        fs::remove_dir(&self.0).ok();
        Ok(pruned)
    }

    /// The partial transfer of an image and those of older ones of its names; `None` where another run uses it.
    pub(super) fn begin(&self, image: &Image) -> io::Result<Option<PartialImage>> {
        self.prune(PARTIAL_LIMIT)?;
        prepare(&self.0, 0o077).map_err(io::Error::other)?;
        let folder = self.0.join(image.id.digest().hex());
        fs::create_dir_all(folder.join(LAYERS))?;
        let Some(mut names) = lock(&folder, true)? else { return Ok(None) };
        // Those of layers that did not arrive whole.
        for half in
            fs::read_dir(folder.join(LAYERS))?.flatten().filter(|file| digest_of(&file.path()).is_none())
        {
            fs::remove_file(half.path()).ok();
        }
        let text: String = image.names.iter().map(|name| format!("{name}\n")).collect();
        names.set_len(0)?;
        names.rewind()?;
        names.write_all(text.as_bytes())?;
        let repositories: HashSet<&str> = image.names.iter().map(ImageRef::name).collect();
        let is_like = |entry: &PartialEntry| {
            let of = |name: &String| name.parse().ok().map(|name: ImageRef| name.name().to_owned());
            entry.names.iter().filter_map(of).any(|name| repositories.contains(&name[..]))
        };
        let folders =
            self.entries()?.into_iter().filter(is_like).map(|entry| self.0.join(entry.config.hex()));
        let locked = |folder: PathBuf| Some((folder.clone(), lock(&folder, false).ok()??));
        let older = folders.filter(|other| *other != folder).filter_map(locked).collect();
        Ok(Some(PartialImage { folder, older, _names: names }))
    }

    /// Removes the partial transfer of an image, which has arrived, and those of older ones of its names.
    pub(crate) fn forget(&self, image: &Image) -> io::Result<()> {
        if let Some(partial) = self.begin(image)? {
            partial.folders().try_for_each(fs::remove_dir_all)?;
        }
        Ok(())
    }

    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let entries: Vec<_> = fs::read_dir(&self.0)?.collect::<io::Result<_>>()?;
        Ok(entries.iter().map(fs::DirEntry::path).filter(|path| digest_of(path).is_some()).collect())
    }
}

impl PartialImage {
    /// The layers among these that are here.
    pub(super) fn layers<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k LayerKey>,
    ) -> Vec<(LayerKey, PathBuf)> {
        let folders: Vec<PathBuf> = self.folders().map(|folder| folder.join(LAYERS)).collect();
        let path = |key: &LayerKey| {
            let paths = folders.iter().map(|folder| folder.join(key.digest().hex()));
            Some((*key, paths.into_iter().find(|path| path.is_file())?))
        };
        keys.into_iter().filter_map(path).collect()
    }

    fn folders(&self) -> impl Iterator<Item = &Path> {
        [&*self.folder].into_iter().chain(self.older.iter().map(|(folder, _)| &**folder))
    }

    /// The beginnings of archives that are here, the image's own last: the longest that arrived of each.
    pub(super) fn archives(&self) -> io::Result<Vec<PathBuf>> {
        settle(&self.folder)?;
        let archives = self.folders().map(|folder| folder.join(ARCHIVE)).filter(|path| path.is_file());
        let mut archives: Vec<PathBuf> = archives.collect();
        archives.reverse();
        Ok(archives)
    }

    /// The folder in which rsync writes, and leaves what it has of a file when it breaks off.
    pub(super) fn arriving(&self) -> io::Result<PathBuf> {
        let arriving = self.folder.join(ARRIVING);
        fs::create_dir_all(&arriving)?;
        Ok(arriving)
    }

    /// Saves an archive that arrived whole, and of which the layers could not be passed on.
    pub(super) fn save_archive(&self, archive: &Path) -> io::Result<()> {
        fs::rename(archive, self.folder.join(ARCHIVE))
    }

    /// Removes archives: a disk is full, and the job goes first.
    pub(super) fn drop_archives(&self) {
        for folder in self.folders() {
            fs::remove_file(folder.join(ARCHIVE)).ok();
            fs::remove_dir_all(folder.join(ARRIVING)).ok();
        }
    }
}

impl Drop for PartialImage {
    /// A folder without a layer or an archive goes.
    fn drop(&mut self) {
        fs::remove_dir(self.folder.join(ARRIVING)).ok();
        if fs::remove_dir(self.folder.join(LAYERS)).is_ok()
            && ![ARCHIVE, ARRIVING].iter().any(|name| self.folder.join(name).exists())
        {
            fs::remove_dir_all(&self.folder).ok();
        }
        // So does the one that they are in, as only an empty one can be removed.
        self.folder.parent().map(fs::remove_dir);
    }
}

/// Makes the longest of the beginnings of an archive that rsync left in a folder its archive.
fn settle(folder: &Path) -> io::Result<()> {
    let archive = folder.join(ARCHIVE);
    let arriving = folder.join(ARRIVING);
    let Ok(left) = fs::read_dir(&arriving) else { return Ok(()) };
    let len = |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|m| m.len());
    let longest = left.flatten().map(|file| file.path()).max_by_key(|file| len(file));
    if let Some(file) = longest.filter(|file| len(file) > len(&archive)) {
        fs::rename(file, &archive)?;
    }
    fs::remove_dir_all(&arriving)
}

/// Passes layers on as they come, and saves those that come whole.
pub(super) struct SavingSink<'a> {
    pub(super) sink: &'a mut dyn LayerSink,
    pub(super) partial: &'a PartialImage,
}

impl LayerSink for SavingSink<'_> {
    fn layer(&mut self, key: Option<LayerKey>, bytes: &mut dyn Read) -> io::Result<()> {
        let layers = self.partial.folder.join(LAYERS);
        let made = fs::create_dir_all(&layers).and_then(|()| tempfile::NamedTempFile::new_in(&layers));
        let Ok(file) = made else { return self.sink.layer(key, bytes) };
        let Ok(looked_at) = file.as_file().try_clone() else { return self.sink.layer(key, bytes) };
        let to = Some(HashingWriter::new(file));
        let mut copying = Copying { from: bytes, to, looked_at, unlooked: LOOK };
        self.sink.layer(key, &mut copying)?;
        // It was read to its end, or there is nothing of it to save.
        let rest = io::copy(&mut copying, &mut io::sink())?;
        if let Some(copy) = copying.to.filter(|_| rest == 0) {
            let (digest, file) = copy.digest();
            file.persist(layers.join(digest.hex())).ok();
        }
        Ok(())
    }

    fn note(&mut self, text: &str) {
        self.sink.note(text);
    }
}

/// Reads a layer and writes it to a file, as long as that is possible.
struct Copying<'a> {
    from: &'a mut dyn Read,
    to: Option<HashingWriter<tempfile::NamedTempFile>>,
    looked_at: File,
    /// Bytes since the room was looked at.
    unlooked: u64,
}

impl Read for Copying<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.unlooked += read as u64;
        if let Some(to) = &mut self.to {
            let looks = self.unlooked >= LOOK;
            if looks {
                self.unlooked = 0;
            }
            if looks && !has_room(&self.looked_at) || to.write_all(&into[..read]).is_err() {
                // The job goes first.
                self.to = None;
            }
        }
        Ok(read)
    }
}

/// True if more than the reserve is left of the file system.
fn has_room(file: &File) -> bool {
    let free = rustix::fs::fstatvfs(file).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    free.is_ok_and(|free| free >= RESERVE.saturating_add(LOOK))
}

/// Locks the folder of an image; `None` where another run has it.
fn lock(folder: &Path, makes: bool) -> io::Result<Option<File>> {
    let mut options = File::options();
    let file = options.read(true).write(true).create(makes).truncate(false).open(folder.join(NAMES))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn digest_of(folder: &Path) -> Option<Digest> {
    folder.file_name()?.to_str().filter(|name| name.len() == 64)?.parse().ok()
}

/// The bytes that a folder takes, and when the last of it was written.
fn extent(folder: &Path) -> (u64, SystemTime) {
    let (mut size, mut written) = (0_u64, SystemTime::UNIX_EPOCH);
    let places = [folder.to_owned(), folder.join(LAYERS), folder.join(ARRIVING)];
    for file in places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten() {
        let Ok(metadata) = file.metadata() else { continue };
        written = written.max(metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        if metadata.is_file() {
            size = size.saturating_add(metadata.len());
        }
    }
    (size, written)
}

//! What was learnt of layers: listings by diff id, kept between runs. Layers never change, so a listing is
//! right as long as it is undamaged; they outlive the images, and a layer is scanned once.
//!
//! A file of the cache is `dsyncidx`, a format number (1 byte), the SHA-256 of the rest (32 bytes), and the
//! listing as one zstd frame. It is written under another name and renamed, so that concurrent runs see whole
//! files only; one that is damaged counts as absent and is removed. The cache is never a reason to fail.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use dsync_core::DiffId;
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"dsyncidx";
const FORMAT: u8 = 1;
const HEADER: usize = MAGIC.len() + 1 + 32;
/// The most bytes that the cache takes on disk.
pub const CACHE_LIMIT: u64 = 512 << 20;
/// The most bytes of a listing; more is not kept.
const LISTING_MAX: u64 = 256 << 20;
/// How exactly it is known when an entry was used last.
const TOUCH: Duration = Duration::from_secs(3600);
/// What another run writes may be as old as this before it counts as left behind.
const STALE: Duration = Duration::from_secs(24 * 3600);
const TEMPORARY: &str = "new-";
const LEVEL: i32 = 3;

/// The directory of listings.
#[derive(Debug, Clone)]
pub struct Cache {
    directory: PathBuf,
}

/// One listing of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The layer.
    pub diff_id: DiffId,
    /// Bytes on disk.
    pub size: u64,
    /// When it was used last, to the hour.
    pub used: SystemTime,
}

impl Cache {
    /// `$XDG_CACHE_HOME/docker-sync/index`, or else `~/.cache/docker-sync/index`; `None` where there is no such
    /// place, or it is not ours alone.
    pub fn open() -> Option<Cache> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Cache::at(&caches.join("docker-sync").join("index")).ok()
    }

    fn at(directory: &Path) -> io::Result<Cache> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let metadata = fs::symlink_metadata(directory)?;
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !ours || metadata.mode() & 0o022 != 0 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Cache { directory: directory.to_owned() })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The bytes that were kept for a layer.
    pub(crate) fn get(&self, diff_id: &DiffId) -> Option<Vec<u8>> {
        let path = self.path(diff_id);
        let mut file = File::open(&path).ok()?;
        match read(&mut file) {
            Ok(listing) => {
                touch(&file);
                Some(listing)
            }
            Err(_) => {
                fs::remove_file(path).ok();
                None
            }
        }
    }

    /// Keeps bytes for a layer, if that can be done.
    pub(crate) fn put(&self, diff_id: &DiffId, listing: &[u8]) {
        if listing.len() as u64 <= LISTING_MAX {
            self.write(diff_id, listing).ok();
            static PRUNED: AtomicBool = AtomicBool::new(false);
            if !PRUNED.swap(true, Ordering::Relaxed) {
                self.prune(CACHE_LIMIT).ok();
            }
        }
    }

    /// The layer whose diff id begins so, if it is there and the only one.
    pub(crate) fn find(&self, short: &[u8; 8]) -> Option<DiffId> {
        let entries = self.entries().ok()?;
        let mut fits = entries.iter().filter(|entry| entry.diff_id.as_bytes().starts_with(short));
        let found = fits.next()?.diff_id;
        fits.next().is_none().then_some(found)
    }

    /// All listings, the one that was used last first.
    pub fn entries(&self) -> io::Result<Vec<CacheEntry>> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.directory)?.flatten() {
            let diff_id = file.file_name().to_str().and_then(|name| format!("sha256:{name}").parse().ok());
            if let (Some(diff_id), Ok(metadata)) = (diff_id, file.metadata()) {
                let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                entries.push(CacheEntry { diff_id, size: metadata.len(), used });
            }
        }
        entries.sort_by_key(|entry| (std::cmp::Reverse(entry.used), entry.diff_id));
        Ok(entries)
    }

    /// Removes what was not used for longest until the rest has at most `limit` bytes, and what killed runs
    /// left. Returns what was removed.
    pub fn prune(&self, limit: u64) -> io::Result<Vec<CacheEntry>> {
        let mut total: u64 = 0;
        let mut removed = Vec::new();
        for entry in self.entries()? {
            total = total.saturating_add(entry.size);
            if total > limit && fs::remove_file(self.path(&entry.diff_id)).is_ok() {
                removed.push(entry);
            }
        }
        for file in fs::read_dir(&self.directory)?.flatten() {
            let ours = file.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
            let age =
                file.metadata().and_then(|metadata| metadata.modified()).map(|written| written.elapsed());
            if ours && age.is_ok_and(|age| age.is_ok_and(|age| age > STALE)) {
                fs::remove_file(file.path()).ok();
            }
        }
        Ok(removed)
    }

    fn path(&self, diff_id: &DiffId) -> PathBuf {
        let name = diff_id.to_string();
        self.directory.join(name.rsplit(':').next().unwrap_or(&name))
    }

    fn write(&self, diff_id: &DiffId, listing: &[u8]) -> io::Result<()> {
        let packed = zstd::bulk::compress(listing, LEVEL)?;
        let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(&self.directory)?;
        file.write_all(MAGIC)?;
        file.write_all(&[FORMAT])?;
        file.write_all(&Sha256::digest(&packed))?;
        file.write_all(&packed)?;
        file.persist(self.path(diff_id)).map(drop).map_err(|error| error.error)
    }
}

fn read(file: &mut File) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let (header, packed) = bytes.split_at_checked(HEADER).ok_or_else(damaged)?;
    let rest =
        header.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[FORMAT])).ok_or_else(damaged)?;
    if rest != &Sha256::digest(packed)[..] {
        return Err(damaged());
    }
    let mut listing = Vec::new();
    zstd::Decoder::new(packed)?.take(LISTING_MAX + 1).read_to_end(&mut listing)?;
    if listing.len() as u64 > LISTING_MAX { Err(damaged()) } else { Ok(listing) }
}

/// Notes that an entry was used; that it cannot be noted does not matter.
fn touch(file: &File) {
    let used = file.metadata().and_then(|metadata| metadata.modified());
    if used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age > TOUCH)) {
        file.set_modified(SystemTime::now()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    fn cache(directory: &tempfile::TempDir) -> Cache {
        Cache::at(&directory.path().join("docker-sync/index")).unwrap()
    }

    fn used(cache: &Cache, diff_id: &DiffId, days: u64) {
        let file = File::open(cache.path(diff_id)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    }

    #[test]
    fn what_was_kept_is_there_again() {
        let directory = tempfile::tempdir().unwrap();
        let (cache, layer) = (cache(&directory), DiffId::of(b"layer"));
        assert_eq!(cache.get(&layer), None);
        cache.put(&layer, b"listing");
        assert_eq!(cache.get(&layer).as_deref(), Some(&b"listing"[..]));
        let short = *layer.as_bytes().first_chunk().unwrap();
        assert_eq!(cache.find(&short), Some(layer));
        assert_eq!(cache.find(&[0; 8]), None);
    }

    #[test]
    fn what_is_damaged_is_absent_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (cache, layer) = (cache(&directory), DiffId::of(b"layer"));
        cache.put(&layer, &[7; 1000]);
        let whole = fs::read(cache.path(&layer)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(cache.path(&layer), &bytes).unwrap();
            assert_eq!(cache.get(&layer), None, "{at}");
            assert!(!cache.path(&layer).exists());
            fs::write(cache.path(&layer), &whole[..at]).unwrap();
            assert_eq!(cache.get(&layer), None, "{at}");
        }
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory);
        let layers: Vec<DiffId> = (0..4_u8).map(|n| DiffId::of(&[n])).collect();
        for (days, layer) in layers.iter().enumerate() {
            cache.put(layer, &[1; 100]);
            used(&cache, layer, days as u64);
        }
        // Using one makes it the last to go.
        cache.get(&layers[3]);
        let size = cache.entries().unwrap()[0].size;
        let removed: Vec<DiffId> = cache.prune(2 * size).unwrap().iter().map(|entry| entry.diff_id).collect();
        assert_eq!(removed.len(), 2);
        assert!(removed.contains(&layers[1]) && removed.contains(&layers[2]));
        assert_eq!(cache.prune(0).unwrap().len(), 2);
    }

    #[test]
    fn what_a_killed_run_left_goes_after_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(&directory);
        let left = cache.directory.join("new-abc");
        fs::write(&left, b"half").unwrap();
        cache.prune(CACHE_LIMIT).unwrap();
        assert!(left.exists());
        File::open(&left).unwrap().set_modified(SystemTime::now() - 2 * STALE).unwrap();
        cache.prune(CACHE_LIMIT).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_place_that_is_not_ours_alone_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let open = directory.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Cache::at(&open).is_err());
        let link = directory.path().join("link");
        symlink(directory.path(), &link).unwrap();
        assert!(Cache::at(&link).is_err());
    }

    #[test]
    fn many_may_write_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let (cache, layer) = (cache(&directory), DiffId::of(b"layer"));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        cache.put(&layer, &[3; 5000]);
                        assert_eq!(cache.get(&layer).map(|listing| listing.len()), Some(5000));
                    }
                });
            }
        });
        assert_eq!(cache.entries().unwrap().len(), 1);
    }
}

//! The cache of the lab: archives of images and suites of Debian, made once and used by many labs.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use crate::LabError;

/// The variable that names the cache; without it, it is `docker-sync-lab` in the user's cache directory.
pub const CACHE: &str = "DOCKER_SYNC_LAB_CACHE";

/// The directory, which is there now.
pub(crate) fn directory() -> Result<PathBuf, LabError> {
    let dir = env::var_os(CACHE)
        .map(PathBuf::from)
        .or_else(|| env::var_os("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("docker-sync-lab")))
        .or_else(|| env::var_os("HOME").map(|dir| Path::new(&dir).join(".cache/docker-sync-lab")))
        .ok_or_else(|| LabError::Usage(format!("no place for the lab's cache: set {CACHE}")))?;
    fs::create_dir_all(&dir).map_err(LabError::io(format_args!("create {}", dir.display())))?;
    Ok(dir)
}

/// Waits until nobody else has this lock of the cache. It is let go with the last copy of the file.
pub(crate) fn lock(cache: &Path, name: &str) -> Result<File, LabError> {
    let file = cache.join(name);
    let cannot = || LabError::io(format_args!("lock {}", file.display()));
    // For reading, too: it can be the empty standard input of a program that holds the lock.
    let lock = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&file)
        .map_err(cannot())?;
    lock.lock().map_err(cannot())?;
    Ok(lock)
}

//! The directory of a layout as it is written: new files appear whole, and the index is replaced at once.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dsync_core::Digest;
use tempfile::NamedTempFile;

use super::index::LayoutIndex;
use crate::store::StoreError;

/// Prefix of files that are not part of the layout yet.
const TEMPORARY: &str = ".docker-sync-";

/// A directory that is a layout, or becomes one.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(directory: &Path) -> Self {
        Self(directory.into())
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("oci:{}", self.0.display())
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    fn io(&self, what: &str, source: io::Error) -> StoreError {
        io_error(&self.name(), what, source)
    }

    /// True if there is nothing, or nothing that belongs to anybody.
    pub(super) fn is_vacant(&self) -> Result<bool, StoreError> {
        match fs::read_dir(&self.0) {
            Ok(entries) => Ok(entries.flatten().all(|entry| is_temporary(&entry))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let path = self.0.display();
                let message = format!(
                    "{path} is a file, not a directory: an archive is oci-archive:{path} or docker-archive:{path}"
                );
                Err(StoreError::NoStore { message })
            }
            Err(error) => Err(self.io("cannot be read", error)),
        }
    }

    /// Checks that the directory has no files of others.
    pub(super) fn check_vacant(&self) -> Result<(), StoreError> {
        if self.is_vacant()? {
            return Ok(());
        }
        let reason = "the directory has files but no oci-layout; name an OCI image layout, or a new or empty directory";
        Err(StoreError::Broken { what: self.name(), reason: reason.into() })
    }

    /// Checks that the directory, or the nearest one above it that is there, can be written.
    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        let absolute = std::path::absolute(&self.0).unwrap_or_else(|_| self.0.clone());
        let Some(there) = absolute.ancestors().find(|path| path.is_dir()) else { return Ok(()) };
        rustix::fs::access(there, rustix::fs::Access::WRITE_OK).map_err(|error| {
            let error = io::Error::from(error);
            let message = match there == absolute {
                true => format!("{} cannot be written: {error}", self.name()),
                false => format!("{} cannot be made in {}: {error}", self.name(), there.display()),
            };
            StoreError::NoStore { message }
        })
    }

    /// Makes what an empty layout has, unless it is there.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        let failed = |error| self.io("cannot be made", error);
        fs::create_dir_all(&self.0).map_err(failed)?;
        let _lock = self.lock()?;
        if !self.0.join("oci-layout").exists() {
            self.check_vacant()?;
            self.replace("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        if !self.0.join("index.json").exists() {
            self.replace("index.json", &LayoutIndex::empty().to_bytes())?;
        }
        fs::create_dir_all(self.blobs()).map_err(failed)
    }

    /// Keeps other writers out while the result lives. The lock is on the directory itself, so that no
    /// file of it stays in the layout.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let locked = File::open(&self.0).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.io("cannot be locked", error))
    }

    /// The caller has the lock.
    pub(super) fn replace_index(&self, index: &LayoutIndex) -> Result<(), StoreError> {
        self.replace("index.json", &index.to_bytes())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let written = temporary(&self.0).and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(self.0.join(name)).map_err(|error| error.error)
        });
        written.map(drop).map_err(|error| self.io(&format!("does not take a new {name}"), error))
    }

    /// Removes what a process left that was killed. A file of one that lives is locked, or was made under
    /// the lock that the caller has.
    pub(super) fn remove_stale(&self) -> Result<(), StoreError> {
        for directory in [&self.0, &self.blobs()] {
            let entries = fs::read_dir(directory).map_err(|error| self.io("cannot be read", error))?;
            for entry in entries.flatten().filter(is_temporary) {
                if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                    // A file that cannot be removed is in nobody's way.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.0.join("blobs").join("sha256")
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }
}

fn is_temporary(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(TEMPORARY)
}

/// A file that vanishes unless it is renamed.
pub(super) fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // Others may read a layout, as far as the umask lets them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(directory)
}

/// An I/O error in the layout of this name.
pub(super) fn io_error(name: &str, what: &str, source: io::Error) -> StoreError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::StorageFull { message: format!("{name}: {source}") }
        }
        _ => StoreError::Io { what: format!("{name} {what}"), source },
    }
}

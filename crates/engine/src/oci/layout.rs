//! The files of a layout: reads them whole and checked, replaces the index at once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use dsync_core::{Digest, Platform};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::index::Index;
use super::resolve::host_platform;
use crate::package::{BlobRef, Blobs, LARGEST_DOCUMENT, PackageError};
use crate::store::StoreError;

/// How files begin that are not part of the layout yet.
const TEMPORARY: &str = ".docker-sync-";

/// The directory of a layout.
#[derive(Debug)]
pub(super) struct Layout {
    directory: PathBuf,
    /// Whose image has a name that several platforms share.
    pub(super) platform: Platform,
}

impl Layout {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let layout = Self { directory: directory.into(), platform: host_platform() };
        match fs::read(directory.join("oci-layout")) {
            Ok(bytes) => {
                let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                match json.get("imageLayoutVersion").and_then(Value::as_str) {
                    Some(version) if version.starts_with("1.") => Ok(layout),
                    _ => Err(layout.broken("its oci-layout file names no known version (expected 1.0.0)")),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => layout.vacant().map(|()| layout),
            Err(error) => Err(layout.io("cannot be read", error)),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        format!("oci:{}", self.directory.display())
    }

    pub(super) fn broken(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Broken { what: self.name(), reason: reason.into() }
    }

    pub(super) fn unpackaged(&self, error: PackageError<StoreError>) -> StoreError {
        match error {
            PackageError::Source(error) => error,
            PackageError::Broken(reason) => self.broken(reason),
        }
    }

    pub(super) fn io(&self, what: &str, source: io::Error) -> StoreError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::NoSpace { message: format!("{}: {source}", self.name()) }
            }
            _ => StoreError::Io { what: format!("{} {what}", self.name()), source },
        }
    }

    /// Whether nothing is there that a new layout could hurt.
    fn vacant(&self) -> Result<(), StoreError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.io("cannot be read", error)),
        };
        if entries.flatten().all(|entry| is_temporary(&entry)) {
            return Ok(());
        }
        Err(self.broken(
            "the directory has files but no oci-layout; name an OCI image layout, or a new or empty directory",
        ))
    }

    /// Makes what an empty layout has, unless it is there.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        let failed = |error| self.io("cannot be made", error);
        fs::create_dir_all(&self.directory).map_err(failed)?;
        let _lock = self.lock()?;
        if !self.directory.join("oci-layout").exists() {
            self.vacant()?;
            self.replace("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        }
        if !self.directory.join("index.json").exists() {
            self.replace("index.json", &Index::empty().to_bytes())?;
        }
        fs::create_dir_all(self.blobs()).map_err(failed)
    }

    /// Keeps other writers out while the result lives. The lock is on the directory itself, so that no
    /// file of it stays in the layout.
    pub(super) fn lock(&self) -> Result<File, StoreError> {
        let locked = File::open(&self.directory).and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| self.io("cannot be locked", error))
    }

    pub(super) fn index(&self) -> Result<Index, StoreError> {
        match File::open(self.directory.join("index.json")) {
            Ok(file) => {
                let bytes = self.bounded(file, "index.json")?;
                Index::parse(&bytes).ok_or_else(|| self.broken("its index.json is no image index"))
            }
            // Only a store that nobody has written to yet has none.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.vacant().is_ok() => {
                Ok(Index::empty())
            }
            Err(error) => Err(self.io("has no readable index.json", error)),
        }
    }

    /// The caller has the lock.
    pub(super) fn replace_index(&self, index: &Index) -> Result<(), StoreError> {
        self.replace("index.json", &index.to_bytes())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let written = temporary(&self.directory).and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(self.directory.join(name)).map_err(|error| error.error)
        });
        written.map(drop).map_err(|error| self.io(&format!("does not take a new {name}"), error))
    }

    /// Removes what a process left that was killed. A file of one that lives is locked, or was made under
    /// the lock that the caller has.
    pub(super) fn remove_stale(&self) -> Result<(), StoreError> {
        for directory in [&self.directory, &self.blobs()] {
            let entries = fs::read_dir(directory).map_err(|error| self.io("cannot be read", error))?;
            for entry in entries.flatten().filter(is_temporary) {
                if File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                    // What cannot be removed is in nobody's way.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.directory.join("blobs").join("sha256")
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Whether there is a blob of this size.
    pub(super) fn has(&self, blob: &BlobRef) -> bool {
        self.blob_path(&blob.digest).metadata().is_ok_and(|metadata| metadata.len() == blob.size)
    }

    pub(super) fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        File::open(self.blob_path(digest)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.broken(format!("the blob {digest} is missing")),
            _ => self.io(&format!("has no readable blob {digest}"), error),
        })
    }

    /// The bytes of a manifest, an index or a config, which are those that its digest is of.
    pub(super) fn document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let bytes = self.bounded(self.open_blob(digest)?, &digest.to_string())?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.broken(format!("the blob {digest} has other contents")))
        }
    }

    fn bounded(&self, file: File, name: &str) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        file.take(LARGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io(&format!("has no readable {name}"), error))?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(self.broken(format!("{name} is larger than {LARGEST_DOCUMENT} bytes")));
        }
        Ok(bytes)
    }
}

impl Blobs for Layout {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        Ok(Box::new(self.open_blob(&blob.digest)?))
    }

    fn broken(&self, reason: String) -> StoreError {
        Layout::broken(self, reason)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_layouts_and_empty_directories_are_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new");
        let layout = Layout::open(&path).unwrap();
        assert!(layout.index().unwrap().entries().is_empty());
        assert!(!path.exists());
        fs::create_dir(&path).unwrap();
        Layout::open(&path).unwrap().create().unwrap();
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
        Layout::open(&path).unwrap().create().unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2"}"#).unwrap();
        assert!(Layout::open(&path).unwrap_err().to_string().contains("no known version"));
        fs::remove_file(path.join("oci-layout")).unwrap();
        assert!(Layout::open(&path).unwrap_err().to_string().contains("name an OCI image layout"));
    }

    #[test]
    fn documents_are_checked() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        layout.create().unwrap();
        let digest = Digest::of(b"text");
        assert!(layout.document(&digest).unwrap_err().to_string().contains("is missing"));
        fs::write(layout.blob_path(&digest), "other").unwrap();
        assert!(layout.document(&digest).unwrap_err().to_string().contains("other contents"));
        fs::write(layout.blob_path(&digest), "text").unwrap();
        assert_eq!(layout.document(&digest).unwrap(), b"text");
        assert!(layout.has(&BlobRef { digest, size: 4 }) && !layout.has(&BlobRef { digest, size: 5 }));
    }
}

//! The files of a layout, of a directory or of an archive: read whole, and checked.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use dsync_core::{Digest, Platform};
use serde_json::Value;

use super::directory::{Directory, io_error};
use super::index::LayoutIndex;
use crate::archive::ArchiveIndex;
use crate::blob::BlobRef;
use crate::host;
use crate::layers::Blobs;
use crate::package::{LARGEST_DOCUMENT, PackageError};
use crate::store::StoreError;

/// The most bytes of the index: it names every image.
const LARGEST_INDEX: u64 = 16 << 20;

/// A layout.
#[derive(Debug)]
pub(super) struct Layout {
    files: LayoutFiles,
    /// The platform whose image has a name that several platforms share.
    pub(super) platform: Platform,
    /// True if a user asked for the platform: images of others are not meant.
    pub(super) is_chosen: bool,
}

/// The place of its files.
#[derive(Debug)]
enum LayoutFiles {
    Directory(Directory),
    Archive { name: String, contents: Arc<ArchiveIndex> },
}

impl Layout {
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let layout = Self::new(LayoutFiles::Directory(Directory::new(directory)));
        match layout.file("oci-layout")? {
            Some(bytes) => layout.check_version(&bytes).map(|()| layout),
            None => layout.directory()?.check_vacant().map(|()| layout),
        }
    }

    /// The layout in an archive that has an index. `name` is the archive, for people.
    pub(super) fn archived(name: String, contents: Arc<ArchiveIndex>) -> Result<Self, StoreError> {
        let layout = Self::new(LayoutFiles::Archive { name, contents });
        if let Some(bytes) = layout.file("oci-layout")? {
            layout.check_version(&bytes)?;
        }
        Ok(layout)
    }

    fn new(files: LayoutFiles) -> Self {
        Self { files, platform: host::platform(), is_chosen: false }
    }

    fn check_version(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
        match json.get("imageLayoutVersion").and_then(Value::as_str) {
            Some(version) if version.starts_with("1.") => Ok(()),
            _ => Err(self.broken("its oci-layout file names no known version (expected 1.0.0)")),
        }
    }

    /// For people.
    pub(super) fn name(&self) -> String {
        match &self.files {
            LayoutFiles::Directory(directory) => directory.name(),
            LayoutFiles::Archive { name, .. } => name.clone(),
        }
    }

    /// The directory, where the layout can be written.
    pub(super) fn directory(&self) -> Result<&Directory, StoreError> {
        match &self.files {
            LayoutFiles::Directory(directory) => Ok(directory),
            LayoutFiles::Archive { name, .. } => Err(StoreError::ReadOnly { store: name.clone() }),
        }
    }

    /// Checks that there is a layout, and not only a place for one.
    pub(super) fn must_exist(&self) -> Result<(), StoreError> {
        let LayoutFiles::Directory(directory) = &self.files else { return Ok(()) };
        let path = directory.path();
        if path.join("oci-layout").exists() {
            return Ok(());
        }
        let display = path.display();
        let message = if path.exists() {
            format!("the directory {display} is empty: there is no OCI image layout in it")
        } else {
            match existing_prefix(path) {
                Some((layout, image)) => format!(
                    "there is no directory {display}. For the image {image} of the layout {layout}, name it apart: \
                     oci:{layout} {image}"
                ),
                None => {
                    format!("there is no directory {display}, so no OCI image layout to take images from")
                }
            }
        };
        Err(StoreError::NoStore { message })
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
        io_error(&self.name(), what, source)
    }

    /// A small file at the top of the layout; `None` where there is none.
    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.files {
            LayoutFiles::Directory(directory) => match File::open(directory.path().join(name)) {
                Ok(file) => self.bounded(file, name, LARGEST_INDEX).map(Some),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                // A file in the place of the directory, which `is_vacant` reports.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
                Err(error) => Err(self.io(&format!("has no readable {name}"), error)),
            },
            LayoutFiles::Archive { contents, .. } => {
                contents.open(name).map(|part| self.bounded(part, name, LARGEST_INDEX)).transpose()
            }
        }
    }

    pub(super) fn index(&self) -> Result<LayoutIndex, StoreError> {
        match self.file("index.json")? {
            Some(bytes) => {
                LayoutIndex::parse(&bytes).ok_or_else(|| self.broken("its index.json is no image index"))
            }
            // Only a store that nobody has written to yet has none.
            None => match &self.files {
                LayoutFiles::Directory(directory) if directory.is_vacant()? => Ok(LayoutIndex::empty()),
                _ => Err(self.broken("it has no index.json")),
            },
        }
    }

    /// True if there is a blob of this size.
    pub(super) fn has(&self, blob: &BlobRef) -> bool {
        let len = match &self.files {
            LayoutFiles::Directory(directory) => {
                fs::metadata(directory.blob_path(&blob.digest)).ok().map(|metadata| metadata.len())
            }
            LayoutFiles::Archive { contents, .. } => contents.len(&archived_path(&blob.digest)),
        };
        len == Some(blob.size)
    }

    pub(super) fn open_blob(&self, digest: &Digest) -> Result<Box<dyn Read>, StoreError> {
        let missing = || self.broken(format!("the blob {digest} is missing"));
        match &self.files {
            LayoutFiles::Directory(directory) => match File::open(directory.blob_path(digest)) {
                Ok(file) => Ok(Box::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                Err(error) => Err(self.io(&format!("has no readable blob {digest}"), error)),
            },
            LayoutFiles::Archive { contents, .. } => {
                let part = contents.open(&archived_path(digest)).ok_or_else(missing)?;
                Ok(Box::new(part))
            }
        }
    }

    /// The bytes of a manifest, an index or a config, which are those that its digest is of.
    pub(super) fn document(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let bytes = self.bounded(self.open_blob(digest)?, &digest.to_string(), LARGEST_DOCUMENT)?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(self.broken(format!("the blob {digest} has another digest")))
        }
    }

    fn bounded(&self, file: impl Read, name: &str, largest: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        file.take(largest + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| self.io(&format!("has no readable {name}"), error))?;
        if bytes.len() as u64 > largest {
            return Err(self.broken(format!("{name} is larger than {largest} bytes")));
        }
        Ok(bytes)
    }
}

impl Blobs for Layout {
    fn open(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.open_blob(&blob.digest).map(|blob| blob as Box<dyn Read>)
    }

    fn broken(&self, reason: String) -> StoreError {
        Layout::broken(self, reason)
    }
}

fn archived_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// `DIR:NAME` as other tools write an image of a layout, where there is a `DIR`.
fn existing_prefix(path: &Path) -> Option<(&str, &str)> {
    let text = path.to_str()?;
    let splits = text.match_indices(':').map(|(at, _)| (&text[..at], &text[at + 1..]));
    splits.filter(|(_, name)| !name.is_empty()).find(|(directory, _)| Path::new(directory).is_dir())
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
        Layout::open(&path).unwrap().directory().unwrap().create().unwrap();
        let names = |path: &Path| {
            let mut names: Vec<_> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
        Layout::open(&path).unwrap().directory().unwrap().create().unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"2"}"#).unwrap();
        assert!(Layout::open(&path).unwrap_err().to_string().contains("no known version"));
        fs::remove_file(path.join("oci-layout")).unwrap();
        assert!(Layout::open(&path).unwrap_err().to_string().contains("name an OCI image layout"));
    }

    #[test]
    fn a_source_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let said = |path: &Path| match Layout::open(path).and_then(|layout| layout.must_exist()) {
            Err(StoreError::NoStore { message }) => message,
            other => panic!("{other:?}"),
        };
        let new = directory.path().join("new");
        assert!(said(&new).starts_with("there is no directory"));
        fs::create_dir(&new).unwrap();
        assert!(said(&new).contains("is empty"));
        assert!(said(&directory.path().join("new:web:1")).contains("new web:1"), "as skopeo has it");
        Directory::new(&new).create().unwrap();
        Layout::open(&new).unwrap().must_exist().unwrap();
        let file = directory.path().join("file.tar");
        fs::write(&file, "x").unwrap();
        assert!(said(&file).contains("oci-archive:"));
    }

    #[test]
    fn documents_are_checked() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::open(directory.path()).unwrap();
        let files = layout.directory().unwrap();
        files.create().unwrap();
        let digest = Digest::of(b"text");
        assert!(layout.document(&digest).unwrap_err().to_string().contains("is missing"));
        fs::write(files.blob_path(&digest), "other").unwrap();
        assert!(layout.document(&digest).unwrap_err().to_string().contains("another digest"));
        fs::write(files.blob_path(&digest), "text").unwrap();
        assert_eq!(layout.document(&digest).unwrap(), b"text");
        assert!(layout.has(&BlobRef { digest, size: 4 }) && !layout.has(&BlobRef { digest, size: 5 }));
    }
}

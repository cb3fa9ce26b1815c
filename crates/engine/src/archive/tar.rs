//! The bytes of a saved archive, which are read from any place and as often as needed: the file itself, or what
//! it unpacks to.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::decode::{decoded, is_gzip, is_zstd, peek};
use crate::store::StoreError;
use crate::watched::WatchedReader;

/// An uncompressed tar in a file.
#[derive(Debug, Clone)]
pub(crate) struct Tar {
    file: Arc<File>,
    len: u64,
}

impl Tar {
    /// Opens an archive. One in gzip or zstd, and one that can be read only once (a pipe), is written once, without
    /// compression, to a file without a name in this folder. `name` is the archive, for people.
    pub(crate) fn open(path: &Path, name: &str, folder: &Path) -> Result<Self, StoreError> {
        let unreadable = |source: io::Error| StoreError::Io { what: format!("cannot read {name}"), source };
        let metadata = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                StoreError::NoStore { message: format!("there is no file {}", path.display()) }
            }
            _ => unreadable(error),
        })?;
        if metadata.is_dir() {
            let directory = path.display();
            let message =
                format!("{directory} is a directory, not an archive: an OCI image layout is oci:{directory}");
            return Err(StoreError::NoStore { message });
        }
        let mut file = File::open(path).map_err(unreadable)?;
        let start = peek(&mut file).map_err(unreadable)?;
        if let Some(packing) = unsupported(&start) {
            let reason = format!("{} unpack it first: {} {}", packing.what, packing.command, path.display());
            return Err(StoreError::Unsupported { what: name.into(), reason });
        }
        if metadata.is_file() && !is_gzip(&start) && !is_zstd(&start) {
            return Ok(Self { file: Arc::new(file), len: metadata.len() });
        }
        unpack(io::Cursor::new(start).chain(file), name, folder)
    }

    /// The range of `len` bytes from here on.
    pub(crate) fn part(&self, at: u64, len: u64) -> FileRange {
        FileRange { file: Arc::clone(&self.file), at, end: at.saturating_add(len) }
    }

    /// The whole archive.
    pub(crate) fn whole(&self) -> FileRange {
        self.part(0, self.len)
    }

    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, bytes).unwrap();
        Self { file: Arc::new(file), len: bytes.len() as u64 }
    }
}

/// A compression that is not read here.
struct ForeignCompression {
    /// As the end of a sentence about the archive.
    what: &'static str,
    /// The command that unpacks a file.
    command: &'static str,
}

fn unsupported(start: &[u8]) -> Option<ForeignCompression> {
    let packing = |what, command| Some(ForeignCompression { what, command });
    match start {
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            packing("is compressed with xz, which is not read here;", "xz -d")
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
            packing("is compressed with bzip2, which is not read here;", "bzip2 -d")
        }
        [0x04, 0x22, 0x4d, 0x18, ..] => packing("is compressed with lz4, which is not read here;", "lz4 -d"),
        [b'L', b'Z', b'I', b'P', ..] => {
            packing("is compressed with lzip, which is not read here;", "lzip -d")
        }
        [b'P', b'K', 3, 4, ..] => packing("is a zip file, not a tar archive;", "unzip"),
        [b'7', b'z', 0xbc, 0xaf, ..] => packing("is a 7z file, not a tar archive;", "7z x"),
        _ => None,
    }
}

fn unpack(packed: impl Read, name: &str, folder: &Path) -> Result<Tar, StoreError> {
    let broken = |reason: String| StoreError::Broken { what: name.into(), reason };
    let undone = |source| {
        let what = format!("{name} cannot be unpacked to a temporary file in {}", folder.display());
        StoreError::Io { what, source }
    };
    let mut plain = WatchedReader::new(decoded(packed).map_err(|error| broken(undecodable(&error)))?);
    let mut file = tempfile::tempfile_in(folder).map_err(undone)?;
    let copied = io::copy(&mut plain, &mut file);
    if let Some(error) = plain.failure() {
        return Err(broken(undecodable(&error)));
    }
    let len = copied.map_err(undone)?;
    Ok(Tar { file: Arc::new(file), len })
}

/// The reason for which compressed data cannot be read.
fn undecodable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it is truncated: its compressed data ends too early".into(),
        _ if error.to_string().contains("too much memory") => {
            "unpacking it takes more than 128 MiB of memory; unpack it first: zstd -d --long=31".into()
        }
        _ => format!("it cannot be unpacked: {error}"),
    }
}

/// A range of a file, which others read at the same time.
#[derive(Debug)]
pub(crate) struct FileRange {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl FileRange {
    /// The offset in the file of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Skips this number of bytes.
    pub(super) fn advance(&mut self, count: u64) {
        self.at = self.at.saturating_add(count).min(self.end);
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }
}

impl Read for FileRange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter meanwhile"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

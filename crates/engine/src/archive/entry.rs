//! Reads the entries of a tar stream: ustar, pax and GNU names and sizes.
//!
//! The formats are those of POSIX (`pax`, "ustar Interchange Format") and of GNU tar (`tar.h`). Unlike the tar crate's
//! reader, this one requires the end-of-archive mark: an engine that fails in the middle of a save cuts the archive,
//! appends its error as JSON, and exits with success. The size of names and extended headers is bounded.

use std::io::{self, Read};

use dsync_core::pax::{self, PaxRecord};
use dsync_core::ustar::{BLOCK, checksum, number, padding};

use super::error::ReadError;
use super::tar::FileRange;

/// The most bytes of a name or an extended header.
const LARGEST_EXTENSION: u64 = 1 << 20;
/// The last bytes that are kept, in which an engine's error is looked for.
const RECENT: usize = 4 << 10;

/// The kind of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TarEntryKind {
    /// A file; its contents are read from [`TarEntries`].
    File,
    /// A symbolic link, with its target as it is written.
    Symlink(String),
    /// A hard link to another entry, by its path.
    Hardlink(String),
    /// A directory or a device: nothing that an image is made of.
    Other,
}

/// One entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TarEntry {
    /// Without a leading `./` or a trailing `/`.
    pub(crate) path: String,
    pub(crate) kind: TarEntryKind,
    /// The bytes of its contents.
    pub(crate) size: u64,
}

/// A tar stream. Reading from it reads the contents of the entry that `next` gave last.
pub(crate) struct TarEntries<R> {
    source: Recent<R>,
    left: u64,
    padding: u64,
    failed: Option<io::Error>,
}

impl<R: Read> TarEntries<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source: Recent { inner: source, kept: Vec::new() }, left: 0, padding: 0, failed: None }
    }

    /// The next entry; `None` after the end-of-archive mark.
    pub(crate) fn next(&mut self) -> Result<Option<TarEntry>, ReadError> {
        let mut long = Extensions::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let kind = block[156];
            self.left = number(&block[124..136]).ok_or_else(|| broken("an entry has no valid size"))?;
            match kind {
                b'x' | b'g' | b'L' | b'K' => {
                    self.padding = padding(self.left);
                    let text = self.extension()?;
                    match kind {
                        b'L' => long.path = Some(c_string(&text)),
                        b'K' => long.link = Some(c_string(&text)),
                        b'x' => long.pax(&text)?,
                        // A global header is a comment in practice.
                        _ => {}
                    }
                }
                _ => {
                    if let Some(size) = long.size {
                        self.left = size;
                    }
                    let link = long.link.unwrap_or_else(|| c_string(&block[157..257]));
                    let kind = match kind {
                        b'0' | 0 | b'7' => TarEntryKind::File,
                        b'1' => TarEntryKind::Hardlink(cleaned(&link)),
                        b'2' => TarEntryKind::Symlink(link),
                        _ => TarEntryKind::Other,
                    };
                    if matches!(kind, TarEntryKind::Hardlink(_) | TarEntryKind::Symlink(_)) {
                        self.left = 0;
                    }
                    self.padding = padding(self.left);
                    let path = long.path.unwrap_or_else(|| path(&block));
                    return Ok(Some(TarEntry { path: cleaned(&path), kind, size: self.left }));
                }
            }
        }
    }

    /// Skips the rest of the current entry.
    pub(crate) fn skip(&mut self) -> Result<(), ReadError> {
        let length = self.left.checked_add(self.padding).ok_or_else(|| broken("an entry is too long"))?;
        let skipped = io::copy(&mut (&mut self.source).take(length), &mut io::sink());
        if skipped.map_err(ReadError::Source)? < length {
            return Err(self.cut());
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// After the end of the archive: reads on to the end of the input, as the writer waits for that.
    pub(crate) fn drain(&mut self) -> Result<(), ReadError> {
        self.source.kept.clear();
        io::copy(&mut self.source, &mut io::sink()).map_err(ReadError::Source)?;
        match self.source.engine_error() {
            Some(error) => Err(broken(error)),
            None => Ok(()),
        }
    }

    /// A header, checked; `None` for the end-of-archive mark.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, ReadError> {
        let block = self.raw_block()?;
        if block.iter().all(|byte| *byte == 0) {
            return if self.raw_block()?.iter().all(|byte| *byte == 0) { Ok(None) } else { Err(self.cut()) };
        }
        if is_header(&block) { Ok(Some(block)) } else { Err(self.cut()) }
    }

    fn raw_block(&mut self) -> Result<[u8; BLOCK], ReadError> {
        let mut block = [0; BLOCK];
        match self.source.read_exact(&mut block) {
            Ok(()) => Ok(block),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut()),
            Err(error) => Err(ReadError::Source(error)),
        }
    }

    fn extension(&mut self) -> Result<Vec<u8>, ReadError> {
        if self.left > LARGEST_EXTENSION {
            return Err(broken("the name of an entry is too long"));
        }
        let mut text = Vec::new();
        let read = self.read_to_end(&mut text);
        read.map_err(|error| self.failure().unwrap_or(ReadError::Source(error)))?;
        Ok(text)
    }

    /// The error of reading the contents, if there was one: the caller that read them may have another one.
    pub(crate) fn failure(&mut self) -> Option<ReadError> {
        match self.failed.take() {
            Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(self.cut()),
            other => other.map(ReadError::Source),
        }
    }

    /// The error where an entry should be: the engine's own message, if it left one.
    fn cut(&mut self) -> ReadError {
        // The rest is read so that all of its words are here; they are short.
        if let Err(error) = io::copy(&mut (&mut self.source).take(RECENT as u64), &mut io::sink()) {
            return ReadError::Source(error);
        }
        broken(self.source.engine_error().unwrap_or_else(|| "it is truncated: the end is missing".into()))
    }
}

impl<R: Read> Read for TarEntries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let error = match (&mut self.source).take(self.left).read(buffer) {
            Ok(0) if self.left > 0 && !buffer.is_empty() => io::ErrorKind::UnexpectedEof.into(),
            Ok(count) => {
                self.left -= count as u64;
                return Ok(count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => error,
        };
        let copy = io::Error::new(error.kind(), error.to_string());
        self.failed = Some(error);
        Err(copy)
    }
}

impl TarEntries<FileRange> {
    /// The offset of the contents of the current entry.
    pub(crate) fn position(&self) -> u64 {
        self.source.inner.position()
    }

    /// Skips the current entry without reading it.
    pub(crate) fn pass(&mut self) -> Result<(), ReadError> {
        let length = self.left.checked_add(self.padding);
        match length.filter(|length| *length <= self.source.inner.left()) {
            Some(length) => {
                self.source.inner.advance(length);
                (self.left, self.padding) = (0, 0);
                Ok(())
            }
            // Reading it finds the engine's error, if there is one.
            None => self.skip(),
        }
    }
}

/// True if a file that begins with this block is a tar archive.
pub(crate) fn begins_archive(start: &[u8]) -> bool {
    start.first_chunk().is_some_and(|block: &[u8; BLOCK]| is_header(block) || block == &[0; BLOCK])
}

/// A block has the checksum that it names.
fn is_header(block: &[u8; BLOCK]) -> bool {
    number(&block[148..156]) == Some(checksum(block))
}

fn broken(reason: impl Into<String>) -> ReadError {
    ReadError::Broken(reason.into())
}

/// Remembers the last bytes that were read.
struct Recent<R> {
    inner: R,
    kept: Vec<u8>,
}

impl<R> Recent<R> {
    /// `{"errorDetail":{"message":…}}`, at the end of what was read.
    fn engine_error(&self) -> Option<String> {
        let mark = br#"{"errorDetail""#;
        let start = self.kept.windows(mark.len()).rposition(|window| window == mark)?;
        let mut values = serde_json::Deserializer::from_slice(&self.kept[start..]).into_iter();
        let value: serde_json::Value = values.next()?.ok()?;
        let message = value.pointer("/errorDetail/message").or_else(|| value.get("error"))?.as_str()?;
        Some(format!("the engine stopped in the middle: {message}"))
    }
}

impl<R: Read> Read for Recent<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let fresh = &buffer[..count];
        if count >= RECENT {
            self.kept.clear();
            self.kept.extend_from_slice(&fresh[count - RECENT..]);
        } else {
            let excess = (self.kept.len() + count).saturating_sub(RECENT);
            self.kept.drain(..excess);
            self.kept.extend_from_slice(fresh);
        }
        Ok(count)
    }
}

#[derive(Default)]
struct Extensions {
    path: Option<String>,
    link: Option<String>,
    size: Option<u64>,
}

impl Extensions {
    /// Takes the records of a pax header.
    fn pax(&mut self, mut body: &[u8]) -> Result<(), ReadError> {
        let invalid = || broken("an extended header is invalid");
        while !body.is_empty() {
            let PaxRecord { key, value } = pax::take(&mut body).ok_or_else(invalid)?;
            match key {
                b"path" => self.path = Some(String::from_utf8_lossy(value).into_owned()),
                b"linkpath" => self.link = Some(String::from_utf8_lossy(value).into_owned()),
                b"size" => self.size = Some(pax::number(value).ok_or_else(invalid)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn path(block: &[u8; BLOCK]) -> String {
    let name = c_string(&block[..100]);
    let prefix = c_string(&block[345..500]);
    // GNU's form keeps other things where ustar has the prefix.
    if &block[257..263] == b"ustar\0" && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// A path from the top of the archive.
fn cleaned(path: &str) -> String {
    path.strip_prefix("./").unwrap_or(path).trim_end_matches('/').to_owned()
}

fn c_string(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;

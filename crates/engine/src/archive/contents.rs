//! An index of the files of a saved archive, so that any of them can be read without the others.

use std::collections::HashMap;

use super::entry::{TarEntries, TarEntryKind};
use super::error::ReadError;
use super::read::resolved;
use super::tar::{FileRange, Tar};

/// The bytes that the table may take: some 400,000 files. Archives of images have a few thousand.
const LARGEST_TABLE: usize = 64 << 20;
/// The bytes of an entry of the table beside its texts, about.
const ENTRY: usize = 100;
/// The longest chain of links that is followed.
const LONGEST_CHAIN: usize = 8;

/// The files of an archive by their paths.
#[derive(Debug)]
pub(crate) struct ArchiveIndex {
    tar: Tar,
    files: HashMap<String, ArchiveNode>,
}

#[derive(Debug)]
enum ArchiveNode {
    File { at: u64, len: u64 },
    Link(String),
}

impl ArchiveIndex {
    /// Reads the headers of an archive, which must be whole. Of several files with the same path the last counts, as
    /// it does for who unpacks it.
    pub(crate) fn read(tar: Tar) -> Result<Self, ReadError> {
        Self::read_within(LARGEST_TABLE, tar)
    }

    fn read_within(largest: usize, tar: Tar) -> Result<Self, ReadError> {
        let mut files = HashMap::new();
        let mut entries = TarEntries::new(tar.whole());
        let mut size: usize = 0;
        while let Some(entry) = entries.next()? {
            let node = match entry.kind {
                TarEntryKind::File => ArchiveNode::File { at: entries.position(), len: entry.size },
                TarEntryKind::Symlink(target) => ArchiveNode::Link(resolved(&entry.path, &target)),
                TarEntryKind::Hardlink(target) => ArchiveNode::Link(target),
                TarEntryKind::Other => {
                    entries.pass()?;
                    continue;
                }
            };
            let target = if let ArchiveNode::Link(target) = &node { target.len() } else { 0 };
            size = size.saturating_add(entry.path.len()).saturating_add(target).saturating_add(ENTRY);
            if size > largest {
                return Err(ReadError::Broken(format!("it has too many files: {} and more", files.len())));
            }
            files.insert(entry.path, node);
            entries.pass()?;
        }
        entries.drain()?;
        Ok(Self { tar, files })
    }

    /// True if there is such a file.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.len(path).is_some()
    }

    /// The bytes of a file.
    pub(crate) fn len(&self, path: &str) -> Option<u64> {
        self.find(path).map(|(_, len)| len)
    }

    /// A file's contents.
    pub(crate) fn open(&self, path: &str) -> Option<FileRange> {
        self.find(path).map(|(at, len)| self.tar.part(at, len))
    }

    fn find(&self, path: &str) -> Option<(u64, u64)> {
        let mut node = self.files.get(path)?;
        for _ in 0..LONGEST_CHAIN {
            match node {
                ArchiveNode::File { at, len } => return Some((*at, *len)),
                ArchiveNode::Link(target) => node = self.files.get(target)?,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::archive::file_header;

    fn file(path: &str, contents: &[u8]) -> Vec<u8> {
        let mut entry = file_header(path, contents.len() as u64).to_vec();
        entry.extend_from_slice(contents);
        entry.resize(entry.len().next_multiple_of(512), 0);
        entry
    }

    fn link(kind: tar::EntryType, path: &str, target: &str) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, path, target).unwrap();
        let mut entry = builder.into_inner().unwrap();
        entry.truncate(entry.len() - 1024);
        entry
    }

    fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
        [&entries.concat()[..], &[0; 1024]].concat()
    }

    fn read(bytes: &[u8]) -> Result<ArchiveIndex, ReadError> {
        ArchiveIndex::read(Tar::of(bytes))
    }

    fn text(contents: &ArchiveIndex, path: &str) -> Option<String> {
        let mut text = String::new();
        contents.open(path)?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn files_are_found_by_their_paths() {
        let bytes = archive(&[
            file("./index.json", b"old"),
            file("blobs/a", &[b'x'; 1000]),
            file("index.json", b"new"),
            link(tar::EntryType::Symlink, "b/layer.tar", "../blobs/a"),
            link(tar::EntryType::Link, "c", "./index.json"),
            link(tar::EntryType::Symlink, "round", "round"),
        ]);
        let contents = read(&bytes).unwrap();
        assert_eq!(text(&contents, "index.json").unwrap(), "new");
        assert_eq!(contents.len("blobs/a"), Some(1000));
        assert_eq!(text(&contents, "b/layer.tar").unwrap(), "x".repeat(1000));
        assert_eq!(text(&contents, "c").unwrap(), "new", "the target of a hard link may begin with ./");
        assert!(!contents.has("round") && !contents.has("nothing"));
    }

    #[test]
    fn an_archive_that_was_cut_is_an_error() {
        let whole = archive(&[file("a", &[1; 2000]), file("b", b"x")]);
        let reason = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        for len in [0, 100, 600, 2_000, 2_600, whole.len() - 1024, whole.len() - 512] {
            assert!(reason(&whole[..len]).contains("the end is missing"), "{len}");
        }
        // An engine that fails in the middle of a layer writes its error there.
        let cut = [&whole[..700], br#"{"errorDetail":{"message":"disk on fire"}}"#].concat();
        assert!(reason(&cut).contains("disk on fire"), "{}", reason(&cut));
    }

    #[test]
    fn more_files_than_any_image_has_are_refused() {
        let many: Vec<Vec<u8>> = (0..100).map(|n| file(&n.to_string(), b"")).collect();
        let read = |largest| ArchiveIndex::read_within(largest, Tar::of(&archive(&many)));
        assert!(read(20 * ENTRY).unwrap_err().to_string().contains("too many files"));
        assert!(read(110 * ENTRY).is_ok());
    }
}

//! The index itself: its accessors, and its segments.

use std::convert::Infallible;
use std::ops::Range;

use dsync_core::Digest;
use dsync_core::ustar::{BLOCK, padding};

use super::contents::Contents;
use super::cursor::Cursor;
use super::packed::Packed;
use super::records::RecordKind;

/// A file with at least one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The path as the tar has it; empty outside of a tar.
    pub path: Vec<u8>,
    /// Its contents, by their ordinals in [`LayerIndex::contents`].
    pub contents: Range<usize>,
    /// Bytes in these contents.
    pub len: u64,
}

/// A layer without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerIndex {
    /// SHA-256 of the layer.
    pub digest: Digest,
    /// Bytes in the layer.
    pub len: u64,
    pub(super) packed: Packed,
    pub(super) contents: Contents,
}

/// A segment of a layer.
#[derive(Debug)]
pub enum Segment<'a> {
    /// Verbatim bytes.
    Verbatim(&'a [u8]),
    /// Zeros, by their number.
    Zeros(u64),
    /// The content with this ordinal.
    Content(usize),
}

impl LayerIndex {
    /// The first bytes of a keyed hash over all of the layer. It proves possession of the layer, which its diff id does not:
    /// that is in manifests and logs.
    pub fn proof(&self, key: &[u8; 16]) -> [u8; 3] {
        let mut hasher = blake3::Hasher::new_derive_key("docker-sync 2026 possession of a layer");
        hasher.update(key);
        hasher.update(self.digest.as_bytes());
        let mut add = |kind: u8, len: u64, bytes: &[u8]| {
            hasher.update(&[kind]);
            hasher.update(&len.to_le_bytes());
            hasher.update(bytes);
        };
        // Many a layer has no contents: small files are verbatim, folders and links have none.
        let hashed = self.segments(&mut |segment| {
            match segment {
                Segment::Verbatim(bytes) => add(0, bytes.len() as u64, bytes),
                Segment::Zeros(len) => add(1, len, &[]),
                Segment::Content(ordinal) => {
                    let content = self.contents.at(ordinal);
                    add(2, content.len, content.id.as_bytes());
                }
            }
            Ok::<(), Infallible>(())
        });
        match hashed {
            Ok(()) => {}
            Err(never) => match never {},
        }
        let [a, b, c, ..] = *hasher.finalize().as_bytes();
        [a, b, c]
    }

    /// The contents in the order of the layer, repeated ones included.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The number of entries: headers with their extension headers, and raw bytes.
    pub fn groups(&self) -> usize {
        self.packed.groups()
    }

    /// The number of records.
    pub fn records(&self) -> usize {
        self.packed.records()
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.packed.memory() + self.contents.memory()
    }

    /// A cursor over the groups.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.packed, &self.contents)
    }

    /// The files with contents, in the order of the layer.
    pub fn files(&self) -> impl Iterator<Item = File> + '_ {
        let mut cursor = self.cursor();
        (0..self.groups()).filter_map(move |group| {
            let group = cursor.group(group)?;
            let contents = group.contents();
            let len = self.contents.bytes(contents.clone());
            (!contents.is_empty()).then(|| File { path: group.path().into_owned(), contents, len })
        })
    }

    /// The file with a content.
    pub fn file_of(&self, content: usize) -> Option<File> {
        let group = self.cursor().group_of(content)?;
        let contents = group.contents();
        let len = self.contents.bytes(contents.clone());
        Some(File { path: group.path().into_owned(), contents, len })
    }

    /// Passes the segments of the layer to `take`, in the order of its bytes. Stops at the first failure.
    pub fn segments<E>(&self, take: &mut dyn FnMut(Segment<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let mut contents = group.contents();
            for view in group.records() {
                match (view.record.kind, view.block()) {
                    (RecordKind::Zeros(blocks), _) => {
                        take(Segment::Zeros(blocks.saturating_mul(BLOCK as u64)))?
                    }
                    (_, Some(block)) => take(Segment::Verbatim(&block))?,
                    _ => {}
                }
                if !view.body().is_empty() {
                    take(Segment::Verbatim(view.body()))?;
                }
                if view.record.fill() > 0 {
                    take(Segment::Zeros(view.record.fill()))?;
                }
                let own = contents.start..contents.start + view.record.contents;
                contents.start = own.end;
                own.clone().map(Segment::Content).try_for_each(&mut *take)?;
                let fill = padding(self.contents.bytes(own.clone()));
                if view.record.padded && !own.is_empty() && fill > 0 {
                    take(Segment::Zeros(fill))?;
                }
            }
        }
        Ok(())
    }
}

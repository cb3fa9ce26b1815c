//! The layer index: what is in a layer, without its contents.
//!
//! The verbatim bytes of a layer are taken as *records*: a header block divided into its fields, with what
//! belongs to it, or zeros, or bytes that are neither. Whatever the bytes are, the records give them back
//! exactly; how well they are understood only decides how few bytes they take on the wire.
//!
//! A layer may have millions of files, so all of it is packed: a file takes about 45 bytes of memory, its content
//! included. It is read group by group, through a cursor.

mod builder;
mod contents;
mod cursor;
mod entries;
mod fields;
mod packed;
mod parse;
mod records;

use std::convert::Infallible;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use dsync_core::Digest;
use dsync_core::ustar::{BLOCK, padding};

use crate::header_delta::{Decoder, Encoder, HeaderDeltaError, Limits, Mode};
pub(crate) use builder::Builder;
pub use contents::{CONTENT_MAX, Content, Contents};
pub(crate) use cursor::{Cursor, Group};
pub use entries::{Entries, Selection};
pub(crate) use fields::{FIELDS, Field, Fields, canonical_number, canonical_value};
use packed::Packed;
pub(crate) use parse::{Parser, records};
pub(crate) use records::{GROUP_RECORDS, Record, RecordKind, Records, View};

/// The version of [`LayerIndex::write`], to be counted up when records, columns or cuts change.
const FORMAT: u8 = 4;

/// A file with at least one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As the tar has it; empty in what is no tar.
    pub path: Vec<u8>,
    /// Which of [`LayerIndex::contents`] it is made of.
    pub contents: Range<usize>,
    /// Bytes in these contents.
    pub len: u64,
}

/// A layer without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerIndex {
    /// SHA-256 of the whole layer.
    pub digest: Digest,
    /// Bytes in the layer.
    pub len: u64,
    packed: Packed,
    contents: Contents,
}

/// A part of a layer; the parts come in the order of its bytes.
#[derive(Debug)]
pub enum Part<'a> {
    /// Verbatim bytes.
    Verbatim(&'a [u8]),
    /// Zeros, by their number.
    Zeros(u64),
    /// The content with this ordinal.
    Content(usize),
}

impl LayerIndex {
    /// Writes the bytes by which a listing can be kept: columns without a basis, to be compressed by the caller.
    pub fn write(self: &Arc<Self>, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&[FORMAT])?;
        Encoder::new(&[], Mode::Full).layer(self, out)
    }

    /// The beginning of a hash over all of the layer, keyed. Who knows it has the layer, and not only the diff id, which
    /// manifests and logs tell everybody.
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
        let hashed = self.parts(&mut |part| {
            match part {
                Part::Verbatim(bytes) => add(0, bytes.len() as u64, bytes),
                Part::Zeros(len) => add(1, len, &[]),
                Part::Content(ordinal) => {
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

    /// Reads what [`LayerIndex::write`] wrote, and not a byte more, in at most so many bytes of memory.
    pub fn read(input: &mut dyn Read, memory: usize) -> Result<LayerIndex, HeaderDeltaError> {
        let mut format = [0];
        input.read_exact(&mut format)?;
        if format != [FORMAT] {
            return Err(HeaderDeltaError::Malformed("an unknown version"));
        }
        let limits = Limits { memory, ..Limits::ANY };
        Ok(Decoder::new(&[], Mode::Full, limits).layer(input)?.listing)
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

    /// A reader of groups.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor::new(self)
    }

    /// The same layer with contents divided where `ends` says, counted from the begin of each; none leaves one
    /// whole. Ids are not kept. Also for each content the first of those it became, and how many there are in the end.
    pub(crate) fn divided(&self, ends: &dyn Fn(usize) -> Vec<u64>) -> (LayerIndex, Vec<u32>) {
        let mut divided = Builder::default();
        let mut ordinals = Vec::with_capacity(self.contents.len() + 1);
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let mut contents = group.contents();
            for view in group.records() {
                divided.record(view.record.kind, view.fields(), view.body());
                for ordinal in contents.by_ref().take(view.record.contents) {
                    ordinals.push(ordinal_of(divided.contents()));
                    let len = self.contents.at(ordinal).len;
                    let mut from = 0;
                    for end in ends(ordinal).into_iter().filter(|end| *end < len).chain([len]) {
                        divided.content(None, end - from);
                        from = end;
                    }
                }
                if view.record.padded {
                    divided.pad();
                }
            }
        }
        ordinals.push(ordinal_of(divided.contents()));
        (divided.finish(self.digest, self.len).0, ordinals)
    }

    /// The entries for which `keep` has contents, with contents of these lengths in place of their own. This is no
    /// layer: where a content lies means nothing.
    pub(crate) fn with_contents(&self, keep: &mut dyn FnMut(Range<usize>) -> Vec<u64>) -> LayerIndex {
        let mut listing = Builder::default();
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let contents = keep(group.contents());
            if contents.is_empty() {
                continue;
            }
            for view in group.records() {
                listing.record(view.record.kind, view.fields(), view.body());
            }
            contents.into_iter().for_each(|len| listing.content(None, len));
        }
        listing.finish(self.digest, self.len).0
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

    /// The file that a content is of.
    pub fn file_of(&self, content: usize) -> Option<File> {
        let group = self.cursor().group_of(content)?;
        let contents = group.contents();
        let len = self.contents.bytes(contents.clone());
        Some(File { path: group.path().into_owned(), contents, len })
    }

    /// Takes the layer apart, and stops at the first failure.
    pub fn parts<E>(&self, take: &mut dyn FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut cursor = self.cursor();
        for group in 0..self.groups() {
            let Some(group) = cursor.group(group) else { break };
            let mut contents = group.contents();
            for view in group.records() {
                match (view.record.kind, view.block()) {
                    (RecordKind::Zeros(blocks), _) => take(Part::Zeros(blocks.saturating_mul(BLOCK as u64)))?,
                    (_, Some(block)) => take(Part::Verbatim(&block))?,
                    _ => {}
                }
                if !view.body().is_empty() {
                    take(Part::Verbatim(view.body()))?;
                }
                if view.record.fill() > 0 {
                    take(Part::Zeros(view.record.fill()))?;
                }
                let own = contents.start..contents.start + view.record.contents;
                contents.start = own.end;
                own.clone().map(Part::Content).try_for_each(&mut *take)?;
                let fill = padding(self.contents.bytes(own.clone()));
                if view.record.padded && !own.is_empty() && fill > 0 {
                    take(Part::Zeros(fill))?;
                }
            }
        }
        Ok(())
    }
}

/// Layers have fewer contents than a 32-bit number can count: each takes 24 bytes of memory, which is limited.
fn ordinal_of(content: usize) -> u32 {
    u32::try_from(content).unwrap_or(u32::MAX)
}

//! What a side knows of a layer without its contents.
//!
//! The verbatim bytes of a layer are taken as *records*: a header block divided into its fields, with what
//! belongs to it, or zeros, or bytes that are neither. Whatever the bytes are, the records give them back
//! exactly; how well they are understood only decides how few bytes they take on the wire.

mod entries;
mod fields;
mod parse;

use std::borrow::Cow;
use std::ops::Range;

use dsync_core::DiffId;

use crate::ContentId;
use crate::columns::{Decoder, Encoder, Limits, Mode};
pub use entries::{Entries, Selection};
pub(crate) use fields::{BLOCK, FIELDS, Field, Fields, canonical_number, octal};
pub(crate) use parse::{Builder, pax, pax_line};

/// The version of [`Listing::to_bytes`], to be counted up when records, columns or cuts change.
const FORMAT: u8 = 3;

/// A content of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The hash of its bytes.
    pub id: ContentId,
    /// How many bytes.
    pub len: u64,
    /// The offset of its first byte in the layer.
    pub at: u64,
}

/// A file with at least one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File<'a> {
    /// As the tar has it; empty in what is no tar.
    pub path: Cow<'a, [u8]>,
    /// Which of [`Listing::contents`] it is made of.
    pub contents: Range<usize>,
    /// Bytes in these contents.
    pub len: u64,
}

/// A layer without its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// SHA-256 of the whole layer.
    pub diff_id: DiffId,
    /// Bytes in the layer.
    pub len: u64,
    /// The bytes of all records, one after the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Record>,
    contents: Vec<Content>,
}

/// A piece of the layer: some verbatim bytes, then some contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// Where its bytes begin in `Listing::bytes`: the fields of a header, then the body.
    pub(crate) at: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
    /// How many contents follow.
    pub(crate) contents: usize,
    /// Whether zeros fill up the last block of the body or of the contents.
    pub(crate) padded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A block with a right checksum; the body is what stays verbatim of what follows it.
    Header(Fields),
    /// So many blocks of zeros.
    Zeros(u64),
    /// The body is all.
    Raw,
}

/// A header with the extension headers before it, or any other record by itself.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) records: Range<usize>,
    /// The first of its contents in the layer.
    pub(crate) content: usize,
}

/// What [`Listing::parts`] gives, in the order of the layer's bytes.
#[derive(Debug)]
pub enum Part<'a> {
    /// Verbatim bytes.
    Verbatim(Cow<'a, [u8]>),
    /// So many zeros.
    Zeros(u64),
    /// The content with this ordinal.
    Content(usize),
}

impl Listing {
    /// A listing without records, to be filled.
    pub(crate) fn empty(diff_id: DiffId, len: u64) -> Listing {
        Listing { diff_id, len, bytes: Vec::new(), records: Vec::new(), contents: Vec::new() }
    }

    /// The beginning of a hash over all contents of the layer, keyed. Who knows it has the contents, and not only the
    /// diff id, which manifests and logs tell everybody.
    pub fn proof(&self, key: &[u8; 16]) -> [u8; 3] {
        let mut hasher = blake3::Hasher::new_derive_key("docker-sync 2026 possession of a layer");
        hasher.update(key);
        hasher.update(self.diff_id.as_bytes());
        for content in &self.contents {
            hasher.update(content.id.as_bytes());
            hasher.update(&content.len.to_le_bytes());
        }
        let [a, b, c, ..] = *hasher.finalize().as_bytes();
        [a, b, c]
    }

    /// The bytes by which a listing can be kept: columns without a basis, to be compressed by the caller.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORMAT];
        Encoder::new(&[], Mode::Full).layer(self, &mut bytes);
        bytes
    }

    /// Reads what [`Listing::to_bytes`] wrote; `None` where it is damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Listing> {
        let mut rest = bytes.strip_prefix(&[FORMAT])?;
        let limits = Limits { len: u64::MAX >> 1, entries: u64::MAX, verbatim: u64::MAX };
        let recipe = Decoder::new(&[], Mode::Full, limits).layer(&mut rest).ok()?;
        rest.is_empty().then_some(recipe.listing)
    }

    /// The contents in the order of the layer, repeated ones included.
    pub fn contents(&self) -> &[Content] {
        &self.contents
    }

    /// Adds a content to the last record; where it lies is set by [`Listing::place`].
    pub(crate) fn push_content(&mut self, id: ContentId, len: u64) {
        self.contents.push(Content { id, len, at: 0 });
    }

    /// Adds a record after whose bytes `contents` contents follow.
    pub(crate) fn push(&mut self, kind: Kind, body: &[u8], padded: bool, fields: &[u8]) -> &mut Record {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(fields);
        self.bytes.extend_from_slice(body);
        self.records.push(Record { kind, at, body: body.len(), contents: 0, padded });
        let last = self.records.len() - 1;
        &mut self.records[last]
    }

    /// Computes where the contents lie, and how long the records make the layer.
    pub(crate) fn place(&mut self) -> Option<u64> {
        let mut at: u64 = 0;
        let mut content: usize = 0;
        for record in &self.records {
            at = at.checked_add(record.verbatim_len())?;
            let contents = self.contents.get_mut(content..content.checked_add(record.contents)?)?;
            let before = at;
            for content in contents {
                content.at = at;
                at = at.checked_add(content.len)?;
            }
            content += record.contents;
            if record.padded && record.contents > 0 {
                at = at.checked_add(padding(at - before))?;
            }
        }
        (content == self.contents.len()).then_some(at)
    }

    /// The same layer with contents divided where `ends` says, counted from the begin of each; none leaves one
    /// whole. Also for each content the first of those it became, and how many there are in the end.
    pub(crate) fn divided(&self, ends: &dyn Fn(usize) -> Vec<u64>) -> (Listing, Vec<usize>) {
        let mut divided = Listing { contents: Vec::new(), ..self.clone() };
        let mut ordinals = Vec::with_capacity(self.contents.len() + 1);
        let mut contents = self.contents.iter().enumerate();
        for record in &mut divided.records {
            let first = divided.contents.len();
            for (ordinal, content) in contents.by_ref().take(record.contents) {
                ordinals.push(divided.contents.len());
                let mut from = 0;
                for end in ends(ordinal).into_iter().filter(|end| *end < content.len).chain([content.len]) {
                    divided.contents.push(Content { id: content.id, len: end - from, at: content.at + from });
                    from = end;
                }
            }
            record.contents = divided.contents.len() - first;
        }
        ordinals.push(divided.contents.len());
        (divided, ordinals)
    }

    /// The entries for which `keep` has contents, with these in place of their own.
    pub(crate) fn with_contents(&self, keep: &mut dyn FnMut(Range<usize>) -> Vec<Content>) -> Listing {
        let mut listing = Listing::empty(self.diff_id, self.len);
        for group in self.groups() {
            let contents = keep(self.group_contents(&group));
            if contents.is_empty() {
                continue;
            }
            for record in &self.records[group.records.clone()] {
                let fields = if let Kind::Header(fields) = &record.kind { fields.len() } else { 0 };
                let fields = &self.bytes[record.at..][..fields];
                listing.push(record.kind, self.body(record), record.padded, fields);
            }
            if let Some(last) = listing.records.last_mut() {
                last.contents = contents.len();
            }
            listing.contents.extend(contents);
        }
        listing
    }

    /// The files with contents, in the order of the layer.
    pub fn files(&self) -> impl Iterator<Item = File<'_>> {
        self.groups().into_iter().filter_map(|group| {
            let contents = self.group_contents(&group);
            let len = self.contents[contents.clone()].iter().map(|content| content.len).sum();
            (!contents.is_empty()).then(|| File { path: self.path(&group), contents, len })
        })
    }

    /// The layer's bytes, contents left out.
    pub fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let mut content = 0;
        self.records.iter().flat_map(move |record| {
            let first = content;
            content += record.contents;
            let mut parts = Vec::with_capacity(4);
            record.parts(self, &mut parts);
            parts.extend((first..content).map(Part::Content));
            if record.padded && record.contents > 0 {
                let len: u64 = self.contents[first..content].iter().map(|content| content.len).sum();
                parts.push(Part::Zeros(padding(len)));
            }
            parts
        })
    }

    /// The records in groups.
    pub(crate) fn groups(&self) -> Vec<Group> {
        let mut groups = Vec::new();
        let (mut start, mut content, mut next) = (0, 0, 0);
        for (at, record) in self.records.iter().enumerate() {
            next += record.contents;
            if !self.is_extension(record) || at + 1 == self.records.len() || record.contents > 0 {
                groups.push(Group { records: start..at + 1, content });
                (start, content) = (at + 1, next);
            }
        }
        groups
    }

    /// The ordinals of a group's contents.
    pub(crate) fn group_contents(&self, group: &Group) -> Range<usize> {
        let count: usize = self.records[group.records.clone()].iter().map(|record| record.contents).sum();
        group.content..group.content + count
    }

    /// The path that a group is about; empty where it is about none.
    pub(crate) fn path(&self, group: &Group) -> Cow<'_, [u8]> {
        let Some((last, extensions)) = self.records[group.records.clone()].split_last() else {
            return Cow::default();
        };
        for record in extensions {
            let path = match self.flag(record) {
                b'x' => parse::pax_value(self.body(record), b"path"),
                b'L' => Some(self.body(record).strip_suffix(b"\0").unwrap_or(self.body(record))),
                _ => None,
            };
            if let Some(path) = path {
                return path.into();
            }
        }
        let (prefix, name) = (self.field(last, Field::Prefix), self.field(last, Field::Name));
        if prefix.is_empty() { name.into() } else { [prefix, b"/", name].concat().into() }
    }

    /// The bytes of a header's field, without the zeros at its end.
    pub(crate) fn field(&self, record: &Record, field: Field) -> &[u8] {
        match &record.kind {
            Kind::Header(fields) => fields.of(field, &self.bytes[record.at..]),
            Kind::Zeros(_) | Kind::Raw => b"",
        }
    }

    pub(crate) fn body(&self, record: &Record) -> &[u8] {
        let fields = if let Kind::Header(fields) = &record.kind { fields.len() } else { 0 };
        &self.bytes[record.at + fields..][..record.body]
    }

    /// The type flag; 0 also where there is none.
    pub(crate) fn flag(&self, record: &Record) -> u8 {
        self.field(record, Field::Flag).first().copied().unwrap_or(0)
    }

    fn is_extension(&self, record: &Record) -> bool {
        matches!(record.kind, Kind::Header(_)) && matches!(self.flag(record), b'x' | b'L' | b'K')
    }
}

impl Record {
    /// Bytes before the contents.
    pub(crate) fn verbatim_len(&self) -> u64 {
        let body = self.body as u64;
        match self.kind {
            Kind::Header(_) => {
                let fill = if self.padded && self.contents == 0 { padding(body) } else { 0 };
                BLOCK as u64 + body + fill
            }
            Kind::Zeros(blocks) => blocks.saturating_mul(BLOCK as u64),
            Kind::Raw => body,
        }
    }

    fn parts<'a>(&self, listing: &'a Listing, parts: &mut Vec<Part<'a>>) {
        let body = listing.body(self);
        match &self.kind {
            Kind::Zeros(blocks) => parts.push(Part::Zeros(blocks.saturating_mul(BLOCK as u64))),
            Kind::Raw => parts.push(Part::Verbatim(body.into())),
            Kind::Header(fields) => {
                let block = fields.block(&listing.bytes[self.at..]);
                parts.push(Part::Verbatim(block.to_vec().into()));
                if !body.is_empty() {
                    parts.push(Part::Verbatim(body.into()));
                }
                if self.padded && self.contents == 0 && padding(self.body as u64) > 0 {
                    parts.push(Part::Zeros(padding(self.body as u64)));
                }
            }
        }
    }
}

/// Bytes from the end of something of this length to the next block.
pub(crate) const fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK as u64
}

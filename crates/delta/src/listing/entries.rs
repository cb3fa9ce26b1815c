//! Entries as two sides compare them: a header with its extension headers and contents, whenever it was written.

use std::ops::Range;

use dsync_core::DiffId;

use super::{FIELDS, Field, Fields, Group, Kind, Listing, Record, canonical_number, pax, pax_line};
use crate::ContentId;

/// What mtimes are taken for.
const NEVER: &[u8] = b"00000000000";

/// The entries of a layer.
#[derive(Debug)]
pub struct Entries<'a> {
    listing: &'a Listing,
    groups: Vec<Group>,
}

/// Entries that two sides found they both have. What they make of the same ones is equal, wherever each has them.
#[derive(Debug)]
pub struct Selection(Listing);

impl<'a> Entries<'a> {
    /// Of this layer.
    pub fn of(listing: &'a Listing) -> Self {
        Entries { listing, groups: listing.groups() }
    }

    /// Of each entry the first 16 bytes of a BLAKE3 hash of all that it is but its times, in the order of the layer.
    pub fn ids(&self) -> Vec<[u8; 16]> {
        self.groups.iter().map(|group| self.id(group)).collect()
    }

    /// The contents of an entry, by their ordinals in the layer.
    pub fn contents(&self, entry: usize) -> Range<usize> {
        self.groups.get(entry).map_or(0..0, |group| self.listing.group_contents(group))
    }

    fn id(&self, group: &Group) -> [u8; 16] {
        let mut bytes = Vec::new();
        let number = |number: u64, bytes: &mut Vec<u8>| bytes.extend(number.to_le_bytes());
        for record in &self.listing.records[group.records.clone()] {
            let (kind, fields, body) = self.listing.timeless(record);
            match kind {
                Kind::Header(header) => {
                    bytes.push(b'h');
                    bytes.extend(header.block(&fields));
                }
                Kind::Zeros(blocks) => {
                    bytes.push(b'z');
                    number(blocks, &mut bytes);
                }
                Kind::Raw => bytes.push(b'r'),
            }
            bytes.push(u8::from(record.padded));
            number(body.len() as u64, &mut bytes);
            bytes.extend(body);
            number(record.contents as u64, &mut bytes);
        }
        for content in &self.listing.contents[self.listing.group_contents(group)] {
            bytes.extend(content.id.as_bytes());
            number(content.len, &mut bytes);
        }
        *ContentId::of(&bytes).as_bytes()
    }
}

impl Selection {
    /// Of no entry yet.
    pub fn new() -> Self {
        Selection(Listing::empty(DiffId::from_bytes([0; 32]), 0))
    }

    /// Adds entries by their ordinals, without their times, and says which contents of the layer came with them.
    /// Ordinals that do not exist are left out.
    pub fn add(&mut self, from: &Entries<'_>, entries: Range<usize>) -> Range<usize> {
        let Entries { listing, groups } = from;
        let groups = &groups[entries.start.min(groups.len())..entries.end.min(groups.len())];
        for record in groups.iter().flat_map(|group| &listing.records[group.records.clone()]) {
            let (kind, fields, body) = listing.timeless(record);
            self.0.push(kind, &body, record.padded, &fields).contents = record.contents;
        }
        let (Some(first), Some(last)) = (groups.first(), groups.last()) else { return 0..0 };
        let contents = first.content..listing.group_contents(last).end;
        for content in &listing.contents[contents.clone()] {
            self.0.push_content(content.id, content.len);
        }
        contents
    }

    /// Adds contents without any entry.
    pub fn add_loose(&mut self, contents: impl Iterator<Item = (ContentId, u64)>) {
        let before = self.0.contents.len();
        contents.for_each(|(id, len)| self.0.push_content(id, len));
        let count = self.0.contents.len() - before;
        self.0.push(Kind::Raw, b"", false, b"").contents = count;
    }

    /// A listing of them all. It is of no layer, so its diff id is all zeros, and where contents lie means nothing.
    pub fn finish(mut self) -> Listing {
        self.0.len = self.0.place().unwrap_or(0);
        self.0
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self::new()
    }
}

impl Listing {
    /// A record's kind, fields and body, with every time of the header and of pax records taken for the same one.
    fn timeless(&self, record: &Record) -> (Kind, Vec<u8>, Vec<u8>) {
        let body = self.body(record);
        if !matches!(record.kind, Kind::Header(_)) {
            return (record.kind, Vec::new(), body.to_vec());
        }
        let timeless = if self.flag(record) == b'x' { timeless_pax(body) } else { body.to_vec() };
        // Times take more or fewer bytes, which the header counts.
        let [before, after] = [body, &timeless].map(|body| canonical_number(body.len() as u64));
        let value = |field| match (field, after) {
            (Field::Mtime, _) => NEVER.to_vec(),
            (Field::Size, Some(after)) if before.is_some_and(|len| len == *self.field(record, field)) => {
                after.to_vec()
            }
            _ => self.field(record, field).to_vec(),
        };
        let values: Vec<Vec<u8>> = FIELDS.into_iter().map(value).collect();
        let (fields, bytes) =
            Fields::of_values(&values).expect("fields of a header fit into one, and so does NEVER");
        (Kind::Header(fields), bytes, timeless)
    }
}

fn timeless_pax(body: &[u8]) -> Vec<u8> {
    let Some(lines) = pax(body) else { return body.to_vec() };
    let line = |(key, value): (&[u8], &[u8])| match key {
        b"mtime" | b"atime" | b"ctime" => pax_line(key, b"0"),
        _ => pax_line(key, value),
    };
    lines.into_iter().flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;
    use crate::columns::{Decoder, Encoder, Limits, Mode};

    /// Three files, of which one has its times in pax records too.
    fn listing(mtime: u64, changed: u8) -> Listing {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, byte) in [("a", 1), ("b", changed), ("c", 3)] {
            if name == "a" {
                let time = format!("{mtime}.{}", 1_000 / u64::from(changed));
                tar.append_pax_extensions([("mtime", time.as_bytes()), ("user.x", &b"1"[..])]).unwrap();
            }
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_mtime(mtime);
            header.set_size(100);
            tar.append_data(&mut header, name, &[byte; 100][..]).unwrap();
        }
        let mut scanner = Scanner::new();
        scanner.push(&tar.into_inner().unwrap());
        scanner.finish()
    }

    #[test]
    fn ids_do_not_depend_on_times() {
        let (old, new) = (listing(1_700_000_000, 2), listing(1_800_000_000, 9));
        let (old, new) = (Entries::of(&old).ids(), Entries::of(&new).ids());
        let equal: Vec<bool> = old.iter().zip(&new).map(|(old, new)| old == new).collect();
        assert_eq!(equal, [true, false, true, true]);
        assert_eq!(old.len(), 4);
    }

    #[test]
    fn a_selection_is_equal_on_both_sides_and_serves_as_a_basis() {
        let (old, new) = (listing(1_700_000_000, 2), listing(1_800_000_000, 9));
        let select = |listing: &Listing| {
            let (entries, mut selection) = (Entries::of(listing), Selection::new());
            let contents = [0..1, 2..3, 3..7, 9..9].map(|range| selection.add(&entries, range));
            assert_eq!(contents, [0..1, 2..3, 3..3, 0..0]);
            selection.finish()
        };
        let (ours, theirs) = (select(&new), select(&old));
        assert_eq!(ours, theirs);
        assert_eq!(ours.contents().len(), 2);
        let (ours, theirs) = ([&ours], [&theirs]);
        let mut told = Vec::new();
        Encoder::new(&ours, Mode::Known).layer(&new, &mut told);
        let limits = Limits { len: 1 << 20, entries: 100, verbatim: 1 << 20 };
        let mut decoder = Decoder::new(&theirs, Mode::Known, limits);
        let recipe = decoder.layer(&mut &told[..]).unwrap();
        assert_eq!(decoder.literals().len(), 1);
        assert_eq!(recipe.listing.bytes, new.bytes);
    }
}

//! Entries as two sides compare them: a header with its extension headers and contents, whenever it was written.

use std::ops::Range;

use dsync_core::DiffId;

use super::{FIELDS, Field, Fields, Group, Kind, Listing, Record, canonical_number, pax, pax_line};
use crate::ContentId;

/// What mtimes are taken for.
const NEVER: &[u8] = b"00000000000";

impl Listing {
    /// Of each entry the first 16 bytes of a BLAKE3 hash of all that it is but its times, in the order of the layer.
    pub fn entry_ids(&self) -> Vec<[u8; 16]> {
        self.groups().iter().map(|group| self.entry_id(group)).collect()
    }

    /// A listing of these entries (ordinals of [`Listing::entry_ids`]) without their times, for two sides that found
    /// the same ids: what both make is equal. It is of no layer, so its diff id is all zeros, and where contents
    /// lie means nothing. Ordinals that do not exist are left out.
    pub fn select(&self, entries: impl Iterator<Item = Range<usize>>) -> Listing {
        let groups = self.groups();
        let mut selected = Listing::empty(DiffId::from_bytes([0; 32]), 0);
        for group in entries.filter_map(|range| groups.get(range)).flatten() {
            for record in &self.records[group.records.clone()] {
                let (kind, fields, body) = self.timeless(record);
                selected.push(kind, &body, record.padded, &fields).contents = record.contents;
            }
            for content in &self.contents[self.group_contents(group)] {
                selected.push_content(content.id, content.len);
            }
        }
        selected.len = selected.place().unwrap_or(0);
        selected
    }

    fn entry_id(&self, group: &Group) -> [u8; 16] {
        let mut bytes = Vec::new();
        let number = |number: u64, bytes: &mut Vec<u8>| bytes.extend(number.to_le_bytes());
        for record in &self.records[group.records.clone()] {
            let (kind, fields, body) = self.timeless(record);
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
        for content in &self.contents[self.group_contents(group)] {
            bytes.extend(content.id.as_bytes());
            number(content.len, &mut bytes);
        }
        *ContentId::of(&bytes).as_bytes()
    }

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
        let (old, new) = (listing(1_700_000_000, 2).entry_ids(), listing(1_800_000_000, 9).entry_ids());
        let equal: Vec<bool> = old.iter().zip(&new).map(|(old, new)| old == new).collect();
        assert_eq!(equal, [true, false, true, true]);
        assert_eq!(old.len(), 4);
    }

    #[test]
    fn a_selection_is_equal_on_both_sides_and_serves_as_a_basis() {
        let (old, new) = (listing(1_700_000_000, 2), listing(1_800_000_000, 9));
        let agreed = || [0..1, 2..4, 4..7].into_iter();
        let (ours, theirs) = (new.select(agreed()), old.select(agreed()));
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

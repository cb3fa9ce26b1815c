//! What records are told against, known to both sides alike.

use std::collections::HashMap;

use super::ColumnsError;
use crate::listing::{Group, Kind, Listing, Record};

/// A record of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) listing: &'a Listing,
    pub(super) record: Record,
    /// The first of its contents in the listing.
    pub(super) content: usize,
}

impl Place<'_> {
    pub(super) fn body(&self) -> &[u8] {
        self.listing.body(&self.record)
    }
}

/// The groups and contents of the basis, numbered through all of its listings.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub(super) listings: &'a [&'a Listing],
    pub(super) groups: Vec<(usize, Group)>,
    /// Of each listing the number of its first group, and of its first content.
    pub(super) starts: Vec<(usize, usize)>,
    contents: usize,
}

impl<'a> Basis<'a> {
    pub(super) fn new(listings: &'a [&'a Listing]) -> Self {
        let (mut groups, mut starts, mut contents) = (Vec::new(), Vec::new(), 0);
        for (layer, listing) in listings.iter().enumerate() {
            starts.push((groups.len(), contents));
            groups.extend(listing.groups().into_iter().map(|group| (layer, group)));
            contents += listing.contents().len();
        }
        Basis { listings, groups, starts, contents }
    }

    /// The records of a group.
    pub(super) fn records(&self, number: usize) -> Vec<Place<'a>> {
        let Some((layer, group)) = self.groups.get(number) else { return Vec::new() };
        let listing = self.listings[*layer];
        let mut content = group.content;
        let place = |record: &Record| {
            let place = Place { listing, record: *record, content };
            content += record.contents;
            place
        };
        listing.records[group.records.clone()].iter().map(place).collect()
    }

    /// The number of a content among those of the whole basis.
    pub(super) fn number(&self, layer: usize, content: usize) -> usize {
        self.starts[layer].1 + content
    }

    /// The content with a number.
    pub(super) fn content(&self, number: usize) -> Result<(usize, usize), ColumnsError> {
        if number >= self.contents {
            return Err(ColumnsError::Malformed("a content that is not in the basis"));
        }
        let layer = self.starts.partition_point(|(_, first)| *first <= number) - 1;
        Ok((layer, number - self.starts[layer].1))
    }

    /// The number of a place's first content.
    pub(super) fn first_content(&self, place: &Place<'_>) -> usize {
        let layer = self.listings.iter().position(|listing| std::ptr::eq(*listing, place.listing));
        layer.map_or(0, |layer| self.number(layer, place.content))
    }
}

/// What was told of the layer until now.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The group of the basis that was matched last.
    pub(super) matched: Option<usize>,
    /// The shape of the last group.
    pub(super) shape: Vec<Shape>,
    /// The last header at this position in a group of so many records.
    headers: HashMap<(usize, usize), usize>,
    /// The last mtime field, and the last value of each pax record with a time.
    pub(super) mtime: Vec<u8>,
    pub(super) times: HashMap<Vec<u8>, Vec<u8>>,
    /// The number of the content of the basis that was used last.
    pub(super) content: Option<usize>,
}

impl Told {
    /// The group that comes next if nothing changed.
    pub(super) fn expected(&self) -> usize {
        self.matched.map_or(0, |last| last + 1)
    }

    /// The content that comes next if nothing changed.
    pub(super) fn expected_content(&self) -> usize {
        self.content.map_or(0, |last| last + 1)
    }

    pub(super) fn note_header(&mut self, of: usize, position: usize, record: usize) {
        self.headers.insert((of, position), record);
    }

    pub(super) fn header(&self, of: usize, position: usize) -> Option<usize> {
        self.headers.get(&(of, position)).copied()
    }
}

/// The kind of a record, as far as it decides how it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Zeros,
    Raw,
    Header,
}

impl From<&Record> for Shape {
    fn from(record: &Record) -> Self {
        match record.kind {
            Kind::Zeros(_) => Shape::Zeros,
            Kind::Raw => Shape::Raw,
            Kind::Header(_) => Shape::Header,
        }
    }
}

/// `SECONDS[.FRACTION]` of a pax record, if it is in the one form that gives it back.
pub(super) fn time(value: &[u8]) -> Option<(i64, &[u8])> {
    let dot = value.iter().position(|byte| *byte == b'.');
    let (seconds, fraction) = value.split_at(dot.unwrap_or(value.len()));
    let seconds = std::str::from_utf8(seconds).ok()?;
    let number: i64 = seconds.parse().ok().filter(|number: &i64| number.unsigned_abs() < 1 << 40)?;
    (number.to_string() == seconds).then_some((number, fraction))
}

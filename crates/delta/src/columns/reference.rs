//! What records are told against, known to both sides alike.

use std::collections::HashMap;

use super::ColumnsError;
use crate::listing::{Field, Group, Kind, Listing, Record};

/// A record of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) listing: &'a Listing,
    pub(super) record: Record,
    /// The first of its contents in the listing, and its number in the whole basis.
    pub(super) content: usize,
    pub(super) number: usize,
}

impl<'a> Place<'a> {
    /// A record of the layer that is being told, to tell another against.
    pub(super) fn told(listing: &'a Listing, record: usize) -> Place<'a> {
        Place { listing, record: listing.records[record], content: 0, number: 0 }
    }

    pub(super) fn body(&self) -> &[u8] {
        self.listing.body(&self.record)
    }

    pub(super) fn mtime(&self) -> &[u8] {
        self.listing.field(&self.record, Field::Mtime)
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
            let place = Place { listing, record: *record, content, number: self.number(*layer, content) };
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
    pub(super) mtimes: Mtimes,
    /// The last value of each pax record with a time.
    pub(super) times: HashMap<Vec<u8>, Vec<u8>>,
    /// How contents were told last, by the kind of the file and whether it is in the basis.
    codes: HashMap<(Vec<u8>, bool), u64>,
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

    /// What the contents of an entry are expected to be told as: as those of the last one of its kind. Compiled
    /// files, for instance, change all at once.
    pub(super) fn expected_code(&mut self, name: &[u8], is_matched: bool) -> &mut u64 {
        self.codes.entry((kind(name).to_vec(), is_matched)).or_default()
    }

    pub(super) fn note_header(&mut self, of: usize, position: usize, record: usize) {
        self.headers.insert((of, position), record);
    }

    pub(super) fn header(&self, of: usize, position: usize) -> Option<usize> {
        self.headers.get(&(of, position)).copied()
    }

    /// Notes a pax record with a time. The field of the header that follows is likely to say the same.
    pub(super) fn note_time(&mut self, key: &[u8], value: &[u8]) {
        let Some((seconds, _)) = time(value) else { return };
        self.times.insert(key.to_vec(), value.to_vec());
        if let (b"mtime", Ok(seconds)) = (key, u64::try_from(seconds)) {
            self.mtimes.note(seconds, None);
        }
    }
}

/// The mtimes that were told, in seconds. What was written at one time in the old layer was often written at one
/// time in the new one.
#[derive(Debug, Default)]
pub(super) struct Mtimes {
    /// Different ones, the last first.
    recent: Vec<u64>,
    /// What last became of an mtime of the basis.
    became: HashMap<u64, u64>,
}

/// How many mtimes are remembered in their order.
const RECENT: usize = 16;

impl Mtimes {
    pub(super) fn note(&mut self, new: u64, old: Option<u64>) {
        match self.rank(new) {
            Some(rank) => self.recent[..=rank].rotate_right(1),
            None => {
                self.recent.truncate(RECENT - 1);
                self.recent.insert(0, new);
            }
        }
        if let Some(old) = old {
            self.became.insert(old, new);
        }
    }

    pub(super) fn rank(&self, mtime: u64) -> Option<usize> {
        self.recent.iter().position(|recent| *recent == mtime)
    }

    pub(super) fn recent(&self, rank: usize) -> Option<u64> {
        self.recent.get(rank).copied()
    }

    /// The latest of the recent ones: what is new is near to it.
    pub(super) fn latest(&self) -> u64 {
        self.recent.iter().max().copied().unwrap_or(0)
    }

    pub(super) fn became(&self, old: u64) -> Option<u64> {
        self.became.get(&old).copied()
    }
}

/// What a name says of its file: the extension, or that it is a directory.
fn kind(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if name[at] == b'.' || at + 1 == name.len() => &name[at..],
        _ => b"",
    }
}

/// A content that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Used {
    /// The content of the basis with this number.
    Basis(usize),
    /// The literal with this ordinal.
    Literal(usize),
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

//! Writing columns.

use std::borrow::Cow;
use std::collections::HashMap;

use super::reference::{Basis, Place, Shape, Told, time};
use super::stream::{Column, Writer, put, zigzag};
use super::{Literal, Mode};
use crate::ContentId;
use crate::listing::{FIELDS, Field, Group, Kind, Listing, Record, canonical_number, octal, pax};

/// Tells layers, one after the other.
#[derive(Debug)]
pub struct Encoder<'a> {
    basis: Basis<'a>,
    mode: Mode,
    /// Of each listing of the basis its groups by their paths.
    paths: Vec<HashMap<Cow<'a, [u8]>, usize>>,
    /// Where a content of the basis is first.
    contents: HashMap<(ContentId, u64), usize>,
    /// Which literal a content is that was told.
    told: HashMap<(ContentId, u64), usize>,
    literals: Vec<Literal>,
    layers: usize,
}

impl<'a> Encoder<'a> {
    /// Nothing is told yet. The other side has the same listings in the same order.
    pub fn new(basis: &'a [&'a Listing], mode: Mode) -> Self {
        let basis = Basis::new(basis);
        let mut paths = vec![HashMap::new(); basis.listings.len()];
        for (number, (layer, group)) in basis.groups.iter().enumerate() {
            let path = basis.listings[*layer].path(group);
            if !path.is_empty() {
                paths[*layer].entry(path).or_insert(number);
            }
        }
        let mut contents = HashMap::new();
        for (layer, listing) in basis.listings.iter().enumerate() {
            for (ordinal, content) in listing.contents().iter().enumerate() {
                contents.entry((content.id, content.len)).or_insert(basis.number(layer, ordinal));
            }
        }
        Encoder { basis, mode, paths, contents, told: HashMap::new(), literals: Vec::new(), layers: 0 }
    }

    /// What had to be told for the first time, by all layers until now.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// Tells a layer.
    pub fn layer(&mut self, listing: &Listing, out: &mut Vec<u8>) {
        let groups = listing.groups();
        out.extend_from_slice(listing.diff_id.as_bytes());
        put(listing.len, out);
        put(groups.len() as u64, out);
        let mut layer = Layer { encoder: self, listing, told: Told::default(), out: Writer::new(), near: 0 };
        layer.near = layer.nearest(&groups);
        groups.iter().for_each(|group| layer.group(group));
        let columns = layer.out;
        columns.finish(out);
        self.layers += 1;
    }
}

/// A layer that is being told.
struct Layer<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
    listing: &'e Listing,
    told: Told,
    out: Writer,
    /// The listing of the basis in which paths are looked for first.
    near: usize,
}

impl Layer<'_, '_> {
    /// The listing of the basis that has most of these paths.
    fn nearest(&self, groups: &[Group]) -> usize {
        let paths = &self.encoder.paths;
        let score = |layer: &usize| {
            let known = groups.iter().filter(|group| paths[*layer].contains_key(&self.listing.path(group)));
            (known.count(), *layer)
        };
        (0..paths.len()).max_by_key(score).unwrap_or(0)
    }

    /// The group of the basis with the same path: the expected one, else one in the listing at hand, else the
    /// topmost.
    fn find(&mut self, group: &Group) -> Option<usize> {
        let path = self.listing.path(group);
        let basis = &self.encoder.basis;
        let expected = self.told.expected();
        if self.told.matched.is_some() || path.is_empty() {
            let there = basis.groups.get(expected);
            let fits = there.is_some_and(|(layer, group)| basis.listings[*layer].path(group) == path);
            if fits && self.told.matched.is_some() {
                return Some(expected);
            }
        }
        if path.is_empty() {
            return None;
        }
        let paths = &self.encoder.paths;
        if let Some(number) = paths.get(self.near).and_then(|paths| paths.get(&path)) {
            return Some(*number);
        }
        paths.iter().rev().find_map(|paths| paths.get(&path)).copied()
    }

    fn group(&mut self, group: &Group) {
        let matched = self.find(group);
        match matched {
            None => self.out.number(Column::Match, 0),
            Some(number) => {
                let delta = number as i64 - self.told.expected() as i64;
                self.out.number(Column::Match, zigzag(delta) + 1);
                self.told.matched = Some(number);
            }
        }
        let references = matched.map(|number| self.encoder.basis.records(number)).unwrap_or_default();
        let records = &self.listing.records[group.records.clone()];
        let shape: Vec<Shape> = records.iter().map(Shape::from).collect();
        let expected = match matched {
            Some(_) => references.iter().map(|place| Shape::from(&place.record)).collect(),
            None => std::mem::take(&mut self.told.shape),
        };
        if shape == expected {
            self.out.number(Column::Shape, 0);
        } else {
            self.out.number(Column::Shape, shape.len() as u64);
            for kind in &shape {
                self.out.number(Column::Shape, *kind as u64);
            }
        }
        let mut content = group.content;
        for (position, record) in records.iter().enumerate() {
            let number = group.records.start + position;
            let reference =
                references.get(position).filter(|place| Shape::from(&place.record) == shape[position]);
            self.record(record, number, (records.len(), position), content, reference.copied());
            content += record.contents;
        }
        self.told.shape = shape;
    }

    fn record(
        &mut self,
        record: &Record,
        number: usize,
        (of, position): (usize, usize),
        content: usize,
        matched: Option<Place<'_>>,
    ) {
        let listing = self.listing;
        match record.kind {
            Kind::Zeros(blocks) => self.out.number(Column::Zeros, blocks),
            Kind::Raw => self.out.bytes(Column::Raw, listing.body(record)),
            Kind::Header(_) => {
                let last = self.told.header(of, position);
                let last = last.map(|last| Place { listing, record: listing.records[last], content: 0 });
                let reference = matched.or(last);
                self.fields(record, reference);
                self.body(record, reference);
                self.mtime(record, reference, position + 1 == of);
                self.told.note_header(of, position, number);
            }
        }
        self.contents(record, content, matched);
        if let Kind::Header(_) = record.kind {
            self.size(record, content, matched);
        }
        self.out.number(Column::Tail, u64::from(!record.padded));
    }

    fn fields(&mut self, record: &Record, reference: Option<Place<'_>>) {
        let mut mask: u64 = 0;
        for (number, field) in FIELDS.into_iter().enumerate() {
            if matches!(field, Field::Size | Field::Mtime | Field::Checksum) {
                continue;
            }
            let value = self.listing.field(record, field);
            let before =
                reference.as_ref().map_or(&b""[..], |place| place.listing.field(&place.record, field));
            if value != before {
                mask |= 1 << number;
                front_code(value, before, self.out.field(number));
            }
        }
        self.out.number(Column::Mask, mask);
    }

    fn mtime(&mut self, record: &Record, reference: Option<Place<'_>>, is_last: bool) {
        let value = self.listing.field(record, Field::Mtime);
        let before =
            reference.as_ref().map_or(&b""[..], |place| place.listing.field(&place.record, Field::Mtime));
        match (octal(value), octal(&self.told.mtime)) {
            _ if value == before => self.out.number(Column::Mtime, 0),
            _ if value == self.told.mtime => self.out.number(Column::Mtime, 1),
            (Some(new), Some(old)) => {
                self.out.number(Column::Mtime, 2);
                self.out.signed(Column::MtimeDelta, new as i64 - old as i64);
            }
            _ => {
                self.out.number(Column::Mtime, 3);
                self.out.bytes(Column::MtimeDelta, value);
            }
        }
        if is_last {
            self.told.mtime = value.to_vec();
        }
    }

    fn size(&mut self, record: &Record, content: usize, matched: Option<Place<'_>>) {
        let value = self.listing.field(record, Field::Size);
        let contents = &self.listing.contents()[content..content + record.contents];
        let len: u64 = contents.iter().map(|content| content.len).sum::<u64>() + record.body as u64;
        if canonical_number(len).is_some_and(|number| number == *value) {
            self.out.number(Column::Size, 0);
        } else if matched
            .as_ref()
            .is_some_and(|place| place.listing.field(&place.record, Field::Size) == value)
        {
            self.out.number(Column::Size, 1);
        } else {
            self.out.number(Column::Size, 2);
            self.out.bytes(Column::Size, value);
        }
    }

    fn body(&mut self, record: &Record, reference: Option<Place<'_>>) {
        let body = self.listing.body(record);
        let before = reference.as_ref().map_or(&b""[..], |place| place.body());
        if body == before {
            self.out.number(Column::Body, 0);
            return;
        }
        match (pax(body), pax(before)) {
            (Some(lines), Some(old)) if lines.iter().map(|line| line.0).eq(old.iter().map(|line| line.0)) => {
                self.out.number(Column::Body, 2);
                for ((key, value), (_, before)) in lines.into_iter().zip(old) {
                    self.pax(key, value, before);
                }
            }
            _ => {
                self.out.number(Column::Body, 1);
                front_code(body, before, self.out.column(Column::BodyBytes));
                // Times that are told so are known for those that follow.
                for (key, value) in pax(body).unwrap_or_default() {
                    if time(value).is_some() {
                        self.told.times.insert(key.to_vec(), value.to_vec());
                    }
                }
            }
        }
    }

    fn pax(&mut self, key: &[u8], value: &[u8], before: &[u8]) {
        let last = self.told.times.get(key);
        let code = match (time(value), last.and_then(|last| time(last))) {
            _ if value == before => 0,
            (Some(_), Some(_)) if last.is_some_and(|last| last == value) => 1,
            (Some((seconds, fraction)), Some((last, _))) => {
                self.out.signed(Column::PaxSeconds, seconds - last);
                self.out.bytes(Column::PaxFraction, fraction);
                2
            }
            _ => {
                front_code(value, before, self.out.column(Column::PaxBytes));
                3
            }
        };
        self.out.number(Column::PaxCode, code);
        if time(value).is_some() {
            self.told.times.insert(key.to_vec(), value.to_vec());
        }
    }

    fn contents(&mut self, record: &Record, first: usize, matched: Option<Place<'_>>) {
        let contents = &self.listing.contents()[first..first + record.contents];
        let place = matched.map(|place| (self.encoder.basis.first_content(&place), place));
        if let Some((number, place)) = place {
            let old = &place.listing.contents()[place.content..place.content + place.record.contents];
            let same =
                contents.iter().map(|new| (new.id, new.len)).eq(old.iter().map(|old| (old.id, old.len)));
            if same && (self.encoder.mode != Mode::Whole || contents.is_empty()) {
                self.out.number(Column::Contents, 0);
                self.told.content = (number + old.len()).checked_sub(1).or(self.told.content);
                return;
            }
            self.told.content = number.checked_sub(1);
        }
        self.out.number(Column::Contents, contents.len() as u64 + 1);
        for (offset, content) in contents.iter().enumerate() {
            self.content((content.id, content.len), first + offset);
        }
    }

    fn content(&mut self, (id, len): (ContentId, u64), content: usize) {
        let encoder = &mut *self.encoder;
        if encoder.mode != Mode::Whole {
            let expected = self.told.expected_content();
            let is_expected = encoder.basis.content(expected).is_ok_and(|(layer, ordinal)| {
                let there = encoder.basis.listings[layer].contents()[ordinal];
                (there.id, there.len) == (id, len)
            });
            let there = if is_expected { Some(expected) } else { encoder.contents.get(&(id, len)).copied() };
            if let Some(number) = there {
                let delta = number as i64 - expected as i64;
                self.out.number(Column::Origin, 2 * zigzag(delta) + 1);
                self.told.content = Some(number);
                return;
            }
            if let Some(&literal) = encoder.told.get(&(id, len)) {
                encoder.literals[literal].uses += 1;
                let back = encoder.literals.len() - literal;
                self.out.number(Column::Origin, 2 * back as u64);
                return;
            }
            encoder.told.insert((id, len), encoder.literals.len());
        }
        self.out.number(Column::Origin, 0);
        self.out.number(Column::Len, len);
        let short = match encoder.mode {
            Mode::Whole | Mode::Known => 0,
            Mode::Ask | Mode::Full => id.short(),
        };
        match encoder.mode {
            Mode::Whole | Mode::Known => {}
            Mode::Ask => self.out.column(Column::Id).extend_from_slice(&short.to_le_bytes()),
            Mode::Full => self.out.column(Column::Id).extend_from_slice(id.as_bytes()),
        }
        encoder.literals.push(Literal { layer: encoder.layers, content, len, short, uses: 1 });
    }
}

/// How many bytes are as before, how many others follow, and those.
fn front_code(value: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let same = value.iter().zip(before).take_while(|(a, b)| a == b).count();
    put(same as u64, out);
    put((value.len() - same) as u64, out);
    out.extend_from_slice(&value[same..]);
}

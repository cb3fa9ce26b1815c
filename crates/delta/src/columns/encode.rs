//! Writing columns.

use std::borrow::Cow;
use std::collections::HashMap;

use super::reference::{Basis, Place, Shape, Told, Used, time};
use super::stream::{Column, Writer, put, put_text, zigzag};
use super::{Literal, Mode};
use crate::ContentId;
use crate::listing::{FIELDS, Field, Group, Kind, Listing, Record, canonical_number, octal, pax};

/// Tells layers, one after the other.
#[derive(Debug)]
pub struct Encoder<'a> {
    basis: Basis<'a>,
    mode: Mode,
    /// The groups of the basis by their paths: of each listing the first, lowest listing first.
    paths: HashMap<Cow<'a, [u8]>, Vec<usize>>,
    /// Where a content of the basis is first.
    contents: HashMap<(ContentId, u64), usize>,
    /// Where a content was told last, counted through all layers, and what it is.
    told: HashMap<(ContentId, u64), (usize, Used)>,
    /// How many contents were told.
    count: usize,
    literals: Vec<Literal>,
    layers: usize,
}

impl<'a> Encoder<'a> {
    /// Nothing is told yet. The other side has the same listings in the same order.
    pub fn new(basis: &'a [&'a Listing], mode: Mode) -> Self {
        let basis = Basis::new(basis);
        let mut paths: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, (layer, group)) in basis.groups.iter().enumerate() {
            let path = basis.listings[*layer].path(group);
            if path.is_empty() {
                continue;
            }
            let numbers = paths.entry(path).or_default();
            if numbers.last().is_none_or(|last| basis.groups[*last].0 != *layer) {
                numbers.push(number);
            }
        }
        let mut contents = HashMap::new();
        for (layer, listing) in basis.listings.iter().enumerate() {
            for (ordinal, content) in listing.contents().iter().enumerate() {
                contents.entry((content.id, content.len)).or_insert(basis.number(layer, ordinal));
            }
        }
        Encoder {
            basis,
            mode,
            paths,
            contents,
            told: HashMap::new(),
            count: 0,
            literals: Vec::new(),
            layers: 0,
        }
    }

    /// What had to be told for the first time, by all layers until now.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    fn note(&mut self, content: (ContentId, u64), used: Used) {
        self.told.insert(content, (self.count, used));
        self.count += 1;
    }

    /// Tells a layer.
    pub fn layer(&mut self, listing: &Listing, out: &mut Vec<u8>) {
        let groups = listing.groups();
        out.extend_from_slice(listing.diff_id.as_bytes());
        put(listing.len, out);
        put(groups.len() as u64, out);
        let mut layer = Layer { encoder: self, listing, told: Told::default(), out: Writer::new(), near: 0 };
        let paths: Vec<_> = groups.iter().map(|group| listing.path(group)).collect();
        layer.near = layer.nearest(&paths);
        groups.iter().zip(&paths).for_each(|(group, path)| layer.group(group, path));
        layer.out.finish(out);
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
    fn nearest(&self, paths: &[Cow<'_, [u8]>]) -> usize {
        let basis = &self.encoder.basis;
        let mut known = vec![0_usize; basis.listings.len()];
        for number in paths.iter().filter_map(|path| self.encoder.paths.get(path)).flatten() {
            known[basis.groups[*number].0] += 1;
        }
        (0..known.len()).max_by_key(|layer| (known[*layer], *layer)).unwrap_or(0)
    }

    /// The group of the basis with the same path: the expected one, else one in the listing at hand, else the
    /// topmost.
    fn find(&self, path: &[u8]) -> Option<usize> {
        let basis = &self.encoder.basis;
        if self.told.matched.is_some() {
            let expected = self.told.expected();
            let there = basis.groups.get(expected);
            if there.is_some_and(|(layer, group)| basis.listings[*layer].path(group) == path) {
                return Some(expected);
            }
        }
        let numbers = self.encoder.paths.get(path)?;
        let near = numbers.iter().find(|number| basis.groups[**number].0 == self.near);
        near.or(numbers.last()).copied()
    }

    fn group(&mut self, group: &Group, path: &[u8]) {
        let matched = self.find(path);
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
                let last = self.told.header(of, position).map(|last| Place::told(listing, last));
                let reference = matched.or(last);
                self.fields(record, reference);
                self.body(record, reference);
                self.mtime(record, reference, (position + 1 == of).then_some(matched));
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
            if matches!(field, Field::Size | Field::Mtime) {
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

    fn mtime(&mut self, record: &Record, reference: Option<Place<'_>>, told: Option<Option<Place<'_>>>) {
        let value = self.listing.field(record, Field::Mtime);
        let before = reference.as_ref().map_or(&b""[..], |place| place.mtime());
        let old = told.flatten().and_then(|place| octal(place.mtime()));
        let mtimes = &mut self.told.mtimes;
        let code = match octal(value) {
            _ if value == before => 0,
            Some(new) if old.and_then(|old| mtimes.became(old)) == Some(new) => 1,
            Some(new) => match mtimes.rank(new) {
                Some(rank) => 4 + rank as u64,
                None => {
                    self.out.signed(Column::MtimeDelta, new as i64 - mtimes.latest() as i64);
                    2
                }
            },
            None => {
                self.out.bytes(Column::MtimeDelta, value);
                3
            }
        };
        self.out.number(Column::Mtime, code);
        if let (Some(_), Some(new)) = (told, octal(value)) {
            mtimes.note(new, old);
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
                    self.told.note_time(key, value);
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
        self.told.note_time(key, value);
    }

    fn contents(&mut self, record: &Record, first: usize, matched: Option<Place<'_>>) {
        let contents = &self.listing.contents()[first..first + record.contents];
        let mut before = None;
        if let Some(place) = matched {
            let old = &place.listing.contents()[place.content..place.content + place.record.contents];
            let same =
                contents.iter().map(|new| (new.id, new.len)).eq(old.iter().map(|old| (old.id, old.len)));
            if same && (self.encoder.mode != Mode::Whole || contents.is_empty()) {
                self.contents_code(record, true, 0);
                self.told.content = (place.number + old.len()).checked_sub(1).or(self.told.content);
                for (offset, content) in contents.iter().enumerate() {
                    self.encoder.note((content.id, content.len), Used::Basis(place.number + offset));
                }
                return;
            }
            self.told.content = place.number.checked_sub(1);
            if let ([_], [old]) = (contents, old) {
                before = Some(old.len);
            }
        }
        self.contents_code(record, matched.is_some(), contents.len() as u64 + 1);
        for (offset, content) in contents.iter().enumerate() {
            self.content((content.id, content.len), first + offset, before);
        }
    }

    fn contents_code(&mut self, record: &Record, is_matched: bool, code: u64) {
        let expected = self.told.expected_code(self.listing.field(record, Field::Name), is_matched);
        self.out.number(Column::Contents, if code == *expected { 0 } else { code + 1 });
        *expected = code;
    }

    fn content(&mut self, (id, len): (ContentId, u64), content: usize, before: Option<u64>) {
        let encoder = &mut *self.encoder;
        if encoder.mode != Mode::Whole {
            let expected = self.told.expected_content();
            let is_expected = encoder.basis.content(expected).is_ok_and(|(layer, ordinal)| {
                let there = encoder.basis.listings[layer].contents()[ordinal];
                (there.id, there.len) == (id, len)
            });
            let again = encoder.told.get(&(id, len)).filter(|_| !is_expected).copied();
            if let Some((last, used)) = again {
                self.out.number(Column::Origin, 2 * (encoder.count - last) as u64);
                if let Used::Literal(literal) = used {
                    encoder.literals[literal].uses += 1;
                }
                encoder.note((id, len), used);
                return;
            }
            let there = if is_expected { Some(expected) } else { encoder.contents.get(&(id, len)).copied() };
            if let Some(number) = there {
                let delta = number as i64 - expected as i64;
                self.out.number(Column::Origin, 2 * zigzag(delta) + 1);
                self.told.content = Some(number);
                encoder.note((id, len), Used::Basis(number));
                return;
            }
        }
        encoder.note((id, len), Used::Literal(encoder.literals.len()));
        self.out.number(Column::Origin, 0);
        let told = before.map_or(len, |before| zigzag(len as i64 - before as i64));
        self.out.number(Column::Len, told >> 8);
        self.out.column(Column::LenLow).push(told as u8);
        if encoder.mode == Mode::Full {
            self.out.column(Column::Id).extend_from_slice(id.as_bytes());
        }
        encoder.literals.push(Literal { layer: encoder.layers, content, len, uses: 1 });
    }
}

/// How many bytes go from the end of what was before, and what comes there: among files of like names this
/// repeats, whatever the length of their folder's name is.
fn front_code(value: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let same = value.iter().zip(before).take_while(|(a, b)| a == b).count();
    put((before.len() - same) as u64, out);
    put_text(&value[same..], out);
}

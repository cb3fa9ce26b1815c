//! Reading columns. Whatever the bytes are, this ends, with a layer or an error, and takes no more memory than
//! the limits and the bytes allow.

use std::collections::HashMap;

use dsync_core::DiffId;

use super::reference::{Basis, Mtimes, Place, Shape, Told, Used, time};
use super::stream::{Bytes, Column, Reader, unzigzag};
use super::{Literal, Mode, Origin};
use crate::ContentId;
use crate::listing::{FIELDS, Field, Fields, Kind, Listing, canonical_number, octal, pax, pax_line};

/// What a peer may ask us to take, for each layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes in a layer.
    pub len: u64,
    /// The most records, and the most contents.
    pub entries: u64,
    /// The most bytes of all records.
    pub verbatim: u64,
}

/// Why columns were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    /// The bytes end early, or a number has no valid form.
    #[error("the columns of a layer end early")]
    Short,
    /// They ask for more than they may.
    #[error("a layer has too many {what}: more than {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much may be.
        limit: u64,
    },
    /// They break the format.
    #[error("the columns of a layer are malformed: {0}")]
    Malformed(&'static str),
}

/// A layer that was told: what it is made of, and where each content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The layer. Of literals it knows the length, and the id only if that was told whole.
    pub listing: Listing,
    /// Of each of its contents where it is.
    pub origins: Vec<Origin>,
}

/// Takes layers in, one after the other.
#[derive(Debug)]
pub struct Decoder<'a> {
    basis: Basis<'a>,
    mode: Mode,
    limits: Limits,
    literals: Vec<Literal>,
    ids: Vec<ContentId>,
    /// All contents, of all layers until now.
    told: Vec<Used>,
    layers: usize,
}

impl<'a> Decoder<'a> {
    /// Nothing was told yet. The basis and the mode must be those of the encoder.
    pub fn new(basis: &'a [&'a Listing], mode: Mode, limits: Limits) -> Self {
        let basis = Basis::new(basis);
        Decoder { basis, mode, limits, literals: Vec::new(), ids: Vec::new(), told: Vec::new(), layers: 0 }
    }

    /// What was told for the first time, by all layers until now.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// Reads one layer and not a byte more.
    pub fn layer(&mut self, input: &mut &[u8]) -> Result<Recipe, ColumnsError> {
        let mut bytes = Bytes(input);
        let diff_id = bytes.take(32)?.first_chunk().copied().ok_or(ColumnsError::Short)?;
        let len = within("bytes", bytes.number()?, self.limits.len)?;
        let groups = within("entries", bytes.number()?, self.limits.entries)?;
        let columns = Reader::new(&mut bytes)?;
        let mut layer = Layer {
            decoder: self,
            told: Told::default(),
            columns,
            listing: Listing::empty(DiffId::from_bytes(diff_id), len),
            origins: Vec::new(),
        };
        for _ in 0..groups {
            layer.group()?;
        }
        let Layer { columns, mut listing, origins, .. } = layer;
        if !columns.is_empty() {
            return Err(ColumnsError::Malformed("something is left over"));
        }
        if listing.place() != Some(len) {
            return Err(ColumnsError::Malformed("the records have another length than the layer"));
        }
        self.layers += 1;
        *input = bytes.0;
        Ok(Recipe { listing, origins })
    }
}

fn within(what: &'static str, got: u64, limit: u64) -> Result<u64, ColumnsError> {
    if got > limit { Err(ColumnsError::Limit { what, limit }) } else { Ok(got) }
}

/// A layer that is being read.
struct Layer<'d, 'a, 'i> {
    decoder: &'d mut Decoder<'a>,
    told: Told,
    columns: Reader<'i>,
    listing: Listing,
    origins: Vec<Origin>,
}

impl Layer<'_, '_, '_> {
    fn group(&mut self) -> Result<(), ColumnsError> {
        let matched = match self.columns.number(Column::Match)? {
            0 => None,
            code => {
                let number = shifted(self.told.expected(), unzigzag(code - 1))?;
                if number >= self.decoder.basis.groups.len() {
                    return Err(ColumnsError::Malformed("an entry that is not in the basis"));
                }
                self.told.matched = Some(number);
                Some(number)
            }
        };
        let references = matched.map(|number| self.decoder.basis.records(number)).unwrap_or_default();
        let shape: Vec<Shape> = match self.columns.column(Column::Shape).len()? {
            0 if matched.is_some() => references.iter().map(|place| Shape::from(&place.record)).collect(),
            0 => std::mem::take(&mut self.told.shape),
            count => (0..count).map(|_| self.shape()).collect::<Result<_, _>>()?,
        };
        if shape.is_empty() {
            return Err(ColumnsError::Malformed("an entry of nothing"));
        }
        for position in 0..shape.len() {
            let reference =
                references.get(position).filter(|place| Shape::from(&place.record) == shape[position]);
            self.record(shape[position], (shape.len(), position), reference.copied())?;
        }
        self.told.shape = shape;
        Ok(())
    }

    fn shape(&mut self) -> Result<Shape, ColumnsError> {
        match self.columns.number(Column::Shape)? {
            0 => Ok(Shape::Zeros),
            1 => Ok(Shape::Raw),
            2 => Ok(Shape::Header),
            _ => Err(ColumnsError::Malformed("a record of an unknown kind")),
        }
    }

    fn record(
        &mut self,
        shape: Shape,
        (of, position): (usize, usize),
        matched: Option<Place<'_>>,
    ) -> Result<(), ColumnsError> {
        let limits = self.decoder.limits;
        within("records", self.listing.records.len() as u64 + 1, limits.entries)?;
        let number = self.listing.records.len();
        match shape {
            Shape::Zeros => {
                let blocks = self.columns.number(Column::Zeros)?;
                self.listing.push(Kind::Zeros(blocks), b"", false, b"");
            }
            Shape::Raw => {
                let body = self.columns.column(Column::Raw).bytes()?;
                self.listing.push(Kind::Raw, body, false, b"");
            }
            Shape::Header => {
                let header = {
                    let last = self.told.header(of, position).map(|last| Place::told(&self.listing, last));
                    let reference = matched.or(last);
                    let values = fields(&mut self.columns, reference)?;
                    let body = body(&mut self.columns, &mut self.told, reference)?;
                    let told = (position + 1 == of).then_some(matched);
                    let mtime = mtime(&mut self.columns, &mut self.told.mtimes, reference, told)?;
                    (values, body, mtime)
                };
                let (mut values, body, mtime) = header;
                values[Field::Mtime as usize] = mtime;
                let contents = self.contents(matched, &values[Field::Name as usize])?;
                let len = contents.1.saturating_add(body.len() as u64);
                values[Field::Size as usize] = self.size(len, matched)?;
                let (fields, bytes) =
                    Fields::of_values(&values).ok_or(ColumnsError::Malformed("a field too long"))?;
                self.listing.push(Kind::Header(fields), &body, false, &bytes).contents = contents.0;
                self.told.note_header(of, position, number);
            }
        }
        if shape != Shape::Header {
            let contents = self.contents(matched, b"")?;
            if let Some(record) = self.listing.records.last_mut() {
                record.contents = contents.0;
            }
        }
        within("header bytes", self.listing.bytes.len() as u64, limits.verbatim)?;
        let tail = self.columns.number(Column::Tail)?;
        if let Some(record) = self.listing.records.last_mut() {
            record.padded = tail == 0;
        }
        Ok(())
    }

    fn size(&mut self, len: u64, matched: Option<Place<'_>>) -> Result<Vec<u8>, ColumnsError> {
        match (self.columns.number(Column::Size)?, matched) {
            (0, _) => {
                let number = canonical_number(len).ok_or(ColumnsError::Malformed("a size too large"))?;
                Ok(number.to_vec())
            }
            (1, Some(place)) => Ok(place.listing.field(&place.record, Field::Size).to_vec()),
            (2, _) => Ok(self.columns.column(Column::Size).bytes()?.to_vec()),
            _ => Err(ColumnsError::Malformed("a size of an unknown kind")),
        }
    }

    /// Reads the contents of a record. Returns how many there are, and their bytes.
    fn contents(&mut self, matched: Option<Place<'_>>, name: &[u8]) -> Result<(usize, u64), ColumnsError> {
        let limit = self.decoder.limits.entries;
        let expected = self.told.expected_code(name, matched.is_some());
        let code = match self.columns.number(Column::Contents)? {
            0 => *expected,
            other => other - 1,
        };
        *expected = code;
        let mut len: u64 = 0;
        if code == 0 {
            let Some(place) = matched else {
                return Err(ColumnsError::Malformed("the contents of an entry that is not in the basis"));
            };
            let (first, count) = (place.number, place.record.contents);
            within("contents", (self.origins.len() + count) as u64, limit)?;
            for number in first..first + count {
                len = len.saturating_add(self.basis_content(number)?);
            }
            self.told.content = (first + count).checked_sub(1).or(self.told.content);
            return Ok((count, len));
        }
        let count = code - 1;
        let mut before = None;
        if let Some(place) = matched {
            self.told.content = place.number.checked_sub(1);
            if (count, place.record.contents) == (1, 1) {
                before = Some(place.listing.contents()[place.content].len);
            }
        }
        within("contents", (self.origins.len() as u64).saturating_add(count), limit)?;
        for _ in 0..count {
            len = len.saturating_add(self.content(before)?);
        }
        Ok((usize::try_from(count).map_err(|_| ColumnsError::Short)?, len))
    }

    fn basis_content(&mut self, number: usize) -> Result<u64, ColumnsError> {
        let (layer, content) = self.decoder.basis.content(number)?;
        let there = self.decoder.basis.listings[layer].contents()[content];
        self.origins.push(Origin::Basis { layer, content });
        self.decoder.told.push(Used::Basis(number));
        self.listing.push_content(there.id, there.len);
        Ok(there.len)
    }

    /// Reads a content; `before` is the length of the one it is likely a new version of.
    fn content(&mut self, before: Option<u64>) -> Result<u64, ColumnsError> {
        let code = self.columns.number(Column::Origin)?;
        if code % 2 == 1 {
            let number = shifted(self.told.expected_content(), unzigzag(code / 2))?;
            self.told.content = Some(number);
            return self.basis_content(number);
        }
        if code > 0 {
            let back = usize::try_from(code / 2).map_err(|_| ColumnsError::Short)?;
            let told = self.decoder.told.len().checked_sub(back).and_then(|at| self.decoder.told.get(at));
            let number = match told.ok_or(ColumnsError::Malformed("a content that was never told"))? {
                Used::Basis(number) => return self.basis_content(*number),
                Used::Literal(number) => *number,
            };
            let literal = &mut self.decoder.literals[number];
            literal.uses += 1;
            let len = literal.len;
            self.origins.push(Origin::Literal(number));
            self.decoder.told.push(Used::Literal(number));
            self.listing.push_content(self.decoder.ids[number], len);
            return Ok(len);
        }
        let high = self.columns.number(Column::Len)?.checked_mul(256);
        let told = high.ok_or(ColumnsError::Malformed("a length out of bounds"))?
            + self.columns.byte(Column::LenLow)?;
        let len = before.map_or(Some(told), |before| before.checked_add_signed(unzigzag(told)));
        let len = within("bytes", len.unwrap_or(0), self.decoder.limits.len)?;
        if len == 0 {
            return Err(ColumnsError::Malformed("an empty content"));
        }
        let id = match self.decoder.mode {
            Mode::Whole | Mode::Known => [0; 16],
            Mode::Full => {
                *self.columns.column(Column::Id).take(16)?.first_chunk().ok_or(ColumnsError::Short)?
            }
        };
        let id = ContentId::from_bytes(id);
        let (layer, content) = (self.decoder.layers, self.origins.len());
        self.origins.push(Origin::Literal(self.decoder.literals.len()));
        self.decoder.told.push(Used::Literal(self.decoder.literals.len()));
        self.decoder.literals.push(Literal { layer, content, len, uses: 1 });
        self.decoder.ids.push(id);
        self.listing.push_content(id, len);
        Ok(len)
    }
}

/// A number so far from another.
fn shifted(from: usize, by: i64) -> Result<usize, ColumnsError> {
    let to = (from as i64).checked_add(by).and_then(|to| usize::try_from(to).ok());
    to.ok_or(ColumnsError::Malformed("a number out of bounds"))
}

/// The values of all fields; size and mtime are still as in the record that this one is told against.
fn fields(columns: &mut Reader<'_>, reference: Option<Place<'_>>) -> Result<Vec<Vec<u8>>, ColumnsError> {
    let mask = columns.number(Column::Mask)?;
    if mask >> FIELDS.len() != 0 {
        return Err(ColumnsError::Malformed("a field that headers do not have"));
    }
    let mut values = Vec::with_capacity(FIELDS.len());
    for (number, field) in FIELDS.into_iter().enumerate() {
        let before = reference.as_ref().map_or(&b""[..], |place| place.listing.field(&place.record, field));
        values.push(match mask >> number & 1 {
            0 => before.to_vec(),
            _ => front_coded(columns.field(number), before)?,
        });
    }
    Ok(values)
}

fn mtime(
    columns: &mut Reader<'_>,
    mtimes: &mut Mtimes,
    reference: Option<Place<'_>>,
    told: Option<Option<Place<'_>>>,
) -> Result<Vec<u8>, ColumnsError> {
    const BOUNDS: ColumnsError = ColumnsError::Malformed("an mtime out of bounds");
    let old = told.flatten().and_then(|place| octal(place.mtime()));
    let number = match columns.number(Column::Mtime)? {
        0 => {
            let value = reference.map_or_else(Vec::new, |place| place.mtime().to_vec());
            if let (Some(_), Some(new)) = (told, octal(&value)) {
                mtimes.note(new, old);
            }
            return Ok(value);
        }
        1 => old.and_then(|old| mtimes.became(old)).ok_or(BOUNDS)?,
        2 => {
            let delta = columns.column(Column::MtimeDelta).signed()?;
            mtimes.latest().checked_add_signed(delta).ok_or(BOUNDS)?
        }
        3 => return Ok(columns.column(Column::MtimeDelta).bytes()?.to_vec()),
        code => usize::try_from(code - 4).ok().and_then(|rank| mtimes.recent(rank)).ok_or(BOUNDS)?,
    };
    if told.is_some() {
        mtimes.note(number, old);
    }
    Ok(canonical_number(number).ok_or(BOUNDS)?.to_vec())
}

fn body(
    columns: &mut Reader<'_>,
    told: &mut Told,
    reference: Option<Place<'_>>,
) -> Result<Vec<u8>, ColumnsError> {
    let before = reference.as_ref().map_or(&b""[..], |place| place.body());
    match columns.number(Column::Body)? {
        0 => Ok(before.to_vec()),
        1 => {
            let body = front_coded(columns.column(Column::BodyBytes), before)?;
            for (key, value) in pax(&body).unwrap_or_default() {
                told.note_time(key, value);
            }
            Ok(body)
        }
        2 => {
            let lines = pax(before).ok_or(ColumnsError::Malformed("records where there are none"))?;
            let mut body = Vec::new();
            for (key, before) in lines {
                let value = pax_record(columns, &told.times, key, before)?;
                told.note_time(key, &value);
                body.extend(pax_line(key, &value));
            }
            Ok(body)
        }
        _ => Err(ColumnsError::Malformed("a body of an unknown kind")),
    }
}

fn pax_record(
    columns: &mut Reader<'_>,
    times: &HashMap<Vec<u8>, Vec<u8>>,
    key: &[u8],
    before: &[u8],
) -> Result<Vec<u8>, ColumnsError> {
    let last = || times.get(key).ok_or(ColumnsError::Malformed("a time without one before"));
    match columns.number(Column::PaxCode)? {
        0 => Ok(before.to_vec()),
        1 => last().cloned(),
        2 => {
            let (seconds, _) = time(last()?).ok_or(ColumnsError::Malformed("a time that is none"))?;
            let delta = columns.column(Column::PaxSeconds).signed()?;
            let seconds =
                seconds.checked_add(delta).ok_or(ColumnsError::Malformed("a time out of bounds"))?;
            let mut value = seconds.to_string().into_bytes();
            value.extend_from_slice(columns.column(Column::PaxFraction).bytes()?);
            Ok(value)
        }
        3 => front_coded(columns.column(Column::PaxBytes), before),
        _ => Err(ColumnsError::Malformed("a pax record of an unknown kind")),
    }
}

fn front_coded(column: &mut Bytes<'_>, before: &[u8]) -> Result<Vec<u8>, ColumnsError> {
    let same = before.len().checked_sub(column.len()?);
    let same = same.ok_or(ColumnsError::Malformed("less of a value than nothing"))?;
    let mut value = before[..same].to_vec();
    column.text(&mut value)?;
    Ok(value)
}

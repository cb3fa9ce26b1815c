//! The columns of a layer, one after the other: each is its length and its bytes.

use std::io;

use super::ColumnsError;
use crate::listing::FIELDS;
use crate::varint;

/// A column. Those of header fields follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// Where the group with the same path is, counted from the one that is expected.
    Match,
    /// Of which records a group is made, where that is new.
    Shape,
    /// Which fields of a header are not as in the record it is told against.
    Mask,
    /// How a size, an mtime, a body, an end of a record is told.
    Size,
    Mtime,
    MtimeDelta,
    Body,
    BodyBytes,
    PaxCode,
    PaxBytes,
    PaxSeconds,
    PaxFraction,
    Tail,
    Zeros,
    Raw,
    /// How many contents a record has.
    Contents,
    /// Where a content is.
    Origin,
    /// The length of a literal: all but its lowest byte, and that.
    Len,
    LenLow,
    /// The id of a literal.
    Id,
}

const FIRST_FIELD: usize = 20;
const COLUMNS: usize = FIRST_FIELD + FIELDS.len();

/// Columns being written.
#[derive(Debug)]
pub(super) struct Writer([Vec<u8>; COLUMNS]);

impl Writer {
    pub(super) fn new() -> Self {
        Writer(std::array::from_fn(|_| Vec::new()))
    }

    pub(super) fn column(&mut self, column: Column) -> &mut Vec<u8> {
        &mut self.0[column as usize]
    }

    pub(super) fn field(&mut self, field: usize) -> &mut Vec<u8> {
        &mut self.0[FIRST_FIELD + field]
    }

    pub(super) fn number(&mut self, column: Column, value: u64) {
        put(value, self.column(column));
    }

    pub(super) fn signed(&mut self, column: Column, value: i64) {
        self.number(column, zigzag(value));
    }

    pub(super) fn bytes(&mut self, column: Column, bytes: &[u8]) {
        put_bytes(bytes, self.column(column));
    }

    pub(super) fn finish(self, out: &mut Vec<u8>) {
        for column in &self.0 {
            put(column.len() as u64, out);
        }
        self.0.iter().for_each(|column| out.extend_from_slice(column));
    }
}

pub(super) fn put(value: u64, out: &mut Vec<u8>) {
    varint::write(value, out);
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Bytes of which the end can be told without a length before them: 0 ends them, and 0 and 1 among them are told as
/// two bytes, 1 and their value plus 1.
pub(super) fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            0 | 1 => out.extend([1, byte + 1]),
            byte => out.push(*byte),
        }
    }
    out.push(0);
}

/// Small numbers of either sign as small numbers: 0, -1, 1, -2…
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes being read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], ColumnsError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(ColumnsError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number(&mut self) -> Result<u64, ColumnsError> {
        let number: io::Result<Option<u64>> = varint::read(&mut self.0);
        number.ok().flatten().ok_or(ColumnsError::Short)
    }

    pub(super) fn len(&mut self) -> Result<usize, ColumnsError> {
        usize::try_from(self.number()?).map_err(|_| ColumnsError::Short)
    }

    pub(super) fn signed(&mut self) -> Result<i64, ColumnsError> {
        Ok(unzigzag(self.number()?))
    }

    /// Reads what [`put_text`] wrote, and adds it to `out`.
    pub(super) fn text(&mut self, out: &mut Vec<u8>) -> Result<(), ColumnsError> {
        loop {
            match self.take(1)?[0] {
                0 => return Ok(()),
                1 => match self.take(1)?[0] {
                    escaped @ (1 | 2) => out.push(escaped - 1),
                    _ => return Err(ColumnsError::Malformed("an escape of nothing")),
                },
                byte => out.push(byte),
            }
        }
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ColumnsError> {
        let len = self.len()?;
        self.take(len)
    }
}

/// Columns being read.
#[derive(Debug)]
pub(super) struct Reader<'a>([Bytes<'a>; COLUMNS]);

impl<'a> Reader<'a> {
    pub(super) fn new(input: &mut Bytes<'a>) -> Result<Self, ColumnsError> {
        let mut lens = [0; COLUMNS];
        for len in &mut lens {
            *len = input.len()?;
        }
        let mut columns = [Bytes::default(); COLUMNS];
        for (column, len) in columns.iter_mut().zip(lens) {
            *column = Bytes(input.take(len)?);
        }
        Ok(Reader(columns))
    }

    pub(super) fn column(&mut self, column: Column) -> &mut Bytes<'a> {
        &mut self.0[column as usize]
    }

    pub(super) fn field(&mut self, field: usize) -> &mut Bytes<'a> {
        &mut self.0[FIRST_FIELD + field]
    }

    pub(super) fn number(&mut self, column: Column) -> Result<u64, ColumnsError> {
        self.column(column).number()
    }

    pub(super) fn byte(&mut self, column: Column) -> Result<u64, ColumnsError> {
        Ok(u64::from(self.column(column).take(1)?[0]))
    }

    /// Whether all was read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|column| column.0.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in [&b""[..], b"usr/lib", b"\0", b"\x01\0\x02", b"\xff\x01"] {
            let mut bytes = Vec::new();
            put_text(text, &mut bytes);
            bytes.extend(b"more");
            let (mut input, mut read) = (Bytes(&bytes), Vec::new());
            input.text(&mut read).unwrap();
            assert_eq!((&read[..], input.0), (text, &b"more"[..]));
        }
        assert_eq!(Bytes(b"usr").text(&mut Vec::new()), Err(ColumnsError::Short));
        assert!(matches!(Bytes(b"\x01\x03\0").text(&mut Vec::new()), Err(ColumnsError::Malformed(_))));
    }

    #[test]
    fn small_numbers_of_either_sign_are_small() {
        assert_eq!([0, -1, 1, -2, i64::MAX, i64::MIN].map(zigzag), [0, 1, 2, 3, u64::MAX - 1, u64::MAX]);
        for value in [0, -1, 5, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}

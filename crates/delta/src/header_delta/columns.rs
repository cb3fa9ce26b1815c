//! The container of columns: for each its length and its bytes.
//!
//! A large layer has several sections, of which each has all columns. So neither side holds more than one of them.

use std::io::{self, Read, Write};
use std::ops::Range;

use dsync_core::varint;

use super::error::HeaderDeltaError;
use crate::layer_index::fields::FIELDS;

/// A column. Those of header fields follow the last of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// The distance of the matched entry from the expected one.
    Match,
    /// The records of an entry, where they are not as expected.
    Shape,
    /// The fields of a header that differ from its reference, one bit for each.
    Mask,
    /// Codes of the size, the mtime, the body and the end of a record.
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
    /// The number of chunks of a record.
    Chunks,
    /// The origin of a chunk.
    Origin,
    /// The length of a literal: all but its lowest byte, and that.
    Len,
    LenLow,
    /// The id of a literal.
    Id,
}

const FIRST_FIELD: usize = Column::Id as usize + 1;
const COLUMNS: usize = FIRST_FIELD + FIELDS.len();

/// Bytes after which a section ends.
const SECTION: usize = 4 << 20;
/// The most bytes of a section: one that is not full has room for a record, whose body is at most
/// [`VERBATIM_MAX`](crate::scan::VERBATIM_MAX) bytes, each encoded as one or two.
pub const SECTION_MAX: usize = 8 << 20;

/// Columns being written.
pub(super) struct ColumnWriter<'o> {
    columns: [Vec<u8>; COLUMNS],
    out: &'o mut dyn Write,
    failed: io::Result<()>,
}

impl<'o> ColumnWriter<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        ColumnWriter { columns: std::array::from_fn(|_| Vec::new()), out, failed: Ok(()) }
    }

    /// Ends the section if it is full. Called before each entry, record and chunk.
    pub(super) fn step(&mut self) {
        if self.columns.iter().map(Vec::len).sum::<usize>() >= SECTION {
            self.end_section();
        }
    }

    pub(super) fn column(&mut self, column: Column) -> &mut Vec<u8> {
        &mut self.columns[column as usize]
    }

    pub(super) fn field(&mut self, field: usize) -> &mut Vec<u8> {
        &mut self.columns[FIRST_FIELD + field]
    }

    pub(super) fn number(&mut self, column: Column, value: u64) {
        put(value, self.column(column));
    }

    pub(super) fn signed(&mut self, column: Column, value: i64) {
        self.number(column, varint::zigzag(value));
    }

    pub(super) fn bytes(&mut self, column: Column, bytes: &[u8]) {
        put_bytes(bytes, self.column(column));
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end_section();
        self.failed
    }

    fn end_section(&mut self) {
        let mut lens = Vec::new();
        self.columns.iter().for_each(|column| put(column.len() as u64, &mut lens));
        if self.failed.is_ok() {
            self.failed = self.out.write_all(&lens);
        }
        for column in &mut self.columns {
            if self.failed.is_ok() {
                self.failed = self.out.write_all(column);
            }
            column.clear();
        }
    }
}

pub(super) fn put(value: u64, out: &mut Vec<u8>) {
    varint::write(value, out);
}

pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Encodes bytes with a terminator: 0 ends them, and each 0 or 1 among them becomes two bytes, 1 and its value plus 1.
pub(super) fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            0 | 1 => out.extend([1, byte + 1]),
            byte => out.push(*byte),
        }
    }
    out.push(0);
}

/// Reads a number.
pub(super) fn number(input: &mut dyn Read) -> Result<u64, HeaderDeltaError> {
    varint::read(input)?.ok_or(HeaderDeltaError::Malformed("a number that is not in its shortest form"))
}

/// Columns being read.
pub(super) struct ColumnReader<'i> {
    input: &'i mut dyn Read,
    /// The bytes of a section, and the unread ones of each column.
    section: Vec<u8>,
    columns: [Range<usize>; COLUMNS],
}

impl<'i> ColumnReader<'i> {
    /// Reads the first section.
    pub(super) fn new(input: &'i mut dyn Read) -> Result<Self, HeaderDeltaError> {
        let columns = std::array::from_fn(|_| 0..0);
        let mut reader = ColumnReader { input, section: Vec::new(), columns };
        reader.next_section()?;
        Ok(reader)
    }

    fn next_section(&mut self) -> Result<(), HeaderDeltaError> {
        if !self.is_empty() {
            return Err(HeaderDeltaError::Short);
        }
        let mut end: usize = 0;
        for column in &mut self.columns {
            let len = usize::try_from(number(self.input)?).ok();
            let to = len.and_then(|len| end.checked_add(len)).filter(|to| *to <= SECTION_MAX);
            let to =
                to.ok_or(HeaderDeltaError::Limit { what: "bytes in a section", limit: SECTION_MAX as u64 })?;
            *column = end..to;
            end = to;
        }
        self.section.clear();
        (&mut *self.input).take(end as u64).read_to_end(&mut self.section)?;
        if self.section.len() < end { Err(HeaderDeltaError::Short) } else { Ok(()) }
    }

    pub(super) fn take(&mut self, column: Column, len: usize) -> Result<&[u8], HeaderDeltaError> {
        self.take_from(column as usize, len)
    }

    fn take_from(&mut self, column: usize, len: usize) -> Result<&[u8], HeaderDeltaError> {
        if self.columns[column].is_empty() && len > 0 {
            self.next_section()?;
        }
        let left = &mut self.columns[column];
        if left.len() < len {
            return Err(HeaderDeltaError::Short);
        }
        let taken = left.start..left.start + len;
        left.start = taken.end;
        Ok(&self.section[taken])
    }

    fn number_from(&mut self, column: usize) -> Result<u64, HeaderDeltaError> {
        if self.columns[column].is_empty() {
            self.next_section()?;
        }
        let left = &mut self.columns[column];
        let mut bytes = &self.section[left.clone()];
        let number = varint::take(&mut bytes).ok_or(HeaderDeltaError::Short)?;
        left.start = left.end - bytes.len();
        Ok(number)
    }

    pub(super) fn number(&mut self, column: Column) -> Result<u64, HeaderDeltaError> {
        self.number_from(column as usize)
    }

    pub(super) fn len(&mut self, column: Column) -> Result<usize, HeaderDeltaError> {
        usize::try_from(self.number(column)?).map_err(|_| HeaderDeltaError::Short)
    }

    pub(super) fn signed(&mut self, column: Column) -> Result<i64, HeaderDeltaError> {
        Ok(varint::unzigzag(self.number(column)?))
    }

    pub(super) fn byte(&mut self, column: Column) -> Result<u64, HeaderDeltaError> {
        Ok(u64::from(self.take(column, 1)?[0]))
    }

    pub(super) fn bytes(&mut self, column: Column) -> Result<&[u8], HeaderDeltaError> {
        let len = self.len(column)?;
        self.take(column, len)
    }

    /// Decodes a value that is front-coded against the one before into `out`; it has at most `most` bytes.
    pub(super) fn front_coded(
        &mut self,
        column: Column,
        before: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), HeaderDeltaError> {
        self.front_coded_from(column as usize, before, most, out)
    }

    /// As [`ColumnReader::front_coded`], of the column of a field.
    pub(super) fn front_coded_field(
        &mut self,
        field: usize,
        before: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), HeaderDeltaError> {
        self.front_coded_from(FIRST_FIELD + field, before, most, out)
    }

    fn front_coded_from(
        &mut self,
        column: usize,
        before: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), HeaderDeltaError> {
        let dropped = usize::try_from(self.number_from(column)?).map_err(|_| HeaderDeltaError::Short)?;
        let same = before.len().checked_sub(dropped).filter(|same| *same <= most);
        let same = same.ok_or(HeaderDeltaError::Malformed("prefix length out of range"))?;
        out.extend_from_slice(&before[..same]);
        let mut left = &self.section[self.columns[column].clone()];
        text(&mut left, most - same, out)?;
        self.columns[column].start = self.columns[column].end - left.len();
        Ok(())
    }

    /// True if every column was read to its end.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.iter().all(Range::is_empty)
    }
}

/// Decodes [`put_text`] into `out`, at most `most` bytes.
fn text(input: &mut &[u8], most: usize, out: &mut Vec<u8>) -> Result<(), HeaderDeltaError> {
    let end = out.len() + most;
    let mut next = || -> Result<u8, HeaderDeltaError> {
        let (first, rest) = input.split_first().ok_or(HeaderDeltaError::Short)?;
        *input = rest;
        Ok(*first)
    };
    loop {
        let byte = match next()? {
            0 => return Ok(()),
            1 => match next()? {
                escaped @ (1 | 2) => escaped - 1,
                _ => return Err(HeaderDeltaError::Malformed("an escape without bytes")),
            },
            byte => byte,
        };
        if out.len() == end {
            return Err(HeaderDeltaError::Malformed("a value too long"));
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for value in [&b""[..], b"usr/lib", b"\0", b"\x01\0\x02", b"\xff\x01"] {
            let mut bytes = Vec::new();
            put_text(value, &mut bytes);
            bytes.extend(b"more");
            let (mut input, mut read) = (&bytes[..], Vec::new());
            text(&mut input, value.len(), &mut read).unwrap();
            assert_eq!((&read[..], input), (value, &b"more"[..]));
        }
        let fails = |bytes: &[u8], most| text(&mut &bytes[..], most, &mut Vec::new()).unwrap_err();
        assert!(matches!(fails(b"usr", 9), HeaderDeltaError::Short));
        assert!(matches!(fails(b"\x01\x03\0", 9), HeaderDeltaError::Malformed(_)));
        assert!(matches!(fails(b"usr\0", 2), HeaderDeltaError::Malformed(_)));
    }

    #[test]
    fn sections_are_read_as_one() {
        let mut out = Vec::new();
        let mut writer = ColumnWriter::new(&mut out);
        let value = |at: usize| vec![at as u8; 1000];
        for at in 0..10_000 {
            writer.step();
            writer.number(Column::Match, at as u64);
            writer.bytes(Column::Raw, &value(at));
        }
        writer.finish().unwrap();
        let mut input = &out[..];
        let mut reader = ColumnReader::new(&mut input).unwrap();
        for at in 0..10_000 {
            assert!(reader.section.len() <= SECTION + 1010);
            assert_eq!(reader.number(Column::Match).unwrap(), at as u64);
            assert_eq!(reader.bytes(Column::Raw).unwrap(), value(at));
        }
        assert!(reader.is_empty());
        assert!(matches!(reader.number(Column::Match), Err(HeaderDeltaError::Io(_))));
    }
}

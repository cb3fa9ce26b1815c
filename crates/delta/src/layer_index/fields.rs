//! The fields of a header block (POSIX.1-2024 `pax`, "ustar Interchange Format"). They cover all of its bytes,
//! so that they restore a block of any writer.

use dsync_core::ustar::{self, BLOCK, LARGEST_OCTAL, checksum, write_octal};

/// A field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Name,
    Mode,
    Uid,
    Gid,
    Size,
    Mtime,
    Checksum,
    Flag,
    Link,
    /// Magic and version.
    Magic,
    Uname,
    Gname,
    DevMajor,
    DevMinor,
    Prefix,
    /// Unused by POSIX; old GNU headers have something here.
    Rest,
}

/// All fields in the order of their bytes; the position is `Field as usize`.
pub(crate) const FIELDS: [Field; 16] = [
    Field::Name,
    Field::Mode,
    Field::Uid,
    Field::Gid,
    Field::Size,
    Field::Mtime,
    Field::Checksum,
    Field::Flag,
    Field::Link,
    Field::Magic,
    Field::Uname,
    Field::Gname,
    Field::DevMajor,
    Field::DevMinor,
    Field::Prefix,
    Field::Rest,
];

const STARTS: [usize; 17] =
    [0, 100, 108, 116, 124, 136, 148, 156, 157, 257, 265, 297, 329, 337, 345, 500, BLOCK];

impl Field {
    /// Bytes in the block.
    pub(crate) const fn width(self) -> usize {
        STARTS[self as usize + 1] - STARTS[self as usize]
    }
}

/// The length of each field without the zeros at its end. The bytes lie elsewhere, one field's after the other's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fields([u8; 16]);

impl Fields {
    /// Takes a header apart; its fields' bytes go to `out`. Of the checksum only its [`Style`] is kept, since it
    /// follows from the rest; a block where it is another, or written in another way, is no header here.
    pub(crate) fn take(block: &[u8; BLOCK], out: &mut Vec<u8>) -> Option<Fields> {
        let mut lens = [0; 16];
        let own = &block[STARTS[Field::Checksum as usize]..][..Field::Checksum.width()];
        let sum = checksum(block);
        let style = Style::ALL.into_iter().find(|style| style.write(sum) == own)?;
        for field in FIELDS {
            let bytes = match field {
                Field::Checksum => style.field(),
                _ => trim(&block[STARTS[field as usize]..STARTS[field as usize + 1]]),
            };
            lens[field as usize] = bytes.len() as u8;
            out.extend_from_slice(bytes);
        }
        Some(Fields(lens))
    }

    /// The fields with these values, in the order of [`FIELDS`], whose bytes are added to `out`; `None` where one is
    /// longer than its field, has zeros at its end, or is no style of a checksum.
    pub(crate) fn of_values(values: &[&[u8]; 16], out: &mut Vec<u8>) -> Option<Fields> {
        let mut lens = [0; 16];
        for (field, value) in FIELDS.into_iter().zip(values) {
            let fits = match field {
                Field::Checksum => Style::ALL.iter().any(|style| style.field() == *value),
                _ => value.len() <= field.width() && trim(value).len() == value.len(),
            };
            if !fits {
                return None;
            }
            lens[field as usize] = value.len() as u8;
            out.extend_from_slice(value);
        }
        Some(Fields(lens))
    }

    /// Fields of which it is known that they are of this length.
    pub(super) const fn of_lens(lens: [u8; 16]) -> Fields {
        Fields(lens)
    }

    /// The bytes of all fields, where `bytes` begins with them.
    pub(crate) fn values<'a>(&self, mut bytes: &'a [u8]) -> [&'a [u8]; 16] {
        self.0.map(|len| {
            let (value, rest) = bytes.split_at(usize::from(len));
            bytes = rest;
            value
        })
    }

    /// Bytes of all fields.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|len| usize::from(*len)).sum()
    }

    /// A field's bytes, where `bytes` begins with those of all.
    pub(crate) fn of<'a>(&self, field: Field, bytes: &'a [u8]) -> &'a [u8] {
        let start: usize = self.0[..field as usize].iter().map(|len| usize::from(*len)).sum();
        &bytes[start..][..usize::from(self.0[field as usize])]
    }

    /// The block.
    pub(crate) fn block(&self, bytes: &[u8]) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        for field in FIELDS.into_iter().filter(|field| *field != Field::Checksum) {
            let value = self.of(field, bytes);
            block[STARTS[field as usize]..][..value.len()].copy_from_slice(value);
        }
        let style = if self.of(Field::Checksum, bytes).is_empty() { Style::Six } else { Style::Seven };
        let checksum = style.write(checksum(&block));
        block[STARTS[Field::Checksum as usize]..][..8].copy_from_slice(&checksum);
        block
    }
}

/// The format of a checksum.
#[derive(Debug, Clone, Copy)]
enum Style {
    /// Six octal digits, a zero, a space: as nearly everybody does.
    Six,
    /// Seven octal digits and a zero.
    Seven,
}

impl Style {
    const ALL: [Style; 2] = [Style::Six, Style::Seven];

    /// The stored value of the field.
    const fn field(self) -> &'static [u8] {
        match self {
            Style::Six => b"",
            Style::Seven => b"7",
        }
    }

    fn write(self, sum: u64) -> [u8; 8] {
        let mut checksum = *b"0000000\0";
        match self {
            Style::Six => {
                write_octal(sum, &mut checksum[..6]);
                checksum[6..].copy_from_slice(b"\0 ");
            }
            Style::Seven => write_octal(sum, &mut checksum[..7]),
        }
        checksum
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..len]
}

/// A number as most writers put it into size and mtime: eleven octal digits. `None` when it does not fit.
pub(crate) fn canonical_number(value: u64) -> Option<[u8; 11]> {
    let mut number = [b'0'; 11];
    (value <= LARGEST_OCTAL).then(|| {
        write_octal(value, &mut number);
        number
    })
}

/// The value of a number that is written so.
pub(crate) fn canonical_value(field: &[u8]) -> Option<u64> {
    ustar::octal(field).filter(|value| canonical_number(*value).is_some_and(|number| number == *field))
}

//! Verbatim bytes into records. It decides less than the scanner, and need not agree with it: what it does not
//! understand stays raw.

use dsync_core::DiffId;

use super::{BLOCK, Builder, Field, Fields, Kind, Listing, padding};
use crate::ContentId;

/// The longest body that is taken with its header.
const BODY_MAX: usize = 1 << 20;

/// Makes a listing of what a scanner finds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parser {
    listing: Builder,
    /// Bytes in the contents since the last verbatim bytes; their padding comes first in what follows.
    pending: u64,
    fields: Vec<u8>,
}

impl Parser {
    /// Takes the next content.
    pub(crate) fn content(&mut self, id: ContentId, len: u64) {
        if self.pending == 0 && !self.listing.is_bare_header() {
            self.listing.record(Kind::Raw, b"", b"");
        }
        self.listing.content(Some(id), len);
        self.pending += len;
    }

    /// Takes all verbatim bytes up to the next content.
    pub(crate) fn verbatim(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        if self.pending > 0 {
            let fill = usize::try_from(padding(self.pending)).unwrap_or(BLOCK).min(rest.len());
            let (fill, blocks) = rest.split_at(fill);
            if fill.len() as u64 == padding(self.pending) && fill.iter().all(|byte| *byte == 0) {
                self.listing.pad();
            } else {
                self.listing.record(Kind::Raw, b"", fill);
            }
            self.pending = 0;
            rest = blocks;
        }
        while !rest.is_empty() {
            rest = self.record(rest);
        }
    }

    /// Bytes of memory until now.
    pub(crate) fn memory(&self) -> usize {
        self.listing.memory()
    }

    /// How many contents there are until now.
    pub(crate) fn contents(&self) -> usize {
        self.listing.contents()
    }

    /// The layer has ended.
    pub(crate) fn finish(mut self, diff_id: DiffId, len: u64) -> Listing {
        if self.pending > 0 && padding(self.pending) == 0 {
            self.listing.pad();
        }
        self.listing.finish(diff_id, len).0
    }

    /// Takes one record, and returns what is left.
    fn record<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>() else {
            self.listing.record(Kind::Raw, b"", bytes);
            return b"";
        };
        if *block == [0; BLOCK] {
            self.listing.zeros();
            return rest;
        }
        self.fields.clear();
        let Some(fields) = Fields::take(block, &mut self.fields) else {
            self.listing.record(Kind::Raw, b"", block);
            return rest;
        };
        let flag = fields.of(Field::Flag, &self.fields).first().copied().unwrap_or(0);
        let size = number(fields.of(Field::Size, &self.fields));
        let size =
            size.filter(|size| *size <= rest.len().min(BODY_MAX) && !matches!(flag, b'1'..=b'6' | b'S'));
        let (body, rest) = rest.split_at(size.unwrap_or(0));
        let fill = padding(body.len() as u64);
        let (zeros, rest) = rest.split_at(usize::try_from(fill).unwrap_or(BLOCK).min(rest.len()));
        let padded = zeros.len() as u64 == fill && zeros.iter().all(|byte| *byte == 0);
        self.listing.record(Kind::Header(fields), &self.fields, body);
        if padded {
            self.listing.pad();
        } else if !zeros.is_empty() {
            self.listing.record(Kind::Raw, b"", zeros);
        }
        rest
    }
}

/// An octal number, with spaces around it.
fn number(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    usize::from_str_radix(text, 8).ok()
}

/// The lines of pax records, `LEN KEY=VALUE\n`, as keys and values; `None` unless they are all and in their
/// one form.
pub(crate) fn pax(mut body: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut lines = Vec::new();
    while !body.is_empty() {
        let space = body.iter().take(9).position(|byte| *byte == b' ')?;
        let len: usize = std::str::from_utf8(&body[..space]).ok()?.parse().ok()?;
        let (line, rest) = body.split_at_checked(len)?;
        let text = line.get(space + 1..)?.strip_suffix(b"\n")?;
        let equals = text.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&text[..equals], &text[equals + 1..]);
        if pax_line(key, value) != line {
            return None;
        }
        lines.push((key, value));
        body = rest;
    }
    Some(lines)
}

/// A pax record: its length counts itself.
pub(crate) fn pax_line(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + rest.to_string().len();
    if rest + len.to_string().len() != len {
        len = rest + len.to_string().len();
    }
    let mut line = format!("{len} ").into_bytes();
    line.extend_from_slice(key);
    line.push(b'=');
    line.extend_from_slice(value);
    line.push(b'\n');
    line
}

/// The value of the last record with this key.
pub(super) fn pax_value<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    pax(body)?.into_iter().rev().find(|(other, _)| *other == key).map(|(_, value)| value)
}

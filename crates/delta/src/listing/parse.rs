//! Verbatim bytes into records. It decides less than the scanner, and need not agree with it: what it does not
//! understand stays raw.

use std::io::{self, Read};

use super::{BLOCK, Content, Field, Fields, Kind, Listing, Record, padding};
use crate::{Layout, Segment};

/// The longest body that is read at once.
const BODY_MAX: u64 = 1 << 20;

pub(super) fn read(layout: &Layout, verbatim: &mut dyn Read) -> io::Result<Listing> {
    let mut listing = Listing::empty(layout.diff_id, layout.len);
    // What the contents since the last header have of bytes; their padding comes first in what follows.
    let mut pending: u64 = 0;
    for (at, segment) in layout.spans() {
        match segment {
            Segment::Content { id, len } => {
                let follows = |last: &Record| matches!(last.kind, Kind::Header(_)) && last.body == 0 && last.contents == 0;
                if pending == 0 && !listing.records.last().is_some_and(follows) {
                    listing.push(Kind::Raw, b"", false, b"");
                }
                listing.contents.push(Content { id, len, at });
                if let Some(record) = listing.records.last_mut() {
                    record.contents += 1;
                    record.padded = false;
                }
                pending += len;
            }
            Segment::Verbatim { len } => {
                let mut left = len;
                if pending > 0 {
                    left -= take_padding(&mut listing, padding(pending).min(left), pending, verbatim)?;
                    pending = 0;
                }
                take_blocks(&mut listing, left, verbatim)?;
            }
        }
    }
    if pending > 0 && padding(pending) == 0 {
        pad_last(&mut listing);
    }
    Ok(listing)
}

fn pad_last(listing: &mut Listing) {
    if let Some(record) = listing.records.last_mut() {
        record.padded = true;
    }
}

/// Takes what should be the padding of the contents before. Returns how many bytes it took.
fn take_padding(listing: &mut Listing, len: u64, contents: u64, verbatim: &mut dyn Read) -> io::Result<u64> {
    let bytes = take(verbatim, len)?;
    if len == padding(contents) && bytes.iter().all(|byte| *byte == 0) {
        pad_last(listing);
    } else {
        listing.push(Kind::Raw, &bytes, false, b"");
    }
    Ok(len)
}

fn take_blocks(listing: &mut Listing, mut left: u64, verbatim: &mut dyn Read) -> io::Result<()> {
    let mut fields = Vec::new();
    while left > 0 {
        let bytes = take(verbatim, left.min(BLOCK as u64))?;
        left -= bytes.len() as u64;
        let Ok(block) = <[u8; BLOCK]>::try_from(&bytes[..]) else {
            listing.push(Kind::Raw, &bytes, false, b"");
            continue;
        };
        if block == [0; BLOCK] {
            match listing.records.last_mut().map(|last| (&mut last.kind, last.contents)) {
                Some((Kind::Zeros(blocks), 0)) => *blocks += 1,
                _ => drop(listing.push(Kind::Zeros(1), b"", false, b"")),
            }
            continue;
        }
        fields.clear();
        let Some(taken) = Fields::take(&block, &mut fields) else {
            listing.push(Kind::Raw, &block, false, b"");
            continue;
        };
        let size = number(taken.of(Field::Size, &fields)).filter(|size| *size <= left.min(BODY_MAX)).unwrap_or(0);
        let flag = taken.of(Field::Flag, &fields).first().copied().unwrap_or(0);
        let has_body = !matches!(flag, b'1'..=b'6' | b'S');
        let body = if has_body { take(verbatim, size)? } else { Vec::new() };
        left -= body.len() as u64;
        let fill = take(verbatim, padding(body.len() as u64).min(left))?;
        left -= fill.len() as u64;
        let padded = fill.len() as u64 == padding(body.len() as u64) && fill.iter().all(|byte| *byte == 0);
        listing.push(Kind::Header(taken), &body, padded, &fields);
        if !padded && !fill.is_empty() {
            listing.push(Kind::Raw, &fill, false, b"");
        }
    }
    Ok(())
}

fn take(verbatim: &mut dyn Read, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    verbatim.take(len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// An octal number, with spaces around it.
fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    u64::from_str_radix(text, 8).ok()
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

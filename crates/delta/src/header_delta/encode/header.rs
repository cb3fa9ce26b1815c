//! Encodes the fields and the body of one header.

use crate::header_delta::basis::BasisRecord;
use crate::header_delta::columns::{Column, Writer, put, put_text};
use crate::header_delta::prediction::{Mtimes, Prediction, time};
use crate::layer_index::fields::{FIELDS, Field, canonical_value};
use crate::layer_index::pax_records::records;
use crate::layer_index::records::View;

pub(super) fn fields(out: &mut Writer<'_>, view: &View<'_>, reference: Option<View<'_>>) {
    let mut mask: u64 = 0;
    let before = reference.map_or([&b""[..]; 16], |before| before.values());
    for ((number, field), (value, before)) in
        FIELDS.into_iter().enumerate().zip(view.values().into_iter().zip(before))
    {
        if !matches!(field, Field::Size | Field::Mtime) && value != before {
            mask |= 1 << number;
            front_code(value, before, out.field(number));
        }
    }
    out.number(Column::Mask, mask);
}

pub(super) fn mtime(
    out: &mut Writer<'_>,
    mtimes: &mut Mtimes,
    view: &View<'_>,
    reference: Option<View<'_>>,
    ends: Option<Option<BasisRecord<'_>>>,
) {
    let value = view.field(Field::Mtime);
    let before = reference.map_or(&b""[..], |before| before.field(Field::Mtime));
    let old = ends.flatten().and_then(|record| canonical_value(record.view.field(Field::Mtime)));
    let code = match canonical_value(value) {
        _ if value == before => 0,
        Some(new) if old.and_then(|old| mtimes.became(old)) == Some(new) => 1,
        Some(new) => match mtimes.rank(new) {
            Some(rank) => 4 + rank as u64,
            None => {
                out.signed(Column::MtimeDelta, new as i64 - mtimes.latest() as i64);
                2
            }
        },
        None => {
            out.bytes(Column::MtimeDelta, value);
            3
        }
    };
    out.number(Column::Mtime, code);
    if let (Some(_), Some(new)) = (ends, canonical_value(value)) {
        mtimes.note(new, old);
    }
}

pub(super) fn body(
    out: &mut Writer<'_>,
    prediction: &mut Prediction,
    view: &View<'_>,
    reference: Option<View<'_>>,
) {
    let body = view.body();
    let before = reference.map_or(&b""[..], |before| before.body());
    if body == before {
        out.number(Column::Body, 0);
        return;
    }
    match (records(body), records(before)) {
        (Some(lines), Some(old)) if lines.iter().map(|line| line.0).eq(old.iter().map(|line| line.0)) => {
            out.number(Column::Body, 2);
            for ((key, value), (_, before)) in lines.into_iter().zip(old) {
                pax_record(out, prediction, (key, value), before);
            }
        }
        _ => {
            out.number(Column::Body, 1);
            front_code(body, before, out.column(Column::BodyBytes));
            // The decoder learns these times as well.
            for (key, value) in records(body).unwrap_or_default() {
                prediction.note_time(key, value);
            }
        }
    }
}

fn pax_record(
    out: &mut Writer<'_>,
    prediction: &mut Prediction,
    (key, value): (&[u8], &[u8]),
    before: &[u8],
) {
    let last = prediction.times.get(key);
    let code = match (time(value), last.and_then(|last| time(last))) {
        _ if value == before => 0,
        (Some(_), Some(_)) if last.is_some_and(|last| last == value) => 1,
        (Some((seconds, fraction)), Some((last, _))) => {
            out.signed(Column::PaxSeconds, seconds - last);
            out.bytes(Column::PaxFraction, fraction);
            2
        }
        _ => {
            front_code(value, before, out.column(Column::PaxBytes));
            3
        }
    };
    out.number(Column::PaxCode, code);
    prediction.note_time(key, value);
}

/// Encodes a value as the bytes to drop from the end of the one before, and a suffix (front coding): among files of like
/// names this repeats, whatever the length of their folder's name is.
fn front_code(value: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let same = value.iter().zip(before).take_while(|(a, b)| a == b).count();
    put((before.len() - same) as u64, out);
    put_text(&value[same..], out);
}

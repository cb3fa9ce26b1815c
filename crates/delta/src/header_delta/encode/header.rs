//! Encodes the fields and the body of one header.

use dsync_core::common_prefix;
use dsync_core::pax::PaxRecord;

use crate::header_delta::columns::{Column, ColumnWriter, put, put_text};
use crate::header_delta::prediction::{MtimeOf, Mtimes, PaxTime, Prediction};
use crate::layer_index::fields::{FIELDS, Field, canonical_value};
use crate::layer_index::pax_records::records;
use crate::layer_index::records::RecordView;

pub(super) fn fields(out: &mut ColumnWriter<'_>, view: &RecordView<'_>, reference: Option<RecordView<'_>>) {
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
    out: &mut ColumnWriter<'_>,
    mtimes: &mut Mtimes,
    view: &RecordView<'_>,
    reference: Option<RecordView<'_>>,
    of: MtimeOf<'_>,
) {
    let value = view.field(Field::Mtime);
    let before = reference.map_or(&b""[..], |before| before.field(Field::Mtime));
    let code = match canonical_value(value) {
        _ if value == before => 0,
        Some(new) if of.old().and_then(|old| mtimes.became(old)) == Some(new) => 1,
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
    if let Some(new) = canonical_value(value) {
        of.note(new, mtimes);
    }
}

pub(super) fn body(
    out: &mut ColumnWriter<'_>,
    prediction: &mut Prediction,
    view: &RecordView<'_>,
    reference: Option<RecordView<'_>>,
) {
    let body = view.body();
    let before = reference.map_or(&b""[..], |before| before.body());
    if body == before {
        out.number(Column::Body, 0);
        return;
    }
    match (records(body), records(before)) {
        (Some(lines), Some(old)) if lines.iter().map(|line| line.key).eq(old.iter().map(|line| line.key)) => {
            out.number(Column::Body, 2);
            for (line, before) in lines.into_iter().zip(old) {
                pax_value(out, prediction, line, before.value);
            }
        }
        _ => {
            out.number(Column::Body, 1);
            front_code(body, before, out.column(Column::BodyBytes));
            // The decoder learns these times as well.
            for line in records(body).unwrap_or_default() {
                prediction.note_time(line);
            }
        }
    }
}

/// Encodes the value of a record against that of the record before.
fn pax_value(out: &mut ColumnWriter<'_>, prediction: &mut Prediction, line: PaxRecord<'_>, before: &[u8]) {
    let PaxRecord { key, value } = line;
    let last = prediction.times.get(key);
    let code = match (PaxTime::parse(value), last.and_then(|last| PaxTime::parse(last))) {
        _ if value == before => 0,
        (Some(_), Some(_)) if last.is_some_and(|last| last == value) => 1,
        (Some(time), Some(last)) => {
            out.signed(Column::PaxSeconds, time.seconds - last.seconds);
            out.bytes(Column::PaxFraction, time.fraction);
            2
        }
        _ => {
            front_code(value, before, out.column(Column::PaxBytes));
            3
        }
    };
    out.number(Column::PaxCode, code);
    prediction.note_time(line);
}

/// Encodes a value as the bytes to drop from the end of the one before, and a suffix (front coding): among files of
/// like names this repeats, whatever the length of their folder's name is.
fn front_code(value: &[u8], before: &[u8], out: &mut Vec<u8>) {
    let same = common_prefix(value, before, usize::MAX);
    put((before.len() - same) as u64, out);
    put_text(&value[same..], out);
}

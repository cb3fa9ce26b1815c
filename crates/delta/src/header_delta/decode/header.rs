//! Decodes the fields and the body of one header.

use std::collections::HashMap;

use dsync_core::pax::PaxRecord;

use crate::header_delta::basis::BasisRecord;
use crate::header_delta::columns::{Column, ColumnReader};
use crate::header_delta::error::{HeaderDeltaError, within};
use crate::header_delta::prediction::{MtimeOf, Mtimes, PaxTime, Prediction};
use crate::layer_index::fields::{FIELDS, Field, Fields, canonical_number, canonical_value};
use crate::layer_index::pax_records::records;
use crate::layer_index::records::RecordView;
use crate::scan::VERBATIM_MAX;

/// The values of a header's fields.
pub(super) struct Values {
    bytes: Vec<u8>,
    ends: [usize; FIELDS.len()],
    pub(super) size: Vec<u8>,
    pub(super) mtime: Vec<u8>,
}

impl Values {
    pub(super) fn get(&self, field: Field) -> &[u8] {
        let number = field as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }

    /// The fields, whose bytes are added to `out`; `None` where one does not fit.
    pub(super) fn finish(&self, out: &mut Vec<u8>) -> Option<Fields> {
        let values = FIELDS.map(|field| match field {
            Field::Size => &self.size[..],
            Field::Mtime => &self.mtime[..],
            _ => self.get(field),
        });
        Fields::of_values(&values, out)
    }
}

/// The values of all fields but size and mtime, which have columns of their own.
pub(super) fn fields(
    columns: &mut ColumnReader<'_>,
    reference: Option<RecordView<'_>>,
) -> Result<Values, HeaderDeltaError> {
    let mask = columns.number(Column::Mask)?;
    if mask >> FIELDS.len() != 0 {
        return Err(HeaderDeltaError::Malformed("a field that headers do not have"));
    }
    let all = reference.map_or([&b""[..]; 16], |reference| reference.values());
    let mut values =
        Values { bytes: Vec::with_capacity(256), ends: [0; 16], size: Vec::new(), mtime: Vec::new() };
    for (number, (field, before)) in FIELDS.into_iter().zip(all).enumerate() {
        match mask >> number & 1 {
            0 => values.bytes.extend_from_slice(before),
            _ => columns.front_coded_field(number, before, field.width(), &mut values.bytes)?,
        }
        values.ends[number] = values.bytes.len();
    }
    Ok(values)
}

pub(super) fn size(
    columns: &mut ColumnReader<'_>,
    len: u64,
    matched: Option<BasisRecord<'_>>,
) -> Result<Vec<u8>, HeaderDeltaError> {
    match (columns.number(Column::Size)?, matched) {
        (0, _) => {
            let number = canonical_number(len).ok_or(HeaderDeltaError::Malformed("a size too large"))?;
            Ok(number.to_vec())
        }
        (1, Some(record)) => Ok(record.view.field(Field::Size).to_vec()),
        (2, _) => {
            let value = columns.bytes(Column::Size)?;
            within("bytes in a field", value.len() as u64, Field::Size.width() as u64)?;
            Ok(value.to_vec())
        }
        _ => Err(HeaderDeltaError::Malformed("a size of an unknown kind")),
    }
}

pub(super) fn mtime(
    columns: &mut ColumnReader<'_>,
    mtimes: &mut Mtimes,
    reference: Option<RecordView<'_>>,
    of: MtimeOf<'_>,
) -> Result<Vec<u8>, HeaderDeltaError> {
    const BOUNDS: HeaderDeltaError = HeaderDeltaError::Malformed("an mtime out of bounds");
    let number = match columns.number(Column::Mtime)? {
        0 => {
            let value = reference.map_or(&b""[..], |reference| reference.field(Field::Mtime));
            if let Some(new) = canonical_value(value) {
                of.note(new, mtimes);
            }
            return Ok(value.to_vec());
        }
        1 => of.old().and_then(|old| mtimes.became(old)).ok_or(BOUNDS)?,
        2 => {
            let delta = columns.signed(Column::MtimeDelta)?;
            mtimes.latest().checked_add_signed(delta).ok_or(BOUNDS)?
        }
        3 => {
            let value = columns.bytes(Column::MtimeDelta)?;
            within("bytes in a field", value.len() as u64, Field::Mtime.width() as u64)?;
            return Ok(value.to_vec());
        }
        code => usize::try_from(code - 4).ok().and_then(|rank| mtimes.recent(rank)).ok_or(BOUNDS)?,
    };
    of.note(number, mtimes);
    Ok(canonical_number(number).ok_or(BOUNDS)?.to_vec())
}

/// The most bytes of a body: to a scanner a longer one is no part of a header.
const BODY_MAX: usize = VERBATIM_MAX as usize;

pub(super) fn body(
    columns: &mut ColumnReader<'_>,
    prediction: &mut Prediction,
    reference: Option<RecordView<'_>>,
) -> Result<Vec<u8>, HeaderDeltaError> {
    let before = reference.map_or(&b""[..], |reference| reference.body());
    match columns.number(Column::Body)? {
        0 => Ok(before.to_vec()),
        1 => {
            let mut body = Vec::new();
            columns.front_coded(Column::BodyBytes, before, BODY_MAX, &mut body)?;
            for line in records(&body).unwrap_or_default() {
                prediction.note_time(line);
            }
            Ok(body)
        }
        2 => {
            let lines = records(before)
                .ok_or(HeaderDeltaError::Malformed("pax records where the entry before has none"))?;
            let mut body = Vec::new();
            for line in lines {
                let value = pax_value(columns, &prediction.times, line)?;
                let line = PaxRecord { value: &value, ..line };
                prediction.note_time(line);
                body.extend(line.encode());
                within("bytes in a row", body.len() as u64, VERBATIM_MAX)?;
            }
            Ok(body)
        }
        _ => Err(HeaderDeltaError::Malformed("a body of an unknown kind")),
    }
}

/// The value of a record in place of that of the record before.
fn pax_value(
    columns: &mut ColumnReader<'_>,
    times: &HashMap<Vec<u8>, Vec<u8>>,
    PaxRecord { key, value: before }: PaxRecord<'_>,
) -> Result<Vec<u8>, HeaderDeltaError> {
    let last =
        || times.get(key).ok_or(HeaderDeltaError::Malformed("a time as a difference without one before"));
    match columns.number(Column::PaxCode)? {
        0 => Ok(before.to_vec()),
        1 => last().cloned(),
        2 => {
            let last = PaxTime::parse(last()?)
                .ok_or(HeaderDeltaError::Malformed("a time in another form than seconds and fraction"))?;
            let delta = columns.signed(Column::PaxSeconds)?;
            let seconds =
                last.seconds.checked_add(delta).ok_or(HeaderDeltaError::Malformed("a time out of bounds"))?;
            let mut value = seconds.to_string().into_bytes();
            let fraction = columns.bytes(Column::PaxFraction)?;
            within("bytes in a row", fraction.len() as u64, VERBATIM_MAX)?;
            value.extend_from_slice(fraction);
            Ok(value)
        }
        3 => {
            let mut value = Vec::new();
            columns.front_coded(Column::PaxBytes, before, BODY_MAX, &mut value)?;
            Ok(value)
        }
        _ => Err(HeaderDeltaError::Malformed("a pax record of an unknown kind")),
    }
}

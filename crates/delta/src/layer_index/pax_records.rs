//! The body of a pax header as its records, where it is written in their usual form.

use dsync_core::pax::{self, PaxRecord};

/// Pax records as keys and values; `None` unless all of the body is records in the form in which they are written here.
pub(crate) fn records(mut body: &[u8]) -> Option<Vec<PaxRecord<'_>>> {
    let mut records = Vec::new();
    while !body.is_empty() {
        let before = body;
        let record = pax::take(&mut body)?;
        if !before.starts_with(&record.encode()) {
            return None;
        }
        records.push(record);
    }
    Some(records)
}

/// The value of the last record with this key.
pub(super) fn value<'a>(body: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    records(body)?.into_iter().rev().find(|record| record.key == key).map(|record| record.value)
}

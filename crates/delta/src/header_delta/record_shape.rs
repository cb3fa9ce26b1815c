//! The shape of a record, which decides its encoding.

use crate::layer_index::records::{Record, RecordKind};

/// The kind of a record, which decides its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordShape {
    Zeros,
    Raw,
    Header,
}

impl From<&Record> for RecordShape {
    fn from(record: &Record) -> Self {
        match record.kind {
            RecordKind::Zeros(_) => RecordShape::Zeros,
            RecordKind::Raw => RecordShape::Raw,
            RecordKind::Header(_) => RecordShape::Header,
        }
    }
}

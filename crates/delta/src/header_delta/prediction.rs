//! Predictions of record fields that both sides compute alike, from the records before.

use std::collections::HashMap;

use dsync_core::pax::PaxRecord;

use super::basis::BasisRecord;
use super::record_shape::RecordShape;
use crate::layer_index::fields::{Field, canonical_value};
use crate::layer_index::records::{ENTRY_RECORDS, RecordKind, RecordView, Records};

/// Limits on the keys of pax records whose times are remembered, the kinds of files whose codes are, and the mtimes of
/// the basis: more than a layer has of each that can be predicted well.
const TIMES: usize = 64;
const KINDS: usize = 4096;
const BECAME: usize = 1 << 16;
/// Digits of a fraction; a time with more is encoded as any value.
const FRACTION: usize = 16;

/// A kind of entries, whose chunks are likely to change all at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct EntryKind {
    suffix: Vec<u8>,
    /// The entry is encoded against one of the basis.
    is_matched: bool,
}

/// The state of the coder within a layer. Its size is bounded, however large the layer is.
#[derive(Debug, Default)]
pub(super) struct Prediction {
    /// The entry of the basis that was matched last.
    pub(super) matched: Option<usize>,
    /// The shape of the last entry.
    pub(super) shape: Vec<RecordShape>,
    pub(super) mtimes: Mtimes,
    /// The last value of each pax record with a time.
    pub(super) times: HashMap<Vec<u8>, Vec<u8>>,
    /// The last code of chunks of each kind of entry.
    codes: HashMap<EntryKind, u64>,
    /// The number of the chunk of the basis that was used last.
    pub(super) chunk: Option<usize>,
}

impl Prediction {
    /// The entry that comes next if nothing changed.
    pub(super) fn expected(&self) -> usize {
        self.matched.map_or(0, |last| last + 1)
    }

    /// The chunk that comes next if nothing changed.
    pub(super) fn expected_chunk(&self) -> usize {
        self.chunk.map_or(0, |last| last + 1)
    }

    /// Predicts the code of an entry's chunks: that of the last entry of its kind. Compiled files, for instance, change
    /// all at once. Of many kinds, those that come late count as none.
    pub(super) fn expected_code(&mut self, name: &[u8], is_matched: bool) -> &mut u64 {
        let mut kind = EntryKind { suffix: suffix(name).to_vec(), is_matched };
        if self.codes.len() >= KINDS && !self.codes.contains_key(&kind) {
            kind.suffix.clear();
        }
        self.codes.entry(kind).or_default()
    }

    /// Notes a pax record with a time. The field of the header that follows is likely to say the same.
    pub(super) fn note_time(&mut self, PaxRecord { key, value }: PaxRecord<'_>) {
        let Some(time) = PaxTime::parse(value) else { return };
        if let Some(last) = self.times.get_mut(key) {
            last.clear();
            last.extend_from_slice(value);
        } else if self.times.len() < TIMES {
            self.times.insert(key.to_vec(), value.to_vec());
        }
        if let (b"mtime", Ok(seconds)) = (key, u64::try_from(time.seconds)) {
            self.mtimes.note(seconds, None);
        }
    }
}

/// The position of a record among those of its entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordPosition {
    pub(super) index: usize,
    /// The number of records that the entry has, at least one.
    pub(super) count: usize,
}

impl RecordPosition {
    fn is_last(self) -> bool {
        self.index + 1 == self.count
    }
}

/// The last header at each position of an entry, by the number of its records.
#[derive(Debug, Default)]
pub(super) struct LastHeaders([[Records; ENTRY_RECORDS]; ENTRY_RECORDS]);

impl LastHeaders {
    pub(super) fn get(&self, RecordPosition { index, count }: RecordPosition) -> Option<RecordView<'_>> {
        self.0.get(count.checked_sub(1)?)?.get(index)?.last()
    }

    pub(super) fn note(&mut self, position: RecordPosition, kind: RecordKind, fields: &[u8], body: &[u8]) {
        let RecordPosition { index, count } = position;
        let entries = count.checked_sub(1).and_then(|before| self.0.get_mut(before));
        if let Some(last) = entries.and_then(|records| records.get_mut(index)) {
            last.clear();
            last.push(kind, fields, body);
        }
    }
}

/// The header that an mtime is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum MtimeOf<'a> {
    /// The last header of its entry, with the record that it is encoded against: its mtime predicts others.
    Entry(Option<BasisRecord<'a>>),
    /// An extension of another header, whose mtime predicts nothing.
    Extension,
}

impl<'a> MtimeOf<'a> {
    pub(super) fn new(position: RecordPosition, matched: Option<BasisRecord<'a>>) -> Self {
        if position.is_last() { MtimeOf::Entry(matched) } else { MtimeOf::Extension }
    }

    /// The mtime in the basis, as a number.
    pub(super) fn old(self) -> Option<u64> {
        match self {
            MtimeOf::Entry(matched) => canonical_value(matched?.view.field(Field::Mtime)),
            MtimeOf::Extension => None,
        }
    }

    /// Remembers the mtime, where it predicts others.
    pub(super) fn note(self, new: u64, mtimes: &mut Mtimes) {
        if let MtimeOf::Entry(_) = self {
            mtimes.note(new, self.old());
        }
    }
}

/// The mtimes until now, in seconds. Files that were written in one second of the old build were often written in one
/// second of the new one.
#[derive(Debug, Default)]
pub(super) struct Mtimes {
    /// Different ones, the last first.
    recent: Vec<u64>,
    /// The last replacement of an mtime of the basis.
    became: HashMap<u64, u64>,
}

/// Mtimes that are remembered in their order.
const RECENT: usize = 16;

impl Mtimes {
    pub(super) fn note(&mut self, new: u64, old: Option<u64>) {
        match self.rank(new) {
            Some(rank) => self.recent[..=rank].rotate_right(1),
            None => {
                self.recent.truncate(RECENT - 1);
                self.recent.insert(0, new);
            }
        }
        if let Some(old) = old {
            if self.became.len() >= BECAME {
                self.became.clear();
            }
            self.became.insert(old, new);
        }
    }

    pub(super) fn rank(&self, mtime: u64) -> Option<usize> {
        self.recent.iter().position(|recent| *recent == mtime)
    }

    pub(super) fn recent(&self, rank: usize) -> Option<u64> {
        self.recent.get(rank).copied()
    }

    /// The latest of the recent ones, to which a new one is near.
    pub(super) fn latest(&self) -> u64 {
        self.recent.iter().max().copied().unwrap_or(0)
    }

    pub(super) fn became(&self, old: u64) -> Option<u64> {
        self.became.get(&old).copied()
    }
}

/// The part of a name by which files are of a kind: the extension with its dot, or the slash of a directory.
fn suffix(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if name[at] == b'.' || at + 1 == name.len() => &name[at..],
        _ => b"",
    }
}

/// A time of a pax record, `SECONDS[.FRACTION]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PaxTime<'a> {
    pub(super) seconds: i64,
    /// The point and the digits after it; empty where there are none.
    pub(super) fraction: &'a [u8],
}

impl PaxTime<'_> {
    /// Parses a value; `None` unless it is in the one form that gives it back.
    pub(super) fn parse(value: &[u8]) -> Option<PaxTime<'_>> {
        let dot = value.iter().position(|byte| *byte == b'.');
        let (seconds, fraction) = value.split_at(dot.unwrap_or(value.len()));
        if fraction.len() > FRACTION {
            return None;
        }
        let digits = std::str::from_utf8(seconds).ok()?;
        let seconds: i64 = digits.parse().ok().filter(|seconds: &i64| seconds.unsigned_abs() < 1 << 40)?;
        (seconds.to_string() == digits).then_some(PaxTime { seconds, fraction })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mtime_comes_first_and_an_old_one_becomes_what_it_became_last() {
        let mut mtimes = Mtimes::default();
        (1..=20).for_each(|mtime| mtimes.note(mtime, Some(100 + mtime % 2)));
        let recent = |mtimes: &Mtimes| (0..17).map_while(|rank| mtimes.recent(rank)).collect::<Vec<_>>();
        assert_eq!(recent(&mtimes), (5..=20).rev().collect::<Vec<_>>());
        assert_eq!((mtimes.rank(20), mtimes.rank(5), mtimes.rank(4)), (Some(0), Some(15), None));
        // One from the middle goes to the front; the others keep their order.
        mtimes.note(10, None);
        assert_eq!(
            recent(&mtimes),
            [10].into_iter().chain((11..=20).rev()).chain((5..=9).rev()).collect::<Vec<_>>()
        );
        assert_eq!(mtimes.latest(), 20);
        assert_eq!([100, 101, 102].map(|old| mtimes.became(old)), [Some(20), Some(19), None]);
    }

    #[test]
    fn times_are_seconds_in_their_shortest_form() {
        for (value, expected) in [
            (&b"0"[..], Some((0, &b""[..]))),
            (b"-5.25", Some((-5, b".25"))),
            (b"1700000000.", Some((1_700_000_000, b"."))),
            (b"1.123456789012345", Some((1, b".123456789012345"))),
            (b"1.1234567890123456", None),
            (b"01", None),
            (b"-0", None),
            (b"+1", None),
            (b"", None),
            (b".5", None),
            (b"1099511627776", None),
            (b"1e3", None),
            (b"\xff", None),
        ] {
            let expected = expected.map(|(seconds, fraction)| PaxTime { seconds, fraction });
            assert_eq!(PaxTime::parse(value), expected, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn suffixes_are_extensions_and_folders() {
        for (name, expected) in [
            ("a/b.py", ".py"),
            ("a.d/b", ""),
            ("a/b/", "/"),
            ("a.b.c", ".c"),
            (".rc", ".rc"),
            ("a.", "."),
            ("", ""),
        ] {
            assert_eq!(suffix(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }

    #[test]
    fn the_times_of_as_many_keys_as_may_be_are_remembered() {
        let mut prediction = Prediction::default();
        let keys: Vec<Vec<u8>> = (0..=TIMES).map(|number| format!("time{number}").into_bytes()).collect();
        for key in &keys {
            prediction.note_time(PaxRecord { key, value: b"1" });
        }
        assert_eq!(prediction.times.len(), TIMES);
        assert!(!prediction.times.contains_key(&keys[TIMES]));
    }
}

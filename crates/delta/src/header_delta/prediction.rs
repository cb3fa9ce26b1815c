//! Predictions of record fields that both sides compute alike, from the records before.

use std::collections::HashMap;

use crate::layer_index::records::{GROUP_RECORDS, Record, RecordKind, Records, View};

/// Limits on the keys of pax records whose times are remembered, the kinds of files whose codes are, and the mtimes of the
/// basis: more than a layer has of each that can be predicted well.
const TIMES: usize = 64;
const KINDS: usize = 4096;
const BECAME: usize = 1 << 16;
/// Digits of a fraction; a time with more is encoded as any value.
const FRACTION: usize = 16;

/// The state of the coder within a layer. Its size is bounded, however large the layer is.
#[derive(Debug, Default)]
pub(super) struct Prediction {
    /// The group of the basis that was matched last.
    pub(super) matched: Option<usize>,
    /// The shape of the last group.
    pub(super) shape: Vec<Shape>,
    pub(super) mtimes: Mtimes,
    /// The last value of each pax record with a time.
    pub(super) times: HashMap<Vec<u8>, Vec<u8>>,
    /// The last code of chunks, by the kind of the file and whether it is in the basis.
    codes: HashMap<(Vec<u8>, bool), u64>,
    /// The number of the chunk of the basis that was used last.
    pub(super) chunk: Option<usize>,
}

impl Prediction {
    /// The group that comes next if nothing changed.
    pub(super) fn expected(&self) -> usize {
        self.matched.map_or(0, |last| last + 1)
    }

    /// The chunk that comes next if nothing changed.
    pub(super) fn expected_chunk(&self) -> usize {
        self.chunk.map_or(0, |last| last + 1)
    }

    /// Predicts the code of an entry's chunks: that of the last entry of its kind. Compiled
    /// files, for instance, change all at once. Of many kinds, those that come late count as none.
    pub(super) fn expected_code(&mut self, name: &[u8], is_matched: bool) -> &mut u64 {
        let mut key = (kind(name).to_vec(), is_matched);
        if self.codes.len() >= KINDS && !self.codes.contains_key(&key) {
            key.0.clear();
        }
        self.codes.entry(key).or_default()
    }

    /// Notes a pax record with a time. The field of the header that follows is likely to say the same.
    pub(super) fn note_time(&mut self, key: &[u8], value: &[u8]) {
        let Some((seconds, _)) = time(value) else { return };
        if let Some(last) = self.times.get_mut(key) {
            last.clear();
            last.extend_from_slice(value);
        } else if self.times.len() < TIMES {
            self.times.insert(key.to_vec(), value.to_vec());
        }
        if let (b"mtime", Ok(seconds)) = (key, u64::try_from(seconds)) {
            self.mtimes.note(seconds, None);
        }
    }
}

/// The last header at each position of a group, by the number of its records.
#[derive(Debug, Default)]
pub(super) struct Headers([[Records; GROUP_RECORDS]; GROUP_RECORDS]);

impl Headers {
    pub(super) fn get(&self, of: usize, position: usize) -> Option<View<'_>> {
        self.0.get(of.checked_sub(1)?)?.get(position)?.last()
    }

    pub(super) fn note(
        &mut self,
        (of, position): (usize, usize),
        kind: RecordKind,
        fields: &[u8],
        body: &[u8],
    ) {
        let of = of.checked_sub(1).and_then(|of| self.0.get_mut(of));
        if let Some(last) = of.and_then(|of| of.get_mut(position)) {
            last.clear();
            last.push(kind, fields, body);
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

/// The kind of a file by its name: the extension, or a directory.
fn kind(name: &[u8]) -> &[u8] {
    match name.iter().rposition(|byte| matches!(byte, b'.' | b'/')) {
        Some(at) if name[at] == b'.' || at + 1 == name.len() => &name[at..],
        _ => b"",
    }
}

/// `SECONDS[.FRACTION]` of a pax record, if it is in the one form that gives it back.
pub(super) fn time(value: &[u8]) -> Option<(i64, &[u8])> {
    let dot = value.iter().position(|byte| *byte == b'.');
    let (seconds, fraction) = value.split_at(dot.unwrap_or(value.len()));
    if fraction.len() > FRACTION {
        return None;
    }
    let seconds = std::str::from_utf8(seconds).ok()?;
    let number: i64 = seconds.parse().ok().filter(|number: &i64| number.unsigned_abs() < 1 << 40)?;
    (number.to_string() == seconds).then_some((number, fraction))
}

/// The kind of a record, which decides its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Zeros,
    Raw,
    Header,
}

impl From<&Record> for Shape {
    fn from(record: &Record) -> Self {
        match record.kind {
            RecordKind::Zeros(_) => Shape::Zeros,
            RecordKind::Raw => Shape::Raw,
            RecordKind::Header(_) => Shape::Header,
        }
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
            assert_eq!(time(value), expected, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn kinds_are_extensions_and_folders() {
        for (name, expected) in [
            ("a/b.py", ".py"),
            ("a.d/b", ""),
            ("a/b/", "/"),
            ("a.b.c", ".c"),
            (".rc", ".rc"),
            ("a.", "."),
            ("", ""),
        ] {
            assert_eq!(kind(name.as_bytes()), expected.as_bytes(), "{name}");
        }
    }
}

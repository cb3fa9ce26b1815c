//! What was measured: one line of JSON for each run, so that figures can be looked at again, and so that
//! a pair or a method can be measured anew without the others.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::sample::Peaks;
use crate::Result;

/// Names of what is measured beside the methods.
pub(crate) const FIRST_CONTACT: &str = "first-contact";
pub(crate) const REPORT: &str = "report";
pub(crate) const UP_TO_DATE: &str = "up-to-date";

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) pair: String,
    /// A method by its name on the command line, or one of the names above.
    pub(crate) method: String,
    /// The day, as `2024-02-29`.
    pub(crate) date: String,
    /// Bytes on the wire from the target, which dials, to the source.
    pub(crate) up: u64,
    /// Bytes on the wire from the source to the target.
    pub(crate) down: u64,
    /// The time it took; nothing for what is only computed.
    pub(crate) seconds: Option<f64>,
    pub(crate) source: Option<Peaks>,
    pub(crate) target: Option<Peaks>,
}

impl Record {
    /// Bytes on the wire, both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.up + self.down
    }

    /// Whether this takes the place of the other. What the first contact costs does not depend on the pair.
    fn replaces(&self, other: &Record) -> bool {
        let any_pair = [FIRST_CONTACT, REPORT].contains(&self.method.as_str());
        self.method == other.method && (any_pair || self.pair == other.pair)
    }
}

/// Those of before, but for what has been measured anew; no file is no records.
pub(crate) fn merge(before: Vec<Record>, new: Vec<Record>) -> Vec<Record> {
    let mut all = before;
    all.retain(|old| !new.iter().any(|new| new.replaces(old)));
    all.extend(new);
    all
}

/// Reads a file of records.
pub(crate) fn read(file: &Path) -> Result<Vec<Record>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", file.display()).into()))
        .collect()
}

/// Writes a file of records.
pub(crate) fn write(file: &Path, records: &[Record]) -> Result {
    let mut text = String::new();
    for record in records {
        text += &serde_json::to_string(record)?;
        text.push('\n');
    }
    Ok(fs::write(file, text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_anew_replaces_what_was() {
        let record = |pair: &str, method: &str, up| Record {
            pair: pair.to_owned(),
            method: method.to_owned(),
            up,
            ..Record::default()
        };
        let before = vec![record("a", "x", 1), record("a", "y", 2), record("b", "x", 3)];
        let merged = merge(before, vec![record("a", "x", 4), record("a", "x", 5)]);
        assert_eq!(merged.iter().map(|record| record.up).collect::<Vec<_>>(), [2, 3, 4, 5]);

        let contact = merge(vec![record("a", REPORT, 1)], vec![record("b", REPORT, 2)]);
        assert_eq!(contact, [record("b", REPORT, 2)]);

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.jsonl");
        assert!(read(&file).unwrap().is_empty());
        write(&file, &merged).unwrap();
        assert_eq!(read(&file).unwrap(), merged);
    }
}

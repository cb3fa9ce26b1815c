//! What was measured: one line of JSON for each run, so that figures can be looked at again, and so that
//! a pair, a cable or a method can be measured anew without the others.

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cable::{LAN, WAN};
use super::sample::Peaks;
use crate::Result;

/// Names of what is measured beside the methods.
pub(crate) const FIRST_CONTACT: &str = "first-contact";
pub(crate) const REPORT: &str = "report";
pub(crate) const UP_TO_DATE: &str = "up-to-date";
/// The cable of what needs none.
pub(crate) const NO_CABLE: &str = "none";

/// Who has what before a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Both ends have the old image, by an earlier sync
    #[default]
    Update,
    /// Only the target has the old image, and the source has never seen it
    Blind,
    /// The target has no image at all
    Cold,
}

impl Scenario {
    /// The heading of its tables, after the pair's.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Scenario::Update => "both ends have the old image",
            Scenario::Blind => "the source has never seen the old image",
            Scenario::Cold => "the target has no image",
        }
    }
}

/// One run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) pair: String,
    pub(crate) scenario: Scenario,
    /// A cable by its name, or `none` for what is only computed.
    pub(crate) cable: String,
    /// A method by its name, or one of the names above.
    pub(crate) method: String,
    /// The day, as `2024-02-29`.
    pub(crate) date: String,
    /// The commit of this repository, with a `+` if there were changes.
    pub(crate) commit: String,
    /// What it was measured on.
    pub(crate) machine: String,
    /// IDs of the old and the new image.
    pub(crate) images: [String; 2],
    /// Bytes on the wire from the target, which dials, to the source.
    pub(crate) up: u64,
    /// Bytes on the wire from the source to the target.
    pub(crate) down: u64,
    /// The time it took, in seconds; nothing for what is only computed.
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
        self.method == other.method
            && self.scenario == other.scenario
            && self.cable == other.cable
            && (any_pair || self.pair == other.pair)
    }
}

/// Those of before, but for what has been measured anew; no file is no records.
pub(crate) fn merge(before: Vec<Record>, new: Vec<Record>) -> Vec<Record> {
    let mut all = before;
    all.retain(|old| !new.iter().any(|new| new.replaces(old)));
    all.extend(new);
    all
}

/// The runs of one pair by one method.
pub(crate) fn of<'a>(
    records: &'a [Record],
    pair: &'a str,
    scenario: Scenario,
    method: &'a str,
) -> impl Iterator<Item = &'a Record> {
    let wanted =
        move |record: &&Record| record.pair == pair && record.scenario == scenario && record.method == method;
    records.iter().filter(wanted)
}

/// Bytes on the wire of one pair by one method: over the link of the usual slow host, or else as it was measured.
pub(crate) fn wire(records: &[Record], pair: &str, method: &str) -> Option<f64> {
    let over = |cable: &str| {
        let runs = of(records, pair, Scenario::Update, method).filter(|record| record.cable == cable);
        median(runs.map(|record| record.bytes() as f64))
    };
    [WAN.name, NO_CABLE, LAN.name].into_iter().find_map(over)
}

/// The value in the middle, or between the two that are.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Reads a file of records.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let lines = text.lines().enumerate();
    let record = |(at, line)| {
        serde_json::from_str(line).map_err(|error| {
            let (file, at) = (file.display(), at + 1);
            format!("{file}:{at}: not a record of this version: {error}; remove the file to begin anew")
                .into()
        })
    };
    lines.map(record).collect()
}

/// Writes a file of records, at once: whoever reads it meets the old ones or the new ones.
pub(crate) fn write<T: Serialize>(file: &Path, records: &[T]) -> Result {
    let mut text = String::new();
    for record in records {
        text += &serde_json::to_string(record)?;
        text.push('\n');
    }
    let part = file.with_extension("part");
    fs::write(&part, text)?;
    Ok(fs::rename(part, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(pair: &str, cable: &str, method: &str, up: u64) -> Record {
        Record {
            pair: pair.to_owned(),
            cable: cable.to_owned(),
            method: method.to_owned(),
            up,
            ..Record::default()
        }
    }

    #[test]
    fn what_is_measured_anew_replaces_what_was() {
        let before = vec![
            record("a", "lan", "x", 1),
            record("a", "lan", "y", 2),
            record("b", "lan", "x", 3),
            record("a", "20M", "x", 4),
            Record { scenario: Scenario::Cold, ..record("a", "lan", "x", 5) },
        ];
        let merged = merge(before, vec![record("a", "lan", "x", 6), record("a", "lan", "x", 7)]);
        assert_eq!(merged.iter().map(|record| record.up).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);

        let contact = merge(vec![record("a", "lan", REPORT, 1)], vec![record("b", "lan", REPORT, 2)]);
        assert_eq!(contact, [record("b", "lan", REPORT, 2)]);

        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("results.jsonl");
        assert!(read::<Record>(&file).unwrap().is_empty());
        write(&file, &merged).unwrap();
        assert_eq!(read::<Record>(&file).unwrap(), merged);
        fs::write(&file, "{}\n").unwrap();
        assert!(read::<Record>(&file).unwrap_err().to_string().contains("results.jsonl:1: "));
    }

    #[test]
    fn bytes_are_those_of_the_slow_link() {
        let mut records = vec![record("a", "lan", "x", 1), record("a", "1M", "x", 9)];
        assert_eq!(wire(&records, "a", "x"), Some(1.0));
        records.push(record("a", "20M", "x", 2));
        assert_eq!(wire(&records, "a", "x"), Some(2.0));
        assert_eq!(wire(&records, "a", "y"), None);
    }

    #[test]
    fn the_middle_is_found() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median([].into_iter()), None);
    }
}

//! The records of all benchmarks: one line of JSON for each measurement, in one file for each kind.
//!
//! Every line has the same envelope: the kind, the conditions, the case that was measured, and its figures. So figures
//! can be looked at again, and a case can be measured anew without the others.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::conditions::Conditions;
use crate::Result;

/// A case of a benchmark; the benchmark is known by the type.
pub(crate) trait Case: Serialize + DeserializeOwned {
    /// The benchmark, which is also the name of its file.
    const KIND: &'static str;
    /// The figures of a case.
    type Figures: Serialize + DeserializeOwned;
    /// The place of a case among the others.
    type Place: Ord;

    /// Records are in the order of their places, and a new one takes the place of the older ones that have it.
    fn place(&self) -> Self::Place;

    /// The documents made of all records: names and texts.
    fn documents(records: &[Record<Self>]) -> Vec<(&'static str, String)>;
}

/// One measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Record<C: Case> {
    #[serde(flatten)]
    pub(crate) conditions: Conditions,
    pub(crate) case: C,
    pub(crate) figures: C::Figures,
}

/// A record as it is written.
#[derive(Serialize, Deserialize)]
struct Line<R> {
    kind: String,
    #[serde(flatten)]
    record: R,
}

/// The records of one kind in a directory, and the documents made from them.
pub(crate) struct Records<C: Case> {
    dir: PathBuf,
    all: Vec<Record<C>>,
}

impl<C: Case> Records<C> {
    /// The records that are there so far; a directory that is new has none.
    pub(crate) fn open(dir: &Path) -> Result<Records<C>> {
        fs::create_dir_all(dir)?;
        Ok(Records { dir: dir.to_owned(), all: read(&file::<C>(dir))? })
    }

    /// All records.
    pub(crate) fn all(&self) -> &[Record<C>] {
        &self.all
    }

    /// Takes in new records in place of older ones of the same cases, and writes all down.
    pub(crate) fn add(&mut self, new: Vec<Record<C>>) -> Result {
        // Another run may measure other cases at the same time. The lock ends with the file.
        let directory = File::open(&self.dir)?;
        directory.lock()?;
        self.all = read(&file::<C>(&self.dir))?;
        self.all.retain(|old| !new.iter().any(|new| new.case.place() == old.case.place()));
        self.all.extend(new);
        self.all.sort_by_key(|record| record.case.place());
        write(&file::<C>(&self.dir), &self.all)?;
        self.write_documents()
    }

    /// Makes the documents.
    pub(crate) fn write_documents(&self) -> Result {
        for (name, text) in C::documents(&self.all) {
            fs::write(self.dir.join(name), text)?;
        }
        Ok(())
    }
}

fn file<C: Case>(dir: &Path) -> PathBuf {
    dir.join(C::KIND).with_extension("jsonl")
}

fn read<C: Case>(file: &Path) -> Result<Vec<Record<C>>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let record = |(at, line)| -> Result<Record<C>> {
        let why = match serde_json::from_str::<Line<Record<C>>>(line) {
            Ok(Line { kind, record }) if kind == C::KIND => return Ok(record),
            Ok(Line { kind, .. }) => format!("it is of the kind {kind}"),
            Err(error) => error.to_string(),
        };
        let (file, at) = (file.display(), at + 1);
        Err(format!("{file}:{at}: not a record of this version: {why}; remove the file to begin anew").into())
    };
    text.lines().enumerate().map(record).collect()
}

/// Writes all at once: whoever reads the file meets the old ones or the new ones.
fn write<C: Case>(file: &Path, records: &[Record<C>]) -> Result {
    let mut text = String::new();
    for record in records {
        text += &serde_json::to_string(&Line { kind: C::KIND.to_owned(), record })?;
        text.push('\n');
    }
    let part = file.with_extension("part");
    fs::write(&part, text)?;
    Ok(fs::rename(part, file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    struct Example {
        number: u32,
    }

    impl Case for Example {
        const KIND: &'static str = "example";
        type Figures = f64;
        type Place = u32;

        fn place(&self) -> u32 {
            self.number
        }

        fn documents(records: &[Record<Example>]) -> Vec<(&'static str, String)> {
            vec![("example.md", format!("{} records", records.len()))]
        }
    }

    fn record(number: u32, figures: f64) -> Record<Example> {
        Record { case: Example { number }, figures, ..Record::default() }
    }

    #[test]
    fn what_is_measured_anew_replaces_what_was() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("new");
        let mut one = Records::<Example>::open(&dir).unwrap();
        let mut other = Records::<Example>::open(&dir).unwrap();
        assert!(one.all().is_empty());
        one.add(vec![record(2, 1.0), record(1, 2.0), record(2, 3.0)]).unwrap();
        assert_eq!(one.all(), [record(1, 2.0), record(2, 1.0), record(2, 3.0)]);
        // By another run, which knows nothing of these yet.
        other.add(vec![record(2, 4.0), record(3, 5.0)]).unwrap();
        let all = [record(1, 2.0), record(2, 4.0), record(3, 5.0)];
        assert_eq!(other.all(), all);
        assert_eq!(Records::<Example>::open(&dir).unwrap().all(), all);
        assert_eq!(fs::read_to_string(dir.join("example.md")).unwrap(), "3 records");
    }

    #[test]
    fn a_line_has_its_envelope() {
        let dir = tempfile::tempdir().unwrap();
        Records::open(dir.path()).unwrap().add(vec![record(7, 1.5)]).unwrap();
        let file = dir.path().join("example.jsonl");
        let line = "{\"kind\":\"example\",\"date\":\"\",\"commit\":\"\",\"machine\":\"\",\"versions\":[\"\",\"\"],\
                    \"case\":{\"number\":7},\"figures\":1.5}\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), line);
        for (other, why) in [("{}", "missing field"), (&line.replace("\"example\"", "\"read\""), "kind read")]
        {
            fs::write(&file, other).unwrap();
            let error = Records::<Example>::open(dir.path()).err().unwrap().to_string();
            assert!(error.contains("example.jsonl:1: ") && error.contains(why), "{error}");
        }
    }
}

//! The directory of results: the records, and the documents made from them.

use std::fs;
use std::path::{Path, PathBuf};

use super::bars;
use super::plot;
use super::record::{self, Record};
use super::table;
use crate::Result;

/// All records of a directory.
pub(crate) struct Results {
    dir: PathBuf,
    records: Vec<Record>,
}

impl Results {
    /// What is there so far; a directory that is new has nothing.
    pub(crate) fn open(dir: &Path) -> Result<Results> {
        fs::create_dir_all(dir)?;
        Ok(Results { dir: dir.to_owned(), records: record::read(&dir.join("results.jsonl"))? })
    }

    /// The records.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Takes in new records in place of older ones of the same, and writes all down.
    pub(crate) fn add(&mut self, new: Vec<Record>) -> Result {
        self.records = record::merge(std::mem::take(&mut self.records), new);
        record::write(&self.dir.join("results.jsonl"), &self.records)?;
        self.write_documents()
    }

    /// Makes tables and plots.
    pub(crate) fn write_documents(&self) -> Result {
        let bars = bars::bars(&self.records);
        fs::write(self.dir.join("results.md"), table::document(&self.records, &bars))?;
        fs::write(self.dir.join("wire.svg"), plot::wire(&self.records))?;
        fs::write(self.dir.join("time.svg"), plot::time(&self.records))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_there_again() {
        let dir = tempfile::tempdir().unwrap();
        let record = |up| Record { pair: "node".to_owned(), up, ..Record::default() };
        Results::open(dir.path()).unwrap().add(vec![record(1)]).unwrap();
        let mut again = Results::open(dir.path()).unwrap();
        assert_eq!(again.records(), [record(1)]);
        again.add(vec![record(2)]).unwrap();
        assert_eq!(Results::open(dir.path()).unwrap().records(), [record(2)]);
        let names = ["results.jsonl", "results.md", "wire.svg", "time.svg"];
        assert!(names.iter().all(|name| dir.path().join(name).is_file()));
    }
}

//! The results of all runs of a target.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::units::thousands;

const FILE: &str = "record.json";

/// The results of one turn of a target.
#[derive(Debug, Clone, Default)]
pub(super) struct Turn {
    pub(super) cpu: Duration,
    pub(super) runs: u64,
    /// Edges of the program that any input took, and what libFuzzer tells apart beside.
    pub(super) coverage: u64,
    pub(super) features: u64,
    /// Inputs and bytes.
    pub(super) corpus: (u64, u64),
    /// The most bytes that one input took.
    pub(super) memory: u64,
    /// The most MiB that the process had.
    pub(super) resident: u64,
    pub(super) finding: Option<String>,
}

/// All turns of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Total {
    millis: u64,
    runs: u64,
    coverage: u64,
    features: u64,
    corpus: (u64, u64),
    memory: u64,
    resident: u64,
    findings: Vec<String>,
}

/// All targets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record(BTreeMap<String, Total>);

impl Record {
    pub(super) fn read(place: &Path) -> Result<Record> {
        match fs::read(place.join(FILE)) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn write(&self, place: &Path) -> Result {
        let file = tempfile::NamedTempFile::new_in(place)?;
        fs::write(file.path(), serde_json::to_vec_pretty(self)?)?;
        file.persist(place.join(FILE))?;
        Ok(())
    }

    /// Time of CPU that a target had in all runs.
    pub(super) fn cpu(&self, target: &str) -> Duration {
        self.0.get(target).map_or(Duration::ZERO, |total| Duration::from_millis(total.millis))
    }

    pub(super) fn add(&mut self, target: &str, turn: Turn) {
        let total = self.0.entry(target.to_owned()).or_default();
        total.millis += u64::try_from(turn.cpu.as_millis()).unwrap_or(u64::MAX);
        total.runs += turn.runs;
        // Code and corpora change; the last turn began with all that is known.
        total.coverage = turn.coverage;
        total.features = turn.features;
        total.corpus = turn.corpus;
        total.memory = total.memory.max(turn.memory);
        total.resident = total.resident.max(turn.resident);
        total.findings.extend(turn.finding);
    }

    /// A table of Markdown, a row for each of these targets, with how many inputs are kept since they found a fault.
    pub(super) fn table(&self, targets: &[(String, usize)]) -> String {
        let mut table =
            "| target | CPU minutes | runs | edges | features | corpus | memory of an input | findings |\n\
                         |---|--:|--:|--:|--:|--:|--:|--:|\n"
                .to_owned();
        for (name, found) in targets {
            let total = self.0.get(name).cloned().unwrap_or_default();
            table += &format!(
                "| `{name}` | {} | {} | {} | {} | {} | {} | {} |\n",
                total.millis / 60_000,
                thousands(total.runs),
                thousands(total.coverage),
                thousands(total.features),
                thousands(total.corpus.0),
                mebibytes(total.memory),
                found
            );
        }
        table
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, edges, corpus) = (thousands(self.runs), thousands(self.coverage), self.corpus.0);
        write!(f, "{} s of CPU, {runs} runs, {edges} edges, {corpus} inputs", self.cpu.as_secs())?;
        write!(f, ", {} at most, {} MiB resident", mebibytes(self.memory), self.resident)?;
        match &self.finding {
            Some(finding) => write!(f, "\n  FOUND {finding}"),
            None => Ok(()),
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_add_up_and_are_kept() {
        let place = tempfile::tempdir().unwrap();
        let mut record = Record::read(place.path()).unwrap();
        for (runs, coverage, memory) in [(1_000_000, 500, 3 << 20), (234_567, 510, 1 << 20)] {
            let cpu = Duration::from_secs(90);
            record.add("a", Turn { cpu, runs, coverage, memory, corpus: (12, 3456), ..Turn::default() });
        }
        record.write(place.path()).unwrap();
        assert_eq!(Record::read(place.path()).unwrap(), record);
        let rows = record.table(&[("a".into(), 2), ("b".into(), 0)]);
        let rows: Vec<&str> = rows.lines().skip(2).collect();
        assert_eq!(rows[0], "| `a` | 3 | 1,234,567 | 510 | 0 | 12 | 3.0 MiB | 2 |");
        assert_eq!(rows[1], "| `b` | 0 | 0 | 0 | 0 | 0 | 0.0 MiB | 0 |");
    }
}

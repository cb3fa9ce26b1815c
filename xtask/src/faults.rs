//! `cargo xtask faults`: every fault that the end-to-end tests know, where the gate runs a fixed part; and the table of
//! docs/faults.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::table::{self, Table};
use crate::units::thousands;
use crate::{Result, shell, show, tools, workspace};

const DOCUMENT: &str = "docs/faults.md";
/// The variable that tells the tests where to write down what they did.
const RECORD: &str = "FAULTS_RECORD";
/// A part of the names of the tests that try everything.
const ALL: &str = "_all_";

/// Options of the faults.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Parts of the names of tests; all where there is none
    tests: Vec<String>,
    /// Write the table of docs/faults.md from what is known of earlier runs; run nothing
    #[arg(long)]
    table: bool,
}

/// Tries them, and writes the table.
pub(crate) fn run(options: &Options) -> Result {
    let place = tools::user_cache()?.join("docker-sync-faults");
    fs::create_dir_all(&place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    let mut failure = None;
    if !options.table {
        let binary = workspace::release_binary()?;
        let mut cargo = workspace::cargo();
        cargo.env(workspace::BINARY, binary).env(RECORD, &place);
        cargo.args(["test", "--package", "dsync-e2e", "--test", "faults", "--"]);
        // Most of their time they wait for an end to notice something.
        cargo.args(["--ignored", "--test-threads", "4"]);
        match options.tests.is_empty() {
            true => cargo.arg(ALL),
            false => cargo.args(&options.tests),
        };
        show::command("", show::typed(&cargo));
        failure = shell::run(&mut cargo).err();
    }
    let counts = counts(&place)?;
    let table = table_of(&counts);
    print!("{table}");
    table::write(DOCUMENT, "cargo xtask faults", &table)?;
    failure.map_or(Ok(()), Err)
}

/// The cases of a fault.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    tried: u64,
    safe: u64,
    told: u64,
}

/// The counts by place and fault.
type Counts = BTreeMap<(String, String), Count>;

fn counts(place: &Path) -> Result<Counts> {
    let mut counts = Counts::new();
    for file in fs::read_dir(place)? {
        let text = fs::read_to_string(file?.path())?;
        add(&mut counts, &text)?;
    }
    Ok(counts)
}

/// Adds the lines of a record: place, fault, case, and whether it was safe and told.
fn add(counts: &mut Counts, record: &str) -> Result {
    for line in record.lines() {
        let [place, fault, _case, safe, told] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("no line of a record: {line}").into());
        };
        let count = counts.entry((place.to_owned(), fault.to_owned())).or_default();
        count.tried += 1;
        count.safe += u64::from(safe == "true");
        count.told += u64::from(told == "true");
    }
    Ok(())
}

fn table_of(counts: &Counts) -> String {
    let mut table = Table::new(&["where", "fault"], &["tried", "safe", "told"]);
    let mut all = Count::default();
    let mut row = |place: &str, fault: &str, Count { tried, safe, told }: Count| {
        table.row([place, fault, &thousands(tried), &thousands(safe), &thousands(told)]);
    };
    for ((place, fault), count) in counts {
        row(place, fault, *count);
        all.tried += count.tried;
        all.safe += count.safe;
        all.told += count.told;
    }
    row("all", "", all);
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_counted_by_place_and_fault() {
        let mut counts = Counts::new();
        add(&mut counts, "docker\tKILL of ssh\ta\ttrue\ttrue\ndocker\tKILL of ssh\tb\ttrue\tfalse\n")
            .unwrap();
        add(&mut counts, "agent\twrite EIO\tc\tfalse\ttrue\n").unwrap();
        let table = table_of(&counts);
        let rows: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| agent | write EIO | 1 | 0 | 1 |",
                "| docker | KILL of ssh | 2 | 2 | 1 |",
                "| all |  | 3 | 2 | 2 |"
            ]
        );
        assert!(add(&mut counts, "docker\tKILL\n").is_err());
    }
}

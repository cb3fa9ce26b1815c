//! The conditions under which something is measured: when, of which commit, on what.

use std::collections::BTreeSet;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::{Result, shell, workspace};

/// The conditions of a measurement, in every record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    /// The day, as `2024-02-29`.
    pub(crate) date: String,
    /// The commit of this repository, with a `+` if there were changes.
    pub(crate) commit: String,
    /// The machine.
    pub(crate) machine: String,
    /// Releases of the engines at the source and at the target; nothing for a layout, or where there is no such end.
    pub(crate) versions: [String; 2],
}

impl Conditions {
    /// Those of this moment, with no engine yet.
    pub(crate) fn now() -> Result<Conditions> {
        let git =
            |args: &[&str]| shell::output(Command::new("git").current_dir(workspace::root()).args(args));
        let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
        let commit = git(&["rev-parse", "--short", "HEAD"])?;
        let cores = std::thread::available_parallelism()?;
        Ok(Conditions {
            date: shell::output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned(),
            commit: format!("{}{}", commit.trim(), if changes.is_empty() { "" } else { "+" }),
            machine: format!("{cores} cores"),
            versions: Default::default(),
        })
    }

    /// The same with these engines.
    pub(crate) fn with(&self, versions: [String; 2]) -> Conditions {
        Conditions { versions, ..self.clone() }
    }
}

/// The beginning of a document: by which subcommand, when, of which commits and on what it was measured.
pub(crate) fn measured(command: &str, all: &[&Conditions]) -> Option<String> {
    let dates = distinct(all, |conditions| &conditions.date);
    let days = match &dates[..] {
        [] => return None,
        [day] => format!("on {day}"),
        [first, .., last] => format!("from {first} to {last}"),
    };
    let commits = distinct(all, |conditions| &conditions.commit).join(", ");
    let machines = distinct(all, |conditions| &conditions.machine).join("; ");
    Some(format!("Measured with `cargo xtask bench {command}` {days} (commit {commits}) on {machines}"))
}

/// The different values that there are, in order.
pub(crate) fn distinct<'a>(all: &[&'a Conditions], of: fn(&Conditions) -> &str) -> Vec<&'a str> {
    let values: BTreeSet<&str> = all.iter().map(|conditions| of(conditions)).collect();
    values.into_iter().filter(|value| !value.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_commits_are_said_once() {
        let of = |date: &str, commit: &str| Conditions {
            date: date.to_owned(),
            commit: commit.to_owned(),
            machine: "2 cores".to_owned(),
            ..Conditions::default()
        };
        let [one, two, three] = [of("2024-03-01", "b+"), of("2024-02-29", "a"), of("2024-03-02", "a")];
        assert_eq!(measured("run", &[]), None);
        let text = "Measured with `cargo xtask bench read` on 2024-02-29 (commit a) on 2 cores";
        assert_eq!(measured("read", &[&two, &two]).unwrap(), text);
        let text =
            "Measured with `cargo xtask bench run` from 2024-02-29 to 2024-03-02 (commit a, b+) on 2 cores";
        assert_eq!(measured("run", &[&one, &two, &three]).unwrap(), text);
    }
}

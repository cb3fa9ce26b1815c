//! Under which conditions something is measured: when, of which commit, on what.

use std::process::Command;

use crate::{Result, shell, workspace};

/// What a record says of the conditions.
pub(crate) struct Conditions {
    /// The day, as `2024-02-29`.
    pub(crate) date: String,
    /// The commit of this repository, with a `+` if there were changes.
    pub(crate) commit: String,
    /// The machine.
    pub(crate) machine: String,
}

impl Conditions {
    /// Those of this moment.
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
        })
    }
}

/// How a document says when it was measured: on one day, or from the first to the last of several.
pub(crate) fn days<'a>(dates: impl Iterator<Item = &'a str>) -> Option<String> {
    let dates: std::collections::BTreeSet<&str> = dates.filter(|date| !date.is_empty()).collect();
    let (first, last) = (dates.first()?, dates.last()?);
    Some(if first == last { format!("on {first}") } else { format!("from {first} to {last}") })
}

/// How a document says of which commits the program was: each once, in their order.
pub(crate) fn commits<'a>(commits: impl Iterator<Item = &'a str>) -> String {
    let mut named: Vec<&str> = Vec::new();
    for commit in commits {
        if !named.contains(&commit) {
            named.push(commit);
        }
    }
    format!("commit {}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_said_once() {
        assert_eq!(commits(["a", "b+", "a"].into_iter()), "commit a, b+");
    }

    #[test]
    fn days_are_said_from_the_first_to_the_last() {
        assert_eq!(days([""].into_iter()), None);
        assert_eq!(days(["2024-02-29", "", "2024-02-29"].into_iter()).unwrap(), "on 2024-02-29");
        let days = days(["2024-03-01", "2024-02-29", "2024-03-02"].into_iter());
        assert_eq!(days.unwrap(), "from 2024-02-29 to 2024-03-02");
    }
}

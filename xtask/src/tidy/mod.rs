//! `cargo xtask tidy`: the rules of this repository that neither compiler nor linter knows.
//!
//! A rule is a function from the files or packages there are to what is wrong with them; it reads nothing
//! itself, so that its tests say in a line what it finds.

mod arrows;
mod documents;
mod places;
mod rooms;
mod source;
mod weights;

use std::fmt;

use crate::Result;
use crate::workspace::{self, Metadata};

/// A text file of the repository: its path and its text.
type File = (String, String);

/// A problem and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    path: String,
    line: Option<usize>,
    what: String,
}

impl Finding {
    fn of(path: &str, what: impl Into<String>) -> Finding {
        Finding { path: path.to_owned(), line: None, what: what.into() }
    }

    /// Counted from 0, shown from 1.
    fn at(path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding { line: Some(line + 1), ..Finding::of(path, what) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

/// Options of `cargo xtask tidy`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Show how many lines of test each crate has to its lines of code, and check nothing
    #[arg(long)]
    weights: bool,
}

/// Checks the workspace by all rules.
pub(crate) fn run(options: &Options) -> Result {
    let files = workspace::files()?;
    if options.weights {
        print!("{}", weights::table(&files));
        return Ok(());
    }
    let metadata = Metadata::read()?;
    let members: Vec<_> = metadata.members().collect();
    let findings = [
        source::length(&files),
        source::head(&files),
        source::tasks_without_owner(&files),
        source::ignored_for_a_reason(&files),
        source::digest_by_bytes(&files),
        source::comments_begin_with_their_noun(&files),
        places::of_one_machine(&files, &workspace::root().to_string_lossy()),
        documents::required(&files),
        documents::changelog(&files),
        documents::links(&files),
        documents::lengths(&files),
        documents::paths(&files),
        documents::tests_that_are_named(&files),
        documents::architecture(&files, &members),
        arrows::dependencies(&members),
        rooms::circles(
            &files,
            &[
                "cli",
                "core",
                "delta",
                "e2e",
                "engine",
                "exe",
                "lab",
                "proto",
                "recompress",
                "sync",
                "testkit",
            ],
        ),
        rooms::arrows(&files),
    ]
    .concat();
    for finding in &findings {
        println!("{finding}");
    }
    match findings.len() {
        0 => println!("{} files, {} crates, nothing to tidy up", files.len(), members.len()),
        count => return Err(format!("things to tidy up: {count}").into()),
    }
    Ok(())
}

#[cfg(test)]
fn files(of: &[(&str, &str)]) -> Vec<File> {
    of.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[cfg(test)]
fn shown(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(Finding::to_string).collect()
}

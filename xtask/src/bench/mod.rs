//! `cargo xtask bench`: measurements, each of which has a subcommand, records of its own kind, and documents.
//!
//! A record is written as soon as its case is done, in place of older ones of the same case; so a long benchmark can be
//! made in parts, and a part can be made anew. All documents are made from the records alone.

mod conditions;
mod end;
mod images;
mod load;
mod matrix;
mod pair;
mod read;
mod record;
mod report;
mod rivals;
mod sample;

use std::path::{Path, PathBuf};

use crate::{Result, show, workspace};
use record::{Case, Records};

/// The measurement to make.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(clap::Subcommand)]
enum Benchmark {
    /// Measure docker-sync and its rivals on real images: results.md
    Run(rivals::Options),
    /// Measure an update between all kinds of store: matrix.md
    Matrix(matrix::Options),
    /// Measure what it is worth to read an engine's storage directly: read.md
    Read(read::Options),
    /// Measure the report of a source with 2,000 images: report.md
    Report(report::Options),
    /// Measure the memory and the time of large transfers: load.md
    Load(load::Options),
    /// Measure nothing; make all documents from the records that are there
    Write(Out),
}

/// The directory of records and documents.
#[derive(clap::Args)]
struct Out {
    /// Directory for results, beside those that are there [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Out {
    fn dir(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| workspace::root().join("docs/benchmarks"))
    }
}

/// Measures, and writes down.
pub(crate) fn run(options: &Options) -> Result {
    match &options.benchmark {
        Benchmark::Run(options) => rivals::run(options),
        Benchmark::Matrix(options) => matrix::run(options),
        Benchmark::Read(options) => read::run(options),
        Benchmark::Report(options) => report::run(options),
        Benchmark::Load(options) => load::run(options),
        Benchmark::Write(out) => {
            write(&out.dir())?;
            show::note(format_args!("{}", out.dir().display()));
            rivals::verdict(Records::open(&out.dir())?.all())
        }
    }
}

/// Makes the documents of all benchmarks.
fn write(dir: &Path) -> Result {
    fn of<C: Case>(dir: &Path) -> Result {
        Records::<C>::open(dir)?.write_documents()
    }
    of::<matrix::Cell>(dir)?;
    of::<read::Scan>(dir)?;
    of::<report::Report>(dir)?;
    of::<load::Loaded>(dir)?;
    of::<rivals::Run>(dir)
}

/// Says where the document is, and which cases failed.
fn finish(document: &Path, failures: &[String]) -> Result {
    show::note(format_args!("\nall figures: {}", document.display()));
    match failures.len() {
        0 => Ok(()),
        failed => Err(format!("failed: {failed}\n{}", failures.join("\n")).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    /// The documents of this repository are those that its records make.
    #[test]
    fn the_documents_are_made_from_the_records() {
        let (dir, own) = (tempfile::tempdir().unwrap(), workspace::root().join("docs/benchmarks"));
        let names = |dir: &Path| -> BTreeSet<PathBuf> {
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into()).collect()
        };
        for name in names(&own).iter().filter(|name| name.extension().is_some_and(|ext| ext == "jsonl")) {
            fs::copy(own.join(name), dir.path().join(name)).unwrap();
        }
        write(dir.path()).unwrap();
        assert_eq!(names(dir.path()), names(&own));
        for name in names(&own) {
            let [made, kept] = [dir.path(), &own].map(|dir| fs::read_to_string(dir.join(&name)).unwrap());
            assert_eq!(made, kept, "{}: `cargo xtask bench write` makes it", name.display());
        }
    }
}

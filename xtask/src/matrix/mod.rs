//! `cargo xtask bench-matrix`: an update from every kind of store to every kind, and the bytes that it takes.
//!
//! What is compared are stores, not rivals: those are in [`crate::bench`]. A record is written after each cell.

mod cell;
pub(crate) mod images;
mod record;
mod table;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use dsync_e2e::KINDS;

use crate::bench::conditions::Conditions;
use crate::bench::pair::Pair;
use crate::bench::record as records;
use crate::end::End;
use crate::units::{bytes, duration};
use crate::{Result, show, workspace};
use images::Images;
use record::Record;

const HELP: &str = "\
Every cell has a target that is new, and its record is in matrix.jsonl as soon as the cell is done, in place of an older \
one of the same; so the matrix can be made in parts, and a part can be made anew.

Examples:
  All cells (hours):
    cargo xtask bench-matrix
  Try it:
    cargo xtask bench-matrix --pair tiny --from oci --to docker-28-containerd --out /tmp/matrix
  The document from what is there:
    cargo xtask bench-matrix --only-write";

/// What to measure.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Options {
    /// Kinds of store at the source
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',', default_values = KINDS)]
    from: Vec<String>,

    /// Kinds of store at the target
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',', default_values = KINDS)]
    to: Vec<String>,

    /// The images: the target has the first, and gets the second
    #[arg(long, value_name = "PAIR", value_enum, default_value = "django")]
    pair: &'static Pair,

    /// How docker-sync compresses; several one after the other
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', default_value = "max")]
    compression: Vec<String>,

    /// Where results go, beside those that are there [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Measure nothing; make the document from the records that are there
    #[arg(long)]
    only_write: bool,
}

/// Measures the cells that are asked for, and writes them down.
pub(crate) fn run(options: &Options) -> Result {
    let out = options.out.clone().unwrap_or_else(|| workspace::root().join("docs/benchmarks"));
    fs::create_dir_all(&out)?;
    let failures = if options.only_write { Vec::new() } else { measure(options, &out)? };
    let file = out.join("matrix.md");
    fs::write(&file, table::document(&read(&out)?))?;
    show::note(format_args!("\nall cells: {}", file.display()));
    match failures.len() {
        0 => Ok(()),
        failed => Err(format!("cells failed: {failed}\n{}", failures.join("\n")).into()),
    }
}

fn read(out: &Path) -> Result<Vec<Record>> {
    records::read(&out.join("matrix.jsonl"))
}

/// Takes in a new record in place of an older one of the same.
fn add(out: &Path, new: Record) -> Result {
    // Another run may measure other cells at the same time. The lock ends with the file.
    let directory = File::open(out)?;
    directory.lock()?;
    let mut all = read(out)?;
    all.retain(|old| !new.replaces(old));
    all.push(new);
    all.sort_by_key(Record::key);
    records::write(&out.join("matrix.jsonl"), &all)
}

/// Measures one cell after the other; returns what failed.
fn measure(options: &Options, out: &Path) -> Result<Vec<String>> {
    let Conditions { date, commit, machine } = Conditions::now()?;
    // The program is built before the clock runs.
    show::note(dsync_e2e::program().display());
    let images = Images::get(options.pair, &options.from)?;
    let mut failures = Vec::new();
    for from in kinds(&options.from) {
        show::heading(format_args!("── {} from {from} ──", options.pair.name));
        let source = End::start(from)?;
        images.put(&source);
        for to in kinds(&options.to) {
            for compression in &options.compression {
                match cell::measure(&source, to, options.pair, compression) {
                    Ok(figures) => {
                        let record = Record {
                            pair: options.pair.name.to_owned(),
                            from: from.to_owned(),
                            to: to.to_owned(),
                            compression: compression.clone(),
                            date: date.clone(),
                            commit: commit.clone(),
                            machine: machine.clone(),
                            images: images.short_ids(),
                            ..figures
                        };
                        report(&record);
                        add(out, record)?;
                    }
                    Err(error) => {
                        println!("{from} to {to} at {compression}: {error}");
                        failures.push(format!("{from} to {to} at {compression}: {error}"));
                    }
                }
            }
        }
        source.end()?;
    }
    Ok(failures)
}

/// The kinds of these names, in the order of the tables.
fn kinds(names: &[String]) -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().filter(move |kind| names.iter().any(|name| name == kind))
}

fn report(record: &Record) {
    let Record { from, to, compression, same, seconds, .. } = record;
    let time = duration(std::time::Duration::from_secs_f64(*seconds));
    let cell = format!("{from} to {to} at {compression}");
    println!("{cell:<56} {:>8} {time:>12}  {}", bytes(record.bytes()), same.text());
}

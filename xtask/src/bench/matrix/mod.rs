//! `cargo xtask bench matrix`: an update from every kind of store to every kind, and the bytes that it takes.
//!
//! It compares stores; `bench run` compares docker-sync with its rivals.

mod cell;
mod document;

use dsync_e2e::{KINDS, Sameness};
use serde::{Deserialize, Serialize};

use super::Out;
use super::conditions::Conditions;
use super::end::End;
use super::images::Images;
use super::pair::{self, Pair};
use super::record::{Case, Record, Records};
use crate::units::{bytes, duration};
use crate::{Result, show};

const HELP: &str = "\
Every cell has a target that is new.

Examples:
  All cells (hours):
    cargo xtask bench matrix
  Try it:
    cargo xtask bench matrix --pair tiny --from oci --to docker-28-containerd --out /tmp/matrix";

/// The measurement to make.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Options {
    /// Kinds of store at the source
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',', default_values = KINDS)]
    from: Vec<String>,

    /// Kinds of store at the target
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',', default_values = KINDS)]
    to: Vec<String>,

    /// The images: the target has the first, and gets the second
    #[arg(long, value_name = "PAIR", value_enum, default_value = "django")]
    pair: &'static Pair,

    /// Compression of docker-sync; several one after the other
    #[arg(long, value_name = "LEVELS", value_delimiter = ',', default_value = "max")]
    compression: Vec<String>,

    #[command(flatten)]
    out: Out,
}

/// An update between two stores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cell {
    pair: String,
    /// The kind of store at the source.
    from: String,
    /// The kind of store at the target.
    to: String,
    /// The value of `--compression`.
    compression: String,
    /// The first digits of the digests of the configs of the old and the new image.
    images: [String; 2],
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Bytes on the wire from the target, which dials, to the source.
    up: u64,
    /// Bytes on the wire from the source to the target.
    down: u64,
    seconds: f64,
    same: Same,
}

/// The part of an image's identity that stays the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Same {
    /// Config and layers
    #[default]
    Content,
    /// The ID as well
    Id,
}

impl From<Sameness> for Same {
    fn from(same: Sameness) -> Same {
        match same {
            Sameness::Content => Same::Content,
            Sameness::Id => Same::Id,
        }
    }
}

impl Figures {
    fn bytes(&self) -> u64 {
        self.up + self.down
    }
}

impl Case for Cell {
    const KIND: &'static str = "matrix";
    type Figures = Figures;
    type Place = (Option<usize>, String, Option<usize>, Option<usize>);

    /// Cells in the order of the table.
    fn place(&self) -> Self::Place {
        let place = |kind: &str| KINDS.iter().position(|known| *known == kind);
        (pair::place(&self.pair), self.compression.clone(), place(&self.from), place(&self.to))
    }

    fn documents(records: &[Record<Cell>]) -> Vec<(&'static str, String)> {
        vec![("matrix.md", document::document(records))]
    }
}

/// Measures the cells that are asked for, and writes them down.
pub(super) fn run(options: &Options) -> Result {
    let dir = options.out.dir();
    let failures = measure(options, &mut Records::open(&dir)?)?;
    super::finish(&dir.join("matrix.md"), &failures)
}

/// Measures one cell after the other; returns what failed.
fn measure(options: &Options, records: &mut Records<Cell>) -> Result<Vec<String>> {
    let conditions = Conditions::now()?;
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
                let label = format!("{from} to {to} at {compression}");
                match cell::measure(&source, to, options.pair, compression) {
                    Ok((versions, figures)) => {
                        report(&label, &figures);
                        let case = Cell {
                            pair: options.pair.name.to_owned(),
                            from: from.to_owned(),
                            to: to.to_owned(),
                            compression: compression.clone(),
                            images: images.short_ids(),
                        };
                        records.add(vec![Record { conditions: conditions.with(versions), case, figures }])?;
                    }
                    Err(error) => {
                        println!("{label}: {error}");
                        failures.push(format!("{label}: {error}"));
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

fn report(label: &str, figures: &Figures) {
    let time = duration(std::time::Duration::from_secs_f64(figures.seconds));
    let same = match figures.same {
        Same::Content => "the same config and layers",
        Same::Id => "the same ID",
    };
    println!("{label:<56} {:>8} {time:>12}  {same}", bytes(figures.bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_in_the_order_of_the_table() {
        let place = |from: &str, to: &str| {
            Cell { from: from.to_owned(), to: to.to_owned(), ..Cell::default() }.place()
        };
        // Not in that of the alphabet.
        assert!(place("podman", "docker") < place("docker-26-containerd", "docker"));
        assert!(place("docker", "podman") < place("docker", "oci"));
    }
}

//! `cargo xtask bench read`: how much sooner an image is scanned where the engine's storage is read directly, and
//! not what its client saves.
//!
//! Both ways take turns, so that what else the machine does falls on both alike: it is the ratio that counts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::Out;
use super::conditions::{Conditions, measured};
use super::end::{self, End};
use super::images::Images;
use super::pair::Pair;
use super::record::{Case, Record, Records};
use crate::table::{Table, median, span};
use crate::units::bytes;
use crate::{Result, shell, show, workspace};

/// The stores whose files can be read.
const KINDS: [&str; 5] = ["docker", "docker-26-containerd", "docker-28-containerd", "podman", "podman-5.4"];

/// The measurement to make.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Kinds of store
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',')]
    #[arg(default_values = ["docker", "docker-28-containerd", "podman"])]
    kinds: Vec<String>,

    /// The second image of this pair is read
    #[arg(long, value_name = "PAIR", value_enum, default_value = "django")]
    pair: &'static Pair,

    /// Runs of each way
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    runs: usize,

    #[command(flatten)]
    out: Out,
}

/// One image, scanned once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Scan {
    /// The kind of store.
    store: String,
    image: String,
    /// True if the engine's files were read, false if the archive that its client saves was.
    directly: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Of all layers, not compressed.
    bytes: u64,
    seconds: f64,
}

impl Case for Scan {
    const KIND: &'static str = "read";
    type Figures = Figures;
    type Place = Option<usize>;

    /// Both ways are measured together, and take each other's place.
    fn place(&self) -> Option<usize> {
        KINDS.iter().position(|kind| *kind == self.store)
    }

    fn documents(records: &[Record<Scan>]) -> Vec<(&'static str, String)> {
        vec![("read.md", document(records))]
    }
}

/// Measures, and writes down.
pub(super) fn run(options: &Options) -> Result {
    let dir = options.out.dir();
    let mut records = Records::open(&dir)?;
    let scan = example()?;
    let conditions = Conditions::now()?;
    let images = Images::get(options.pair, &options.kinds)?;
    for kind in KINDS.into_iter().filter(|kind| options.kinds.iter().any(|asked| asked == kind)) {
        let end = End::start(kind)?;
        images.put(&end);
        let conditions = conditions.with([end.version()?, String::new()]);
        let mut new = Vec::new();
        for _ in 0..options.runs {
            for directly in [true, false] {
                let figures = measure(&scan, &end, options.pair.new, directly)?;
                println!("{kind:<24} {:<12} {:>6.1} s", way(directly), figures.seconds);
                let case = Scan { store: kind.to_owned(), image: options.pair.new.to_owned(), directly };
                new.push(Record { conditions: conditions.clone(), case, figures });
            }
        }
        records.add(new)?;
        end.end()?;
    }
    super::finish(&dir.join("read.md"), &[])
}

/// Builds the program that scans one image.
fn example() -> Result<PathBuf> {
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--package", "dsync-sync", "--example", "scan"]);
    show::command("", show::typed(&build));
    build.args(["--message-format", "json-render-diagnostics"]);
    let messages = shell::output(&mut build)?;
    workspace::executable(&messages, "scan").ok_or_else(|| "cargo built no scan".into())
}

/// Scans an image once.
fn measure(scan: &Path, end: &End, image: &str, directly: bool) -> Result<Figures> {
    let engine = end.engine();
    let spec = if directly { end.store.spec() } else { silent_client(end)? };
    let mut command = Command::new(scan);
    command.args([&spec, &end::name(image)]);
    command.envs(engine.environment()).env("PATH", end::path(engine)).env("TMPDIR", end.dir());
    parse(&shell::output(&mut command)?, directly)
}

/// A client that does not tell where the engine's files are.
fn silent_client(end: &End) -> Result<String> {
    let (path, client) = (end.dir().join("silent-client"), end.store.spec());
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = info ] || exec {client} \"$@\"\n\
         {client} \"$@\" | sed 's/DockerRootDir\"/none\"/; s/graphRoot\"/none\"/'\n"
    );
    fs::write(&path, text)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path.display().to_string())
}

/// Understands what the program says; it must have gone the way that is meant.
fn parse(said: &str, directly: bool) -> Result<Figures> {
    let fields: Vec<&str> = said.trim_end().split('\t').collect();
    let [store, bytes, seconds] = fields[..] else { return Err(format!("it says '{said}'").into()) };
    if store.contains("storage readable") != directly {
        return Err(format!("'{store}' was not read {}", way(directly)).into());
    }
    Ok(Figures { bytes: bytes.parse()?, seconds: seconds.parse()? })
}

fn way(directly: bool) -> &'static str {
    if directly { "directly" } else { "by its client" }
}

fn document(all: &[Record<Scan>]) -> String {
    let conditions: Vec<&Conditions> = all.iter().map(|record| &record.conditions).collect();
    let conditions =
        measured(Scan::KIND, &conditions).unwrap_or_else(|| "Nothing has been measured yet".to_owned());
    let mut table = Table::new(&["store", "image"], &["directly", "by its client", "ratio"]);
    for kind in KINDS {
        let of = |directly: bool| {
            let is_it = move |scan: &Scan| scan.store == kind && scan.directly == directly;
            all.iter().filter(move |record| is_it(&record.case)).map(|record| record.figures.seconds)
        };
        let first = all.iter().find(|record| record.case.store == kind);
        let (Some(first), Some(direct), Some(client)) = (first, median(of(true)), median(of(false))) else {
            continue;
        };
        table.row([
            end::title(kind, &first.conditions.versions[0]),
            format!("{} ({})", first.case.image, bytes(first.figures.bytes)),
            span(of(true), " s").unwrap_or_default(),
            span(of(false), " s").unwrap_or_default(),
            format!("{:.1}", client / direct),
        ]);
    }
    format!(
        "# The engine's storage, read directly\n\n{conditions}. All layers of an image are read and scanned as \
         at the source of a sync, once out of the engine's files and once out of what its client saves, in turns; \
         medians, with the least and the most.\n\n{}",
        table.text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_that_is_meant_counts() {
        let said = "docker 28.5.2, overlayfs, storage readable\t1000\t1.5\n";
        assert_eq!(parse(said, true).unwrap(), Figures { bytes: 1000, seconds: 1.5 });
        assert!(parse(said, false).is_err());
        assert!(parse("docker 28.5.2, overlayfs\t1000\t1.5\n", false).is_ok());
        assert!(parse("", true).is_err());
    }

    #[test]
    fn a_store_has_its_line() {
        let record = |directly, seconds| Record {
            conditions: Conditions {
                versions: ["20.10.24+dfsg1".to_owned(), String::new()],
                ..Conditions::default()
            },
            case: Scan { store: "docker".to_owned(), image: "django:2".to_owned(), directly },
            figures: Figures { bytes: 680_000_000, seconds },
        };
        let text = document(&[record(true, 2.0), record(false, 9.0), record(true, 4.0), record(false, 9.0)]);
        let line =
            "| Docker 20.10, classic | django:2 (680 MB) | 3.0 s (2.0 – 4.0) | 9.0 s (9.0 – 9.0) | 3.0 |\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("| Docker")).count(), 1);
    }
}

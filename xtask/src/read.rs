//! `cargo xtask bench-read`: how much sooner an image is scanned where the engine's storage is read directly, and
//! not what its client saves.
//!
//! Both ways take turns, so that what else the machine does falls on both alike: it is the ratio that counts.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::bench::conditions::{Conditions, commits, days};
use crate::bench::pair::Pair;
use crate::bench::record::{self as records, median};
use crate::end::{self, End};
use crate::matrix::images::Images;
use crate::units::bytes;
use crate::{Result, shell, show, workspace};

/// The stores whose files can be read.
const KINDS: [&str; 5] = ["docker", "docker-26-containerd", "docker-28-containerd", "podman", "podman-5.4"];

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Kinds of store
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',')]
    #[arg(default_values = ["docker", "docker-28-containerd", "podman"])]
    kinds: Vec<String>,

    /// The second image of this pair is read
    #[arg(long, value_name = "PAIR", value_enum, default_value = "django")]
    pair: &'static Pair,

    /// How often each way is gone
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// Where results go, in place of those of these kinds [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// One image, scanned once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    kind: String,
    version: String,
    image: String,
    /// Whether the engine's files were read, or what its client saves.
    directly: bool,
    date: String,
    commit: String,
    machine: String,
    /// Of all layers, not compressed.
    bytes: u64,
    seconds: f64,
}

/// Measures, and writes down.
pub(crate) fn run(options: &Options) -> Result {
    let out = options.out.clone().unwrap_or_else(|| workspace::root().join("docs/benchmarks"));
    fs::create_dir_all(&out)?;
    let scan = example()?;
    let Conditions { date, commit, machine } = Conditions::now()?;
    let images = Images::get(options.pair, &options.kinds)?;
    let file = out.join("read.jsonl");
    let is_new = |kind: &str| options.kinds.iter().any(|asked| asked == kind);
    let mut all: Vec<Record> = records::read(&file)?;
    all.retain(|record| !is_new(&record.kind));
    for kind in KINDS.into_iter().filter(|kind| is_new(kind)) {
        let end = End::start(kind)?;
        images.put(&end);
        let blank = Record {
            kind: kind.to_owned(),
            version: end.version()?,
            image: options.pair.new.to_owned(),
            date: date.clone(),
            commit: commit.clone(),
            machine: machine.clone(),
            ..Record::default()
        };
        for _ in 0..options.runs {
            for directly in [true, false] {
                let (bytes, seconds) = measure(&scan, &end, options.pair.new, directly)?;
                println!("{kind:<24} {:<12} {seconds:>6.1} s", way(directly));
                all.push(Record { directly, bytes, seconds, ..blank.clone() });
            }
        }
        end.end()?;
    }
    records::write(&file, &all)?;
    fs::write(out.join("read.md"), document(&all))?;
    show::note(format_args!("\n{}", out.join("read.md").display()));
    Ok(())
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

/// Scans an image once; its bytes and the seconds.
fn measure(scan: &Path, end: &End, image: &str, directly: bool) -> Result<(u64, f64)> {
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
fn parse(said: &str, directly: bool) -> Result<(u64, f64)> {
    let fields: Vec<&str> = said.trim_end().split('\t').collect();
    let [store, bytes, seconds] = fields[..] else { return Err(format!("it says '{said}'").into()) };
    if store.contains("storage readable") != directly {
        return Err(format!("'{store}' was not read {}", way(directly)).into());
    }
    Ok((bytes.parse()?, seconds.parse()?))
}

fn way(directly: bool) -> &'static str {
    if directly { "directly" } else { "by its client" }
}

fn document(all: &[Record]) -> String {
    let conditions = match (all.first(), days(all.iter().map(|record| record.date.as_str()))) {
        (Some(Record { machine, .. }), Some(days)) => {
            let commits = commits(all.iter().map(|record| record.commit.as_str()));
            format!("Measured with `cargo xtask bench-read` {days} ({commits}) on {machine}.")
        }
        _ => "Nothing has been measured yet.".to_owned(),
    };
    let mut text = format!(
        "# The engine's storage, read directly\n\n{conditions} All layers of an image are read and scanned as \
         at the source of a sync, once out of the engine's files and once out of what its client saves, in turns; \
         medians, with the least and the most.\n\n\
         | store | image | directly | by its client | ratio |\n|---|---|--:|--:|--:|\n"
    );
    for kind in KINDS {
        let of = |directly: bool| {
            let runs = all.iter().filter(move |record| record.kind == kind && record.directly == directly);
            runs.map(|record| record.seconds)
        };
        let (Some(first), Some(direct), Some(client)) =
            (all.iter().find(|record| record.kind == kind), median(of(true)), median(of(false)))
        else {
            continue;
        };
        let span = |directly: bool, middle: f64| {
            let (least, most) = of(directly).fold((f64::MAX, f64::MIN), |(a, b), s| (a.min(s), b.max(s)));
            format!("{middle:.1} s ({least:.1} – {most:.1})")
        };
        text += &format!(
            "| {} | {} ({}) | {} | {} | {:.1} |\n",
            end::title(kind, &first.version),
            first.image,
            bytes(first.bytes),
            span(true, direct),
            span(false, client),
            client / direct
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_that_is_meant_counts() {
        let said = "docker 28.5.2, overlayfs, storage readable\t1000\t1.5\n";
        assert_eq!(parse(said, true).unwrap(), (1000, 1.5));
        assert!(parse(said, false).is_err());
        assert!(parse("docker 28.5.2, overlayfs\t1000\t1.5\n", false).is_ok());
        assert!(parse("", true).is_err());
    }

    #[test]
    fn a_store_has_its_line() {
        let record = |directly, seconds| Record {
            kind: "docker".to_owned(),
            version: "20.10.24+dfsg1".to_owned(),
            image: "django:2".to_owned(),
            date: "2024-02-29".to_owned(),
            bytes: 680_000_000,
            directly,
            seconds,
            ..Record::default()
        };
        let text = document(&[record(true, 2.0), record(false, 9.0), record(true, 4.0), record(false, 9.0)]);
        let line =
            "| Docker 20.10, classic | django:2 (680 MB) | 3.0 s (2.0 – 4.0) | 9.0 s (9.0 – 9.0) | 3.0 |\n";
        assert!(text.contains(line), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("| Docker")).count(), 1);
    }
}

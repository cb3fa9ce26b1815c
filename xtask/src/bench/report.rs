//! `cargo xtask bench report`: how long the report of a source with many images takes, by the kind of its store.
//!
//! The images are tiny and share a layer: what counts is how many there are.

use std::fs;
use std::time::{Duration, Instant};

use dsync_e2e::Bench;
use dsync_lab::Engine;
use dsync_lab::images::{Image, Layer, archive_of};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Out;
use super::conditions::{Conditions, measured};
use super::end::{End, title};
use super::record::{Case, Record, Records};
use crate::table::{Table, median};
use crate::units::bytes;
use crate::{Result, shell, show};

/// The kinds of store that list images each in its own way.
const KINDS: [&str; 5] = ["docker", "podman", "docker-26-containerd", "docker-28-containerd", "oci"];
const PATIENCE: Duration = Duration::from_secs(3600);

/// The measurement to make.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Kinds of store at the source
    #[arg(long, value_name = "KINDS", value_parser = KINDS, value_delimiter = ',')]
    #[arg(default_values = KINDS)]
    kinds: Vec<String>,

    /// Images in the store
    #[arg(long, value_name = "N", default_value_t = 2000)]
    images: usize,

    /// Runs of the report
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    runs: usize,

    #[command(flatten)]
    out: Out,
}

/// One report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    /// The kind of store at the source.
    store: String,
    images: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// On the wire, both ways.
    bytes: u64,
    seconds: f64,
    /// The seconds that the engine's own client took to list its images, once, before; nothing for a layout.
    client_seconds: Option<f64>,
}

impl Case for Report {
    const KIND: &'static str = "report";
    type Figures = Figures;
    type Place = Option<usize>;

    fn place(&self) -> Option<usize> {
        KINDS.iter().position(|kind| *kind == self.store)
    }

    fn documents(records: &[Record<Report>]) -> Vec<(&'static str, String)> {
        vec![("report.md", document(records))]
    }
}

/// Measures, and writes down.
pub(super) fn run(options: &Options) -> Result {
    let dir = options.out.dir();
    let mut records = Records::open(&dir)?;
    let conditions = Conditions::now()?;
    show::note(dsync_e2e::program().display());
    let archive = archive_of(&images(options.images));
    for kind in KINDS.into_iter().filter(|kind| options.kinds.iter().any(|asked| asked == kind)) {
        let [source, target] = [End::start(kind)?, End::start("oci")?];
        put(&source, &archive)?;
        let conditions = conditions.with([source.version()?, target.version()?]);
        let client_seconds = source.store.engine().map(client).transpose()?;
        let mut new = Vec::new();
        for _ in 0..options.runs {
            let (bytes, seconds) = measure(&source, &target, options.images)?;
            println!("{kind:<24} {seconds:>6.1} s");
            let case = Report { store: kind.to_owned(), images: options.images };
            let figures = Figures { bytes, seconds, client_seconds };
            new.push(Record { conditions: conditions.clone(), case, figures });
        }
        records.add(new)?;
        target.end()?;
        source.end()?;
    }
    super::finish(&dir.join("report.md"), &[])
}

/// `count` images, no two of them the same.
fn images(count: usize) -> Vec<Image> {
    let layer = Layer::builder().file("shared", "shared").build();
    let image = |n: usize| {
        let number = format!("N={n}");
        Image::named(&format!("many/image-{}:{}", n / 10, n % 10))
            .config(json!({"Env": [number]}))
            .layer(&layer)
    };
    (0..count).map(image).collect()
}

/// Puts all images into a store.
fn put(source: &End, archive: &[u8]) -> Result {
    if let Some(engine) = source.store.engine() {
        return Ok(engine.load(archive)?);
    }
    let dir = source.store.layout_dir();
    fs::create_dir_all(&dir)?;
    Ok(tar::Archive::new(archive).unpack(dir)?)
}

/// The seconds that an engine's own client takes to list its images.
fn client(engine: &Engine) -> Result<f64> {
    let begun = Instant::now();
    shell::output(engine.client().args(["images", "--quiet"]))?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The bytes and the seconds of one report, to a target that has nothing.
fn measure(source: &End, target: &End, images: usize) -> Result<(u64, f64)> {
    let bench = Bench::builder().between(&target.station, &source.station).patience(PATIENCE).start();
    let [here, there] = [target, source].map(|end| end.store.spec());
    let ran = bench.pull(&["--docker", &here, "--remote-docker", &there, "--report"]);
    let listed = ran.out.lines().count();
    if ran.exit != Some(0) || listed != images {
        return Err(format!("{listed} images were reported, not {images}: {ran}").into());
    }
    Ok((ran.wire.bytes(), ran.took.as_secs_f64()))
}

fn document(all: &[Record<Report>]) -> String {
    let conditions: Vec<&Conditions> = all.iter().map(|record| &record.conditions).collect();
    let (Some(first), Some(measured)) = (all.first(), measured(Report::KIND, &conditions)) else {
        return "# A report of many images\n\nNothing has been measured yet.\n".to_owned();
    };
    let mut table = Table::new(&["source"], &["report", "on the wire", "listed by its client"]);
    for kind in KINDS {
        let of = |figure: fn(&Figures) -> Option<f64>| {
            let records = all.iter().filter(|record| record.case.store == kind);
            median(records.filter_map(|record| figure(&record.figures)))
        };
        let first = all.iter().find(|record| record.case.store == kind);
        let (seconds, wire) = (of(|figures| Some(figures.seconds)), of(|figures| Some(figures.bytes as f64)));
        let (Some(first), Some(seconds), Some(wire)) = (first, seconds, wire) else { continue };
        let client = of(|figures| figures.client_seconds);
        table.row([
            title(kind, &first.conditions.versions[0]),
            format!("{seconds:.1} s"),
            bytes(wire as u64),
            client.map(|seconds| format!("{seconds:.1} s")).unwrap_or_default(),
        ]);
    }
    format!(
        "# A report of many images\n\n{measured}: the report of {} tiny images at the source, all of the same layer, \
         of which the target, an OCI layout, has none; the agent is in place. *Listed by its client* is what \
         `docker images` or `podman images` took before, once; the others are medians.\n\n{}",
        first.case.images,
        table.text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn images_are_all_different() {
        let ids: BTreeSet<String> = images(25).iter().map(|image| image.id().to_string()).collect();
        assert_eq!(ids.len(), 25);
    }

    #[test]
    fn a_store_has_its_line() {
        let record = |kind: &str, seconds, client_seconds| Record {
            conditions: Conditions {
                date: "2024-02-29".to_owned(),
                versions: ["28.5.2".to_owned(), String::new()],
                ..Conditions::default()
            },
            case: Report { store: kind.to_owned(), images: 2000 },
            figures: Figures { bytes: 100_000, seconds, client_seconds },
        };
        let text = document(&[
            record("oci", 2.0, None),
            record("docker-28-containerd", 3.0, Some(1.0)),
            record("docker-28-containerd", 5.0, Some(3.0)),
        ]);
        let rows =
            "| Docker 28.5, containerd | 4.0 s | 100 kB | 2.0 s |\n| OCI layout | 2.0 s | 100 kB |  |\n";
        assert!(text.ends_with(rows), "{text}");
        assert!(document(&[]).contains("Nothing has been measured yet."));
    }
}

//! `cargo xtask bench load`: the memory and the time of transfers that are large, or many.
//!
//! Both ends are OCI layouts on one machine, with ssh between them, so no engine's memory is in the figures.

mod large;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use dsync_e2e::{Bench, Ran, noise};
use dsync_lab::LoginOptions;
use dsync_lab::images::{Image, Layer, archive_of};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Out;
use super::conditions::{Conditions, measured};
use super::end::End;
use super::record::{Case, Record, Records};
use super::sample::{self, Peaks, Sampler};
use crate::table::Table;
use crate::units::bytes;
use crate::{Result, show};
use large::Large;

const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// The seconds of a run from which on its memory is known.
const SAMPLED: f64 = 2.0;
/// The variable in the environment of the processes of an end.
const MARK: &str = "DOCKER_SYNC_LOAD";
/// The sizes of the image of [`Load::Gigabytes`].
const TWENTY_GIGABYTES: Large = Large { layers: 10, files: 200 };
/// The name of an image that is alone.
const NAME: &str = "load/image:1";

/// The measurement to make.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Loads
    #[arg(long, value_name = "LOADS", value_enum, value_delimiter = ',')]
    #[arg(default_values_t = [Load::Gigabytes, Load::Layers, Load::Images, Load::Runs])]
    loads: Vec<Load>,

    #[command(flatten)]
    out: Out,
}

/// A load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Load {
    /// An image of 20 GB, a tenth of it as it is stored; an update takes 20 GB of disk for temporary files
    #[default]
    Gigabytes,
    /// An image of 127 layers of 2 MB
    Layers,
    /// 2,000 images of 100 kB
    Images,
    /// Ten runs at the same time, each for an image of 50 MB
    Runs,
}

impl Load {
    fn title(self) -> &'static str {
        match self {
            Load::Gigabytes => "an image of 20 GB in 10 layers, packed by zstd",
            Load::Layers => "an image of 127 layers of 2 MB",
            Load::Images => "2,000 images, of 100 kB each",
            Load::Runs => "ten runs at the same time, of 50 MB each",
        }
    }

    /// Puts a version of its images into a layout.
    fn write(self, dir: &Path, version: u64) -> Result {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(dir)?,
        }
        if self == Load::Gigabytes {
            return Ok(TWENTY_GIGABYTES.write(dir, NAME, version)?);
        }
        Ok(tar::Archive::new(&archive_of(&self.images(version))[..]).unpack(dir)?)
    }

    /// The images of a version, of those that have them in memory.
    fn images(self, version: u64) -> Vec<Image> {
        let image = |name: &str, layers: &[Layer]| {
            let config = json!({"Env": [format!("VERSION={version}"), name]});
            layers.iter().fold(Image::named(name).config(config), Image::layer)
        };
        let each = |count: usize, len: usize| {
            (0..count)
                .map(|number| image(&format!("load/image-{number}:1"), &[layer(number, len, version)]))
                .collect()
        };
        match self {
            Load::Gigabytes => Vec::new(),
            Load::Layers => {
                let layers: Vec<Layer> = (0..127).map(|number| layer(number, 2_000_000, version)).collect();
                vec![image(NAME, &layers)]
            }
            Load::Images => each(2000, 100_000),
            Load::Runs => each(10, 50_000_000),
        }
    }

    /// The arguments of each run of docker-sync.
    fn selections(self) -> Vec<Vec<String>> {
        match self {
            Load::Gigabytes | Load::Layers => vec![vec![NAME.to_owned()]],
            Load::Images => vec![vec!["--all".to_owned()]],
            Load::Runs => (0..10).map(|number| vec![format!("load/image-{number}:1")]).collect(),
        }
    }
}

/// A layer of noise; every tenth has a file of the version, too.
fn layer(number: usize, len: usize, version: u64) -> Layer {
    let builder = Layer::builder().file(format!("srv/{number}"), noise(&number.to_string(), len));
    match number % 10 {
        3 => builder.file("srv/version", format!("version {version} of {number}")),
        _ => builder,
    }
    .build()
}

/// The part of a load that a run brings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// All of it, to a target that has nothing.
    #[default]
    FirstCopy,
    /// Another version of it.
    Update,
    /// Nothing: the target has it.
    Nothing,
}

impl Step {
    fn title(self) -> &'static str {
        match self {
            Step::FirstCopy => "first copy",
            Step::Update => "update",
            Step::Nothing => "nothing to do",
        }
    }
}

/// A step of a load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Loaded {
    load: Load,
    step: Step,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    /// On the wire, both ways, of all runs.
    bytes: u64,
    seconds: f64,
    source: Peaks,
    target: Peaks,
}

impl Case for Loaded {
    const KIND: &'static str = "load";
    type Figures = Figures;
    type Place = (Load, Step);

    fn place(&self) -> (Load, Step) {
        (self.load, self.step)
    }

    fn documents(records: &[Record<Loaded>]) -> Vec<(&'static str, String)> {
        vec![("load.md", document(records))]
    }
}

/// Measures, and writes down.
pub(super) fn run(options: &Options) -> Result {
    let dir = options.out.dir();
    let mut records = Records::open(&dir)?;
    let conditions = Conditions::now()?;
    show::note(dsync_e2e::program().display());
    let mut failures = Vec::new();
    for load in &options.loads {
        let ends = [End::start("oci")?, End::start("oci")?];
        for (step, version) in [(Step::FirstCopy, 0), (Step::Update, 1), (Step::Nothing, 1)] {
            let case = Loaded { load: *load, step };
            if step != Step::Nothing {
                load.write(&ends[0].store.layout_dir(), version)?;
            }
            match measure(&ends, *load) {
                Ok(figures) => {
                    println!("{:<60} {:<14} {:>8.1} s", load.title(), step.title(), figures.seconds);
                    records.add(vec![Record { conditions: conditions.clone(), case, figures }])?;
                }
                Err(error) => failures.push(format!("{}, {}: {error}", load.title(), step.title())),
            }
        }
        for end in ends {
            end.end()?;
        }
    }
    super::finish(&dir.join("load.md"), &failures)
}

/// Runs docker-sync once, or as often as there are to be runs at the same time.
fn measure([source, target]: &[End; 2], load: Load) -> Result<Figures> {
    let mark = |end: &str| format!("{end}-{}", std::process::id());
    let login = LoginOptions { env: vec![(MARK.to_owned(), mark("source"))], ..LoginOptions::default() };
    let bench = Bench::builder().between(&target.station, &source.station).login(login).patience(PATIENCE);
    let bench = bench.start();
    let sampled = |end: &End, name: &str| sample::End {
        mark: format!("{MARK}={}", mark(name)),
        temp: vec![end.station.host().tmp(), end.station.host().var_tmp()],
        engine_temp: end.engine().root().join("tmp"),
    };
    let sampler = Sampler::start([sampled(source, "source"), sampled(target, "target")]);
    let begun = Instant::now();
    let start = |selection: Vec<String>| {
        let mut command = bench.command();
        command.args([bench.remote(), "--docker", &target.store.spec()]);
        command.args(["--remote-docker", &source.store.spec()]).args(selection).env(MARK, mark("target"));
        bench.spawn(command)
    };
    let runs: Vec<_> = load.selections().into_iter().map(start).collect();
    let ran: Vec<Ran> = runs.into_iter().map(|run| run.finish_untidily()).collect();
    let seconds = begun.elapsed().as_secs_f64();
    let [source, target] = sampler.stop()?;
    match ran.iter().find(|ran| ran.exit != Some(0)) {
        Some(failed) => Err(failed.to_string().into()),
        None => {
            let bytes = ran.iter().map(|ran| ran.wire.bytes()).sum();
            Ok(Figures { bytes, seconds, source, target })
        }
    }
}

fn document(all: &[Record<Loaded>]) -> String {
    let conditions: Vec<&Conditions> = all.iter().map(|record| &record.conditions).collect();
    let Some(measured) = measured(Loaded::KIND, &conditions) else {
        return "# Large transfers\n\nNothing has been measured yet.\n".to_owned();
    };
    let numbers = ["on the wire", "time", "memory, source", "target", "CPU, both"];
    let mut table = Table::new(&["load", "run"], &numbers);
    for Record { case, figures, .. } in all {
        let sampled = |text: String| if figures.seconds < SAMPLED { String::new() } else { text };
        table.row([
            case.load.title().to_owned(),
            case.step.title().to_owned(),
            bytes(figures.bytes),
            format!("{:.1} s", figures.seconds),
            sampled(bytes(figures.source.memory)),
            sampled(bytes(figures.target.memory)),
            sampled(format!("{:.1} s", figures.source.cpu + figures.target.cpu)),
        ]);
    }
    format!(
        "# Large transfers\n\n{measured}: both ends are OCI layouts on this machine, with ssh between them; the agent is \
         in place, and `--memory` is not given. In an update every tenth layer or image has another small file, or \
         every hundredth of the files of 10 MB has another block in its middle. *Memory* is the high-water mark of the \
         largest process of an end, sampled ten times a second; nothing is said of a run that was too short for that.\n\n{}",
        table.text()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_every_tenth_layer() {
        let changes = |number: &usize| layer(*number, 1, 0).diff_id() != layer(*number, 1, 1).diff_id();
        assert_eq!((0..30).filter(changes).collect::<Vec<_>>(), [3, 13, 23]);
    }

    #[test]
    fn a_step_has_its_line() {
        let figures = Figures {
            bytes: 1_000_000,
            seconds: 2.5,
            source: Peaks { memory: 100_000_000, cpu: 1.0, ..Peaks::default() },
            target: Peaks { memory: 50_000_000, cpu: 0.5, ..Peaks::default() },
        };
        let case = Loaded { load: Load::Layers, step: Step::Update };
        let conditions = Conditions { date: "2024-02-29".to_owned(), ..Conditions::default() };
        let text = document(&[Record { conditions, case, figures }]);
        let line =
            "| an image of 127 layers of 2 MB | update | 1.00 MB | 2.5 s | 100 MB | 50.0 MB | 1.5 s |\n";
        assert!(text.ends_with(line), "{text}");
        assert!(document(&[]).contains("Nothing has been measured yet."));
    }
}

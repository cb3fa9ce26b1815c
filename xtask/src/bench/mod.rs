//! `cargo xtask bench`: docker-sync and its rivals on real images, between two real engines.
//!
//! The target has the old image of a pair and pulls the new one, over a real ssh whose bytes are counted.
//! Runs of different methods take turns, so that what else the machine does falls on all of them alike.

mod bars;
mod layers;
mod method;
mod pair;
mod record;
mod sample;
mod table;

use std::fs;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use dsync_lab::{EngineOptions, Lab, LoginOptions, packages};

use crate::units::bytes;
use crate::{Result, shell, show, workspace};
use method::{Ends, Method};
use pair::{Pair, Supply};
use record::{FIRST_CONTACT, REPORT, Record, UP_TO_DATE};
use sample::{End, Sampler};

/// By this variable the processes at the source are known.
const MARK: &str = "DOCKER_SYNC_BENCH";

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Pairs of images
    #[arg(long, value_name = "PAIRS", value_delimiter = ',', value_parser = Pair::parse, default_values = pair::USUAL)]
    pairs: Vec<&'static Pair>,

    /// Ways of moving them
    #[arg(
        long,
        value_name = "METHODS",
        value_enum,
        value_delimiter = ',',
        default_values = ["docker-sync", "save-zstd", "rsync", "save", "layers"]
    )]
    methods: Vec<Method>,

    /// How often each is run
    #[arg(short = 'n', long, default_value_t = 3)]
    runs: usize,

    /// Take images from archives DIR/NAME-TAG.tar instead of building them
    #[arg(long, value_name = "DIR")]
    archives: Option<PathBuf>,

    /// Where results go, beside those that are there [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Measures, writes down, and says which bars hold.
pub(crate) fn run(options: &Options) -> Result {
    packages::require(&[("zstd", "zstd"), ("rsync", "rsync"), ("bash", "bash")])?;
    let program = workspace::release_binary()?;
    let mark = format!("{MARK}={}", std::process::id());
    let login = LoginOptions {
        env: vec![(MARK.to_owned(), std::process::id().to_string())],
        ..LoginOptions::default()
    };
    let mut lab = Lab::builder().host_with("alpha", EngineOptions::default(), login).host("beta");
    if options.archives.is_none() {
        // What an image is built from is not to be at the source as well.
        lab = lab.host("builder");
    }
    let lab = lab.start()?;
    let supply = match &options.archives {
        Some(dir) => Supply::Archives(dir),
        None => Supply::Builder(lab.host("builder").engine()),
    };
    let ends = Ends { lab: &lab, source: lab.host("alpha"), target: lab.host("beta"), program: &program };
    let bench = Bench {
        ends,
        mark,
        date: shell::output(Command::new("date").args(["-u", "+%F"]))?.trim().to_owned(),
    };

    let conditions = conditions(&bench, options)?;
    let out = options.out.clone().unwrap_or_else(|| workspace::root().join("docs/benchmarks"));
    fs::create_dir_all(&out)?;
    let mut measured = Vec::new();
    for (at, pair) in options.pairs.iter().enumerate() {
        show::heading(format_args!("── {}: {} to {} ──", pair.name, pair.old, pair.new));
        let records = bench.pair(pair, supply, options, at == 0)?;
        // Now rather than at the end: what a next pair meets with is not to cost these figures.
        keep(&out, &records, &conditions)?;
        measured.extend(records);
    }
    lab.stop()?;

    let bars_now = bars::bars(&measured);
    show::heading("── bars ──");
    print!("{}", table::bar_table(&bars_now));
    show::note(format_args!("\nall figures: {}", out.join("results.md").display()));
    match bars_now.iter().filter(|bar| !bar.holds).count() {
        0 => Ok(()),
        missed => Err(format!("bars missed: {missed}").into()),
    }
}

struct Bench<'a> {
    ends: Ends<'a>,
    mark: String,
    date: String,
}

impl Bench<'_> {
    /// Measures one pair. The first one is also the first contact.
    fn pair(&self, pair: &Pair, supply: Supply<'_>, options: &Options, first: bool) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        let (source, target) = (self.ends.source.engine(), self.ends.target.engine());
        let (old, new) = (supply.archive(pair.old)?, supply.archive(pair.new)?);
        source.load_file(&new)?;
        target.load_file(&old)?;
        let ours = options.methods.contains(&Method::DockerSync);
        if ours && first {
            for name in [FIRST_CONTACT, REPORT] {
                records.push(self.measure(pair, name, 0, self.ends.docker_sync(&["--report"]))?);
            }
        }
        for run in 0..options.runs {
            for method in &options.methods {
                let name = bars::name(*method);
                let Some(command) = self.ends.command(*method, pair) else {
                    if run == 0 {
                        records.push(self.computed(pair, &name, layers::missing(&old, &new)?));
                    }
                    continue;
                };
                target.remove_image(pair.new)?;
                records.push(self.measure(pair, &name, run, command)?);
                if target.image_id(pair.new) != source.image_id(pair.new) {
                    return Err(format!("{name}: {} did not arrive", pair.new).into());
                }
            }
        }
        if ours && target.image_id(pair.new).is_some() {
            records.push(self.measure(pair, UP_TO_DATE, 0, self.ends.docker_sync(&[pair.new]))?);
        }
        source.remove_image(pair.new)?;
        target.remove_image(pair.new)?;
        target.remove_image(pair.old)?;
        Ok(records)
    }

    /// Runs a command, with all eyes on it.
    fn measure(&self, pair: &Pair, method: &str, run: usize, mut command: Command) -> Result<Record> {
        let label = format!("{}/{method}/{run}", pair.name);
        let mut log = tempfile::tempfile()?;
        command.env("WIRE_LABEL", &label).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        let sampler = Sampler::start(self.sampled(&label));
        let start = Instant::now();
        let status = command.status();
        let seconds = start.elapsed().as_secs_f64();
        let [source, target] = sampler.stop()?;
        if !status?.success() {
            let mut said = String::new();
            log.rewind()?;
            log.read_to_string(&mut said)?;
            return Err(format!("{label} failed: {said}").into());
        }
        let wire = self.ends.lab.wire(&label)?;
        let record = Record {
            up: wire.up,
            down: wire.down,
            seconds: Some(seconds),
            source: Some(source),
            target: Some(target),
            ..self.computed(pair, method, 0)
        };
        println!("{label:<32} {:>8} {seconds:>8.1} s", bytes(record.bytes()));
        Ok(record)
    }

    /// A figure that needs no run.
    fn computed(&self, pair: &Pair, method: &str, down: u64) -> Record {
        let (pair, method) = (pair.name.to_owned(), method.to_owned());
        Record { pair, method, date: self.date.clone(), down, ..Record::default() }
    }

    fn sampled(&self, label: &str) -> [End; 2] {
        let end = |mark: String, host: &dsync_lab::Host| End {
            mark,
            temp: vec![host.tmp(), host.var_tmp()],
            engine_temp: host.engine().root().join("tmp"),
        };
        [end(self.mark.clone(), self.ends.source), end(format!("WIRE_LABEL={label}"), self.ends.target)]
    }
}

/// Writes figures down, in place of older ones of the same.
fn keep(out: &Path, new: &[Record], conditions: &str) -> Result {
    let raw = out.join("results.jsonl");
    let records = record::merge(record::read(&raw)?, new.to_vec());
    record::write(&raw, &records)?;
    Ok(fs::write(out.join("results.md"), table::document(&records, &bars::bars(&records), conditions))?)
}

/// One paragraph on how the figures came about.
fn conditions(bench: &Bench<'_>, options: &Options) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let engine =
        shell::output(bench.ends.source.docker().args(["version", "--format", "{{.Server.Version}}"]))?;
    Ok(format!(
        "Last measured on {} with `cargo xtask bench`: {} runs of each method, {cores} cores, Docker {}, two engines and \
         their sshds on one machine, loopback as fast as it goes.",
        bench.date,
        options.runs,
        engine.trim()
    ))
}

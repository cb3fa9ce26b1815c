//! `cargo xtask bench`: docker-sync and its rivals on real images, between two real engines.
//!
//! The target pulls the new image of a pair over a real ssh, whose bytes are counted. Records go to a file
//! as they are made; tables, plots and the verdict on the bars come from that file.

mod archive;
mod bars;
mod cable;
mod computed;
pub(crate) mod conditions;
mod homes;
mod method;
pub(crate) mod pair;
mod plot;
pub(crate) mod record;
mod results;
mod run;
mod sample;
mod svg;
mod table;

use std::path::PathBuf;

use dsync_lab::{EngineOptions, Lab, LoginOptions, packages};

use crate::{Result, show, workspace};
use cable::Cable;
use conditions::Conditions;
use method::{Ends, METHODS, Method};
use pair::{Pair, Supply};
use record::{Record, Scenario};
use results::Results;
use run::Bench;

/// By this variable the processes at the source are known.
const MARK: &str = "DOCKER_SYNC_BENCH";

const HELP: &str = "\
Every run is kept in results.jsonl as soon as its pair, scenario and link are done, in place of older runs of the \
same; so a long benchmark can be made in parts, and a part can be made anew. What is computed from the same images is \
not computed again. The command fails when a bar is missed.

Examples:
  Everything that is usual (hours, most of it for the slow links):
    cargo xtask bench
  One pair on two links, docker-sync alone:
    cargo xtask bench --pairs node --links lan,20M --methods docker-sync,docker-sync-max
  How the first sync of an image compares:
    cargo xtask bench --pairs django --scenarios cold
  Whether `auto` chooses well:
    cargo xtask bench --pairs pyml --scenarios update --methods docker-sync,docker-sync-1,docker-sync-9,docker-sync-18
  Try the benchmark itself:
    cargo xtask bench --pairs tiny --links lan -n 1 --out /tmp/results
  Tables and plots from what is there:
    cargo xtask bench --only-write";

/// What to measure.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct Options {
    /// Pairs of images [default: all but tiny]
    #[arg(long, value_name = "PAIRS", value_enum, value_delimiter = ',', default_values_t = pair::usual())]
    #[arg(hide_default_value = true)]
    pairs: Vec<&'static Pair>,

    /// Who has what at the beginning
    #[arg(long, value_name = "SCENARIOS", value_enum, value_delimiter = ',')]
    #[arg(default_values_t = [Scenario::Update, Scenario::Blind, Scenario::Cold])]
    scenarios: Vec<Scenario>,

    /// Links between the two ends; on a slow one, each method is run once
    #[arg(long = "links", visible_alias = "link", value_name = "LINKS", value_enum, value_delimiter = ',')]
    #[arg(default_values_t = cable::CABLES.iter().copied())]
    cables: Vec<&'static Cable>,

    /// Ways of moving images [default: all but the rare ones]
    #[arg(long, value_name = "METHODS", value_enum, value_delimiter = ',')]
    methods: Vec<&'static Method>,

    /// Rare methods as well: single levels, and what takes 20 minutes and more for a pair
    #[arg(long)]
    rare: bool,

    /// How often each method is run on a fast link
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    runs: usize,

    /// Leave out a run whose bytes alone would keep the link busy for longer, as far as they are known
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    longest: u64,

    /// Take images from archives DIR/NAME-TAG.tar instead of building them
    #[arg(long, value_name = "DIR")]
    archives: Option<PathBuf>,

    /// Measure this docker-sync instead of building one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,

    /// Where results go, beside those that are there [default: docs/benchmarks]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Measure nothing; make tables and plots from the results that are there
    #[arg(long)]
    only_write: bool,
}

impl Options {
    /// The methods that were asked for, in the order of the tables.
    fn methods(&self) -> Vec<&'static Method> {
        let asked = |method: &Method| match self.methods[..] {
            [] => !method.rare,
            _ => self.methods.iter().any(|asked| asked.name == method.name),
        };
        METHODS.iter().copied().filter(|method| asked(method) || (self.rare && method.rare)).collect()
    }
}

/// Measures, writes down, and says which bars hold.
pub(crate) fn run(options: &Options) -> Result {
    let out = options.out.clone().unwrap_or_else(|| workspace::root().join("docs/benchmarks"));
    let mut results = Results::open(&out)?;
    let failures = if options.only_write { Vec::new() } else { measure(options, &mut results)? };
    results.write_documents()?;

    let bars = bars::bars(results.records());
    show::heading("── bars ──");
    print!("{}", table::bar_table(&bars));
    show::note(format_args!("\nall figures: {}", out.join("results.md").display()));
    if !failures.is_empty() {
        return Err(format!("runs failed: {}\n{}", failures.len(), failures.join("\n")).into());
    }
    match bars.iter().filter(|bar| !bar.holds).count() {
        0 => Ok(()),
        missed => Err(format!("bars missed: {missed}").into()),
    }
}

/// Measures in a lab of its own; returns what failed.
fn measure(options: &Options, results: &mut Results) -> Result<Vec<String>> {
    packages::require(&[("zstd", "zstd"), ("rsync", "rsync"), ("bash", "bash")])?;
    let program = match &options.program {
        Some(program) => program.canonicalize()?,
        None => workspace::release_binary()?,
    };
    let mark = std::process::id().to_string();
    let login = LoginOptions { env: vec![(MARK.to_owned(), mark.clone())], ..LoginOptions::default() };
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
    let bench = Bench {
        ends: Ends { lab: &lab, source: lab.host("alpha"), target: lab.host("beta"), program: &program },
        supply,
        options,
        methods: options.methods(),
        mark: format!("{MARK}={mark}"),
        blank: blank(&lab)?,
    };
    let failures = bench.all(results)?;
    lab.stop()?;
    Ok(failures)
}

/// A record with all that does not depend on the run.
fn blank(lab: &Lab) -> Result<Record> {
    let Conditions { date, commit, machine } = Conditions::now()?;
    let engine = lab.host("alpha").engine().version()?;
    Ok(Record { date, commit, machine: format!("{machine} with Docker {engine}"), ..Record::default() })
}

//! `cargo xtask bench run`: docker-sync and its rivals on real images, between two real engines.
//!
//! The target pulls the new image of a pair over a real ssh, whose bytes are counted.

mod archive;
mod bars;
mod cable;
mod computed;
mod document;
mod homes;
mod method;
mod plot;
mod record;
mod run;
mod svg;

use std::path::PathBuf;

use dsync_lab::{EngineOptions, Lab, LoginOptions, packages};

use super::Out;
use super::conditions::Conditions;
use super::pair::{self, Pair, Supply};
use super::record::Records;
use crate::{Result, show, workspace};
use cable::Cable;
use method::{Ends, METHODS, Method};
pub(super) use record::Run;
use record::{Record, Scenario};
use run::Bench;

/// By this variable the processes at the source are known.
const MARK: &str = "DOCKER_SYNC_BENCH";

const HELP: &str = "\
What is computed from the same images is not computed again. The command fails when a bar is missed.

Examples:
  Everything that is usual (hours, most of it for the slow links):
    cargo xtask bench run
  One pair on two links, docker-sync alone:
    cargo xtask bench run --pairs node --links lan,20M --methods docker-sync,docker-sync-max
  How the first sync of an image compares:
    cargo xtask bench run --pairs django --scenarios cold
  Whether `auto` chooses well:
    cargo xtask bench run --pairs pyml --scenarios update --methods docker-sync,docker-sync-1,docker-sync-9,docker-sync-18
  Try the benchmark itself:
    cargo xtask bench run --pairs tiny --links lan -n 1 --out /tmp/results";

/// The measurement to make.
#[derive(clap::Args)]
#[command(after_long_help = HELP)]
pub(super) struct Options {
    /// Pairs of images [default: all but tiny]
    #[arg(long, value_name = "PAIRS", value_enum, value_delimiter = ',', default_values_t = pair::usual())]
    #[arg(hide_default_value = true)]
    pairs: Vec<&'static Pair>,

    /// Images at each end at the beginning
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

    /// Runs of each method on a fast link
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

    #[command(flatten)]
    out: Out,
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
pub(super) fn run(options: &Options) -> Result {
    let dir = options.out.dir();
    let mut records = Records::open(&dir)?;
    let failures = measure(options, &mut records)?;
    super::finish(&dir.join("results.md"), &failures)?;
    verdict(records.all())
}

/// Says which bars hold; it is an error where one does not.
pub(super) fn verdict(records: &[Record]) -> Result {
    let bars = bars::bars(records);
    show::heading("── bars ──");
    print!("{}", document::bar_table(&bars));
    match bars.iter().filter(|bar| !bar.holds).count() {
        0 => Ok(()),
        missed => Err(format!("bars missed: {missed}").into()),
    }
}

/// Measures in a lab of its own; returns what failed.
fn measure(options: &Options, records: &mut Records<Run>) -> Result<Vec<String>> {
    packages::require(&[("zstd", "zstd"), ("rsync", "rsync"), ("bash", "bash")])?;
    let program = match &options.program {
        Some(program) => program.canonicalize()?,
        None => workspace::release_binary()?,
    };
    let mark = std::process::id().to_string();
    let login = LoginOptions { env: vec![(MARK.to_owned(), mark.clone())], ..LoginOptions::default() };
    let mut lab = Lab::builder().host_with("alpha", EngineOptions::default(), login).host("beta");
    if options.archives.is_none() {
        // The base of a built image is not to be at the source as well.
        lab = lab.host("builder");
    }
    let lab = lab.start()?;
    let supply = match &options.archives {
        Some(dir) => Supply::Archives(dir),
        None => Supply::Builder(lab.host("builder").engine()),
    };
    let version = lab.host("alpha").engine().version()?;
    let bench = Bench {
        ends: Ends { lab: &lab, source: lab.host("alpha"), target: lab.host("beta"), program: &program },
        supply,
        options,
        methods: options.methods(),
        mark: format!("{MARK}={mark}"),
        conditions: Conditions::now()?.with([version.clone(), version]),
    };
    let failures = bench.all(records)?;
    lab.stop()?;
    Ok(failures)
}

//! `cargo xtask fuzz`: the targets of `crates/fuzz` under libFuzzer, for minutes or for nights.
//!
//! Targets take turns of two minutes, one process each, until each has had its time; what is known of them is written
//! after every turn, so a run can be stopped at any time. Corpora and the record are in the user's cache directory.

mod output;
mod process;
mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Result, shell, show, table, tools, workspace};
use record::{Record, Turn};

/// The most seconds that a target runs before the next has its turn.
const TURN: u64 = 120;
/// The document that has the table.
const DOCUMENT: &str = "docs/fuzzing.md";

/// Options of the fuzzing.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Targets; all where none is named
    targets: Vec<String>,
    /// Seconds of CPU that each target gets
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Count what earlier runs had: a target that had its seconds is left out
    #[arg(long)]
    in_all: bool,
    /// Processes at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Write the table of docs/fuzzing.md from what is known of all runs; alone, run nothing
    #[arg(long)]
    table: bool,
    /// Write fuzz/seeds anew; run nothing
    #[arg(long)]
    seeds: bool,
}

/// Builds and runs them.
pub(crate) fn run(options: &Options) -> Result {
    if options.seeds {
        let mut cargo = workspace::cargo();
        cargo.args(["run", "--quiet", "--package", "dsync-fuzz", "--example", "seeds", "--", "fuzz/seeds"]);
        show::command("", show::typed(&cargo));
        return shell::run(&mut cargo);
    }
    let place = tools::user_cache()?.join("docker-sync-fuzz");
    fs::create_dir_all(&place).map_err(|error| format!("cannot make {}: {error}", place.display()))?;
    let all = targets()?;
    if options.table && options.targets.is_empty() {
        return write_table(&Record::read(&place)?, &all);
    }
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        return Err(format!("there is no target {unknown}; there are {}", all.join(", ")).into());
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    let programs = build()?;

    let mut record = Record::read(&place)?;
    let left = |name: &String| {
        let had = if options.in_all { record.cpu(name) } else { Duration::ZERO };
        (name.clone(), Duration::from_secs(options.seconds).saturating_sub(had))
    };
    let mut waiting: Vec<(String, Duration)> =
        chosen.iter().map(left).filter(|(_, left)| !left.is_zero()).collect();
    let mut found = Vec::new();
    while !waiting.is_empty() {
        let mut next = Vec::new();
        for several in waiting.chunks(options.jobs.max(1)) {
            let turns: Vec<Result<Turn>> = std::thread::scope(|scope| {
                let running = several.iter().map(|(name, left)| {
                    let (programs, place) = (&programs, &place);
                    scope.spawn(move || turn(name, programs, place, *left).map_err(|error| error.to_string()))
                });
                let running: Vec<_> = running.collect();
                let joined =
                    running.into_iter().map(|thread| thread.join().map_err(|_| "it panicked".into()));
                joined.map(|turn: std::result::Result<_, String>| Ok(turn??)).collect()
            });
            for ((name, left), turn) in several.iter().zip(turns) {
                let turn = turn?;
                println!("{name}: {turn}");
                let left = left.saturating_sub(turn.cpu);
                match &turn.finding {
                    Some(finding) => found.push(format!("{name}: {finding}")),
                    None if !left.is_zero() => next.push((name.clone(), left)),
                    None => {}
                }
                record.add(name, turn);
                record.write(&place)?;
            }
        }
        waiting = next;
    }
    show::heading("── what is known ──");
    print!("{}", record.table(&with_regressions(&all)));
    if options.table {
        write_table(&record, &all)?;
    }
    found.iter().for_each(|finding| println!("{finding}"));
    if found.is_empty() { Ok(()) } else { Err(format!("findings: {}", found.len()).into()) }
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(workspace::root().join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Targets with the number of inputs that are kept of each since they found a fault.
fn with_regressions(targets: &[String]) -> Vec<(String, usize)> {
    let regressions = workspace::root().join("fuzz/regressions");
    let kept = |name: &String| fs::read_dir(regressions.join(name)).map_or(0, Iterator::count);
    targets.iter().map(|name| (name.clone(), kept(name))).collect()
}

/// Builds all targets; the directory of their programs.
fn build() -> Result<PathBuf> {
    let root = workspace::root();
    let target = root.join("target/fuzz");
    let mut fuzz = Command::new(tools::CARGO_FUZZ.executable()?);
    // The code has no unsafe blocks, and the sanitizer does not see into C code.
    fuzz.args(["fuzz", "build", "--sanitizer", "none", "--target-dir"]).arg(&target).current_dir(root);
    fuzz.env("RUSTUP_TOOLCHAIN", "nightly");
    for name in ["CARGO", "RUSTC", "CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
        fuzz.env_remove(name);
    }
    show::command("", show::typed(&fuzz));
    shell::run(&mut fuzz).map_err(|error| {
        format!("{error}; libFuzzer needs `rustup toolchain install nightly` and a C++ compiler")
    })?;
    let mut triples = fs::read_dir(&target)?.filter_map(|entry| Some(entry.ok()?.path().join("release")));
    Ok(triples.find(|folder| folder.is_dir()).ok_or("cargo-fuzz built nothing")?)
}

/// Runs a target for a while.
fn turn(name: &str, programs: &Path, place: &Path, left: Duration) -> Result<Turn> {
    let corpus = place.join("corpus").join(name);
    let artifacts = place.join("findings").join(name);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let seconds = left.as_secs().clamp(5, TURN);
    let mut program = Command::new(programs.join(name));
    program.arg(&corpus);
    program.arg(workspace::root().join("fuzz/seeds").join(name));
    program.arg(format!("-artifact_prefix={}/", artifacts.display()));
    program.arg(format!("-max_total_time={seconds}"));
    // Targets with stores in files make and remove thousands of them.
    if Path::new("/dev/shm").is_dir() {
        program.env("TMPDIR", "/dev/shm");
    }
    program.args([
        "-max_len=16384",
        "-timeout=30",
        "-report_slow_units=30",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]);
    let ran = process::run(program, &place.join(format!("{name}.log")))?;
    let mut files = fs::read_dir(&corpus)?.filter_map(|file| file.ok()?.metadata().ok());
    let corpus = files.try_fold((0, 0), |(count, len), file| Some((count + 1, len + file.len())));
    Ok(Turn { cpu: ran.cpu, corpus: corpus.unwrap_or_default(), ..ran.said })
}

/// Puts the table into the document.
fn write_table(record: &Record, targets: &[String]) -> Result {
    table::write(DOCUMENT, "cargo xtask fuzz --table", &record.table(&with_regressions(targets)))
}

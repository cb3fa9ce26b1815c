//! `cargo xtask`: what is done with this workspace rather than by it.
//!
//! Each subcommand is a module. Decisions (is this licence allowed, does this link lead anywhere, is this
//! figure good enough) are pure functions with tests; programs are run in [`shell`] and [`workspace`].

mod bench;
mod ci;
mod demo;
mod deny;
mod dist;
mod faults;
mod fuzz;
mod shell;
mod show;
mod table;
mod test;
mod tidy;
mod tools;
mod units;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An error, for a person; nothing here acts on its kind.
type Error = Box<dyn std::error::Error>;
/// The result of most functions here.
type Result<T = ()> = std::result::Result<T, Error>;

/// Tests, checks, demonstration and benchmark of docker-sync
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test of the workspace, after installing what they need; or, with --quick, those that need nothing
    Test(test::Options),
    /// Run all that a change has to pass: format, lints, rules, documentation, tests
    Ci,
    /// Check advisories, licences, bans and sources of all dependencies
    Deny,
    /// Check that the client compiles for macOS, with the toolchain of releases
    Macos,
    /// Build the program as it is released, for each machine, into archives and packages in dist
    Dist(dist::Options),
    /// Run fuzz targets under libFuzzer, which needs a nightly compiler, and print what came of it
    Fuzz(fuzz::Options),
    /// Kill and stop processes at every step of transfers, have their calls fail, and write docs/faults.md
    Faults(faults::Options),
    /// Check the rules of this repository that no other tool knows
    Tidy(tidy::Options),
    /// Show the main job: on two directories, and on two real engines where that is possible
    Demo,
    /// Measure docker-sync, and write docs/benchmarks
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Ci => ci::run(),
        Task::Deny => deny::run(),
        Task::Macos => dist::check_macos(),
        Task::Dist(options) => dist::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Faults(options) => faults::run(&options),
        Task::Tidy(options) => tidy::run(&options),
        Task::Demo => demo::run(),
        Task::Bench(options) => bench::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            anstream::eprintln!("{}", show::error(&*error));
            ExitCode::FAILURE
        }
    }
}

//! docker-sync: synchronise container images between hosts over ssh, moving as few bytes as can be.
//!
//! This crate is the terminal's side of it: arguments, report, progress, errors. How anything works is in
//! `dsync-sync`.

mod agents;
mod args;
mod backend;
mod cache;
mod complete;
mod context;
mod doctor;
mod error;
mod escape;
mod help;
mod manual;
mod parse;
mod password;
mod patch;
mod plugin;
mod progress;
mod quantity;
mod report;
mod results;
mod run;
mod shortage;
mod signals;
mod start;
mod style;
mod task;
mod terminal;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

fn main() -> ExitCode {
    start::start().into()
}

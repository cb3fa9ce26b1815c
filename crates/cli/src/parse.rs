//! Parses a command line into [`Cli`]; errors name the program as the help does.

use std::ffi::OsString;

use clap::FromArgMatches as _;

use crate::args::Cli;
use crate::help;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(
    name: &str,
    arguments: Vec<OsString>,
    color: clap::ColorChoice,
) -> Result<Cli, clap::Error> {
    let mut command = help::command(name).no_binary_name(true).color(color);
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

//! Parses a command line into [`Cli`]; errors name the program as the help does.

use std::ffi::OsString;

use clap::FromArgMatches as _;
use clap::error::{ContextKind, ContextValue};

use crate::args::Cli;
use crate::help;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(
    name: &str,
    arguments: Vec<OsString>,
    color: clap::ColorChoice,
) -> Result<Cli, clap::Error> {
    let mut command = help::command(name).no_binary_name(true).color(color);
    let matches = command.try_get_matches_from_mut(as_options(arguments)).map_err(without_wide_tip)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// The same arguments where the first is a word that other programs have for what is an option here.
fn as_options(mut arguments: Vec<OsString>) -> Vec<OsString> {
    match arguments.first().and_then(|word| word.to_str()) {
        Some("push") => arguments[0] = "--push".into(),
        Some("pull") => arguments[0] = "--pull".into(),
        Some("help") => {
            arguments.remove(0);
            arguments.push("--help".into());
        }
        _ => {}
    }
    arguments
}

/// Takes back the tip of an option that moves all images: whoever mistyped another would have it done.
fn without_wide_tip(mut error: clap::Error) -> clap::Error {
    let is_wide = |tip: &ContextValue| tip.to_string().contains("--all");
    if error.get(ContextKind::SuggestedArg).is_some_and(is_wide) {
        error.remove(ContextKind::SuggestedArg);
    }
    error
}

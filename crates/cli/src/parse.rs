//! Parses a command line into [`Cli`]; errors name the program as the help does.

use std::ffi::{OsStr, OsString};

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
    let arguments = as_options(name, arguments);
    let matches = command.try_get_matches_from_mut(arguments).map_err(without_wide_tip)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// The same arguments where the first that is no option is a word that other programs have for what is an option here.
fn as_options(name: &str, mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.first().is_some_and(|word| word == "help") {
        arguments.remove(0);
        arguments.push("--help".into());
    }
    let option = |word: &OsString| match word.to_str() {
        Some("push") => Some("--push"),
        Some("pull") => Some("--pull"),
        _ => None,
    };
    // The word that stands where the remote would; what is wrong otherwise is told when all is read.
    let remote = |arguments: &[OsString]| {
        let command = help::command(name).no_binary_name(true).ignore_errors(true);
        command.try_get_matches_from(arguments).ok()?.get_raw("remote")?.next().map(OsStr::to_owned)
    };
    // Behind `--` every word stands for itself.
    let words = arguments.iter().take_while(|word| *word != "--").enumerate();
    let places: Vec<usize> = words.filter(|(_, word)| option(word).is_some()).map(|(at, _)| at).collect();
    let is_word = |arguments: &[OsString]| remote(arguments).is_some_and(|remote| option(&remote).is_some());
    if places.is_empty() || !is_word(&arguments) {
        return arguments;
    }
    for at in places {
        let mut changed = arguments.clone();
        changed[at] = option(&arguments[at]).map_or_else(OsString::new, Into::into);
        if !is_word(&changed) {
            return changed;
        }
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

//! Parses a command line into [`Cli`]; errors name the program as the help does.

use std::ffi::{OsStr, OsString};

use clap::FromArgMatches as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Cli;
use crate::help;

/// Reads the arguments that follow the program's name.
pub(crate) fn parse(
    name: &str,
    arguments: Vec<OsString>,
    color: clap::ColorChoice,
) -> Result<Cli, clap::Error> {
    if let Some(word) = unknown_command(&arguments) {
        let message = format!("there is no command '{word}'; `{name} help` lists them");
        return Err(help::command(name).color(color).error(ErrorKind::InvalidSubcommand, message));
    }
    let arguments = command_first(name, arguments);
    let help = match arguments.first().and_then(|word| word.to_str()) {
        Some("push") => help::push(name),
        Some("pull") => help::pull(name),
        _ => help::command(name),
    };
    let mut command = help.no_binary_name(true).color(color);
    let arguments = as_options(name, arguments);
    let matches = command.try_get_matches_from_mut(arguments).map_err(without_wide_tip)?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut command))
}

/// The word that `help` is asked about, where that is no command.
fn unknown_command(arguments: &[OsString]) -> Option<&str> {
    let [help, word, ..] = arguments else { return None };
    let word = word.to_str().filter(|word| help == "help" && !word.starts_with('-'))?;
    let is_known = help::commands().iter().any(|command| command == word) || ["push", "pull"].contains(&word);
    (!is_known).then_some(word)
}

/// The word that stands where REMOTE would; what is wrong otherwise is told when all is read.
fn remote(name: &str, arguments: &[OsString]) -> Option<OsString> {
    let command = help::command(name).no_binary_name(true).ignore_errors(true);
    command.try_get_matches_from(arguments).ok()?.get_raw("remote")?.next().map(OsStr::to_owned)
}

/// The arguments in front of `--`, behind which every word stands for itself, with their places.
fn words(arguments: &[OsString]) -> impl Iterator<Item = (usize, &OsString)> {
    arguments.iter().take_while(|word| *word != "--").enumerate()
}

/// The same arguments with the command in front, and the options that stood before it behind it, as git and docker take
/// some.
fn command_first(name: &str, mut arguments: Vec<OsString>) -> Vec<OsString> {
    let commands = help::commands();
    let is_command = |(at, word): &(usize, &OsString)| {
        commands.iter().any(|command| *word == command.as_str())
            && (*at == 0 || remote(name, &arguments[..=*at]).is_some_and(|remote| remote == **word))
    };
    let Some((at, word)) = words(&arguments).find(is_command) else { return arguments };
    // Nobody pushes to a command.
    if arguments[..at].iter().any(|word| word == "--push" || word == "-p") {
        return arguments;
    }
    let is_help = word == "help";
    let end = words(&arguments).count();
    arguments[..end].rotate_left(at);
    if is_help {
        arguments[..end].rotate_left(1);
        arguments[end - 1] = "--help".into();
    }
    arguments
}

/// The same arguments where the first that is no option is a word that other programs have for what is an option here.
fn as_options(name: &str, arguments: Vec<OsString>) -> Vec<OsString> {
    let option = |word: &OsString| match word.to_str() {
        Some("push") => Some("--push"),
        Some("pull") => Some("--pull"),
        _ => None,
    };
    let places: Vec<usize> =
        words(&arguments).filter(|(_, word)| option(word).is_some()).map(|(at, _)| at).collect();
    let is_word =
        |arguments: &[OsString]| remote(name, arguments).is_some_and(|remote| option(&remote).is_some());
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

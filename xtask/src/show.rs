//! The look of this program: headings, commands, errors.

use std::fmt::Display;
use std::process::Command;

use anstyle::{AnsiColor, Style};

const HEADING: Style = Style::new().bold();
const COMMAND: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Prints a heading.
pub(crate) fn heading(text: impl Display) {
    anstream::println!("\n{HEADING}{text}{HEADING:#}\n");
}

/// Prints a command as it would be typed, after the name of the host where that matters.
pub(crate) fn command(host: &str, line: impl Display) {
    anstream::println!("{DIM}{host}${DIM:#} {COMMAND}{line}{COMMAND:#}");
}

/// Prints a remark.
pub(crate) fn note(text: impl Display) {
    anstream::println!("{DIM}{text}{DIM:#}");
}

/// Prints what was found to be as it must be.
pub(crate) fn good(text: impl Display) {
    anstream::println!("{GOOD}ok{GOOD:#}  {text}");
}

/// `ok` or `FAILED`, to be printed.
pub(crate) fn verdict(ok: bool) -> String {
    if ok { format!("{GOOD}ok    {GOOD:#}") } else { format!("{BAD}FAILED{BAD:#}") }
}

/// An error and what caused it, to be printed.
pub(crate) fn error(error: &dyn std::error::Error) -> String {
    let mut text = format!("{BAD}error:{BAD:#} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!("\n  because: {error}");
        cause = error.source();
    }
    text
}

/// A command as a person would type it: the program without its directory, quotes where a shell wants them.
pub(crate) fn typed(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let words = command.get_args().map(|word| quoted(&word.to_string_lossy()));
    std::iter::once(name.into_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_typed_again() {
        let mut command = Command::new("/somewhere/bin/docker-sync");
        command.args(["--ssh", "ssh -F x", "host", "", "it's"]);
        assert_eq!(typed(&command), r"docker-sync --ssh 'ssh -F x' host '' 'it'\''s'");
    }
}

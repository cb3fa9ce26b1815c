//! The terminals on standard output and standard error.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// The width of a terminal of which nobody knows it.
const USUAL: usize = 80;

/// True if standard error is a terminal on which a line can be written anew.
pub(crate) fn takes_lines_anew() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// True if the locale says that standard output shows more than ASCII.
pub(crate) fn output_shows_unicode() -> bool {
    supports_unicode::on(supports_unicode::Stream::Stdout)
}

/// True if the locale says that standard error shows more than ASCII.
pub(crate) fn errors_show_unicode() -> bool {
    supports_unicode::on(supports_unicode::Stream::Stderr)
}

/// The width of standard output, where it is a terminal.
pub(crate) fn width_of_output() -> Option<usize> {
    io::stdout().is_terminal().then(|| width(io::stdout()))
}

/// The width of standard error as a terminal.
pub(crate) fn width_of_errors() -> usize {
    width(io::stderr())
}

/// The width of standard error, where it is a terminal.
pub(crate) fn wraps_errors() -> Option<usize> {
    io::stderr().is_terminal().then(width_of_errors)
}

/// A text with its lines broken between words where they are wider than this; what goes on is indented by two columns
/// more than its line.
pub(crate) fn wrapped(text: &str, width: Option<usize>) -> Cow<'_, str> {
    let Some(width) = width.filter(|width| text.lines().any(|line| display_width(line) > *width)) else {
        return text.into();
    };
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let indent = " ".repeat(line.len() - line.trim_start_matches(' ').len() + 2);
        let options = Options::new(width)
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        out += &textwrap::fill(line, options);
        out += end;
    }
    out.into()
}

fn width(terminal: impl AsFd) -> usize {
    let named = || env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = rustix::termios::tcgetwinsize(terminal).ok().map(|size| usize::from(size.ws_col));
    asked.filter(|&columns| columns > 0).or_else(named).filter(|&columns| columns > 0).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_go_on_indented() {
        let text =
            "error: no image 'web:1'\n  caused by: it is not there, and nobody knows of it\nhint: look";
        assert_eq!(wrapped(text, None), text);
        assert_eq!(wrapped(text, Some(80)), text);
        let expected = "error: no image 'web:1'\n  caused by: it is not\n    there, and nobody knows\n    of it\nhint: look";
        assert_eq!(wrapped(text, Some(27)), expected);
        let colored = "\u{1b}[1merror:\u{1b}[0m a word";
        assert_eq!(wrapped(colored, Some(13)), colored, "colours take no room");
        let path = "cannot read /a/very/long/path/that/is-no/sentence";
        assert_eq!(wrapped(path, Some(20)), "cannot read\n  /a/very/long/path/that/is-no/sentence");
    }
}

//! The terminals on standard output and standard error.

use std::env;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// The width of a terminal of which nobody knows it.
const USUAL: usize = 80;

/// True if standard error is a terminal on which a line can be written anew.
pub(crate) fn takes_lines_anew() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The width of standard output, where it is a terminal.
pub(crate) fn width_of_output() -> Option<usize> {
    io::stdout().is_terminal().then(|| width(io::stdout()))
}

/// The width of standard error as a terminal.
pub(crate) fn width_of_errors() -> usize {
    width(io::stderr())
}

fn width(terminal: impl AsFd) -> usize {
    let named = || env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = rustix::termios::tcgetwinsize(terminal).ok().map(|size| usize::from(size.ws_col));
    asked.filter(|&columns| columns > 0).or_else(named).filter(|&columns| columns > 0).unwrap_or(USUAL)
}

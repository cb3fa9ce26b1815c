//! The manual page and the completion scripts.
//!
//! The page, and the scripts of shells that cannot ask the program, are made from the definition of the arguments by the
//! test below, and kept beside the source: what makes them is larger than they are.

use crate::args::Shell;

/// The manual page, in roff.
pub(crate) const PAGE: &str = include_str!("../generated/docker-sync.1");

/// The completion script for a shell.
pub(crate) fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../completions/docker-sync.bash"),
        Shell::Elvish => include_str!("../generated/docker-sync.elv"),
        Shell::Fish => include_str!("../completions/docker-sync.fish"),
        Shell::PowerShell => include_str!("../generated/docker-sync.ps1"),
        Shell::Zsh => include_str!("../completions/docker-sync.zsh"),
    }
}

#[cfg(test)]
#[path = "manual_tests.rs"]
mod tests;

//! The manual page and the completion scripts. They are made from the definition of the arguments by the test
//! below, and kept beside the source: what makes them is larger than they are, and the program is uploaded.

use crate::args::Shell;

/// The manual page, in roff.
pub(crate) const PAGE: &str = include_str!("../generated/docker-sync.1");

/// The completion script for a shell.
pub(crate) fn completions(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("../generated/docker-sync.bash"),
        Shell::Elvish => include_str!("../generated/docker-sync.elv"),
        Shell::Fish => include_str!("../generated/docker-sync.fish"),
        Shell::PowerShell => include_str!("../generated/docker-sync.ps1"),
        Shell::Zsh => include_str!("../generated/docker-sync.zsh"),
    }
}

#[cfg(test)]
#[path = "manual_tests.rs"]
mod tests;

//! The files that a package of a distribution installs, for each of them at its places.

use std::fs;
use std::path::Path;

use super::NOTICES;
use super::archive::Entry;
use crate::Result;

/// The places in which distributions differ.
pub(super) struct Places {
    /// The folder of completions for zsh.
    pub(super) zsh: &'static str,
    /// The file of this project's licence.
    pub(super) licence: &'static str,
    /// The folder of others' licences.
    pub(super) notices: &'static str,
}

/// The program, the plugin of the Docker CLI, the manual page, completions, licences and the changelog.
pub(super) fn files(root: &Path, program: &[u8], notices: &str, places: &Places) -> Result<Vec<Entry>> {
    let read = |path: &str| fs::read(root.join(path)).map_err(|error| format!("cannot read {path}: {error}"));
    Ok(vec![
        Entry::program("usr/bin/docker-sync", program.to_vec()),
        Entry::link("usr/libexec/docker/cli-plugins/docker-sync", "../../../bin/docker-sync"),
        Entry::file("usr/share/man/man1/docker-sync.1", read("crates/cli/generated/docker-sync.1")?),
        Entry::file(
            "usr/share/bash-completion/completions/docker-sync",
            read("crates/cli/completions/docker-sync.bash")?,
        ),
        Entry::file(
            "usr/share/fish/vendor_completions.d/docker-sync.fish",
            read("crates/cli/completions/docker-sync.fish")?,
        ),
        Entry::file(&format!("{}/_docker-sync", places.zsh), read("crates/cli/completions/docker-sync.zsh")?),
        Entry::file(places.licence, read("LICENSE")?),
        Entry::file(&format!("{}/{NOTICES}", places.notices), notices.into()),
        Entry::file("usr/share/doc/docker-sync/changelog.md", read("CHANGELOG.md")?),
    ])
}

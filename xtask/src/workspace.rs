//! This workspace as cargo and git see it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::{Result, shell, show};

/// The variable by which the end-to-end tests are told which program to test.
pub(crate) const BINARY: &str = "DOCKER_SYNC_BIN";

/// The directory of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the workspace")
}

/// The cargo that runs this program, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // These speak of xtask; another crate's build is not to be told of them.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        cargo.env_remove(name);
    }
    cargo
}

/// Builds `docker-sync` as it is released, which is also what a remote host gets; where it is.
pub(crate) fn release_binary() -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "docker-sync", "--bins"]);
    show::command("", show::typed(&build));
    build.args(["--message-format", "json-render-diagnostics"]);
    let messages = shell::output(&mut build)?;
    executable(&messages, "docker-sync").ok_or_else(|| "cargo built no docker-sync".into())
}

/// The program of this name that cargo's messages say was made.
pub(crate) fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    let made = messages.lines().filter_map(|line| serde_json::from_str::<Made>(line).ok());
    made.filter(|made| made.target.name == name).find_map(|made| made.executable)
}

/// A message of cargo about something it made.
#[derive(Deserialize)]
struct Made {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// The output of `cargo metadata`, as far as it is of use here.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
}

/// A package, ours or another's.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency of a package.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or nothing for what is part of the package.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    pub(crate) fn read() -> Result<Metadata> {
        let json = shell::output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
        Ok(serde_json::from_str(&json)?)
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// Its directory, from that of the workspace.
    pub(crate) fn dir(&self) -> &Path {
        let dir = self.manifest_path.parent().unwrap_or(&self.manifest_path);
        dir.strip_prefix(root()).unwrap_or(dir)
    }
}

/// The files of the repository, those not yet added included: path and text. What is no text is left out.
pub(crate) fn files() -> Result<Vec<(String, String)>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = shell::output(&mut git)?;
    let read = |name: &str| {
        let text = std::fs::read_to_string(root().join(name)).ok()?;
        Some((name.to_owned(), text))
    };
    Ok(names.split_terminator('\0').filter_map(read).collect())
}

#[cfg(test)]
impl Package {
    /// A package for a test.
    pub(crate) fn example(name: &str) -> Package {
        Package { name: name.to_owned(), ..Package::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_what_cargo_made() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"zstd"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"build-script-build"},"executable":"/t/build"}
{"reason":"compiler-artifact","target":{"name":"docker-sync"},"executable":"/t/triple/release/docker-sync"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages, "docker-sync"), Some("/t/triple/release/docker-sync".into()));
        assert_eq!(executable(messages, "scan"), None);
    }

    #[test]
    fn members_are_known_by_their_directory() {
        let metadata = Metadata::read().unwrap();
        let dirs: Vec<&Path> = metadata.members().map(Package::dir).collect();
        assert!(dirs.contains(&Path::new("xtask")) && dirs.contains(&Path::new("crates/core")), "{dirs:?}");
        assert!(metadata.packages.len() > dirs.len());
    }
}

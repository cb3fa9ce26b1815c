//! Finds a client program: on PATH, or in a place that a non-interactive ssh session often misses.
//!
//! `ssh host command` starts no login shell, so PATH there is short: package managers and NAS systems put
//! their programs elsewhere.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Looked at after PATH, in this order. `~` is the home directory.
const USUAL_PLACES: [&str; 14] = [
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/snap/bin",
    "/opt/homebrew/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "~/bin",
    "~/.local/bin",
    "~/.docker/bin",
    "/opt/bin",
    "/Applications/Docker.app/Contents/Resources/bin",
    "/var/packages/ContainerManager/target/usr/bin",
    "/var/packages/Docker/target/usr/bin",
];

/// The environment that decides where a program is.
pub(crate) struct Surroundings<'a> {
    /// `$PATH`.
    pub(crate) path: Option<OsString>,
    /// `$HOME`.
    pub(crate) home: Option<OsString>,
    /// True if there is a program.
    pub(crate) exists: &'a dyn Fn(&Path) -> bool,
}

/// The file of a program; one that is named with a slash is taken as it is.
pub(crate) fn locate(program: &str, around: &Surroundings<'_>) -> Option<PathBuf> {
    if program.contains('/') {
        let file = expand(program, around.home.as_deref())?;
        return (around.exists)(&file).then_some(file);
    }
    let path = around.path.iter().flat_map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    let usual = USUAL_PLACES.iter().filter_map(|place| expand(place, around.home.as_deref()));
    // An empty part of PATH means the current directory, which is no place to take a program from.
    path.filter(|directory| directory.is_absolute())
        .chain(usual)
        .map(|directory| directory.join(program))
        .find(|file| (around.exists)(file))
}

fn expand(place: &str, home: Option<&OsStr>) -> Option<PathBuf> {
    match place.strip_prefix("~/") {
        None => Some(place.into()),
        Some(rest) => home.filter(|home| !home.is_empty()).map(|home| Path::new(home).join(rest)),
    }
}

/// True if this is a file that somebody may execute.
pub(crate) fn is_program(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
    }
    #[cfg(not(unix))]
    metadata.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(program: &str, path: Option<&str>, home: Option<&str>, files: &[&str]) -> Option<PathBuf> {
        let exists = |file: &Path| files.iter().any(|known| Path::new(known) == file);
        locate(
            program,
            &Surroundings { path: path.map(Into::into), home: home.map(Into::into), exists: &exists },
        )
    }

    #[test]
    fn path_comes_first_and_the_usual_places_after() {
        let files = ["/opt/x/docker", "/usr/local/bin/docker", "/me/bin/docker"];
        assert_eq!(find("docker", Some("/opt/x:/bin"), None, &files), Some("/opt/x/docker".into()));
        assert_eq!(find("docker", Some("/bin"), None, &files), Some("/usr/local/bin/docker".into()));
        assert_eq!(find("docker", None, Some("/me"), &files[2..]), Some("/me/bin/docker".into()));
        assert_eq!(find("docker", None, None, &files[2..]), None);
        assert_eq!(find("podman", Some("/opt/x:/bin"), Some("/me"), &files), None);
        let nas = "/var/packages/ContainerManager/target/usr/bin/docker";
        assert_eq!(find("docker", Some("/bin"), None, &[nas]), Some(nas.into()));
    }

    #[test]
    fn the_current_directory_is_no_place() {
        assert_eq!(find("docker", Some(":./:bin"), None, &["docker", "./docker", "bin/docker"]), None);
    }

    #[test]
    fn a_named_file_is_taken_as_it_is() {
        assert_eq!(find("./docker", None, None, &["./docker"]), Some("./docker".into()));
        assert_eq!(find("~/d/docker", None, Some("/me"), &["/me/d/docker"]), Some("/me/d/docker".into()));
        assert_eq!(find("/a/docker", None, None, &["/usr/bin/docker"]), None);
    }
}

//! What the user means by a store: nothing, a client's command line, or a directory.

use std::path::PathBuf;
use std::str::FromStr;

/// Which image store of this host is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreSpec {
    /// Nothing was said: docker, or podman where there is no docker.
    #[default]
    Auto,
    /// The words of a client's command line: `podman`, `sudo -n docker`, `docker --context x`.
    Command(Vec<String>),
    /// An OCI image layout directory: `oci:DIR`.
    OciLayout(PathBuf),
    /// A saved archive: `docker-archive:FILE`.
    DockerArchive(PathBuf),
}

/// A text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// As a shell would see it.
    #[error("'{0}' is not a command line: a quote is not closed")]
    Quote(String),
    /// `oci:` alone.
    #[error("'oci:' names no directory: expected oci:DIR, as oci:/srv/images")]
    NoDirectory,
    /// `docker-archive:` alone.
    #[error("'docker-archive:' names no file: expected docker-archive:FILE, as docker-archive:web.tar")]
    NoFile,
    /// `oci-archive:` and the like, which are not stores that can be synchronised.
    #[error(
        "'{0}' is not supported: expected a client command (docker, 'sudo -n podman'), oci:DIR or docker-archive:FILE"
    )]
    Transport(String),
}

impl FromStr for StoreSpec {
    type Err = SpecError;

    /// Splits a command line as a POSIX shell does, without running one.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        const OTHER_TRANSPORTS: [&str; 5] =
            ["oci-archive:", "containers-storage:", "docker-daemon:", "dir:", "docker://"];
        let text = text.trim();
        if let Some(directory) = text.strip_prefix("oci:") {
            return match directory {
                "" => Err(SpecError::NoDirectory),
                _ => Ok(StoreSpec::OciLayout(directory.into())),
            };
        }
        if let Some(file) = text.strip_prefix("docker-archive:") {
            return match file {
                "" => Err(SpecError::NoFile),
                _ => Ok(StoreSpec::DockerArchive(file.into())),
            };
        }
        if OTHER_TRANSPORTS.iter().any(|transport| text.starts_with(transport)) {
            return Err(SpecError::Transport(text.into()));
        }
        let words = shlex::split(text).ok_or_else(|| SpecError::Quote(text.into()))?;
        Ok(if words.is_empty() { StoreSpec::Auto } else { StoreSpec::Command(words) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_name_stores() {
        let command = |words: &[&str]| {
            Ok(StoreSpec::Command(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()))
        };
        assert_eq!("".parse(), Ok(StoreSpec::Auto));
        assert_eq!(" ".parse(), Ok(StoreSpec::Auto));
        assert_eq!("podman".parse(), command(&["podman"]));
        assert_eq!("sudo -n docker --context 'my lab'".parse(), {
            command(&["sudo", "-n", "docker", "--context", "my lab"])
        });
        assert_eq!("docker -H ssh://host".parse(), command(&["docker", "-H", "ssh://host"]));
        assert_eq!("oci:/srv/a b".parse(), Ok(StoreSpec::OciLayout("/srv/a b".into())));
        assert_eq!("docker-archive:a.tar".parse(), Ok(StoreSpec::DockerArchive("a.tar".into())));
    }

    #[test]
    fn what_names_no_store_is_refused() {
        assert_eq!("oci:".parse::<StoreSpec>(), Err(SpecError::NoDirectory));
        assert!(matches!("docker 'x".parse::<StoreSpec>(), Err(SpecError::Quote(_))));
        assert_eq!("docker-archive:".parse::<StoreSpec>(), Err(SpecError::NoFile));
        assert!(matches!("oci-archive:a.tar".parse::<StoreSpec>(), Err(SpecError::Transport(_))));
    }
}

//! Parses the store that the user names: none, a client's command line, a directory, or a file.

use std::path::PathBuf;
use std::str::FromStr;

/// The image store of this host that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreSpec {
    /// None is named: docker, or podman where there is no docker.
    #[default]
    Auto,
    /// The words of a client's command line: `podman`, `sudo -n docker`, `docker --context x`.
    Command(Vec<String>),
    /// An OCI image layout directory: `oci:DIR`.
    OciLayout(PathBuf),
    /// A saved archive: `docker-archive:FILE`, `oci-archive:FILE`. What is in the file decides which of both it is.
    Archive {
        /// As the user wrote it.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// A text that names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The command line as a shell would see it.
    #[error("'{0}' is not a command line: a quote is not closed")]
    Quote(String),
    /// `oci:` alone.
    #[error("'oci:' names no directory: expected oci:DIR, as oci:/srv/images")]
    NoDirectory,
    /// `docker-archive:` or `oci-archive:` alone.
    #[error("'{0}' names no file: expected {0}FILE, as {0}web.tar")]
    NoFile(&'static str),
    /// `docker-daemon:` and the like, which are not stores that can be synchronised.
    #[error(
        "'{0}' is not supported: expected a client command (docker, 'sudo -n podman'), oci:DIR, docker-archive:FILE or oci-archive:FILE"
    )]
    Transport(String),
}

impl FromStr for StoreSpec {
    type Err = SpecError;

    /// Splits a command line as a POSIX shell does, without running one.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        const ARCHIVES: [&str; 2] = ["docker-archive:", "oci-archive:"];
        const OTHER_TRANSPORTS: [&str; 4] = ["containers-storage:", "docker-daemon:", "dir:", "docker://"];
        let text = text.trim();
        if let Some(directory) = text.strip_prefix("oci:") {
            return match directory {
                "" => Err(SpecError::NoDirectory),
                _ => Ok(StoreSpec::OciLayout(directory.into())),
            };
        }
        for archive in ARCHIVES {
            match text.strip_prefix(archive) {
                Some("") => return Err(SpecError::NoFile(archive)),
                Some(file) => return Ok(StoreSpec::Archive { name: text.into(), file: file.into() }),
                None => {}
            }
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
        for archive in ["docker-archive:a b.tar", "oci-archive:a b.tar"] {
            let expected = StoreSpec::Archive { name: archive.into(), file: "a b.tar".into() };
            assert_eq!(archive.parse(), Ok(expected));
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
        assert_eq!("oci:".parse::<StoreSpec>(), Err(SpecError::NoDirectory));
        assert!(matches!("docker 'x".parse::<StoreSpec>(), Err(SpecError::Quote(_))));
        assert_eq!("docker-archive:".parse::<StoreSpec>(), Err(SpecError::NoFile("docker-archive:")));
        assert_eq!("oci-archive:".parse::<StoreSpec>(), Err(SpecError::NoFile("oci-archive:")));
        assert!(matches!("docker-daemon:web:1".parse::<StoreSpec>(), Err(SpecError::Transport(_))));
    }
}

//! Parses the store that the user names: none, a client's command line, a directory, or a file.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The image store of this host that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StoreSpec {
    /// None is named: docker, else podman, else containerd, by what is there.
    #[default]
    Auto,
    /// The words of a client's command line: `podman`, `sudo -n docker`, `docker --context x` (also `context:x`).
    Command(Vec<String>),
    /// containerd, by the client `ctr`: `containerd`, or `containerd:NAMESPACE`. Another client of it is a command line.
    Containerd {
        /// Without one it is found.
        namespace: Option<String>,
    },
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
    /// `containerd:` with something that is no name of a namespace.
    #[error("'{0}' names no namespace: expected containerd:NAMESPACE, as containerd:k8s.io, or containerd")]
    NoNamespace(String),
    /// `context:` with something that is no name of a docker context.
    #[error("'{0}' names no docker context: expected context:NAME, as `docker context ls` shows it")]
    NoContext(String),
    /// `docker-archive:` or `oci-archive:` alone.
    #[error("'{0}' names no file: expected {0}FILE, as {0}web.tar")]
    NoFile(&'static str),
    /// `docker-daemon:` and the like, which are not stores that can be synchronised.
    #[error(
        "'{0}' is not supported: expected a client command (docker, 'sudo -n podman'), containerd[:NAMESPACE], oci:DIR, docker-archive:FILE or oci-archive:FILE"
    )]
    Transport(String),
}

impl StoreSpec {
    /// True if these words are a client of containerd: `k3s ctr`, `docker exec -i node ctr`.
    pub fn is_ctr(words: &[String]) -> bool {
        // A docker context may be called so, too.
        let name =
            |word: &String| Path::new(word).file_name().map(|name| name.to_string_lossy().into_owned());
        let names: Vec<String> = words.iter().filter_map(name).collect();
        let Some(at) = names.iter().position(|name| name == "ctr") else { return false };
        let before = |wanted: &[&str]| names[..at].iter().any(|word| wanted.contains(&word.as_str()));
        !before(&["docker", "podman", "nerdctl"]) || before(&["exec", "run"])
    }
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
        if let Some(name) = text.strip_prefix("context:") {
            // As `docker context create` takes names.
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_.+-".contains(&b);
            return match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(is_plain) {
                true => Ok(StoreSpec::Command(["docker", "--context", name].map(Into::into).into())),
                false => Err(SpecError::NoContext(text.into())),
            };
        }
        if text == "containerd" {
            return Ok(StoreSpec::Containerd { namespace: None });
        }
        if let Some(name) = text.strip_prefix("containerd:") {
            // Its grammar is that of host names, and `_` (containerd's `pkg/identifiers`).
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
            return match !name.is_empty() && name.bytes().all(is_plain) && !name.starts_with('-') {
                true => Ok(StoreSpec::Containerd { namespace: Some(name.into()) }),
                false => Err(SpecError::NoNamespace(text.into())),
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
        assert_eq!("context:prod-1".parse(), command(&["docker", "--context", "prod-1"]));
        for name in ["context:", "context:-x", "context:a b"] {
            assert_eq!(name.parse::<StoreSpec>(), Err(SpecError::NoContext(name.into())));
        }
        assert_eq!("docker -H ssh://host".parse(), command(&["docker", "-H", "ssh://host"]));
        assert_eq!("containerd".parse(), Ok(StoreSpec::Containerd { namespace: None }));
        let namespace = Some("k8s.io".to_owned());
        assert_eq!("containerd:k8s.io".parse(), Ok(StoreSpec::Containerd { namespace }));
        assert_eq!("oci:/srv/a b".parse(), Ok(StoreSpec::OciLayout("/srv/a b".into())));
        for archive in ["docker-archive:a b.tar", "oci-archive:a b.tar"] {
            let expected = StoreSpec::Archive { name: archive.into(), file: "a b.tar".into() };
            assert_eq!(archive.parse(), Ok(expected));
        }
    }

    #[test]
    fn clients_of_containerd_are_told_from_others() {
        let is_ctr = |line: &str| StoreSpec::is_ctr(&shlex::split(line).unwrap());
        for line in ["ctr", "sudo -n ctr", "k3s ctr", "/opt/bin/ctr -n k8s.io", "docker exec -i node ctr"] {
            assert!(is_ctr(line), "{line}");
        }
        for line in ["docker", "docker --context ctr", "sudo -n docker", "nerdctl", "podman -c ctr"] {
            assert!(!is_ctr(line), "{line}");
        }
    }

    #[test]
    fn what_names_no_store_is_refused() {
        assert_eq!("oci:".parse::<StoreSpec>(), Err(SpecError::NoDirectory));
        for text in ["containerd:", "containerd:a b", "containerd:-n"] {
            assert_eq!(text.parse::<StoreSpec>(), Err(SpecError::NoNamespace(text.into())));
        }
        assert!(matches!("docker 'x".parse::<StoreSpec>(), Err(SpecError::Quote(_))));
        assert_eq!("docker-archive:".parse::<StoreSpec>(), Err(SpecError::NoFile("docker-archive:")));
        assert_eq!("oci-archive:".parse::<StoreSpec>(), Err(SpecError::NoFile("oci-archive:")));
        assert!(matches!("docker-daemon:web:1".parse::<StoreSpec>(), Err(SpecError::Transport(_))));
    }
}

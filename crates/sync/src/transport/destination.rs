//! REMOTE, as the user names it.

use std::fmt;
use std::str::FromStr;

/// The place of the other store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// On a host that ssh reaches.
    Ssh(Destination),
    /// In another store of this host: `oci:DIR`, `docker-archive:FILE`, `oci-archive:FILE`, `containerd:NAMESPACE`.
    Layout(String),
}

/// A host as ssh is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// `host`, `user@host`, or an alias of the ssh config.
    pub host: String,
    /// Only of `ssh://host:port`.
    pub port: Option<u16>,
}

/// A text that cannot be a remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Nothing there.
    #[error(
        "the remote is empty: expected user@host, an ssh alias, ssh://user@host:port, oci:DIR, docker-archive:FILE, oci-archive:FILE, or containerd:NAMESPACE"
    )]
    Empty,
    /// It would be taken for an option by ssh.
    #[error("'{0}' is refused as a remote: a host must not begin with '-'")]
    Dash(String),
    /// White space or control characters.
    #[error("'{0}' cannot be a host: it contains white space or control characters")]
    Characters(String),
    /// `ssh://` with something that is no port, or with a path.
    #[error("'{0}' is not an ssh URL: expected ssh://[user@]host[:port]")]
    Url(String),
}

/// True if a text names a store in files of this host.
pub fn is_file(text: &str) -> bool {
    ["oci:", "docker-archive:", "oci-archive:"].iter().any(|kind| text.starts_with(kind))
}

/// True if a text names a store of this host that can be a remote: files, or a containerd. An ssh host has no colon.
pub fn is_store_here(text: &str) -> bool {
    is_file(text) || text.starts_with("containerd:")
}

/// The same files for the process that serves them, whose standard input is another than this one's.
pub(crate) fn for_child(spec: &str) -> String {
    const STDIN: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
    match spec.split_once(':') {
        Some((kind, path)) if STDIN.contains(&path) => format!("{kind}:/proc/{}/fd/0", std::process::id()),
        _ => spec.into(),
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        if text.is_empty() {
            return Err(RemoteError::Empty);
        }
        if is_store_here(text) {
            return Ok(Remote::Layout(text.into()));
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(RemoteError::Characters(text.escape_default().to_string()));
        }
        let destination = match text.strip_prefix("ssh://") {
            None => Destination { host: text.into(), port: None },
            Some(rest) => parse_url(rest).ok_or_else(|| RemoteError::Url(text.into()))?,
        };
        let host = destination.host.rsplit_once('@').map_or(&destination.host[..], |(_, host)| host);
        if destination.host.starts_with('-') || host.starts_with('-') {
            return Err(RemoteError::Dash(text.into()));
        }
        if host.is_empty() {
            return Err(RemoteError::Empty);
        }
        Ok(Remote::Ssh(destination))
    }
}

/// `[user@]host[:port][/]`, the host perhaps an IPv6 address in brackets.
fn parse_url(rest: &str) -> Option<Destination> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains('/') {
        return None;
    }
    let (user, address) = match rest.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, rest),
    };
    let (host, port) = if let Some(bracketed) = address.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']')?;
        match after {
            "" => (host, None),
            _ => (host, Some(after.strip_prefix(':')?)),
        }
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|&port: &u16| port > 0)?),
    };
    let host = match user {
        Some(user) => format!("{user}@{host}"),
        None => host.into(),
    };
    Some(Destination { host, port })
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Ssh(destination) => f.write_str(&destination.host),
            Remote::Layout(spec) => f.write_str(spec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(text: &str) -> (String, Option<u16>) {
        match text.parse() {
            Ok(Remote::Ssh(d)) => (d.host, d.port),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_ssh_takes_is_taken() {
        assert_eq!(ssh("user@host"), ("user@host".into(), None));
        assert_eq!(ssh("alias"), ("alias".into(), None));
        assert_eq!(ssh("ssh://me@host:2222"), ("me@host".into(), Some(2222)));
        assert_eq!(ssh("ssh://host/"), ("host".into(), None));
        assert_eq!(ssh("ssh://me@[::1]:22"), ("me@::1".into(), Some(22)));
        for files in ["oci:/srv/x", "docker-archive:a b.tar", "oci-archive:x.tar", "containerd:k8s.io"] {
            assert_eq!(files.parse(), Ok(Remote::Layout(files.into())));
        }
    }

    #[test]
    fn standard_input_is_that_of_this_process() {
        let own = format!("docker-archive:/proc/{}/fd/0", std::process::id());
        assert_eq!(for_child("docker-archive:/dev/stdin"), own);
        assert_eq!(for_child("docker-archive:/dev/stdin.tar"), "docker-archive:/dev/stdin.tar");
    }

    #[test]
    fn what_would_be_an_option_or_no_host_is_refused() {
        for text in ["-oProxyCommand=x", "user@-oProxyCommand=x", "ssh://-x", "ssh://me@-x:22"] {
            assert!(matches!(text.parse::<Remote>(), Err(RemoteError::Dash(_))), "{text}");
        }
        for text in ["", "me@", "ssh://"] {
            assert_eq!(text.parse::<Remote>(), Err(RemoteError::Empty), "{text}");
        }
        for text in ["ssh://host:0", "ssh://host:x", "ssh://host/path", "ssh://[::1", "ssh://[::1]22"] {
            assert!(matches!(text.parse::<Remote>(), Err(RemoteError::Url(_))), "{text}");
        }
        assert!(matches!("a b".parse::<Remote>(), Err(RemoteError::Characters(_))));
    }
}

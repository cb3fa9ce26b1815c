//! Links: the names by which ssh reaches a login, each with its own cable and its own trust.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// One more way to a login.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link {
    /// Megabits a second, each way; 0 is as fast as it goes.
    pub rate_mbit: f64,
    /// The round trip in milliseconds.
    pub rtt_ms: f64,
    /// The cable is cut once so many bytes went up, to the host.
    pub cut_up: Option<u64>,
    /// The cable is cut once so many bytes came down, from the host.
    pub cut_down: Option<u64>,
    /// All that goes up waits at the gate once so many bytes went up.
    pub hold_up: Option<u64>,
    /// All that comes down waits at it once so many bytes came down.
    pub hold_down: Option<u64>,
    /// The directory of a [`Gate`](crate::Gate).
    pub gate: Option<PathBuf>,
    /// The host key that ssh knows.
    pub host_key: HostKey,
    /// The key that ssh logs in with.
    pub identity: Identity,
    /// Straight to the sshd: nothing is counted, and rate, delay and cut do not apply.
    pub raw: bool,
}

/// The host key that ssh knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HostKey {
    /// The right one.
    #[default]
    Known,
    /// Another one, as if the host had been replaced.
    Changed,
    /// Nothing, as at the first contact; and nobody is there to say yes.
    Unknown,
}

/// With which key ssh logs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Identity {
    /// One that the host accepts.
    #[default]
    Accepted,
    /// One that the host does not know.
    Stranger,
}

/// The paths of the files that the ssh configuration names.
pub(crate) struct Files<'a> {
    pub(crate) wire: &'a Path,
    pub(crate) log: &'a Path,
    /// The lab's directory, with the identities.
    pub(crate) lab: &'a Path,
    /// The login's directory, with its known hosts.
    pub(crate) login: &'a Path,
}

impl Link {
    /// The block of the ssh configuration for this link.
    pub(crate) fn ssh_config(&self, alias: &str, user: &str, port: u16, files: &Files<'_>) -> String {
        let known_hosts = match self.host_key {
            HostKey::Known => "known_hosts",
            HostKey::Changed => "known_hosts.changed",
            HostKey::Unknown => "known_hosts.none",
        };
        let identity = match self.identity {
            Identity::Accepted => "id_ed25519",
            Identity::Stranger => "id_stranger",
        };
        let mut text = format!("Host {alias}\n\tHostName 127.0.0.1\n\tPort {port}\n\tUser {user}\n");
        let mut line = |words: std::fmt::Arguments<'_>| {
            writeln!(text, "\t{words}").expect("a String takes all that is written to it");
        };
        line(format_args!("HostKeyAlias lab"));
        line(format_args!("UserKnownHostsFile {}/{known_hosts}", files.login.display()));
        line(format_args!("IdentityFile {}/{identity}", files.lab.display()));
        if !self.raw {
            let (wire, log) = (files.wire.display(), files.log.display());
            // ssh ends its proxy with a hangup, and a Ctrl-C goes to the whole group; but the proxy has
            // something to write down first.
            line(format_args!("ProxyCommand setsid nohup {wire} --log {log}{} %h %p", self.flags()));
        }
        text
    }

    fn flags(&self) -> String {
        let mut flags = String::new();
        let mut flag = |name: &str, value: String| flags.extend([" --", name, " ", &value]);
        if self.rate_mbit > 0.0 {
            flag("rate-mbit", self.rate_mbit.to_string());
        }
        if self.rtt_ms > 0.0 {
            flag("rtt-ms", self.rtt_ms.to_string());
        }
        if let Some(bytes) = self.cut_up {
            flag("cut-up", bytes.to_string());
        }
        if let Some(bytes) = self.cut_down {
            flag("cut-down", bytes.to_string());
        }
        if let Some(bytes) = self.hold_up {
            flag("hold-up", bytes.to_string());
        }
        if let Some(bytes) = self.hold_down {
            flag("hold-down", bytes.to_string());
        }
        if let Some(dir) = &self.gate {
            flag("gate", dir.display().to_string());
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(link: &Link) -> String {
        let files = Files {
            wire: Path::new("/p/lab-wire"),
            log: Path::new("/l/wire.jsonl"),
            lab: Path::new("/l"),
            login: Path::new("/l/logins/beta"),
        };
        link.ssh_config("beta-x", "root", 2222, &files)
    }

    #[test]
    fn a_slow_link_that_breaks() {
        let link = Link { rate_mbit: 20.0, rtt_ms: 50.0, cut_down: Some(1000), ..Link::default() };
        let expected = "Host beta-x\n\tHostName 127.0.0.1\n\tPort 2222\n\tUser root\n\tHostKeyAlias lab\n\
            \tUserKnownHostsFile /l/logins/beta/known_hosts\n\tIdentityFile /l/id_ed25519\n\
            \tProxyCommand setsid nohup /p/lab-wire --log /l/wire.jsonl --rate-mbit 20 --rtt-ms 50 --cut-down 1000 %h %p\n";
        assert_eq!(config(&link), expected);
    }

    #[test]
    fn a_raw_link_has_no_proxy_and_trust_can_be_wrong() {
        let link =
            Link { raw: true, host_key: HostKey::Changed, identity: Identity::Stranger, ..Link::default() };
        let text = config(&link);
        assert!(!text.contains("ProxyCommand"), "{text}");
        assert!(text.contains("known_hosts.changed") && text.contains("id_stranger"), "{text}");
    }
}

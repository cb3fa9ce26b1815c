//! A lab: its directory, its hosts, and the ssh configuration that names them all.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::files::{set_mode, write};
use crate::keeper::{self, Keeper};
use crate::login::Surroundings;
use crate::sshd::make_key;
use crate::wire::{self, Total};
use crate::{Engine, EngineOptions, Host, LabError, Link, LoginOptions, packages};

/// The variable that names the directory of labs; without it, `/tmp`. Sockets need a short path.
pub const BASE: &str = "DOCKER_SYNC_LAB_DIR";

/// A running lab. Dropped, all of it ends; and so it does when the process ends without a drop.
#[derive(Debug)]
pub struct Lab {
    hosts: Vec<Host>,
    surroundings: Arc<Surroundings>,
    keeper: Option<Keeper>,
}

/// The properties of a lab.
#[derive(Debug, Clone)]
pub struct LabBuilder {
    hosts: Vec<(String, EngineOptions, LoginOptions)>,
    wan: Link,
}

impl Lab {
    /// A lab of hosts that each have the machine's `dockerd`.
    pub fn start(hosts: &[&str]) -> Result<Lab, LabError> {
        hosts.iter().fold(Lab::builder(), |builder, name| builder.host(name)).start()
    }

    /// A lab to be described.
    pub fn builder() -> LabBuilder {
        LabBuilder { hosts: Vec::new(), wan: Link { rate_mbit: 20.0, rtt_ms: 50.0, ..Link::default() } }
    }

    /// The host of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn host(&self, name: &str) -> &Host {
        let host = self.hosts.iter().find(|host| host.name() == name);
        host.unwrap_or_else(|| panic!("the lab has no host '{name}'"))
    }

    /// All hosts, in the order they were asked for.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// For `ssh -F`: all hosts, logins and links by name.
    pub fn ssh_config(&self) -> PathBuf {
        self.dir().join("ssh_config")
    }

    /// `ssh` to any of the names, with the lab's configuration.
    pub fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.ssh_config());
        ssh
    }

    /// The bytes of all connections that were made with this `WIRE_LABEL` in ssh's environment. Waits for
    /// those that are just ending.
    pub fn wire(&self, label: &str) -> Result<Total, LabError> {
        wire::total(&self.surroundings.log, label)
    }

    /// The log of all connections.
    pub fn wire_log(&self) -> &Path {
        &self.surroundings.log
    }

    /// The lab's directory.
    pub fn dir(&self) -> &Path {
        &self.surroundings.dir
    }

    /// Ends the lab and says whether that went well, which a drop can only print.
    pub fn stop(mut self) -> Result<(), LabError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), LabError> {
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        let result = keeper.release();
        for host in &self.hosts {
            host.engine().reap();
        }
        result
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("lab: {error}");
        }
    }
}

impl LabBuilder {
    /// One more host, with the machine's `dockerd` and a plain login.
    pub fn host(self, name: &str) -> Self {
        self.host_with(name, EngineOptions::default(), LoginOptions::default())
    }

    /// One more host, with this engine and this login.
    pub fn host_with(mut self, name: &str, engine: EngineOptions, login: LoginOptions) -> Self {
        self.hosts.push((name.to_owned(), engine, login));
        self
    }

    /// The link of names that end in `-wan`; 20 Mbit/s and 50 ms by default.
    pub fn wan(mut self, rate_mbit: f64, rtt_ms: f64) -> Self {
        self.wan = Link { rate_mbit, rtt_ms, ..Link::default() };
        self
    }

    /// Starts all hosts, the engines side by side.
    pub fn start(self) -> Result<Lab, LabError> {
        packages::require(&[
            ("sshd", "openssh-server"),
            ("ssh", "openssh-client"),
            ("unshare", "util-linux"),
            ("mount", "mount"),
        ])?;
        packages::require_root()?;
        let base = PathBuf::from(env::var_os(BASE).unwrap_or_else(|| "/tmp".into()));
        check_base(&base)?;
        keeper::remove_stale(&base)?;

        let cannot = || LabError::io(format_args!("make a lab in {}", base.display()));
        let programs = crate::programs::directory()?;
        let dir = tempfile::Builder::new().prefix(keeper::PREFIX).tempdir_in(&base).map_err(cannot())?.keep();
        let keeper = Keeper::start(&dir)?;
        let surroundings = Arc::new(Surroundings {
            wire: programs.join("lab-wire"),
            log: dir.join("wire.jsonl"),
            wan: self.wan.clone(),
            dir,
        });
        let mut lab = Lab { hosts: Vec::new(), surroundings, keeper: Some(keeper) };
        self.fill(&mut lab)?;
        Ok(lab)
    }

    /// A failure here ends the lab by its drop.
    fn fill(&self, lab: &mut Lab) -> Result<(), LabError> {
        let dir = lab.dir().to_owned();
        // A guest must reach its home.
        set_mode(&dir, 0o755)?;
        for name in ["engines", "logins", "paths"] {
            fs::create_dir(dir.join(name)).map_err(LabError::io("make a lab"))?;
        }
        File::create(lab.wire_log()).map_err(LabError::io("make a wire log"))?;
        make_key(&dir.join("id_ed25519"), "lab")?;
        make_key(&dir.join("id_stranger"), "stranger")?;
        write(&lab.ssh_config(), &ssh_config(&dir))?;

        let mut engines = Vec::new();
        for (name, options, _) in &self.hosts {
            if engines.iter().any(|(known, _): &(&String, Engine)| *known == name) {
                return Err(LabError::Usage(format!("two hosts are called '{name}'")));
            }
            engines.push((name, Engine::start(&dir.join("engines").join(name), options)?));
        }
        for ((name, engine), (_, _, login)) in engines.into_iter().zip(&self.hosts) {
            lab.hosts.push(Host::start(&lab.surroundings, name, engine, login)?);
        }
        for host in &lab.hosts {
            host.engine().wait_ready()?;
        }
        Ok(())
    }
}

/// Each login and link has a file of its own, so that they can come and go at any time.
fn ssh_config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Include {dir}/logins/*/ssh_config\n\
         Include {dir}/logins/*/links/*.conf\n\
         Host *\n\
         \tIdentitiesOnly yes\n\
         \tIdentityAgent none\n\
         \tGlobalKnownHostsFile none\n\
         \tStrictHostKeyChecking yes\n\
         \tUpdateHostKeys no\n\
         \tBatchMode yes\n\
         \tLogLevel ERROR\n"
    )
}

/// Sockets have short paths, and configuration files have no quoting that all their readers know.
fn check_base(base: &Path) -> Result<(), LabError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+".contains(&b);
    let path = base.as_os_str().as_encoded_bytes();
    if !base.is_absolute() || path.len() > 40 || !path.iter().all(|b| plain(*b)) {
        let base = base.display();
        return Err(LabError::Usage(format!(
            "{BASE} must be an absolute path of at most 40 plain characters, not '{base}'"
        )));
    }
    fs::create_dir_all(base).map_err(LabError::io(format_args!("create {}", base.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_must_be_short_and_plain() {
        assert!(check_base(Path::new("/tmp")).is_ok());
        for base in ["tmp", "/tmp/with space", "/tmp/%h", &format!("/tmp/{}", "x".repeat(40))] {
            assert!(check_base(Path::new(base)).is_err(), "{base}");
        }
    }
}

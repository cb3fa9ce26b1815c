//! The sshd of a login, and the mount namespace around it.
//!
//! One root account plays many hosts: in the namespace, `/etc/passwd` gives it this login's home and
//! shell, `/var/tmp` and `/dev/shm` are the login's own, and directories can be read-only or forbid
//! programs. From outside, the same files are seen with none of this. The namespace ends with its last
//! process, so there is nothing to unmount.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::account::{GUEST_ID, LoginOptions, Place, Sudo};
use crate::command::{run, tail};
use crate::files::{set_mode, write};
use crate::process::Found;
use crate::{LabError, arm64, packages};

/// An sshd to be started.
pub(crate) struct Sshd<'a> {
    /// The login's directory.
    pub(crate) dir: &'a Path,
    /// The lab's directory, with the public key that may log in.
    pub(crate) lab: &'a Path,
    /// The account's shell.
    pub(crate) shell: &'a Path,
    /// The directory with the account's programs, where they are not this machine's.
    pub(crate) root: Option<&'a Path>,
    /// The properties of the login.
    pub(crate) options: &'a LoginOptions,
}

impl Sshd<'_> {
    /// Starts it with these variables for the account; the port it listens on.
    pub(crate) fn start(&self, env: &[(String, String)]) -> Result<u16, LabError> {
        make_key(&self.dir.join("host_key"), "host")?;
        self.write_accounts()?;
        self.write_script()?;
        // The directory into which sshd confines a process that needs no files; the package's service would make it.
        fs::create_dir_all("/run/sshd").map_err(LabError::io("create /run/sshd"))?;
        // Somebody else may take a port between our look and sshd's.
        for _ in 0..5 {
            let port = free_port()?;
            self.write_config(port, env)?;
            run(Command::new("unshare")
                .args(["--mount", "--propagation", "private", "--", "/bin/sh"])
                .arg(self.dir.join("start")))?;
            if self.is_up()? {
                return Ok(port);
            }
        }
        let log = self.dir.join("sshd.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        Err(LabError::NotReady { what: "sshd".to_owned(), log, tail: tail(&text, 8) })
    }

    /// True if it listens; false if the port was taken.
    fn is_up(&self) -> Result<bool, LabError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        let (pid_file, log) = (self.dir.join("sshd.pid"), self.dir.join("sshd.log"));
        while Instant::now() < deadline {
            // sshd writes its pid once it is bound.
            if Found::by_pid_file(&pid_file, &self.dir.display().to_string()).is_some() {
                return Ok(true);
            }
            if fs::read_to_string(&log).is_ok_and(|text| text.contains("Address already in use")) {
                fs::remove_file(&log).map_err(LabError::io("remove sshd's log"))?;
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(false)
    }

    fn write_config(&self, port: u16, env: &[(String, String)]) -> Result<(), LabError> {
        let (dir, lab) = (self.dir.display(), self.lab.display());
        let forced = self.options.forced.as_ref();
        let forced = forced.map_or(String::new(), |command| format!("ForceCommand {command}\n"));
        let root = self.root.map_or(String::new(), |_| format!("ChrootDirectory {}\n", arm64::ROOT));
        let mut set_env = String::new();
        for (name, value) in env {
            if value.contains(['"', '\n']) {
                return Err(LabError::Usage(format!("{name} cannot have the value {value:?} in a login")));
            }
            set_env.push_str(&format!(" \"{name}={value}\""));
        }
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\n\
             HostKey {dir}/host_key\n\
             PidFile {dir}/sshd.pid\n\
             AuthorizedKeysFile {lab}/id_ed25519.pub\n\
             AuthenticationMethods publickey\n\
             PermitRootLogin prohibit-password\n\
             StrictModes no\n\
             UsePAM no\n\
             PrintMotd no\n\
             MaxStartups 200\n\
             MaxSessions 100\n\
             Subsystem sftp internal-sftp\n\
             SetEnv{set_env}\n{forced}{root}"
        );
        write(&self.dir.join("sshd_config"), &config)
    }

    /// The tables of accounts: the machine's, with this login's home and shell.
    fn write_accounts(&self) -> Result<(), LabError> {
        let table = |path: &str| fs::read_to_string(path).map_err(LabError::io(format_args!("read {path}")));
        let (home, shell) = (self.dir.join("home"), self.shell);
        write(&self.dir.join("passwd"), &passwd(&table("/etc/passwd")?, &home, shell))?;
        // A password that is no password, and not the "!" by which sshd knows a locked account.
        let guest = if self.options.sudo.is_some() { Sudo::HASH } else { "*" };
        let mut shadow = format!("root:*:19000:0:99999:7:::\nguest:{guest}:19000:0:99999:7:::\n");
        for line in table("/etc/shadow")?.lines().filter(|line| !is_account(line)) {
            shadow.push_str(line);
            shadow.push('\n');
        }
        // The users that a guest may play, as an engine without root does.
        write(&self.dir.join("subid"), "guest:200000:65536\n")?;
        if let Some(sudo) = &self.options.sudo {
            let file = self.dir.join("sudoers");
            write(&file, &sudo.sudoers())?;
            set_mode(&file, 0o440)?;
        }
        let file = self.dir.join("shadow");
        write(&file, &shadow)?;
        set_mode(&file, 0o600)
    }

    /// The script for the new namespace: mounts, then sshd.
    fn write_script(&self) -> Result<(), LabError> {
        let dir = self.dir.display();
        let mut script = format!("set -e\n{}", self.without_absent());
        let mut bind = |from: &str, to: &str, flags: &str| {
            script.push_str(&format!("mount --bind '{from}' '{to}'\n"));
            if !flags.is_empty() {
                script.push_str(&format!("mount -o remount,bind{flags} '{to}'\n"));
            }
        };
        for (from, to) in [
            ("passwd", "/etc/passwd"),
            ("shadow", "/etc/shadow"),
            ("subid", "/etc/subuid"),
            ("subid", "/etc/subgid"),
            ("var-tmp", "/var/tmp"),
            ("shm", "/dev/shm"),
            ("sudoers", "/etc/sudoers"),
        ] {
            if to == "/etc/sudoers" && self.options.sudo.is_none() {
                continue;
            }
            // The smallest systems have no tables of users to play.
            if !Path::new(to).exists() {
                continue;
            }
            bind(&format!("{dir}/{from}"), to, "");
        }
        let mut flags: BTreeMap<PathBuf, String> = BTreeMap::new();
        for (places, flag) in [(&self.options.read_only, ",ro"), (&self.options.no_exec, ",noexec")] {
            for place in places {
                flags.entry(self.path(place)).or_default().push_str(flag);
            }
        }
        for (path, flags) in flags {
            // On a bind mount of itself, so that the flags are for this directory alone.
            let path = path.display();
            bind(&path.to_string(), &path.to_string(), &flags);
        }
        if let Some(root) = self.root {
            script.push_str(&arm64::script(root, self.lab));
        }
        let sshd = packages::find("sshd").unwrap_or_else(|| PathBuf::from("/usr/sbin/sshd"));
        script.push_str(&format!("exec '{}' -f '{dir}/sshd_config' -E '{dir}/sshd.log'\n", sshd.display()));
        write(&self.dir.join("start"), &script)
    }

    /// The part of the script that hides files: an overlay says that they are deleted.
    fn without_absent(&self) -> String {
        let mut script = String::new();
        let mut mounts: BTreeMap<&Path, String> = BTreeMap::new();
        for file in &self.options.absent {
            let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else { continue };
            let next = mounts.len();
            let deleted = mounts
                .entry(parent)
                .or_insert_with(|| self.dir.join(format!("absent-{next}")).display().to_string());
            script.push_str(&format!("mkdir -p '{deleted}'\nmknod '{deleted}/{}' c 0 0\n", name.display()));
        }
        for (parent, deleted) in mounts {
            let parent = parent.display();
            script
                .push_str(&format!("mount -t overlay overlay -o 'lowerdir={deleted}:{parent}' '{parent}'\n"));
        }
        script
    }

    fn path(&self, place: &Place) -> PathBuf {
        match place {
            Place::Home => self.dir.join("home"),
            Place::Tmp => self.dir.join("tmp"),
            Place::Path(path) => path.clone(),
        }
    }
}

/// Makes a pair of keys.
pub(crate) fn make_key(file: &Path, comment: &str) -> Result<(), LabError> {
    run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(file))
        .map(drop)
}

/// A table of accounts in which root and guest have this home and shell, and the others are as they were.
fn passwd(machine: &str, home: &Path, shell: &Path) -> String {
    let (home, shell) = (home.display(), shell.display());
    let mut table = format!(
        "root:x:0:0:root:{home}:{shell}\nguest:x:{GUEST_ID}:{GUEST_ID}:a guest of the lab:{home}:{shell}\n"
    );
    for line in machine.lines().filter(|line| !is_account(line)) {
        table.push_str(line);
        table.push('\n');
    }
    table
}

/// True if a line of passwd or shadow is for an account that a login defines itself.
fn is_account(line: &str) -> bool {
    line.starts_with("root:") || line.starts_with("guest:")
}

fn free_port() -> Result<u16, LabError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(LabError::io("find a free port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_replaced_and_the_others_kept() {
        let machine = "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n";
        let table = passwd(machine, Path::new("/h"), Path::new("/s/fish"));
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "root:x:0:0:root:/h:/s/fish");
        assert!(lines[1].starts_with("guest:x:64230:64230:"));
        assert_eq!(lines[2..], ["sshd:x:100:65534::/run/sshd:/usr/sbin/nologin"]);
    }

    #[test]
    fn ports_are_found() {
        assert!(free_port().unwrap() > 1023);
    }
}

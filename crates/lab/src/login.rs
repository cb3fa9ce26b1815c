//! A login: one sshd in front of an engine, with a home, a shell and surroundings of its own.
//!
//! The sshd is a real one that does the real thing: the account's login shell runs the command, in the
//! account's home. Each has a mount namespace of its own, in which `/etc/passwd` says what shell and home
//! the account has, and in which directories are read-only or forbid programs; see [`crate::sshd`].

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::account::{GUEST_ID, LoginOptions, User};
use crate::files::{set_mode, write};
use crate::link::{Files, HostKey, Identity, Link};
use crate::process::{self, Found};
use crate::sshd::Sshd;
use crate::{Engine, LabError, Suite, arm64, mounts, packages};

/// The facts that all logins of a lab share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) dir: PathBuf,
    pub(crate) wire: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) wan: Link,
}

/// An account that ssh can log in to. Dropped, its sshd ends and its directory goes.
#[derive(Debug)]
pub struct Login {
    alias: String,
    dir: PathBuf,
    user: User,
    port: u16,
    lab: Arc<Surroundings>,
}

impl Login {
    pub(crate) fn start(
        lab: &Arc<Surroundings>,
        alias: &str,
        engine: &Engine,
        options: &LoginOptions,
    ) -> Result<Login, LabError> {
        let well_formed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if alias.is_empty() || !alias.chars().all(well_formed) {
            return Err(LabError::Usage(format!("'{alias}' is no name for a login: use a-z, 0-9 and -")));
        }
        let (name, program, package) = options.shell.program();
        packages::require(&[(program, package)])?;
        if options.sudo.is_some() {
            packages::require(&[("sudo", "sudo")])?;
        }
        let dir = lab.dir.join("logins").join(alias);
        fs::create_dir(&dir).map_err(LabError::io(format_args!("make a login '{alias}'")))?;
        // From here on, what fails is cleaned up by the drop.
        let mut login =
            Login { alias: alias.to_owned(), dir, user: options.user, port: 0, lab: Arc::clone(lab) };
        login.make_directories(options)?;
        let root = options.arm64.then(arm64::root).transpose()?;
        let shell = match root {
            Some(_) => PathBuf::from(arm64::SHELL),
            None => login.make_shell(name, program, options.banner.as_deref())?,
        };
        let sshd = Sshd { dir: &login.dir, lab: &lab.dir, shell: &shell, root: root.as_deref(), options };
        let env = login.environment(engine, options)?;
        login.port = sshd.start(&env)?;
        login.make_links()?;
        Ok(login)
    }

    /// The name for ssh. With `-wan` it is slow, with `-raw` nothing counts the bytes, with `-badkey` the
    /// host has another key than expected, and with `-nokey` the host does not know who comes.
    pub fn alias(&self) -> &str {
        &self.alias
    }

    /// A program of a suite that this login's guest runs, for root to call: ssh leads into this machine's own system.
    pub fn program_of(&self, suite: Suite, program: &str) -> Result<PathBuf, LabError> {
        let script = self.bin().join(format!("{program}-of-{}", suite.name()));
        suite.write_guest_program(program, &self.dir, &script)?;
        Ok(script)
    }

    /// The account's home.
    pub fn home(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// The account's `TMPDIR`.
    pub fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// The first directory on the account's `PATH`, for programs of a test.
    pub fn bin(&self) -> PathBuf {
        self.dir.join("bin")
    }

    /// The directory that the account sees as `/var/tmp`.
    pub fn var_tmp(&self) -> PathBuf {
        self.dir.join("var-tmp")
    }

    /// The directory that the account sees as `/dev/shm`.
    pub fn shm(&self) -> PathBuf {
        self.dir.join("shm")
    }

    /// The port of its sshd on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `ssh` to this login with a command; nothing is run yet.
    pub fn ssh(&self, command: &str) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.lab.dir.join("ssh_config")).args([&self.alias, command]);
        ssh
    }

    /// The processes of the account at the moment: a line for each, with pid and command.
    pub fn processes(&self) -> Vec<String> {
        Found::marked(&self.dir).iter().map(Found::describe).collect()
    }

    /// The sshd of each connection at the moment.
    pub fn sessions(&self) -> Vec<u32> {
        let mark = format!("{}/", self.dir.display());
        let listener = Found::by_pid_file(&self.dir.join("sshd.pid"), &mark);
        listener.map(|listener| listener.children()).unwrap_or_default()
    }

    /// Makes one more way to here, and returns its name for ssh: the login's own, `-`, and this one.
    pub fn link(&self, name: &str, link: &Link) -> Result<String, LabError> {
        let alias = format!("{}-{name}", self.alias);
        self.write_link(&format!("links/{name}.conf"), &alias, link)?;
        Ok(alias)
    }

    fn make_links(&self) -> Result<(), LabError> {
        let key = |file: PathBuf| {
            fs::read_to_string(&file).map_err(LabError::io(format_args!("read {}", file.display())))
        };
        write(&self.dir.join("known_hosts"), &format!("lab {}", key(self.dir.join("host_key.pub"))?))?;
        let other = key(self.lab.dir.join("id_stranger.pub"))?;
        write(&self.dir.join("known_hosts.changed"), &format!("lab {other}"))?;
        self.link("wan", &self.lab.wan)?;
        self.link("raw", &Link { raw: true, ..Link::default() })?;
        self.link("badkey", &Link { host_key: HostKey::Changed, ..Link::default() })?;
        self.link("nokey", &Link { identity: Identity::Stranger, ..Link::default() })?;
        self.write_link("ssh_config", &self.alias, &Link::default())
    }

    fn write_link(&self, file: &str, alias: &str, link: &Link) -> Result<(), LabError> {
        let files = Files { wire: &self.lab.wire, log: &self.lab.log, lab: &self.lab.dir, login: &self.dir };
        write(&self.dir.join(file), &link.ssh_config(alias, self.user.name(), self.port, &files))
    }

    fn make_directories(&self, options: &LoginOptions) -> Result<(), LabError> {
        for name in ["home", "tmp", "bin", "var-tmp", "shm", "shell", "links"] {
            let dir = self.dir.join(name);
            fs::create_dir(&dir).map_err(LabError::io(format_args!("create {}", dir.display())))?;
        }
        for (dir, limit) in [(self.home(), options.home_limit_mb), (self.tmp(), options.tmp_limit_mb)] {
            if let Some(megabytes) = limit {
                mounts::small(&dir, megabytes)?;
            }
        }
        if self.user == User::Guest {
            chown(self.home(), Some(GUEST_ID), Some(GUEST_ID)).map_err(LabError::io("give a home away"))?;
        }
        for dir in [self.tmp(), self.var_tmp(), self.shm()] {
            set_mode(&dir, 0o1777)?;
        }
        Ok(())
    }

    /// The account's shell: the program itself, or a script that prints the banner and becomes the shell.
    fn make_shell(&self, name: &str, program: &str, banner: Option<&str>) -> Result<PathBuf, LabError> {
        let program = packages::find(program).unwrap_or_else(|| Path::new("/bin").join(program));
        let shell = self.dir.join("shell").join(name);
        let cannot = || LabError::io(format_args!("make {}", shell.display()));
        let Some(banner) = banner else {
            symlink(&program, &shell).map_err(cannot())?;
            return Ok(shell);
        };
        write(&self.dir.join("shell/banner"), banner)?;
        // The name decides which shell busybox is; a symbolic link has it, as above.
        let real = self.dir.join("shell/real");
        fs::create_dir(&real).map_err(cannot())?;
        symlink(&program, real.join(name)).map_err(cannot())?;
        let dir = self.dir.join("shell");
        let dir = dir.display();
        write(&shell, &format!("#!/bin/sh\ncat {dir}/banner\nexec {dir}/real/{name} \"$@\"\n"))?;
        set_mode(&shell, 0o755)?;
        Ok(shell)
    }

    /// The account's variables.
    fn environment(
        &self,
        engine: &Engine,
        options: &LoginOptions,
    ) -> Result<Vec<(String, String)>, LabError> {
        const SYSTEM: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let mut hidden = options.hide.clone();
        hidden.extend(engine.foreign_clients().iter().map(|name| (*name).to_owned()));
        let mut env = engine.environment();
        env.push(("TMPDIR".to_owned(), self.tmp().display().to_string()));
        let path = [self.bin(), engine.bin()].map(|dir| dir.display().to_string()).join(":");
        let path = match options.arm64 {
            true => format!("{}:{SYSTEM}", self.bin().display()),
            false => format!("{path}:{}", self.without(SYSTEM, &hidden)?),
        };
        env.push(("PATH".to_owned(), path));
        env.push((process::MARK.to_owned(), self.dir.display().to_string()));
        for (name, value) in &options.env {
            env.retain(|(known, _)| known != name);
            env.push((name.clone(), value.clone()));
        }
        Ok(env)
    }

    /// A directory of links to all programs on a path but the hidden ones; logins that hide the same share it.
    fn without(&self, path: &str, hidden: &[String]) -> Result<String, LabError> {
        let cannot = || LabError::io("make a PATH");
        let mut hidden = hidden.to_vec();
        hidden.sort_unstable();
        hidden.dedup();
        let dir = self.lab.dir.join("paths").join(format!("without-{}", hidden.join("-")));
        if dir.exists() {
            return Ok(dir.display().to_string());
        }
        let new = self.dir.join("path");
        fs::create_dir(&new).map_err(cannot())?;
        for program in path.split(':').filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten() {
            let name = program.file_name();
            if hidden.iter().any(|hidden| name == hidden.as_str()) {
                continue;
            }
            match symlink(program.path(), new.join(&name)) {
                // An earlier directory has it too, and wins.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                result => result.map_err(cannot())?,
            }
        }
        match fs::rename(&new, &dir) {
            // Another login was quicker.
            Err(_) if dir.exists() => {}
            result => result.map_err(cannot())?,
        }
        Ok(dir.display().to_string())
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        let mark = format!("{}/", self.dir.display());
        let sshd = Found::by_pid_file(&self.dir.join("sshd.pid"), &mark);
        process::stop(sshd.as_slice(), Duration::from_secs(5));
        // The lab's end would do it as well; what fails here is tried again then.
        if let Err(error) = mounts::remove_below(&self.dir) {
            eprintln!("lab: {error}");
        } else if self.dir.exists()
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            eprintln!("lab: cannot remove {}: {error}", self.dir.display());
        }
    }
}

//! A home of its own for each test, and what a run of the program came to.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_docker-sync");

/// A folder that is HOME and TMPDIR, and its `bin`, which comes first on PATH.
pub(crate) struct Environment {
    root: tempfile::TempDir,
}

/// The result of a run.
pub(crate) struct Ran {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) exit: Option<i32>,
}

impl Environment {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("bin")).unwrap();
        Environment { root }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// A program on PATH that is this shell script.
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path().join("bin").join(name);
        // An ssh that is no OpenSSH does not print its configuration.
        let other_make = if name == "ssh" { "case \" $* \" in *' -G '*) exit 1;; esac\n" } else { "" };
        std::fs::write(&path, format!("#!/bin/sh\n{other_make}{body}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    /// A program that knows nothing of the host it runs on.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("TMPDIR", self.path())
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.path().join("bin").display()))
            .env("COLUMNS", "100")
            .env("LC_ALL", "C.UTF-8")
            .env("DOCKER_SYNC_RETRIES", "0")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs docker-sync with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(PROGRAM).args(arguments).output().unwrap())
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { out: text(output.stdout), err: text(output.stderr), exit: output.status.code() }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exit = self.exit.map_or("by a signal".into(), |code| code.to_string());
        write!(f, "{}--- stderr\n{}--- exit {exit}", self.out, self.err)
    }
}

//! `cargo xtask deny`: advisories, licences, bans and sources of all dependencies, by cargo-deny.
//!
//! `deny.toml` says what is accepted. Advisories are in a git repository that not every machine can reach: there
//! the copy that was fetched last is used, and where there is none, a line says that they were not checked.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Result, shell, show, tools, workspace};

/// Limit on fetching advisories: a firewall may drop packets without an answer.
const FETCH: Duration = Duration::from_secs(60);

/// Checks the workspace.
pub(crate) fn run() -> Result {
    let executable = tools::CARGO_DENY.executable()?;
    let deny = || {
        let mut command = Command::new(&executable);
        command.current_dir(workspace::root()).args(["--locked", "--workspace"]);
        command
    };
    let check = |offline: bool, checks: &[&str]| {
        let mut command = deny();
        // An exception that nothing needs any more is only a warning for cargo-deny.
        command.args(offline.then_some("--offline")).args(["check", "--deny", "warnings"]).args(checks);
        show::command("", show::typed(&command));
        shell::run(&mut command)
    };
    let policy = check(false, &["bans", "licenses", "sources"]);
    let advisories = match Database::of(deny())? {
        Database::Fetched => check(true, &["advisories"]),
        Database::Kept(date) => {
            show::note(format_args!("the advisory database cannot be fetched: its copy of {date} is used"));
            check(true, &["advisories"])
        }
        Database::Missing => {
            show::note("advisories were not checked: their database cannot be fetched, and no copy is kept");
            Ok(())
        }
    };
    policy.and(advisories)
}

/// The advisory database, as far as it can be had.
enum Database {
    Fetched,
    /// A copy of an earlier day, whose date this is.
    Kept(String),
    Missing,
}

impl Database {
    fn of(mut deny: Command) -> Result<Database> {
        deny.args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0");
        if succeeds(deny, FETCH)? {
            return Ok(Database::Fetched);
        }
        Ok(kept(&cargo_home()).map_or(Database::Missing, Database::Kept))
    }
}

/// The date of the newest commit of a database that cargo-deny keeps below cargo's home.
fn kept(cargo_home: &Path) -> Option<String> {
    let databases = std::fs::read_dir(cargo_home.join("advisory-dbs")).ok()?;
    let date = |database: PathBuf| {
        let mut git = Command::new("git");
        git.arg("-C").arg(database).args(["log", "-1", "--format=%cs"]).stderr(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // Not those of a repository around it.
    let own = |database: &PathBuf| database.join(".git").exists();
    databases.filter_map(|entry| Some(entry.ok()?.path())).filter(own).filter_map(date).max()
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}

/// Runs a program without a word; whether it succeeded, and did so in time.
fn succeeds(mut command: Command, limit: Duration) -> Result<bool> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_takes_too_long_has_failed() {
        assert!(succeeds(sh("true"), FETCH).unwrap());
        assert!(!succeeds(sh("false"), FETCH).unwrap());
        assert!(!succeeds(sh("exec sleep 60"), Duration::from_millis(50)).unwrap());
    }

    #[test]
    fn a_copy_of_the_database_has_the_date_of_its_newest_commit() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(kept(home.path()), None);
        let database = home.path().join("advisory-dbs/advisory-db-1");
        std::fs::create_dir_all(&database).unwrap();
        assert_eq!(kept(home.path()), None);
        let script = "git init -q && git -c user.name=a -c user.email=a@b commit -q --allow-empty -m a";
        let mut git = sh(script);
        git.current_dir(&database).env("GIT_COMMITTER_DATE", "2026-01-02T03:04:05Z");
        assert!(git.status().unwrap().success());
        assert_eq!(kept(home.path()).as_deref(), Some("2026-01-02"));
    }
}

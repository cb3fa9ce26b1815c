//! `cargo xtask demo`: the main job, shown.
//!
//! First on two directories, which needs nothing but this workspace; then on two real engines, each behind
//! a real sshd, where the lab can be had.

mod directories;
mod engines;
mod layout;
mod pair;

use std::path::{Path, PathBuf};
use std::process::Command;

use dsync_lab::packages;

use crate::{Result, shell, show, workspace};

/// The image of the demonstration.
const IMAGE: &str = "shop/web";

/// Shows all that this machine can show.
pub(crate) fn run() -> Result {
    let program = workspace::release_binary()?;
    directories::run(&program)?;
    if engines::possible() {
        return engines::run(&program);
    }
    show::heading("── Two hosts with real engines ──");
    show::note("left out: needs root, and Docker or a Debian to install it on");
    Ok(())
}

/// The place where a command runs, with the host name to show.
struct Stage<'a> {
    host: &'a str,
    program: &'a Path,
    dir: PathBuf,
    environment: Vec<(String, String)>,
}

impl Stage<'_> {
    /// Shows and runs a `docker-sync` command.
    fn docker_sync(&self, args: &[&str]) -> Result {
        self.show(Command::new(self.program).args(args))
    }

    /// Shows and runs a command.
    fn show(&self, command: &mut Command) -> Result {
        show::command(self.host, show::typed(command));
        // The person's own settings would make another demonstration of it.
        for name in ["SSH", "DOCKER", "REMOTE_DOCKER", "TMPFOLDER"] {
            command.env_remove(format!("DOCKER_SYNC_{name}"));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).current_dir(&self.dir);
        shell::run(command)?;
        println!();
        Ok(())
    }
}

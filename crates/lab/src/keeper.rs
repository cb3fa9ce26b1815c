//! The end of a lab, which must come however the process that started it ends.
//!
//! Statics are not dropped, and a killed process drops nothing. So one child, the keeper, is the only one
//! who tears a lab down: it waits for the end of its standard input, a pipe whose other end the owner
//! holds. The owner's end closes when the lab is dropped, when the process returns, panics or is killed:
//! the kernel does it. The keeper is in a process group of its own, so a Ctrl-C that ends the owner does
//! not end the keeper.
//!
//! Owner and keeper share a lock on the lab's directory. When both are gone, the lock is free, and the
//! next lab to start takes the directory away with all that is in it and runs for it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::LabError;
use crate::mounts;
use crate::process::{self, Found};

/// The names of all labs' directories begin so.
pub(crate) const PREFIX: &str = "dsl-";

const LOCK: &str = "lab.lock";
const LOG: &str = "keeper.log";

/// The owner's hold on a lab. Let go, the lab ends.
#[derive(Debug)]
pub(crate) struct Keeper {
    dir: PathBuf,
    child: Child,
    _lock: File,
}

impl Keeper {
    /// Takes charge of a new directory. From here on it is removed, whatever happens.
    pub(crate) fn start(dir: &Path) -> Result<Keeper, LabError> {
        let cannot = || LabError::io(format_args!("guard {}", dir.display()));
        // The lock must be taken before the directory looks like a lab.
        let new = dir.join("lab.lock.new");
        let lock = File::create(&new).map_err(cannot())?;
        lock.lock().map_err(cannot())?;
        fs::rename(&new, dir.join(LOCK)).map_err(cannot())?;

        let log = File::create(dir.join(LOG)).map_err(cannot())?;
        let child = Command::new(crate::programs::directory()?.join("lab"))
            .arg("keep")
            .arg(dir)
            .stdin(Stdio::piped())
            // Not for writing: it is the same open file, and so the same lock.
            .stdout(lock.try_clone().map_err(cannot())?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(cannot())?;
        Ok(Keeper { dir: dir.to_owned(), child, _lock: lock })
    }

    /// Lets go, and waits until the lab has ended.
    pub(crate) fn release(&mut self) -> Result<(), LabError> {
        drop(self.child.stdin.take());
        let log = fs::read_to_string(self.dir.join(LOG));
        let status = self.child.wait().map_err(LabError::io("wait for the lab's keeper"))?;
        if status.success() {
            return Ok(());
        }
        let stderr = fs::read_to_string(self.dir.join(LOG)).or(log).unwrap_or_default();
        Err(LabError::Command { command: format!("lab keep {}", self.dir.display()), status, stderr })
    }
}

/// The keeper's life: waits for the end of the input, then ends the lab.
pub fn keep(dir: &Path, mut owner: impl io::Read) -> Result<(), LabError> {
    io::copy(&mut owner, &mut io::sink()).map_err(LabError::io("wait for the lab's owner"))?;
    tear_down(dir)
}

/// Ends all that runs for a lab, unmounts all that is below its directory, removes the directory.
pub fn tear_down(dir: &Path) -> Result<(), LabError> {
    if !dir.join(LOCK).is_file() {
        return Err(LabError::Usage(format!("{} is not a lab", dir.display())));
    }
    // The servers first, each in its own good order: an engine ends its containers and its containerd.
    let servers: Vec<Found> = [("logins", "sshd.pid"), ("engines", "dockerd.pid")]
        .iter()
        .flat_map(|(kind, file)| pid_files(&dir.join(kind), file))
        .filter_map(|file| Found::by_pid_file(&file, &format!("{}/", dir.display())))
        .collect();
    process::stop(&servers, Duration::from_secs(30));
    process::stop(&Found::marked(dir), Duration::from_secs(5));
    mounts::remove_below(dir)?;
    remove(dir).map_err(LabError::io(format_args!("remove {}", dir.display())))
}

/// Removes a lab's directory, and last of all what shows that it is one: engines have many files, and
/// whoever is interrupted at this must leave something that is still known as a lab.
fn remove(dir: &Path) -> io::Result<()> {
    for part in ["engines", "logins", "paths"].map(|name| dir.join(name)) {
        if part.exists() {
            fs::remove_dir_all(part)?;
        }
    }
    fs::remove_dir_all(dir)
}

/// Ends the labs below `base` that have neither owner nor keeper any more.
pub(crate) fn remove_stale(base: &Path) -> Result<(), LabError> {
    let entries = fs::read_dir(base).map_err(LabError::io(format_args!("read {}", base.display())))?;
    for entry in entries.flatten() {
        let dir = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw());
        if !ours {
            continue;
        }
        let Ok(lock) = OpenOptions::new().write(true).open(dir.join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            eprintln!("lab: removing {}, left behind by a lab that was killed", dir.display());
            tear_down(&dir)?;
        }
    }
    Ok(())
}

fn pid_files(dir: &Path, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().join(name)).filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab_in(base: &Path, name: &str) -> PathBuf {
        let dir = base.join(name);
        fs::create_dir_all(dir.join("engines/alpha/root")).unwrap();
        fs::write(dir.join(LOCK), "").unwrap();
        dir
    }

    #[test]
    fn only_a_lab_is_torn_down() {
        let base = tempfile::tempdir().unwrap();
        assert!(tear_down(base.path()).is_err());
        assert!(base.path().is_dir());
        let dir = lab_in(base.path(), "dsl-1");
        keep(&dir, io::empty()).unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn a_lab_is_stale_once_nobody_holds_its_lock() {
        let base = tempfile::tempdir().unwrap();
        let (held, left, other) =
            (lab_in(base.path(), "dsl-held"), lab_in(base.path(), "dsl-left"), lab_in(base.path(), "other"));
        let lock = File::open(held.join(LOCK)).unwrap();
        lock.lock().unwrap();
        remove_stale(base.path()).unwrap();
        assert!(held.exists() && other.exists() && !left.exists());
        drop(lock);
        remove_stale(base.path()).unwrap();
        assert!(!held.exists());
    }
}

//! Temporary directories with a name, for what other programs must find: archives for rsync, ssh's socket, podman's
//! copies.
//!
//! They are gone when they are dropped, and when a process ends without dropping them and says so. One whose process was
//! killed is removed by the next that makes one: the name tells the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

const PREFIX: &str = "docker-sync-";

/// Directories in which this process has made some: it removes them where it ends without unwinding.
static MADE_BELOW: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The system's place for temporary files. An empty `TMPDIR` names none, as everywhere else.
pub fn place() -> PathBuf {
    Some(std::env::temp_dir()).filter(|place| !place.as_os_str().is_empty()).unwrap_or_else(|| "/tmp".into())
}

/// A directory below this one, or below the system's place.
///
/// # Errors
///
/// The directory cannot be made there.
pub fn folder(below: Option<&Path>) -> io::Result<TempDir> {
    let below = below.map_or_else(place, Path::to_owned);
    sweep(&below);
    let mut made_below = MADE_BELOW.lock().unwrap_or_else(PoisonError::into_inner);
    if !made_below.contains(&below) {
        made_below.push(below.clone());
    }
    drop(made_below);
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir_in(below)
}

/// Removes those below this directory whose processes are gone.
pub fn sweep(below: &Path) {
    for stale in stale(below, &is_alive) {
        // It may be another user's; then it is theirs to remove.
        fs::remove_dir_all(stale).ok();
    }
}

/// Removes those of this process, which is about to end. Its threads must use none any more.
pub fn remove_own() {
    let own = std::process::id();
    for below in &*MADE_BELOW.lock().unwrap_or_else(PoisonError::into_inner) {
        for own in stale(below, &|pid| u32::try_from(pid) != Ok(own)) {
            fs::remove_dir_all(own).ok();
        }
    }
}

fn stale(below: &Path, alive: &dyn Fn(i32) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(below) else { return Vec::new() };
    let owner = |name: &str| name.strip_prefix(PREFIX)?.split_once('-')?.0.parse::<i32>().ok();
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| entry.file_name().to_str().and_then(owner).is_some_and(|pid| !alive(pid)))
        .map(|entry| entry.path())
        .collect()
}

/// True if there is such a process.
pub(crate) fn is_alive(pid: i32) -> bool {
    // A process of another user answers "not permitted": it is there.
    Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_left_is_stale() {
        let below = tempfile::tempdir().unwrap();
        for name in
            ["docker-sync-7-abc", "docker-sync-8-abc", "docker-sync-0", "docker-sync-x-y", "other-7-a"]
        {
            fs::create_dir(below.path().join(name)).unwrap();
        }
        assert_eq!(stale(below.path(), &|pid| pid == 8), [below.path().join("docker-sync-7-abc")]);
    }

    #[test]
    fn a_process_that_ends_at_once_removes_its_own_alone() {
        const PLACE: &str = "DSYNC_TEST_TEMPORARY";
        if let Some(place) = std::env::var_os(PLACE) {
            let folder = folder(Some(Path::new(&place))).unwrap();
            fs::write(folder.path().join("podman123"), "a copy").unwrap();
            remove_own();
            // As if it had not been dropped.
            std::mem::forget(folder);
            return;
        }
        let below = tempfile::tempdir().unwrap();
        let other = folder(Some(below.path())).unwrap();
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "temporary::tests::a_process_that_ends_at_once_removes_its_own_alone"]);
        assert!(child.env(PLACE, below.path()).output().unwrap().status.success());
        let left = fs::read_dir(below.path()).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(left.collect::<Vec<_>>(), [other.path()]);
    }

    #[test]
    fn a_folder_is_there_until_it_is_dropped() {
        let below = tempfile::tempdir().unwrap();
        let first = folder(Some(below.path())).unwrap();
        let second = folder(Some(below.path())).unwrap();
        assert!(first.path().is_dir());
        drop((first, second));
        assert_eq!(fs::read_dir(below.path()).unwrap().count(), 0);
    }
}

//! Finding and ending the processes of a lab: always by pid, and only after a look at what that pid is.
//!
//! Everything a lab starts has [`MARK`] in its environment, with the lab's directory, or a login's, as the
//! value; children inherit it. So whatever a test left behind is found, too. An sshd overwrites its
//! environment to set its title; it is known by its pid file and its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The variable that all processes of a lab have in their environment.
pub(crate) const MARK: &str = "DOCKER_SYNC_LAB";

/// A process of the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pid: Pid,
    /// The facts by which it is identified before every signal.
    proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Marked(PathBuf),
    CommandLine(String),
}

impl Found {
    /// The process of a pid file, if it runs and its command line has this text.
    pub(crate) fn by_pid_file(file: &Path, text: &str) -> Option<Found> {
        let pid = fs::read_to_string(file).ok()?.trim().parse().ok().and_then(Pid::from_raw)?;
        let found = Found { pid, proof: Proof::CommandLine(text.to_owned()) };
        found.runs().then_some(found)
    }

    /// All processes that are marked with this directory or one below it, but not this one.
    pub(crate) fn marked(dir: &Path) -> Vec<Found> {
        let Ok(proc) = fs::read_dir("/proc") else { return Vec::new() };
        let own = std::process::id();
        proc.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| u32::try_from(*pid) != Ok(own))
            .filter_map(Pid::from_raw)
            .map(|pid| Found { pid, proof: Proof::Marked(dir.to_owned()) })
            .filter(Found::runs)
            .collect()
    }

    /// Pid and command line, for people.
    pub(crate) fn describe(&self) -> String {
        format!("{} {}", self.pid.as_raw_nonzero(), self.command_line())
    }

    /// The processes that it has started and that run.
    pub(crate) fn children(&self) -> Vec<u32> {
        let own = self.pid.as_raw_nonzero().to_string();
        let is_child = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name, which may have anything in it: the state, and the parent.
            let mut words = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            words.next().is_some_and(|state| state != "Z") && words.next() == Some(&own)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
    }

    /// True if it is still there and still the same process; a zombie is not.
    fn runs(&self) -> bool {
        match &self.proof {
            Proof::CommandLine(text) => self.command_line().contains(text.as_str()),
            Proof::Marked(dir) => fs::read(self.proc_file("environ"))
                .is_ok_and(|environ| mark_in(&environ).is_some_and(|mark| mark.starts_with(dir))),
        }
    }

    fn command_line(&self) -> String {
        let bytes = fs::read(self.proc_file("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
    }

    fn proc_file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid.as_raw_nonzero()))
    }
}

/// Asks all of these to end, waits as long as `grace`, then insists.
pub(crate) fn stop(processes: &[Found], grace: Duration) {
    for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, Duration::from_secs(5))] {
        for process in processes.iter().filter(|p| p.runs()) {
            // It may have ended since; then there is nothing to do.
            let _ = kill_process(process.pid, signal);
        }
        let deadline = Instant::now() + patience;
        while processes.iter().any(Found::runs) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The value of [`MARK`] in an environment block.
fn mark_in(environ: &[u8]) -> Option<&Path> {
    use std::os::unix::ffi::OsStrExt as _;
    environ.split(|b| *b == 0).find_map(|entry| {
        let value = entry.strip_prefix(MARK.as_bytes())?.strip_prefix(b"=")?;
        Some(Path::new(std::ffi::OsStr::from_bytes(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_mark_is_a_whole_variable() {
        assert_eq!(mark_in(b"A=1\0DOCKER_SYNC_LAB=/x/y\0"), Some(Path::new("/x/y")));
        assert_eq!(mark_in(b"DOCKER_SYNC_LAB_DIR=/x\0"), None);
        assert_eq!(mark_in(b""), None);
    }

    #[test]
    fn marked_processes_are_found_and_stopped() {
        let dir = Path::new("/nowhere/lab-process-test");
        let mut child = Command::new("sleep").arg("60").env(MARK, dir.join("alpha")).spawn().unwrap();
        // Until the child has called exec, it shows our environment.
        while Found::marked(dir).is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        let found = Found::marked(dir);
        assert!(found[0].describe().ends_with("sleep 60"), "{found:?}");
        assert_eq!(Found::marked(Path::new("/nowhere/lab-process")), []);
        stop(&found, Duration::from_secs(5));
        assert_eq!(Found::marked(dir), []);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_pid_file_of_another_process_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        fs::write(&file, std::process::id().to_string()).unwrap();
        assert_eq!(Found::by_pid_file(&file, "no such text in the command line"), None);
        assert_eq!(Found::by_pid_file(&dir.path().join("none"), ""), None);
    }
}

//! The needs of a method beside the wire, sampled while it runs: memory, time of the CPU, temporary disk.
//!
//! The processes of an end are known by a variable in their environment, which children inherit. The
//! engines' daemons belong to neither end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Result;

const INTERVAL: Duration = Duration::from_millis(100);
/// The ticks of a second in `/proc`, on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;
/// The engines' own client: every method runs it, and none is to blame for its size.
const ENGINE_CLIENT: &str = "docker";

/// The most that was seen at one end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peaks {
    /// Memory of the largest process, in bytes.
    pub(crate) memory: u64,
    /// The name of that process.
    pub(crate) largest: String,
    /// Memory of all processes at one moment, in bytes; pages that they share count for each.
    pub(crate) memory_sum: u64,
    /// Seconds of CPU, of all processes.
    pub(crate) cpu: f64,
    /// Temporary files of the method, those without a name included.
    pub(crate) temp: u64,
    /// Temporary files of the engine.
    pub(crate) engine_temp: u64,
}

/// One end of a transfer.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// The variable in the environment of its processes, as `NAME=VALUE`.
    pub(crate) mark: String,
    /// The directories of its temporary files.
    pub(crate) temp: Vec<PathBuf>,
    /// The directory of its engine's temporary files.
    pub(crate) engine_temp: PathBuf,
}

/// Looks at both ends until it is told to stop.
pub(crate) struct Sampler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<[Peaks; 2]>,
}

impl Sampler {
    pub(crate) fn start(ends: [End; 2]) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut seen = ends.map(Seen::new);
            while !stopped.load(Ordering::Relaxed) {
                seen.iter_mut().for_each(Seen::look);
                thread::sleep(INTERVAL);
            }
            seen.map(Seen::peaks)
        });
        Sampler { stop, thread }
    }

    pub(crate) fn stop(self) -> Result<[Peaks; 2]> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the sampler has failed".into())
    }
}

/// The figures of an end so far.
struct Seen {
    end: End,
    peaks: Peaks,
    /// The time of each process, when it was last seen.
    cpu: BTreeMap<u32, f64>,
}

impl Seen {
    fn new(end: End) -> Seen {
        Seen { end, peaks: Peaks::default(), cpu: BTreeMap::new() }
    }

    fn look(&mut self) {
        let (mut nameless, mut sum) = (BTreeMap::new(), 0);
        for pid in marked(&self.end.mark) {
            let proc = PathBuf::from(format!("/proc/{pid}"));
            let read = |name: &str| fs::read_to_string(proc.join(name)).unwrap_or_default();
            // A process may end while it is looked at; then there is nothing more to see.
            let Some((name, cpu)) = name_and_cpu(&read("stat")) else { continue };
            self.cpu.insert(pid, cpu);
            if name != ENGINE_CLIENT {
                let status = read("status");
                sum += kilobytes(&status, "VmRSS:").unwrap_or_default();
                let memory = kilobytes(&status, "VmHWM:").unwrap_or_default();
                if memory > self.peaks.memory {
                    (self.peaks.memory, self.peaks.largest) = (memory, name);
                }
            }
            nameless.extend(nameless_files(&proc.join("fd")));
        }
        // The largest may have been larger between two looks.
        self.peaks.memory_sum = self.peaks.memory_sum.max(sum).max(self.peaks.memory);
        let temp = self.end.temp.iter().map(|dir| disk(dir)).sum::<u64>() + nameless.values().sum::<u64>();
        self.peaks.temp = self.peaks.temp.max(temp);
        self.peaks.engine_temp = self.peaks.engine_temp.max(disk(&self.end.engine_temp));
    }

    fn peaks(self) -> Peaks {
        Peaks { cpu: self.cpu.values().sum(), ..self.peaks }
    }
}

/// The processes with this in their environment.
fn marked(mark: &str) -> BTreeSet<u32> {
    let Ok(proc) = fs::read_dir("/proc") else { return BTreeSet::new() };
    let pids = proc.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| has(&environ, mark)))
        .collect()
}

fn has(environ: &[u8], mark: &str) -> bool {
    environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
}

/// The name of a process and the seconds it has had, from its `stat`.
fn name_and_cpu(stat: &str) -> Option<(String, f64)> {
    let (head, tail) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let ticks = |at: usize| tail.split_whitespace().nth(at)?.parse::<f64>().ok();
    Some((name, (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
}

/// A figure of a process's `status`, in bytes: `VmHWM:` is the most memory it has had, `VmRSS:` what it has.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Files that have no name any more, but are open: which, and how much disk they have.
fn nameless_files(fds: &Path) -> Vec<((u64, u64), u64)> {
    let Ok(entries) = fs::read_dir(fds) else { return Vec::new() };
    let size = |path: PathBuf| {
        let target = fs::read_link(&path).ok()?;
        let target = target.to_string_lossy();
        // memfd and its like are memory, not disk.
        let deleted = target.ends_with(" (deleted)") && !target.starts_with("/memfd:");
        let meta = deleted.then(|| fs::metadata(&path).ok()).flatten()?;
        meta.is_file().then(|| ((meta.dev(), meta.ino()), meta.blocks() * 512))
    };
    entries.flatten().filter_map(|entry| size(entry.path())).collect()
}

/// The disk that a directory has, with all that is in it.
fn disk(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn what_proc_says_is_understood() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 9 1 1";
        assert_eq!(name_and_cpu(stat), Some(("a (b) c".to_owned(), 2.0)));
        assert_eq!(name_and_cpu(""), None);
        let status = "Name:\tx\nVmHWM:\t    12 kB\nVmRSS:\t 8 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(12 << 10));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
        assert!(has(b"A=1\0B=2\0", "B=2") && !has(b"A=1\0B=22\0", "B=2"));
    }

    #[test]
    fn a_process_its_memory_and_its_nameless_file_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile_in(dir.path()).unwrap();
        file.write_all(&vec![1; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let mark = format!("WIRE_LABEL=sample-{}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        // cat waits for its input, with the file as its standard error.
        let mut cat =
            Command::new("cat").env(name, value).stdin(Stdio::piped()).stderr(file).spawn().unwrap();
        let end =
            End { mark: mark.clone(), temp: vec![dir.path().to_owned()], engine_temp: "/nowhere".into() };
        let mut seen = Seen::new(end);
        // Between fork and exec it does not have its environment yet.
        while seen.peaks.memory == 0 {
            seen.look();
        }
        drop(cat.stdin.take());
        cat.wait().unwrap();
        let peaks = seen.peaks();
        assert_eq!(peaks.largest, "cat");
        assert!(peaks.temp >= 1 << 20, "{peaks:?}");
        assert!(peaks.memory_sum >= peaks.memory, "{peaks:?}");
        assert_eq!(peaks.engine_temp, 0);
    }
}

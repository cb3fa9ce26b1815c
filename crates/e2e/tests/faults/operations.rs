//! The N-th system call of a kind fails, at the client or on the remote side, for N = 1, 2, 3 … until none is left to fail:
//! disks that fill up, broken disks, tables that are full, interrupted calls. Between two layouts, the remote by a shell.
//!
//! strace counts the calls of each thread, so the N-th of several fail in a run.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_e2e::{agent, agent_file, program};
use dsync_testkit::pair::{Outcome, Pair, Way};
use dsync_testkit::{Item, Snapshot, fixed};

use crate::kills::ONLY;
use crate::record::Record;

/// System calls that do the same, and the error that they fail with.
struct Operation {
    calls: &'static str,
    error: &'static str,
}

const fn operation(calls: &'static str, error: &'static str) -> Operation {
    Operation { calls, error }
}

const OPERATIONS: &[Operation] = &[
    operation("write,writev,pwrite64", "ENOSPC"),
    operation("write,writev,pwrite64", "EIO"),
    operation("write,writev,pwrite64", "EINTR"),
    operation("read,readv,pread64", "EIO"),
    operation("read,readv,pread64", "EINTR"),
    operation("open,openat", "EMFILE"),
    operation("open,openat", "EACCES"),
    operation("fsync,fdatasync", "EIO"),
    operation("rename,renameat,renameat2", "EIO"),
    operation("link,linkat", "ENOSPC"),
    operation("mkdir,mkdirat", "ENOSPC"),
    operation("unlink,unlinkat", "EIO"),
    operation("ftruncate,fallocate", "ENOSPC"),
    operation("lseek", "EIO"),
    operation("clone,clone3,fork,vfork", "EAGAIN"),
    operation("pipe,pipe2", "EMFILE"),
    operation("poll,ppoll", "EINTR"),
    operation("wait4,waitid", "EINTR"),
    operation("flock,fcntl", "ENOLCK"),
];

/// The process whose calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Client,
    /// The shell that becomes the agent, and all that it starts.
    Remote,
}

/// No run takes so long, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// No call is the last one after so many.
const MOST: u32 = 2_000;

/// The files of a run.
struct Place {
    dir: tempfile::TempDir,
    pair: Pair,
    before: Snapshot,
    wanted: Outcome,
    source: String,
}

/// The end of a run.
struct Ran {
    exit: Option<i32>,
    said: String,
    /// True if a call failed.
    is_hit: bool,
}

impl Place {
    fn new(pair: &Pair) -> Place {
        let dir = tempfile::Builder::new().prefix("faults-").tempdir_in(memory()).unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["source", "here", "there", "here/tmp", "there/tmp"] {
            fs::create_dir(path(name)).unwrap();
        }
        let items: Vec<_> = pair.source.iter().map(Item::build).collect();
        let source = pair.write_source(&items, &path("source/store")).unwrap();
        pair.write_target(&path("target")).unwrap();
        let before = Snapshot::read(&path("target")).unwrap();
        let wanted = pair.outcome(&items, &before);
        // As a first run would have left it.
        let cache = path("there/.cache/docker-sync");
        fs::create_dir_all(&cache).unwrap();
        for private in [path("there/.cache"), cache.clone()] {
            fs::set_permissions(private, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::copy(agent(), cache.join(agent_file())).unwrap();
        Place { pair: pair.clone(), before, wanted, source, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs it; the N-th of these calls fails at this end.
    fn run(&self, fault: Option<(End, &Operation, u32)>) -> Result<Ran, String> {
        let traced = self.path("trace");
        fs::write(&traced, "").unwrap();
        let trace = |Operation { calls, error }: &Operation, number: u32| {
            format!(
                "strace -f -qq -o {} -e trace={calls} -e inject={calls}:error={error}:when={number}",
                traced.display()
            )
        };
        let ssh = self.path("ssh");
        let around = match fault {
            Some((End::Remote, operation, number)) => trace(operation, number) + " ",
            _ => String::new(),
        };
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' -G '*) exit 1;; esac\nfor command; do :; done\n\
             export HOME={0} TMPDIR={0}/tmp\ncd\nexec {around}sh -c \"$command\"\n",
            self.path("there").display()
        );
        fs::write(&ssh, script).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
        let mut words: Vec<String> = match fault {
            // A child of the client is let go.
            Some((End::Client, operation, number)) => {
                let line = trace(operation, number) + " -b execve";
                line.split(' ').map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        words.push(program().display().to_string());
        let mut command = Command::new(&words[0]);
        let target = format!("oci:{}", self.path("target").display());
        let (local, remote) = match self.pair.run.way {
            Way::Push => (&self.source, &target),
            _ => (&target, &self.source),
        };
        let said = self.path("said");
        let output = File::create(&said).unwrap();
        command
            .args(&words[1..])
            .args(["--ssh", &ssh.display().to_string(), "--docker", local, "--remote-docker", remote])
            .args((self.pair.run.way == Way::Push).then_some("--push"))
            .args(["--timeout", "10", "host"])
            .args(&self.pair.source[0].names)
            .env_clear()
            .env("HOME", self.path("here"))
            .env("TMPDIR", self.path("here/tmp"))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("DOCKER_SYNC_RETRIES", "0")
            .current_dir(self.path("here"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("{words:?}: {error}"))?;
        let begin = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begin.elapsed() > PATIENCE {
                let group = format!("-{}", child.id());
                Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
                child.wait().unwrap();
                return Err(format!("it did not end within {PATIENCE:?}: {}", text(&said)));
            }
            thread::sleep(Duration::from_millis(2));
        };
        let is_hit = text(&traced).contains("(INJECTED)");
        Ok(Ran { exit: status.code(), said: text(&said), is_hit })
    }

    /// The target without the blob that an end was writing when it ended: the next run removes it.
    fn snapshot(&self) -> Result<Snapshot, String> {
        let (target, copy) = (self.path("target"), self.path("copy"));
        fs::remove_dir_all(&copy).ok();
        let mut files = Vec::new();
        collect(&target, &mut files);
        for file in files {
            let inside = file.strip_prefix(&target).expect("it was found in there");
            let is_unfinished =
                inside.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".docker-sync-"));
            if !is_unfinished {
                let to = copy.join(inside);
                fs::create_dir_all(to.parent().expect("it is in a directory")).unwrap();
                fs::copy(&file, to).unwrap();
            }
        }
        Snapshot::read(&copy)
    }

    /// The target has the old image or the new one; after one more run it has the new one, and nothing is left.
    fn check(&self, ran: &Ran) -> Result<(), String> {
        let Outcome::Must(wanted) = &self.wanted else { panic!("the pair is not a usual one") };
        let after = self.snapshot()?;
        let complete = self.before.check_holds(&after, wanted);
        if ran.exit == Some(0) {
            complete?;
        } else if let (Err(changed), Err(incomplete)) = (self.before.check_unchanged(&after), complete) {
            // A commit that fails in its midst leaves whole blobs, which the next run takes.
            let is_blob = |what: &str| what.starts_with("new blobs/sha256/");
            let all = changed.strip_prefix("the target has changed: ").unwrap_or_default();
            if !all.split(", ").all(is_blob) {
                return Err(format!("{changed}; {incomplete}"));
            }
        }
        let again = self.run(None)?;
        if again.exit != Some(0) {
            return Err(format!("the next run failed: {}", again.said));
        }
        self.before.check_holds(&Snapshot::read(&self.path("target"))?, wanted)?;
        let mut left = Vec::new();
        for end in ["here", "there"] {
            collect(&self.path(end), &mut left);
        }
        let stays = |file: &PathBuf| {
            let name = file.to_string_lossy();
            let index = name.contains("docker-sync/index/") && !name.contains("/new-");
            // The program itself is sent where the agent beside it cannot be read.
            let is_agent = name.contains("docker-sync/agent-");
            index || is_agent || name.ends_with("docker-sync/links")
        };
        left.retain(|file| !stays(file));
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} is left")) }
    }
}

/// An end that is no crash, with a sentence; code 0 only where all is well, which is looked at elsewhere.
fn check_told(ran: &Ran) -> Result<(), String> {
    let is_code = matches!(ran.exit, Some(0..=7));
    let is_said = ran.exit == Some(0) || ran.said.contains("error: ");
    // The pipe of a child, which the standard library takes for one that can be read.
    let is_pipe = ran.said.contains("library/std/src/sys/process");
    let is_crash = (ran.said.contains("panicked") || ran.said.contains("crashed")) && !is_pipe;
    if is_code && is_said && !is_crash { Ok(()) } else { Err("it is not told".to_owned()) }
}

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned()
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), into);
        } else {
            into.push(entry.path());
        }
    }
}

/// A folder of files in memory, where there is one.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

/// True if a process here can be traced.
fn is_traceable() -> bool {
    let strace = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    strace.is_ok_and(|status| status.success())
}

/// Fails the calls of these numbers, until a run has none of a number; says what was not right.
fn sweep(
    operation: &Operation,
    end: End,
    is_push: bool,
    numbers: impl Iterator<Item = u32>,
    record: &Record,
) -> (u32, Vec<String>) {
    let usual = fixed::pairs().into_iter().find(|fixed| fixed.name == "usual").unwrap();
    let pair = usual.pair().run(|run| run.way = if is_push { Way::Push } else { Way::Pull });
    let (mut tried, mut failures) = (0, Vec::new());
    let only = env::var(ONLY).unwrap_or_default();
    for number in numbers.take_while(|number| *number < MOST) {
        let case = format!("{} {} {number}, {end:?}, push {is_push}", operation.calls, operation.error);
        if !case.contains(&only) {
            continue;
        }
        let place = Place::new(&pair);
        let ran = match place.run(Some((end, operation, number))) {
            Ok(ran) if !ran.is_hit => break,
            Ok(ran) => ran,
            Err(error) => {
                failures.push(format!("── {case}: {error}"));
                continue;
            }
        };
        tried += 1;
        let (safe, told) = (place.check(&ran), check_told(&ran));
        let fault = format!("{} of {}", operation.error, operation.calls);
        record.add(&fault, &case, safe.is_ok(), told.is_ok());
        for error in [safe, told].into_iter().filter_map(Result::err) {
            failures.push(format!("── {case}: {error}\nafter {:?}: {}", ran.exit, ran.said));
        }
    }
    (tried, failures)
}

fn run_all(numbers: impl Fn() -> Box<dyn Iterator<Item = u32>> + Sync, ways: &[bool]) {
    // The tests on engines install what they need in the same way.
    dsync_lab::packages::require(&[("strace", "strace")]).unwrap();
    assert!(is_traceable(), "no process can be traced here: ptrace is not allowed");
    let begin = Instant::now();
    let records = [Record::new("client"), Record::new("remote")];
    let mut work = Vec::new();
    for operation in OPERATIONS {
        for (end, record) in [End::Client, End::Remote].into_iter().zip(&records) {
            work.extend(ways.iter().map(|is_push| (operation, end, *is_push, record)));
        }
    }
    let next = AtomicUsize::new(0);
    let all: Mutex<(u32, Vec<String>)> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..3 {
            let (next, all, work, numbers) = (&next, &all, &work, &numbers);
            scope.spawn(move || {
                while let Some((operation, end, is_push, record)) =
                    work.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let begin = Instant::now();
                    let (tried, failures) = sweep(operation, *end, *is_push, numbers(), record);
                    let (calls, error) = (operation.calls, operation.error);
                    eprintln!("{calls} {error}, {end:?}, push {is_push}: {tried} in {:.1?}", begin.elapsed());
                    failures.iter().for_each(|failure| eprintln!("{failure}"));
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.0 += tried;
                    all.1.extend(failures);
                }
            });
        }
    });
    let (tried, failures) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("{tried} calls failed in {:.1?}", begin.elapsed());
    assert!(tried > 100 || env::var_os(ONLY).is_some(), "{tried} calls failed");
    assert!(failures.is_empty(), "{} of {tried}\n{}", failures.len(), failures.join("\n"));
}

/// Calls of which the numbers grow apart.
#[test]
#[ignore = "needs ptrace: cargo xtask test"]
fn calls_that_fail_leave_the_target_old_or_complete() {
    run_all(|| Box::new([1, 2, 4, 8, 16, 32, 64, 128].into_iter()), &[true]);
}

#[test]
#[ignore = "every fault: cargo xtask faults"]
fn of_all_calls_each_that_fails_leaves_the_target_old_or_complete() {
    run_all(|| Box::new(1..), &[false, true]);
}

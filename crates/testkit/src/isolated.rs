//! Runs a test in a process of its own, which has an environment of its own.
//!
//! What the environment says is the process's, and tests of one process run at the same time. The same test program is
//! started again with one test, a private home, cache and folder for temporary files; when it has ended, nothing must be
//! left in the latter.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MARK: &str = "TESTKIT_ISOLATED";

/// Runs the body of a test, which is named as the test harness names it, in a process of its own.
///
/// # Panics
///
/// Where it fails, takes longer than `patience`, or leaves a temporary file behind.
pub fn isolated(test: &str, patience: Duration, body: impl FnOnce()) {
    if env::var_os(MARK).is_some_and(|mark| mark == test) {
        return body();
    }
    let place = tempfile::Builder::new().prefix("isolated-").tempdir_in(memory());
    let place = place.expect("there is room for files");
    let folder = |name: &str| {
        let folder = place.path().join(name);
        fs::create_dir(&folder).expect("there is room for files");
        folder
    };
    let tmp = folder("tmp");
    let mut command = Command::new(env::current_exe().expect("a test program knows its file"));
    command
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env(MARK, test)
        .env("HOME", folder("home"))
        .env("XDG_CACHE_HOME", folder("cache"))
        .env("TMPDIR", &tmp)
        .env_remove("DOCKER_HOST")
        .env_remove("DOCKER_CONTEXT")
        .stdin(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("a test program can be started again");
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if started.elapsed() > patience => {
                child.kill().expect("a child can be ended");
                child.wait().expect("a child can be waited for");
                panic!("{test} did not end within {patience:?}");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    assert!(status.success(), "{test} failed in its own process: {status}");
    let left: Vec<_> = fs::read_dir(&tmp).expect("it is there").flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{test} left behind {left:?}");
}

/// A folder of files in memory, where there is one: thousands of small files that come and go take half of the time
/// on a disk.
fn memory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { env::temp_dir() }
}

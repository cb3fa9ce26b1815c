//! A crash of the agent, told as what it is: a bug, and not a connection that was lost.
//!
//! The agent's last words go to its standard error, on which the client finds them.

use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::process;

/// The beginning of the line of a crash.
const MARK: &str = "docker-sync agent crashed: ";
/// The words of the standard library for crashes that are no panics.
const FATAL: [&str; 2] = ["memory allocation of ", "has overflowed its stack"];
/// The exit code of a program of Rust that panicked.
const CODE: i32 = 101;

/// Has every panic of this process end it, with a line for the client.
pub fn tell_crashes() {
    panic::set_hook(Box::new(|panic| {
        writeln!(io::stderr(), "{MARK}{}", words(panic)).ok();
        process::exit(CODE);
    }));
}

/// The message of a panic and its place, on one line.
pub fn words(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("a panic without words");
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match panic.location() {
        Some(place) => format!("{message} ({}:{})", place.file(), place.line()),
        None => message,
    }
}

/// The last words of an agent that crashed, out of its standard error.
pub(crate) fn last_words(message: &str) -> Option<String> {
    message.lines().find_map(|line| {
        let marked = line.split_once(MARK).map(|(_, words)| words);
        marked.or_else(|| FATAL.iter().any(|fatal| line.contains(fatal)).then_some(line)).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::process::Command;

    /// Set in a process of this test that is to crash.
    const CHILD: &str = "DSYNC_TEST_CRASH";

    #[test]
    fn a_crash_ends_the_process_and_is_told_on_a_line() {
        if env::var_os(CHILD).is_some() {
            tell_crashes();
            let thread = std::thread::spawn(|| panic!("nothing here\n  is as it {}", "should be"));
            // It does not come so far.
            thread.join().ok();
            process::exit(0);
        }
        let mut child = Command::new(env::current_exe().unwrap());
        child.args([
            "--exact",
            "--nocapture",
            "transport::crash::tests::a_crash_ends_the_process_and_is_told_on_a_line",
        ]);
        let output = child.env(CHILD, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(CODE), "{output:?}");
        let said = last_words(&String::from_utf8(output.stderr).unwrap()).unwrap();
        assert!(
            said.starts_with("nothing here is as it should be (crates/sync/src/transport/crash.rs:"),
            "{said}"
        );
    }

    #[test]
    fn a_crash_is_told_from_other_words() {
        assert_eq!(last_words("Connection reset\nKilled"), None);
        assert_eq!(
            last_words("a note\ndocker-sync agent crashed: index out of bounds (x.rs:1)\nmore").as_deref(),
            Some("index out of bounds (x.rs:1)")
        );
        let memory = "memory allocation of 8589934592 bytes failed";
        assert_eq!(last_words(memory).as_deref(), Some(memory));
    }
}

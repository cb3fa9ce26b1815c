//! Running other programs, so that a failure says which command failed and what it said.

use std::fs::File;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::LabError;

/// Runs a command to its end; its standard output.
pub(crate) fn run(command: &mut Command) -> Result<String, LabError> {
    let output =
        command.stdin(Stdio::null()).output().map_err(LabError::io(format_args!("run {}", line(command))))?;
    finished(command, output)
}

/// Runs a command to its end, with an empty file as its standard input: the lock that it and all that it
/// starts are to hold, whatever becomes of this process.
pub(crate) fn run_holding(command: &mut Command, lock: &File) -> Result<String, LabError> {
    let cannot = format!("run {}", line(command));
    let lock = lock.try_clone().map_err(LabError::io(&cannot))?;
    let output = command.stdin(lock).output().map_err(LabError::io(&cannot))?;
    finished(command, output)
}

/// Runs a command with these bytes as its standard input; its standard output.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Result<String, LabError> {
    let cannot = format!("run {}", line(command));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LabError::io(&cannot))?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input) {
            // Then the command has something to say, which is the better error.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result.map_err(LabError::io(&cannot))?,
        }
    }
    let output = child.wait_with_output().map_err(LabError::io(&cannot))?;
    finished(command, output)
}

/// The command as a person would type it, nearly.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn finished(command: &Command, output: std::process::Output) -> Result<String, LabError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    // A classic docker build explains itself on standard output.
    let said = if output.stderr.trim_ascii().is_empty() { &output.stdout } else { &output.stderr };
    let mut stderr = tail(&String::from_utf8_lossy(said), 20);
    if !output.stdout.is_empty() && !output.stderr.trim_ascii().is_empty() {
        stderr.push_str("\nafter: ");
        stderr.push_str(&tail(&String::from_utf8_lossy(&output.stdout), 5));
    }
    Err(LabError::Command { command: line(command), status: output.status, stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_tells_command_and_words() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "sh -c echo why >&2; exit 3 failed (exit status: 3): why");
    }

    #[test]
    fn input_arrives_and_output_comes_back() {
        assert_eq!(run_with_input(&mut Command::new("cat"), b"abc").unwrap(), "abc");
        let error = run_with_input(Command::new("sh").args(["-c", "exit 1"]), &vec![0; 1 << 20]).unwrap_err();
        assert!(matches!(error, LabError::Command { .. }), "{error}");
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }
}

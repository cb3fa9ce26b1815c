//! Running other programs where a person looks on.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Result, show};

/// The number of last lines of a program's output that are kept.
const TAIL: usize = 60;

/// Runs a program whose output is for the person; an error says which program failed.
pub(crate) fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| cannot(command, &error))?;
    if !status.success() {
        return Err(format!("{} failed ({status})", show::typed(command)).into());
    }
    Ok(())
}

/// Runs a program to its end; its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot(command, &error))?;
    if !output.status.success() {
        return Err(format!("{} failed ({})", show::typed(command), output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs a program, passing on what it says line by line as it comes; its last lines are returned.
pub(crate) fn tee(
    mut command: Command,
    mut pass: impl FnMut(&str) + Send + 'static,
) -> Result<(ExitStatus, Vec<String>)> {
    let line = show::typed(&command);
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().map_err(|error| format!("cannot run {line}: {error}"))?;
    // The command holds the pipe's other end, too.
    drop(command);

    let tail = Arc::new(Mutex::new(VecDeque::with_capacity(TAIL)));
    let kept = Arc::clone(&tail);
    let reading = thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(io::Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            pass(&line);
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == TAIL {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    });
    let status = child.wait()?;
    // Processes that a program leaves running may hold the pipe open for ever.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !reading.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    let lines = tail.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    Ok((status, lines))
}

fn cannot(command: &Command, error: &io::Error) -> String {
    format!("cannot run {}: {error}", show::typed(command))
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
    fn the_last_lines_are_kept_whichever_way_they_came() {
        let (status, lines) = tee(sh("seq 100; echo last >&2; exit 3"), |_| {}).unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!((lines.len(), lines[0].as_str(), lines[TAIL - 1].as_str()), (TAIL, "42", "last"));
    }

    #[test]
    fn a_failure_names_the_program() {
        assert_eq!(run(&mut sh("exit 1")).unwrap_err().to_string(), "sh -c 'exit 1' failed (exit status: 1)");
        assert!(output(&mut Command::new("no-such-program")).unwrap_err().to_string().contains("cannot run"));
        assert_eq!(output(&mut sh("echo a")).unwrap(), "a\n");
    }
}

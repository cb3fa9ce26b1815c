//! Runs a program of libFuzzer and measures what it takes.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::output;
use super::record::Turn;
use crate::{Result, show};

/// Ticks in a second of `/proc/PID/stat`, which Linux has fixed for programs.
const TICKS: u64 = 100;

/// A program that has ended.
pub(super) struct Ran {
    pub(super) said: Turn,
    /// CPU time of user and system.
    pub(super) cpu: Duration,
}

/// Runs it to its end; what it says goes to the log.
pub(super) fn run(mut program: Command, log: &Path) -> Result<Ran> {
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        program.spawn().map_err(|error| format!("cannot run {}: {error}", show::typed(&program)))?;
    let mut ran = Ran { said: Turn::default(), cpu: Duration::ZERO };
    let stat = format!("/proc/{}/stat", child.id());
    if let Some(errors) = child.stderr.take() {
        for line in BufReader::new(errors).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            writeln!(log, "{line}")?;
            output::read(&line, &mut ran.said);
            // It says something every few seconds, and its last lines when it has done all.
            ran.cpu = fs::read_to_string(&stat).ok().and_then(|stat| cpu(&stat)).unwrap_or(ran.cpu);
        }
    }
    let status = child.wait()?;
    if !status.success() && ran.said.finding.is_none() {
        ran.said.finding = Some(format!("it ended with {status}"));
    }
    Ok(ran)
}

/// User and system time, the 14th and 15th field; the second is a name in parentheses, which may have any character.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let ticks = fields.next()?.ok()? + fields.next()?.ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 88 0 0 0 250 150 0 0 20 0 1 0 55 0 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(4)));
        assert_eq!(cpu("7 (x) S 1"), None);
    }
}

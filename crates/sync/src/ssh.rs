//! The system's ssh as a child process. It is the user's ssh: config, agent, jump hosts, password prompts.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, SshFailure};
use crate::event::{Event, Observer};
use crate::interrupt;
use crate::remote::Destination;

/// How many lines of standard error are kept for an error message.
const KEPT_LINES: usize = 12;
/// How long a child may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// A child process on whose pipes the agent talks.
pub(crate) struct Pipe {
    child: Child,
    stderr: Arc<Mutex<VecDeque<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    /// Pipes that are open only because the child ends when they close.
    kept: Option<(ChildStdout, ChildStdin)>,
}

/// The words of the ssh command for a remote command.
pub(crate) fn arguments(ssh: &[String], to: &Destination, remote_command: &str) -> Vec<String> {
    let mut words = words(ssh, to);
    words.push(remote_command.into());
    words
}

/// The words of the ssh command up to the host.
pub(crate) fn words(ssh: &[String], to: &Destination) -> Vec<String> {
    let mut words = ssh.to_vec();
    words.push("-T".into());
    if let Some(port) = to.port {
        words.extend(["-p".into(), port.to_string()]);
    }
    // A host cannot begin with a dash (see Remote), and after `--` it could not be an option anyway.
    words.extend(["--".into(), to.host.clone()]);
    words
}

impl Pipe {
    /// Starts a program with its standard streams on pipes. What it says on standard error is kept, and told
    /// to the observer as notes.
    pub(crate) fn spawn(
        words: &[String],
        host: &str,
        observer: &Arc<dyn Observer>,
    ) -> Result<(Pipe, ChildStdout, ChildStdin), Error> {
        let (program, arguments) = words.split_first().ok_or_else(|| Error::Ssh {
            host: host.into(),
            kind: SshFailure::NotFound,
            message: "the ssh command is empty".into(),
        })?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::Ssh {
                host: host.into(),
                kind: SshFailure::NotFound,
                message: format!("'{program}' cannot be run: {error}"),
            })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(Error::io("cannot open pipes to ssh")(std::io::ErrorKind::BrokenPipe.into()));
        };
        interrupt::connection(child.id());
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let reader = thread::spawn({
            let (lines, observer) = (Arc::clone(&lines), Arc::clone(observer));
            move || collect(stderr, &lines, &*observer)
        });
        Ok((Pipe { child, stderr: lines, reader: Some(reader), kept: None }, stdout, stdin))
    }

    /// Takes the pipes of a child that only has to stay until this is ended.
    pub(crate) fn keep(&mut self, output: ChildStdout, input: ChildStdin) {
        self.kept = Some((output, input));
    }

    /// Whether the child has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether the child has ended, or does so at once.
    pub(crate) fn ends_soon(&mut self) -> bool {
        let begin = Instant::now();
        while !self.has_ended() && begin.elapsed() < Duration::from_millis(300) {
            thread::sleep(Duration::from_millis(5));
        }
        self.has_ended()
    }

    /// Waits for the end, for a while, then makes one. The pipes must be closed before.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.kept = None;
        let begin = Instant::now();
        interrupt::connection(0);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(5)),
                _ => {
                    self.child.kill().ok();
                    break self.child.wait().ok();
                }
            }
        };
        // A background process of the remote may hold standard error open; it is not waited for.
        if let Some(reader) = self.reader.take() {
            while !reader.is_finished() && begin.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(1));
            }
        }
        status
    }

    /// The last lines of standard error.
    pub(crate) fn message(&self) -> String {
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.end();
    }
}

fn collect(stderr: ChildStderr, lines: &Mutex<VecDeque<String>>, observer: &dyn Observer) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().chars().take(500).collect::<String>();
        line.clear();
        if text.is_empty() {
            continue;
        }
        observer.event(Event::Note(&text));
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}

/// What kind of failure OpenSSH's words are about. Its messages are not translated.
pub(crate) fn classify(message: &str) -> SshFailure {
    const KINDS: &[(SshFailure, &[&str])] = &[
        // The last lines of a long warning; the first ones may not have been kept.
        (SshFailure::HostKeyChanged, &["has changed and you have requested strict checking"]),
        (SshFailure::HostKey, &["Host key verification failed", "No matching host key"]),
        (
            SshFailure::Authentication,
            &[
                "Permission denied (",
                "Too many authentication failures",
                "Permission denied, please try again",
            ],
        ),
        (SshFailure::UnknownHost, &["Could not resolve hostname", "Name or service not known"]),
        (
            SshFailure::Unreachable,
            &[
                "Connection refused",
                "Connection timed out",
                "No route to host",
                "Network is unreachable",
                "Connection reset",
                "kex_exchange_identification",
                "Connection closed by",
            ],
        ),
    ];
    let found = KINDS.iter().find(|(_, texts)| texts.iter().any(|text| message.contains(text)));
    found.map_or(SshFailure::Other, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_never_an_option() {
        let to = Destination { host: "me@host".into(), port: Some(2222) };
        let words = arguments(&["ssh".into(), "-F".into(), "file".into()], &to, "true");
        assert_eq!(words, ["ssh", "-F", "file", "-T", "-p", "2222", "--", "me@host", "true"]);
    }

    #[test]
    fn what_openssh_says_is_understood() {
        for (kind, message) in [
            (SshFailure::UnknownHost, "ssh: Could not resolve hostname nowhere: Name or service not known"),
            (SshFailure::Unreachable, "ssh: connect to host 127.0.0.1 port 1: Connection refused"),
            (
                SshFailure::HostKey,
                "No ED25519 host key is known for alpha and you have requested strict checking.\nHost key verification failed.",
            ),
            (
                SshFailure::HostKeyChanged,
                "Host key for lab has changed and you have requested strict checking.\nHost key verification failed.",
            ),
            (SshFailure::Authentication, "root@127.0.0.1: Permission denied (publickey)."),
            (SshFailure::Other, "Bad configuration option: foo"),
        ] {
            assert_eq!(classify(message), kind, "{message}");
        }
    }
}

//! The system's ssh as a child process. It is the user's ssh: config, agent, jump hosts, password prompts.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, SshFailure};
use crate::event::{Event, Observer};
use crate::interrupt::{Interrupt, Interruptible};
use crate::transport::crash;
use crate::transport::destination::Destination;

/// The number of lines of standard error that are kept for an error message.
pub(crate) const KEPT_LINES: usize = 12;
/// The most characters of a line that are shown of what came in place of an agent.
const SHOWN: usize = 200;
/// The most bytes of a line that are kept of it.
pub(crate) const LINE: usize = 500;
/// The most lines of standard error that are shown as notes.
const MOST_NOTES: usize = 1_000;
/// The most bytes that are kept of what a child prints that only has to stay.
const MOST_PRINTED: usize = 64 << 10;
/// The time that a child may take to end by itself.
const DOWN_HYSTERESIS: Duration = Duration::from_secs(3);
/// The time that ssh may take to print its configuration.
const CONFIGURED: Duration = Duration::from_secs(2);
/// The same when somebody waits for the end of this process, and when the child deserves no more.
const HURRY: Duration = Duration::from_millis(200);

/// Settings of a user's configuration with which a command does not run, or not on our pipes, put right. The first
/// three are known since OpenSSH 8.7, the last since 7.6.
const OVERRIDES: [&str; 4] =
    ["StdinNull=no", "ForkAfterAuthentication=no", "SessionType=default", "RemoteCommand=none"];
/// The number of them that are left out for an older ssh, or one of another make.
const OLDER: [usize; 3] = [0, 3, 4];

/// This side's ends of the pipes on which the agent talks.
pub(crate) type Output = Interruptible<ChildStdout>;
pub(crate) type Input = Interruptible<ChildStdin>;

/// A child process on whose pipes the agent talks.
pub(crate) struct Pipe {
    child: Child,
    stderr: Arc<Mutex<VecDeque<String>>>,
    /// The threads that read what the child says.
    readers: Vec<thread::JoinHandle<()>>,
    /// A pipe that is open only because the child ends when it closes.
    kept: Option<Input>,
    /// The first of what the child prints, where it only has to stay.
    printed: Arc<Mutex<Vec<u8>>>,
    /// The line that it prints first.
    sign: Option<&'static str>,
    /// The time that the child may take to end by itself.
    patience: Duration,
    /// Of the connection that the child holds.
    interrupt: Interrupt,
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
    if let Some(port) = to.port {
        words.extend(["-p".into(), port.to_string()]);
    }
    // A host cannot begin with a dash (see Remote), and after `--` it could not be an option anyway.
    words.extend(["--".into(), to.host.clone()]);
    words
}

/// The keepalives that a user's ssh is given.
const ALIVE_COUNT: u32 = 4;

/// Options that have ssh notice a link that is dead, as far as the user's configuration for this host has none of its own.
pub(crate) fn keepalive(
    ssh: &[String],
    to: &Destination,
    timeout: Option<Duration>,
    interrupt: &Interrupt,
) -> Vec<String> {
    let Some(timeout) = timeout else { return Vec::new() };
    missing(&configured(ssh, to, interrupt).unwrap_or_default(), timeout)
}

/// The account that ssh logs in to, where that can be told.
pub(crate) fn user(ssh: &[String], to: &Destination, interrupt: &Interrupt) -> Option<String> {
    if let Some((user, _)) = to.host.rsplit_once('@') {
        return Some(user.to_owned());
    }
    let configured = configured(ssh, to, interrupt)?;
    let user = configured.lines().find_map(|line| line.strip_prefix("user "))?;
    Some(user.trim().to_owned())
}

/// The text that `ssh -G` prints. It connects to nothing; one that takes long asks something of its own configuration.
fn configured(ssh: &[String], to: &Destination, interrupt: &Interrupt) -> Option<String> {
    let words = words(&[ssh, &["-G".to_owned()]].concat(), to);
    Some(String::from_utf8_lossy(&said(&words, Some(CONFIGURED), interrupt)?).into_owned())
}

/// Those that are missing in what `ssh -G` prints.
fn missing(configured: &str, timeout: Duration) -> Vec<String> {
    let value = |name: &str| {
        let mut words = configured.lines().filter_map(|line| line.split_once(' '));
        words.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let seconds = timeout.as_secs().max(1);
    let mut options = Vec::new();
    if value("serveraliveinterval") == Some("0") {
        options.push(format!("ServerAliveInterval={}", seconds.div_ceil(ALIVE_COUNT.into())));
        // That of OpenSSH where there is none.
        if value("serveralivecountmax") == Some("3") {
            options.push(format!("ServerAliveCountMax={ALIVE_COUNT}"));
        }
    }
    if matches!(value("connecttimeout"), Some("none" | "0")) {
        options.push(format!("ConnectTimeout={seconds}"));
    }
    options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
}

/// The standard output of a command that succeeds, in time.
pub(crate) fn said(words: &[String], timeout: Option<Duration>, interrupt: &Interrupt) -> Option<Vec<u8>> {
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let reader = child.stdout.take().map(|stdout| {
        thread::spawn(move || {
            let mut said = Vec::new();
            stdout.take(MOST_PRINTED as u64).read_to_end(&mut said).ok().map(|_| said)
        })
    });
    let begin = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if !interrupt.happened() && timeout.is_none_or(|most| begin.elapsed() < most) => {
                thread::sleep(Duration::from_millis(2));
            }
            _ => {
                child.kill().ok();
                child.wait().ok()?;
                return None;
            }
        }
    };
    // A child of its own may hold the pipe open.
    while !reader.as_ref()?.is_finished() && begin.elapsed() < timeout.unwrap_or(DOWN_HYSTERESIS) {
        thread::sleep(Duration::from_millis(1));
    }
    let said = reader.filter(thread::JoinHandle::is_finished)?.join().ok()??;
    status.success().then_some(said)
}

/// Does something with the ssh command and overrides for the user's configuration, as many as this ssh knows: one that does
/// not know an option says so before it connects anywhere.
pub(crate) fn overriding<T>(
    ssh: &[String],
    run: impl Fn(Vec<String>) -> Result<T, Error>,
) -> Result<T, Error> {
    let command = |older: usize| {
        let options = OVERRIDES[older..].iter().flat_map(|option| ["-o", option]);
        ssh.iter().cloned().chain(["-T"].into_iter().chain(options).map(str::to_owned)).collect()
    };
    let [newest @ .., oldest] = OLDER;
    for older in newest {
        match run(command(older)) {
            Err(error) if is_unknown_option(&error) => {}
            result => return result,
        }
    }
    run(command(oldest))
}

/// True if an ssh ended because it does not know an option that it was given.
fn is_unknown_option(error: &Error) -> bool {
    // Those of other makes may have another exit code than OpenSSH's.
    let lines = match error {
        Error::Ssh { message, .. } => message.clone(),
        Error::NoShell { said, .. } => said.join("\n"),
        _ => return false,
    };
    lines.lines().map(str::to_lowercase).any(|line| {
        let name = |option: &str| option.split('=').next().unwrap_or_default().to_lowercase();
        let ours = || OVERRIDES.iter().map(|option| name(option)).any(|name| line.contains(&name));
        let is_o = || ["-- o", "-- 'o'", "\"-o\"", "'-o'", " -o"].iter().any(|option| line.contains(option));
        line.contains("configuration option") && ours() || line.contains(" option") && is_o()
    })
}

impl Pipe {
    /// Starts a program with its standard streams on pipes. What it says on standard error is kept, and told
    /// to the observer as notes.
    pub(crate) fn spawn(
        words: &[String],
        host: &str,
        observer: &Arc<dyn Observer>,
        interrupt: &Interrupt,
    ) -> Result<(Pipe, Output, Input), Error> {
        if interrupt.happened() {
            return Err(Error::Interrupted);
        }
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
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
                    let message = format!("'{program}' cannot be run: {error}");
                    Error::Ssh { host: host.into(), kind: SshFailure::NotFound, message }
                }
                _ => Error::io(format!("cannot start '{program}'"))(error),
            })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        interrupt.adopt(child.id());
        let cannot = || Error::io("cannot open pipes to ssh");
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(cannot()(io::ErrorKind::BrokenPipe.into()));
        };
        let stdout = Interruptible::new(stdout, interrupt).map_err(cannot())?;
        let stdin = Interruptible::new(stdin, interrupt).map_err(cannot())?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let reader = thread::spawn({
            let (lines, observer) = (Arc::clone(&lines), Arc::clone(observer));
            move || collect(stderr, &lines, &*observer)
        });
        let pipe = Pipe {
            child,
            stderr: lines,
            readers: vec![reader],
            kept: None,
            printed: Arc::default(),
            sign: None,
            patience: DOWN_HYSTERESIS,
            interrupt: interrupt.clone(),
        };
        Ok((pipe, stdout, stdin))
    }

    /// Takes the pipes of a child that only has to stay until this is ended, after it has printed a line as a sign that
    /// it runs at all. The sign is not waited for.
    pub(crate) fn keep(&mut self, mut output: Output, input: Input, sign: &'static str) {
        (self.kept, self.sign) = (Some(input), Some(sign));
        let printed = Arc::clone(&self.printed);
        self.readers.push(thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut block) {
                let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MOST_PRINTED.saturating_sub(printed.len());
                printed.extend_from_slice(&block[..n.min(room)]);
            }
        }));
    }

    /// The reason why the child that held the connection to a host has ended.
    pub(crate) fn ended(&self, host: &str) -> Error {
        let (host, message) = (host.to_owned(), self.message());
        if let Some(message) = crash::last_words(&message) {
            return Error::Crashed { host, message };
        }
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        match self.sign {
            Some(sign) if !String::from_utf8_lossy(&printed).contains(sign) => {
                Error::NoShell { host, said: lines(&printed, &message) }
            }
            _ => Error::Lost { host, message },
        }
    }

    /// True if the child has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.interrupt.reap(&mut self.child), Ok(None))
    }

    /// True if the child has ended, or does so at once.
    pub(crate) fn ends_soon(&mut self) -> bool {
        let begin = Instant::now();
        while !self.has_ended() && begin.elapsed() < Duration::from_millis(300) {
            thread::sleep(Duration::from_millis(5));
        }
        self.has_ended()
    }

    /// A child that broke the protocol is not waited for.
    pub(crate) fn hurry(&mut self) {
        self.patience = HURRY;
    }

    /// Waits for the end, for a while, then makes one. The pipes must be closed before.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.kept = None;
        let begin = Instant::now();
        let patience = self.patience;
        let interrupt = &self.interrupt;
        let runs_filters = || begin.elapsed() < if interrupt.happened() { HURRY } else { patience };
        let status = loop {
            match interrupt.reap(&mut self.child) {
                Ok(Some(status)) => break Some(status),
                Ok(None) if runs_filters() => thread::sleep(Duration::from_millis(5)),
                _ => {
                    self.child.kill().ok();
                    // It can no longer be waited for in vain.
                    interrupt.release(self.child.id());
                    break self.child.wait().ok();
                }
            }
        };
        // A background process of the remote may hold them open; it is not waited for.
        for reader in self.readers.drain(..) {
            while !reader.is_finished() && runs_filters() {
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

/// Reads standard error to its end. Of what a remote says without end only the last lines are kept, and the first shown.
fn collect(mut stderr: impl Read, lines: &Mutex<VecDeque<String>>, observer: &dyn Observer) {
    let mut notes = 0;
    let mut keep = |line: &[u8]| {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        if text.is_empty() {
            return;
        }
        notes += 1;
        match notes {
            ..=MOST_NOTES => observer.event(Event::Note(&text)),
            _ if notes == MOST_NOTES + 1 => {
                observer.event(Event::Note("more on standard error is not shown"))
            }
            _ => {}
        }
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    };
    let (mut block, mut line) = ([0; 4096], Vec::new());
    loop {
        let read = match stderr.read(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => return keep(&line),
            Ok(read) => read,
        };
        for &byte in &block[..read] {
            match byte {
                b'\n' => {
                    keep(&line);
                    line.clear();
                }
                _ if line.len() < LINE => line.push(byte),
                _ => {}
            }
        }
    }
}

/// The output of a remote in place of the agent's: on standard output, of which the first lines count, and standard error.
pub(crate) fn lines(output: &[u8], error: &str) -> Vec<String> {
    let output = String::from_utf8_lossy(output);
    // Some say which command they do not run, and ours is long.
    let cut = |line: &str| match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    let lines = |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(cut).collect();
    let mut said: Vec<String> = lines(&output);
    said.truncate(KEPT_LINES);
    said.append(&mut lines(error));
    said
}

/// A failure of ssh itself, by its last words.
pub(crate) fn failed(host: &str, message: String) -> Error {
    let (kind, reason) = classify(&message);
    let message = if reason.is_empty() { "ssh failed without a word".into() } else { reason.into() };
    Error::Ssh { host: host.into(), kind, message }
}

/// The kind of failure that OpenSSH's words are about, and those words without the server's banner before them. Its
/// messages are not translated.
fn classify(message: &str) -> (SshFailure, &str) {
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
                "closed by remote host",
                "Timeout, server",
                "Broken pipe",
            ],
        ),
    ];
    let found = KINDS.iter().find(|(_, texts)| texts.iter().any(|text| message.contains(text)));
    let Some((kind, texts)) = found else { return (SshFailure::Other, message) };
    let is_reason = |line: &&str| texts.iter().any(|text| line.contains(text));
    let reason = match kind {
        // The warning about the key comes first.
        SshFailure::HostKeyChanged | SshFailure::HostKey => None,
        _ => message.split_inclusive('\n').position(|line| is_reason(&line)),
    };
    let before = message.split_inclusive('\n').take(reason.unwrap_or_default()).map(str::len).sum();
    (*kind, &message[before..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_never_an_option() {
        let to = Destination { host: "me@host".into(), port: Some(2222) };
        let words = arguments(&["ssh".into(), "-F".into(), "file".into()], &to, "true");
        assert_eq!(words, ["ssh", "-F", "file", "-p", "2222", "--", "me@host", "true"]);
    }

    #[test]
    fn an_ssh_is_given_the_overrides_that_it_knows() {
        let tried = |answers: &[&str]| {
            let tries = Mutex::new(Vec::new());
            let run = |words: Vec<String>| {
                let mut tries = tries.lock().unwrap();
                tries.push(words.iter().filter(|word| word.contains('=')).count());
                let message = answers.get(tries.len() - 1).copied().unwrap_or_default().to_owned();
                match message.is_empty() {
                    true => Ok(words.len()),
                    false => Err(Error::Ssh { host: "h".into(), kind: SshFailure::Other, message }),
                }
            };
            let result = overriding(&["ssh".into(), "-v".into()], run);
            (result.ok(), tries.into_inner().unwrap())
        };
        let old = "command-line: line 0: Bad configuration option: stdinnull";
        let older = "command-line: line 0: Bad configuration option: remotecommand";
        assert_eq!(tried(&[]), (Some(11), vec![4]));
        assert_eq!(tried(&[old]), (Some(5), vec![4, 1]));
        assert_eq!(tried(&[old, older]), (Some(3), vec![4, 1, 0]));
        for other in ["illegal option -- o", "plink: unknown option \"-o\"", "ssh: invalid option -- 'o'"] {
            assert_eq!(tried(&[other, other]), (Some(3), vec![4, 1, 0]), "{other}");
        }
        for failure in [
            "/root/.ssh/config: line 3: Bad configuration option: usekeychain",
            "root@h: Permission denied (publickey).",
            "bash: exec: invalid option",
        ] {
            assert_eq!(tried(&[failure]), (None, vec![4]), "{failure}");
        }
    }

    #[test]
    fn an_ssh_is_given_keepalives_where_the_user_has_none() {
        let given = |configured: &str| missing(configured, Duration::from_secs(60)).join(" ");
        let none = "user me\nserveraliveinterval 0\nserveralivecountmax 3\nconnecttimeout none\n";
        assert_eq!(given(none), "-o ServerAliveInterval=15 -o ServerAliveCountMax=4 -o ConnectTimeout=60");
        let own = none.replace("interval 0", "interval 30");
        assert_eq!(given(&own), "-o ConnectTimeout=60");
        assert_eq!(given(&own.replace("none", "5")), "");
        let count = none.replace("max 3", "max 9").replace("none", "5");
        assert_eq!(given(&count), "-o ServerAliveInterval=15");
        for other in ["", "usage: ssh [-G]", "connecttimeout"] {
            assert_eq!(given(other), "", "another make of ssh is left alone");
        }
        assert!(missing(none, Duration::from_millis(10)).contains(&"ServerAliveInterval=1".to_owned()));
    }

    #[test]
    fn a_command_that_takes_too_long_has_said_nothing() {
        let words = |script: &str| ["sh", "-c", script].map(str::to_owned);
        let said = |script: &str, millis| {
            said(&words(script), Some(Duration::from_millis(millis)), &Interrupt::default())
        };
        assert_eq!(said("echo yes", 10_000).as_deref(), Some(&b"yes\n"[..]));
        assert_eq!(said("echo no; exit 1", 10_000), None);
        let begin = Instant::now();
        assert_eq!(said("echo yes; exec sleep 60", 50), None);
        assert_eq!(said("sleep 60 & echo yes", 50), None);
        assert!(begin.elapsed() < Duration::from_secs(20));
    }

    #[derive(Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Observer for Notes {
        fn event(&self, event: Event<'_>) {
            if let Event::Note(note) = event {
                self.0.lock().unwrap().push(note.into());
            }
        }
    }

    #[test]
    fn of_endless_standard_error_the_last_lines_are_kept_and_the_first_shown() {
        let (notes, lines) = (Notes::default(), Mutex::default());
        let endless = io::repeat(b'x').take(10_000_000).chain(&b"\n"[..]);
        let many: String = (0..3 * MOST_NOTES).map(|line| format!("line {line}\r\n\n")).collect();
        collect(endless.chain(many.as_bytes()).chain(&b"the last \xff"[..]), &lines, &notes);
        let lines = lines.into_inner().unwrap();
        assert_eq!((lines.len(), &lines[KEPT_LINES - 1][..]), (KEPT_LINES, "the last \u{fffd}"));
        let notes = notes.0.into_inner().unwrap();
        assert_eq!(notes.len(), MOST_NOTES + 1);
        assert_eq!((notes[0].len(), &notes[1][..]), (LINE, "line 0"));
        assert_eq!(notes[MOST_NOTES], "more on standard error is not shown");
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
            (SshFailure::Unreachable, "Timeout, server alpha not responding."),
            (SshFailure::Unreachable, "Connection to alpha closed by remote host."),
            (SshFailure::Unreachable, "client_loop: send disconnect: Broken pipe"),
            (SshFailure::Other, "Bad configuration option: foo"),
        ] {
            assert_eq!(classify(message), (kind, message));
            let behind_a_banner = format!("*** keep out ***\n\n{message}");
            let (_, reason) = classify(&behind_a_banner);
            let hides = !matches!(kind, SshFailure::HostKey | SshFailure::HostKeyChanged | SshFailure::Other);
            assert_eq!(reason, if hides { message } else { &behind_a_banner });
        }
    }
}

//! The one place that runs programs.
//!
//! Arguments are a vector, never a shell's text. The locale is forced, so that what is said can be
//! understood; standard input is empty unless it is fed; standard error is kept and becomes the error. A
//! child is never left behind: whoever drops it has it killed and waited for.

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;

use crate::StoreError;
use crate::failure::{Failure, classify};
use crate::locate::{Surroundings, is_program, locate};
use crate::script;

/// Bytes of a program's output that are kept: the end, where the reason is.
const TAIL: usize = 16 << 10;
/// More than any listing of images has.
const LARGEST_OUTPUT: u64 = 1 << 30;
/// Noise of a login shell that is put up with, in bytes.
const MAX_NOISE: usize = 64 << 10;
/// The time that a program has to notice that its input has ended early.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client program and the arguments that always come first.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    file: std::path::PathBuf,
    /// As the user wrote it.
    words: Vec<String>,
    /// The way to the host of this program; `None` for this host.
    reach: Option<Reach>,
}

/// The way to another host: a command to which the script to run there is added, and a count of its bytes.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// `ssh -T -- host`.
    pub words: Vec<String>,
    /// Bytes to that host.
    pub sent: Arc<AtomicU64>,
    /// Bytes from that host.
    pub received: Arc<AtomicU64>,
}

/// Output and exit status of a program.
pub(crate) struct Output {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    command: String,
    status: ExitStatus,
}

impl Program {
    /// Finds the first of these words; the others are its first arguments.
    pub(crate) fn find(words: &[String]) -> Result<Self, StoreError> {
        let not_found = |program: &str| StoreError::NotFound { program: program.into() };
        let program = words.first().ok_or_else(|| not_found(""))?;
        let around = Surroundings {
            path: std::env::var_os("PATH"),
            home: std::env::var_os("HOME"),
            exists: &|file: &Path| is_program(file),
        };
        let file = locate(program, &around).ok_or_else(|| not_found(program))?;
        Ok(Self { file, words: words.to_vec(), reach: None })
    }

    /// A program of another host.
    pub(crate) fn distant(words: &[String], reach: &Reach) -> Result<Self, StoreError> {
        let file = reach.words.first().ok_or_else(|| StoreError::NotFound { program: String::new() })?.into();
        Ok(Self { file, words: words.to_vec(), reach: Some(reach.clone()) })
    }

    /// Runs it to its end and collects what it says, whatever its exit status.
    pub(crate) fn output(&self, args: &[&str]) -> Result<Output, StoreError> {
        let mut reading = self.reading(self.spawn(args, Stdio::null(), script::packed_command)?);
        let mut stdout = Vec::new();
        let limit = LARGEST_OUTPUT + 1;
        let taken = match self.reach {
            None => (&mut reading).take(limit).read_to_end(&mut stdout),
            Some(_) => GzDecoder::new(&mut reading).take(limit).read_to_end(&mut stdout),
        };
        let command = reading.running.command.clone();
        if stdout.len() as u64 > LARGEST_OUTPUT {
            let reason = format!("`{command}` prints more than {LARGEST_OUTPUT} bytes");
            return Err(StoreError::Broken { what: "the list of images".into(), reason });
        }
        // Where it was not read to its end, the program must not wait for us.
        reading.stdout = None;
        let (status, stderr) = reading.running.wait()?;
        match taken {
            // The error of the failed side is reported; the output is of no interest.
            Err(source) if status.success() => {
                Err(StoreError::Io { what: format!("the output of `{command}` cannot be read"), source })
            }
            _ => Ok(Output { stdout, stderr, command, status }),
        }
    }

    /// Runs it to its end; a failure is about this image, if one is named.
    pub(crate) fn run(&self, args: &[&str], image: Option<&str>) -> Result<Output, StoreError> {
        let output = self.output(args)?;
        if output.success() { Ok(output) } else { Err(output.failure(image)) }
    }

    /// Starts it to read what it writes.
    pub(crate) fn read(&self, args: &[&str]) -> Result<Reading, StoreError> {
        Ok(self.reading(self.spawn(args, Stdio::null(), script::marked_command)?))
    }

    /// The words of a command line in a script: the program and these arguments.
    pub(crate) fn line(&self, args: &[&str]) -> Result<String, StoreError> {
        script::line(self.words.iter().map(String::as_str).chain(args.iter().copied()))
    }

    /// Starts a script on the other host where the program is, to read what it writes.
    pub(crate) fn read_script(&self, script: &str) -> Result<Reading, StoreError> {
        let first = self.reach.as_ref().map_or(&[][..], |reach| &reach.words[1..]);
        Ok(self.reading(self.start(first, &[&script::marked_command(script)], script, Stdio::null())?))
    }

    fn reading(&self, mut running: Running) -> Reading {
        let stdout = running.child.stdout.take();
        let received = self.reach.as_ref().map(|reach| Arc::clone(&reach.received));
        Reading { running, stdout, has_begun: self.reach.is_none(), received }
    }

    /// Starts it to write what it reads.
    pub(crate) fn feed(&self, args: &[&str]) -> Result<Feeding, StoreError> {
        let mut running = self.spawn(args, Stdio::piped(), script::command)?;
        let stdin = running.child.stdin.take();
        let stdout = running.child.stdout.take().map(tail);
        let sent = self.reach.as_ref().map(|reach| Arc::clone(&reach.sent));
        Ok(Feeding { stdin, stdout, running, sent })
    }

    fn spawn(&self, args: &[&str], stdin: Stdio, wrap: fn(&str) -> String) -> Result<Running, StoreError> {
        let shown = shlex::try_join(self.words.iter().map(String::as_str).chain(args.iter().copied()))
            .unwrap_or_else(|_| self.words.join(" "));
        match &self.reach {
            None => self.start(&self.words[1..], args, &shown, stdin),
            Some(reach) => {
                let command = wrap(&self.line(args)?);
                self.start(&reach.words[1..], &[&command], &shown, stdin)
            }
        }
    }

    fn start(
        &self,
        first: &[String],
        args: &[&str],
        shown: &str,
        stdin: Stdio,
    ) -> Result<Running, StoreError> {
        let command = shown.to_owned();
        let mut child = Command::new(&self.file)
            .args(first)
            .args(args)
            .env("LC_ALL", "C")
            .env("LANGUAGE", "C")
            .env("NO_COLOR", "1")
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| match source.kind() {
                io::ErrorKind::NotFound => StoreError::NotFound { program: self.words[0].clone() },
                _ => StoreError::Io { what: format!("cannot run `{command}`"), source },
            })?;
        let stderr = child.stderr.take().map(tail);
        Ok(Running { child, stderr, command, ended: false })
    }
}

impl Output {
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    pub(crate) fn failure(&self, image: Option<&str>) -> StoreError {
        failure(&self.command, self.status, &self.stderr, image)
    }
}

/// A program whose standard output is read.
pub(crate) struct Reading {
    running: Running,
    stdout: Option<ChildStdout>,
    /// The output of a login shell before the mark was passed over.
    has_begun: bool,
    received: Option<Arc<AtomicU64>>,
}

impl Reading {
    /// After its output has been read to the end: how it ended.
    pub(crate) fn finish(mut self, image: Option<&str>) -> Result<(), StoreError> {
        self.stdout = None;
        let command = self.running.command.clone();
        let (status, stderr) = self.running.wait()?;
        if status.success() { Ok(()) } else { Err(failure(&command, status, &stderr, image)) }
    }
}

impl Reading {
    /// After its output turned out to be useless: the reason, if it gave one.
    pub(crate) fn explain(mut self, image: Option<&str>) -> Result<(), StoreError> {
        self.stdout = None;
        let command = self.running.command.clone();
        let (status, stderr) = self.running.wait()?;
        if status.success() && stderr.trim().is_empty() {
            Ok(())
        } else {
            Err(failure(&command, status, &stderr, image))
        }
    }
}

impl Reading {
    /// Reads up to the mark; a program that ends before it has its reason on standard error.
    fn skip_noise(&mut self) -> io::Result<()> {
        let Some(stdout) = &mut self.stdout else { return Ok(()) };
        let mark = format!("{}\n", script::MARK);
        let mut noise = Vec::new();
        // One by one, so that nothing is read beyond the mark.
        let mut byte = [0];
        while noise.len() < MAX_NOISE && stdout.read(&mut byte)? == 1 {
            noise.push(byte[0]);
            if noise.ends_with(mark.as_bytes()) {
                break;
            }
        }
        Ok(())
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.has_begun {
            self.skip_noise()?;
            self.has_begun = true;
        }
        let count = self.stdout.as_mut().map_or(Ok(0), |stdout| stdout.read(buffer))?;
        if let Some(received) = &self.received {
            received.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }
}

/// A program whose standard input is written.
///
/// Dropped early, it sees its input end and gets the time to clean up after itself (podman keeps a copy
/// of its input on disk); only then is it killed.
pub(crate) struct Feeding {
    // The order matters: the input closes before the program is waited for.
    stdin: Option<ChildStdin>,
    stdout: Option<JoinHandle<String>>,
    running: Running,
    sent: Option<Arc<AtomicU64>>,
}

impl Feeding {
    /// Ends its input and waits: what it said on standard output.
    pub(crate) fn finish(mut self) -> Result<String, StoreError> {
        self.stdin = None;
        let said = joined(self.stdout.take());
        let command = self.running.command.clone();
        let (status, stderr) = self.running.wait()?;
        // docker says on standard output what podman says on standard error.
        if status.success() {
            Ok(said + &stderr)
        } else {
            Err(failure(&command, status, &format!("{said}\n{stderr}"), None))
        }
    }
}

impl Write for Feeding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let count = stdin.write(bytes)?;
        if let Some(sent) = &self.sent {
            sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Feeding {
    fn drop(&mut self) {
        if self.stdin.take().is_some() {
            self.running.wait_at_most(PATIENCE);
        }
    }
}

struct Running {
    child: Child,
    stderr: Option<JoinHandle<String>>,
    command: String,
    ended: bool,
}

impl Running {
    fn wait(&mut self) -> Result<(ExitStatus, String), StoreError> {
        let status = self.child.wait().map_err(|source| {
            let what = format!("cannot learn how `{}` ended", self.command);
            StoreError::Io { what, source }
        })?;
        self.ended = true;
        Ok((status, joined(self.stderr.take())))
    }

    fn wait_at_most(&mut self, limit: Duration) {
        let start = Instant::now();
        while !self.ended && start.elapsed() < limit {
            match self.child.try_wait() {
                Ok(Some(_)) => self.ended = true,
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                Err(_) => return,
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // Both fail only for a child that has already been waited for.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn failure(command: &str, status: ExitStatus, stderr: &str, image: Option<&str>) -> StoreError {
    classify(&Failure { command, status: &status.to_string(), stderr, image })
}

/// Reads to the end in a thread of its own and keeps the tail.
fn tail(mut reader: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut kept: Vec<u8> = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    kept.extend_from_slice(&buffer[..count]);
                    let excess = kept.len().saturating_sub(TAIL);
                    kept.drain(..excess);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn joined(thread: Option<JoinHandle<String>>) -> String {
    thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Program {
        Program::find(&["sh".to_owned(), "-c".to_owned()]).unwrap()
    }

    #[test]
    fn output_and_failure_are_collected() {
        let output = shell().output(&["printf 'a\\n'; cat; echo \"$LC_ALL\" >&2"]).unwrap();
        assert!(output.success());
        assert_eq!((output.stdout.as_slice(), output.stderr.as_str()), (&b"a\n"[..], "C\n"));
        let error = shell().run(&["echo first >&2; echo why >&2; exit 3"], None).err().unwrap();
        let StoreError::Failed { command, status, message } = error else { panic!("{error:?}") };
        assert_eq!(command, "sh -c 'echo first >&2; echo why >&2; exit 3'");
        assert_eq!((status.as_str(), message.as_str()), ("exit status: 3", "first; why"));
    }

    #[test]
    fn only_the_end_of_a_long_complaint_is_kept() {
        let output = shell().output(&["yes a | head -c 1000000 >&2; echo end >&2"]).unwrap();
        assert!(output.stderr.len() <= TAIL && output.stderr.ends_with("end\n"));
    }

    #[test]
    fn what_is_nowhere_is_not_found() {
        let error = Program::find(&["no-such-program-of-ours".into()]).unwrap_err();
        assert!(matches!(error, StoreError::NotFound { program } if program == "no-such-program-of-ours"));
        assert!(matches!(Program::find(&[]), Err(StoreError::NotFound { .. })));
    }

    #[test]
    fn what_a_login_shell_prints_before_is_skipped() {
        let words = ["sh".to_owned(), "-c".to_owned(), "echo welcome; eval \"$0\"".to_owned()];
        let distant =
            Program::distant(&["printf".into()], &Reach { words: words.into(), ..Reach::default() });
        let distant = distant.unwrap();
        assert_eq!(distant.output(&["%s", "said"]).unwrap().stdout, b"said");
        let failed = distant.output(&["%d", "no-number"]).unwrap();
        assert!(!failed.success() && failed.stderr.contains("no-number"), "{}", failed.stderr);
        let mut said = String::new();
        distant.read_script("echo one; echo two").unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "one\ntwo\n");
    }

    #[test]
    fn a_dropped_reader_is_killed() {
        let reading = shell().read(&["exec sleep 1000"]).unwrap();
        let start = Instant::now();
        drop(reading);
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_dropped_feeder_sees_the_end_of_its_input() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("cat >/dev/null; echo ended >'{}'", file.path().display());
        drop(shell().feed(&[&script]).unwrap());
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "ended\n");
    }

    #[test]
    fn feeding_tells_how_it_ended() {
        let mut feeding = shell().feed(&["cat; echo done"]).unwrap();
        feeding.write_all(b"fed ").unwrap();
        assert_eq!(feeding.finish().unwrap(), "fed done\n");
        let feeding = shell().feed(&["cat; echo disk: no space left on device >&2; exit 1"]).unwrap();
        assert!(matches!(feeding.finish(), Err(StoreError::NoSpace { .. })));
    }
}

//! Runs the client programs of engines, on this host or through a command that reaches another.
//!
//! No other module starts a process. Arguments are a vector, never a shell's text. The locale is forced, so that
//! messages can be parsed; standard input is empty unless it is fed; standard error is kept and becomes the error.

mod children;
mod process;
mod prompt;
pub(crate) mod sudo;

use std::io::Read;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use dsync_core::Password;
use flate2::read::GzDecoder;

use crate::locate::{Surroundings, is_program, locate};
use crate::script;
use crate::store::StoreError;
use process::{Running, failure};
use sudo::{Sudo, Way};

pub use children::{EngineHost, Waiting, end_overdue, kill_children, terminate_children, waiting};
pub(crate) use process::{Feeding, Reading};

/// The most bytes that the output of a listing may have.
const LARGEST_OUTPUT: u64 = 1 << 30;

/// A client program and the arguments that always come first.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    file: std::path::PathBuf,
    /// As the user wrote it.
    words: Vec<String>,
    /// The way to the host of this program; `None` for this host.
    reach: Option<Reach>,
    /// The folder of its temporary files, if it is to have another than its own choice.
    folder: Option<std::path::PathBuf>,
    /// The way past a `sudo` that would ask for a password.
    way: Option<Way>,
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
        Ok(Self { file, words: words.to_vec(), reach: None, folder: None, way: None })
    }

    /// The same where a `sudo` among them gets its password in this way.
    pub(crate) fn find_by(words: &[String], sudo: &Sudo) -> Result<Self, StoreError> {
        let program = Self::find(words)?;
        let way = Way::find(&program.file, words, sudo)?;
        Ok(Self { way, ..program })
    }

    /// A program of another host.
    pub(crate) fn distant(words: &[String], reach: &Reach) -> Result<Self, StoreError> {
        let file = reach.words.first().ok_or_else(|| StoreError::NotFound { program: String::new() })?.into();
        Ok(Self { file, words: words.to_vec(), reach: Some(reach.clone()), folder: None, way: None })
    }

    /// The same program, with these arguments before all others, too.
    pub(crate) fn with(&self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned());
        Self { words: self.words.iter().cloned().chain(arguments).collect(), ..self.clone() }
    }

    /// The program and the arguments that always come first, as the user wrote them.
    pub(crate) fn words(&self) -> &[String] {
        &self.words
    }

    /// True if it runs on this host.
    pub(crate) fn is_here(&self) -> bool {
        self.reach.is_none()
    }

    /// The same program, with this folder for its temporary files.
    pub(crate) fn in_folder(&self, folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..self.clone() }
    }

    /// Runs it to its end and collects its output, whatever its exit status.
    pub(crate) fn output(&self, args: &[&str]) -> Result<Output, StoreError> {
        let mut reading = self.reading(self.spawn(args, self.no_input(), script::packed_command)?);
        let mut stdout = Vec::new();
        let limit = LARGEST_OUTPUT + 1;
        let taken = match self.reach {
            None => (&mut reading).take(limit).read_to_end(&mut stdout),
            Some(_) => GzDecoder::new(&mut reading).take(limit).read_to_end(&mut stdout),
        };
        let command = reading.command().to_owned();
        if stdout.len() as u64 > LARGEST_OUTPUT {
            let reason = format!("`{command}` prints more than {LARGEST_OUTPUT} bytes");
            return Err(StoreError::Broken { what: "the list of images".into(), reason });
        }
        let (status, stderr) = reading.end()?;
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
        Ok(self.reading(self.spawn(args, self.no_input(), script::marked_command)?))
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

    /// The standard input of a program that is to read nothing, but for a password.
    fn no_input(&self) -> Stdio {
        if self.password().is_some() { Stdio::piped() } else { Stdio::null() }
    }

    fn password(&self) -> Option<&Password> {
        self.way.as_ref()?.password()
    }

    fn reading(&self, mut running: Running) -> Reading {
        if let (Some(password), Some(mut input)) = (self.password(), running.take_input()) {
            // A sudo that does not need it does not read it, and the program reads nothing.
            prompt::write(&mut input, password).ok();
        }
        match &self.reach {
            None => Reading::new(running),
            Some(reach) => Reading::marked(running, Arc::clone(&reach.received)),
        }
    }

    /// Starts it to write what it reads.
    pub(crate) fn feed(&self, args: &[&str]) -> Result<Feeding, StoreError> {
        let mut running = self.spawn(args, Stdio::piped(), script::command)?;
        if let Some(password) = self.password() {
            running.answer(password)?;
        }
        Ok(Feeding::new(running, self.reach.as_ref().map(|reach| Arc::clone(&reach.sent))))
    }

    /// The command line for people. Of many arguments, as IDs are, the first ones and their number.
    fn shown(&self, args: &[&str]) -> String {
        const MOST: usize = 12;
        let first = &args[..if args.len() > MOST { 4 } else { args.len() }];
        let mut shown = shlex::try_join(self.words.iter().map(String::as_str).chain(first.iter().copied()))
            .unwrap_or_else(|_| self.words.join(" "));
        if first.len() < args.len() {
            shown += &format!(" … and {} more", args.len() - first.len());
        }
        shown
    }

    fn spawn(&self, args: &[&str], stdin: Stdio, wrap: fn(&str) -> String) -> Result<Running, StoreError> {
        let shown = self.shown(args);
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
        let mut command = Command::new(&self.file);
        if let Some(way) = &self.way {
            way.prepare(&self.file);
            command.args(way.arguments());
        }
        command.args(first).args(args).stdin(stdin);
        command.env("LC_ALL", "C").env("LANGUAGE", "C").env("NO_COLOR", "1");
        if let Some(folder) = &self.folder {
            command.env("TMPDIR", folder);
        }
        let host = if self.reach.is_some() { EngineHost::Other } else { EngineHost::This };
        Running::start(command, shown.to_owned(), &self.words[0], host, self.password().is_some())
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    use super::*;

    fn shell() -> Program {
        Program::find(&["sh".to_owned(), "-c".to_owned()]).unwrap()
    }

    #[test]
    fn a_long_command_line_is_shown_by_its_beginning() {
        let ids = vec!["sha256:1"; 1000];
        let args = [&["image", "inspect"], &ids[..]].concat();
        assert_eq!(shell().shown(&args), "sh -c image inspect sha256:1 sha256:1 … and 998 more");
        assert_eq!(shell().shown(&["image", "tag", "a b", "c"]), "sh -c image tag 'a b' c");
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
        assert!(output.stderr.len() <= 16 << 10 && output.stderr.ends_with("end\n"));
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
        assert!(matches!(feeding.finish(), Err(StoreError::StorageFull { .. })));
    }
}

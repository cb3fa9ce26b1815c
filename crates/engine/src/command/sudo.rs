//! `sudo` in front of a client program: how it gets the password that it wants.
//!
//! A password goes to the standard input of `sudo -S`, and nowhere else: not into a command line, a variable, a file or
//! a message. sudo reads its input only when it has to, so what is meant for it must not be taken by the program behind
//! it. Therefore sudo checks the password by itself (`sudo -S -v`), remembers that for the children of this process,
//! and runs each client program without asking (`sudo -n`). Where it remembers nothing (`timestamp_timeout=0`), each
//! program gets the password: sudo is told to forget what it may know (`-k`), so that it always asks, and what a
//! program is to read follows when it has asked.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use dsync_core::Password;

use super::children::EngineHost;
use super::process::{Running, failure};
use super::prompt::{PROMPT, write};
use crate::store::StoreError;

/// The way in which a `sudo` in front of a client program gets a password, if it wants one.
#[derive(Debug, Clone, Default)]
pub enum Sudo {
    /// It asks on the terminal, as it always does.
    #[default]
    Asks,
    /// It gets none, and fails at once.
    Silent,
    /// It is given this one.
    Given(Password),
}

/// The way in which a client program behind a `sudo` is started.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Without asking.
    Silent,
    /// Without asking, as sudo remembers the password; it is given again before, should sudo have forgotten.
    Remembered(Arc<Password>),
    /// With the password each time.
    EachTime(Arc<Password>),
}

/// Options of sudo that take another word.
const WITH_VALUE: &str = "CDghpRrTtUu";

/// True if these words run something by a `sudo` that may ask for a password: one that is not told what to do then.
pub fn may_ask(words: &[String]) -> bool {
    let [sudo, rest @ ..] = words else { return false };
    if Path::new(sudo).file_name().is_none_or(|name| name != "sudo") {
        return false;
    }
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let long = word.strip_prefix("--");
        match (long, word.strip_prefix('-')) {
            (Some("non-interactive" | "stdin" | "askpass" | "help" | "version"), _) => return false,
            (Some(""), _) => break,
            (Some(_), _) => {}
            (None, Some(letters)) if !letters.is_empty() => {
                for (at, letter) in letters.char_indices() {
                    if "nSAVKkl".contains(letter) {
                        return false;
                    }
                    if WITH_VALUE.contains(letter) {
                        if at + letter.len_utf8() == letters.len() {
                            rest.next();
                        }
                        break;
                    }
                }
            }
            _ => return true,
        }
    }
    rest.next().is_some()
}

impl Way {
    /// The way for a client program with these words, whose sudo is this file.
    pub(super) fn find(file: &Path, words: &[String], sudo: &Sudo) -> Result<Option<Way>, StoreError> {
        if !may_ask(words) {
            return Ok(None);
        }
        match sudo {
            Sudo::Asks => Ok(None),
            Sudo::Silent => Ok(Some(Way::Silent)),
            Sudo::Given(password) => {
                check(file, password)?;
                let password = Arc::new(password.clone());
                Ok(Some(match wants_password(file, words)? {
                    false => Way::Remembered(password),
                    true => Way::EachTime(password),
                }))
            }
        }
    }

    /// The arguments of sudo before those of the user.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        match self {
            Way::Silent | Way::Remembered(_) => &["-n"],
            Way::EachTime(_) => &["-k", "-S", "-p", PROMPT],
        }
    }

    /// Makes sudo ready for a client program.
    pub(super) fn prepare(&self, file: &Path) {
        if let Way::Remembered(password) = self {
            // A failure is told by the program, which fails then, too.
            check(file, password).ok();
        }
    }

    /// The password that the program itself is given.
    pub(super) fn password(&self) -> Option<&Password> {
        match self {
            Way::EachTime(password) => Some(password),
            Way::Silent | Way::Remembered(_) => None,
        }
    }
}

/// Has sudo check a password, and remember that.
fn check(file: &Path, password: &Password) -> Result<(), StoreError> {
    let arguments = ["-S", "-p", "", "-v"];
    let mut running = start(file, &arguments, Stdio::piped())?;
    if let Some(mut input) = running.take_input() {
        // A sudo that has no need of it does not read it.
        write(&mut input, password).ok();
    }
    let (status, stderr) = running.wait()?;
    if status.success() { Ok(()) } else { Err(failure("sudo -v", status, &stderr, None)) }
}

/// True if a sudo that was given the password still wants it for this client program.
fn wants_password(file: &Path, words: &[String]) -> Result<bool, StoreError> {
    let words = words.iter().skip(1).map(String::as_str);
    let arguments: Vec<&str> = ["-n"].into_iter().chain(words).chain(["--version"]).collect();
    let (status, stderr) = start(file, &arguments, Stdio::null())?.wait()?;
    let wants = || matches!(failure("sudo -n", status, &stderr, None), StoreError::Password { .. });
    Ok(!status.success() && wants())
}

fn start(file: &Path, arguments: &[&str], input: Stdio) -> Result<Running, StoreError> {
    let mut command = Command::new(file);
    command.args(arguments).stdin(input).env("LC_ALL", "C").env("LANGUAGE", "C");
    Running::start(command, "sudo".into(), "sudo", EngineHost::This, false)
}

/// Has sudo ask on the terminal for the password that a client program of this host needs, if it needs one. False if
/// none was given that it takes. `asks` is called before it asks.
pub fn ask_on_terminal(words: &[String], asks: impl FnOnce()) -> Result<bool, StoreError> {
    if !may_ask(words) || std::fs::File::open("/dev/tty").is_err() {
        return Ok(true);
    }
    let Ok(program) = super::Program::find(words) else { return Ok(true) };
    if !wants_password(&program.file, words)? {
        return Ok(true);
    }
    asks();
    let mut command = Command::new(&program.file);
    command.arg("-v").stdin(Stdio::null()).stdout(Stdio::null());
    let what = || "cannot run `sudo -v`".to_owned();
    let status = command.status().map_err(|source| StoreError::Io { what: what(), source })?;
    Ok(status.success())
}

#[cfg(test)]
#[path = "sudo_tests.rs"]
mod tests;

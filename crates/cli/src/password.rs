//! Asks for a password on the terminal of this process, whatever its standard streams are.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use dsync_sync::{AskPassword, Password, PasswordQuestion};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use crate::{escape, signals};

/// The terminal of a process.
const TERMINAL: &str = "/dev/tty";
/// The pause between two looks at whether a signal came.
const TICK: Duration = Duration::from_millis(20);
/// The time that a signal which Ctrl-C sends takes at most.
const SIGNAL: Duration = Duration::from_secs(1);

/// The terminal, until a signal ends the run.
pub(crate) struct Terminal;

impl AskPassword for Terminal {
    fn ask(&self, question: &PasswordQuestion<'_>) -> Option<Password> {
        let terminal = File::options().read(true).write(true).open(TERMINAL).ok()?;
        // Whoever is interrupted leaves the terminal as it was.
        let settings = tcgetattr(&terminal).ok()?;
        let prompt = prompt(question);
        let (answer, answered) = mpsc::channel();
        thread::spawn(move || {
            let typed = rpassword::prompt_password(prompt);
            answer.send(typed.map(Password::new)).ok();
        });
        loop {
            match answered.recv_timeout(TICK) {
                Ok(Ok(password)) => return Some(password),
                Ok(Err(error)) => {
                    if error.kind() == ErrorKind::Interrupted {
                        let sent = Instant::now();
                        while signals::exit_code().is_none() && sent.elapsed() < SIGNAL {
                            thread::sleep(TICK);
                        }
                    }
                    return None;
                }
                Err(RecvTimeoutError::Timeout) if signals::exit_code().is_none() => {}
                Err(_) => {
                    tcsetattr(&terminal, OptionalActions::Now, &settings).ok();
                    return None;
                }
            }
        }
    }
}

/// As sudo asks.
fn prompt(question: &PasswordQuestion<'_>) -> String {
    let PasswordQuestion { user, host, again } = *question;
    let host = escape::visible(host);
    let again = if again { "Sorry, try again.\n" } else { "" };
    match user {
        // A remote may be named with its user.
        Some(user) => {
            let host = host.strip_prefix(&format!("{user}@")).unwrap_or(&host);
            format!("{again}[sudo] password for {} on {host}: ", escape::visible(user))
        }
        None => format!("{again}[sudo] password on {host}: "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_says_whose_password_it_is() {
        let asked = |user, host, again| prompt(&PasswordQuestion { user, host, again });
        assert_eq!(asked(Some("guest"), "build", false), "[sudo] password for guest on build: ");
        assert_eq!(asked(Some("guest"), "guest@build", false), "[sudo] password for guest on build: ");
        assert_eq!(asked(None, "build", true), "Sorry, try again.\n[sudo] password on build: ");
        assert_eq!(asked(Some("a\x1b[2J"), "b\r", false), r"[sudo] password for a\u{1b}[2J on b\r: ");
    }
}

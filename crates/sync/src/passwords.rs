//! The password that a `sudo` in front of an engine's client wants. For one of another host a person is asked, once a
//! run; one of this host asks by itself.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use dsync_core::Password;
use dsync_engine::StoreSpec;

use crate::error::{Error, Host};
use crate::event::{Event, Observer};
use crate::interrupt::Interrupt;

/// The passwords that sudo is given before it is believed.
pub(crate) const TRIES: u32 = 3;

/// Asks a person for a password.
pub trait AskPassword: Send + Sync {
    /// The answer; `None` where nobody can be asked, or nobody answers.
    fn ask(&self, question: &PasswordQuestion<'_>) -> Option<Password>;
}

/// The account whose password is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordQuestion<'a> {
    /// Its name, where that is known.
    pub user: Option<&'a str>,
    /// The host that it is on, as the user named it.
    pub host: &'a str,
    /// True if the last answer was wrong.
    pub again: bool,
}

/// The answer that was given in this run, and who can be asked. All copies have the same answer.
#[derive(Clone, Default)]
pub struct Passwords {
    asker: Option<Arc<dyn AskPassword>>,
    given: Arc<Mutex<Option<Password>>>,
}

impl Passwords {
    /// Asks by this.
    pub fn asked_by(asker: impl AskPassword + 'static) -> Passwords {
        Passwords { asker: Some(Arc::new(asker)), given: Arc::default() }
    }

    /// The answer that was given before.
    pub(crate) fn given(&self) -> Option<Password> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks, and keeps the answer.
    pub(crate) fn ask(&self, question: &PasswordQuestion<'_>) -> Option<Password> {
        let answer = self.asker.as_ref()?.ask(question);
        self.given.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&answer);
        answer
    }
}

/// Without the password.
impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.asker.is_some() { "Passwords(asks)" } else { "Passwords" })
    }
}

/// Has a `sudo` of this host ask on the terminal if it will want a password, and nothing be drawn there meanwhile.
pub(crate) fn ask_here(store: &str, observer: &dyn Observer, interrupt: &Interrupt) -> Result<(), Error> {
    let Some(words) = words(store) else { return Ok(()) };
    let host = Host::Here;
    match dsync_engine::ask_on_terminal(&words, || observer.event(Event::Asking { host: host.name() })) {
        Ok(true) => Ok(()),
        _ if interrupt.happened() => Err(Error::Interrupted),
        Ok(false) => Err(Error::Password { host, tries: TRIES }),
        Err(error) => Err(Error::io("cannot run sudo")(io::Error::other(error))),
    }
}

/// The words of a client's command line, where a store is one.
pub(crate) fn words(store: &str) -> Option<Vec<String>> {
    match store.parse() {
        Ok(StoreSpec::Command(words)) => Some(words),
        _ => None,
    }
}

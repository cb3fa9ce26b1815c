//! Opens a store behind a `sudo` that wants a password. A person is asked for it on this host, once a run, and only
//! where the user has named that `sudo`: what a remote says of itself does not make a prompt.

use dsync_core::Password;
use dsync_proto::{FailureKind, Open, Secret};

use super::end::End;
use crate::error::Error;
use crate::event::Event;
use crate::options::Options;
use crate::passwords::{self, PasswordQuestion, Passwords, TRIES};
use crate::transport::destination::Remote;
use crate::transport::ssh;

/// Asks for the password of an account on a remote.
pub(crate) struct Asking {
    passwords: Passwords,
    /// Finds the name of the account.
    user: Box<dyn Fn() -> Option<String> + Send>,
}

impl Asking {
    /// For the account that ssh logs in to.
    pub(crate) fn of(remote: &Remote, options: &Options) -> Asking {
        let (remote, ssh, interrupt) = (remote.clone(), options.ssh.clone(), options.interrupt.clone());
        let user = move || match &remote {
            Remote::Ssh(to) => ssh::user(&ssh, to, &interrupt),
            Remote::Layout(_) => None,
        };
        Asking { passwords: options.passwords.clone(), user: Box::new(user) }
    }

    /// Opens the store of a remote end.
    pub(super) fn open(&self, end: &mut End, open: &Open) -> Result<(), Error> {
        let may_ask = !end.is_agentless()
            && passwords::words(&open.store).is_some_and(|words| dsync_engine::may_ask(&words));
        if !may_ask {
            return end.open(open.clone());
        }
        let mut user = None;
        let mut password = self.passwords.given();
        let mut wrong = 0;
        loop {
            let secret = password.as_ref().map(|password| Secret::new(password.reveal().to_owned()));
            let refused = match end.open(Open { password: secret, ..open.clone() }) {
                Err(refused) if refused.failure_kind() == Some(FailureKind::EnginePassword) => refused,
                done => return done,
            };
            if password.is_some() {
                wrong += 1;
            }
            if wrong == TRIES {
                return Err(Error::Password { host: end.host.clone(), tries: TRIES });
            }
            let user = user.get_or_insert_with(&self.user);
            match self.ask(end, user.as_deref(), wrong > 0) {
                Some(answer) => password = Some(answer),
                None if end.interrupt.happened() => return Err(Error::Interrupted),
                None => return Err(refused),
            }
        }
    }

    fn ask(&self, end: &End, user: Option<&str>, again: bool) -> Option<Password> {
        let host = end.host.name();
        end.observer.event(Event::Asking { host });
        self.passwords.ask(&PasswordQuestion { user, host, again })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use dsync_proto::{Failure, Reply, Request};

    use super::*;
    use crate::event::Observer;
    use crate::passwords::AskPassword;
    use crate::session::tests::{end, opened};
    use crate::transport::connection::{Dialled, Local};

    /// A person with these answers, of whom it is written down what was asked.
    #[derive(Clone, Default)]
    struct Person {
        answers: Arc<Mutex<Vec<&'static str>>>,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl AskPassword for Person {
        fn ask(&self, question: &PasswordQuestion<'_>) -> Option<Password> {
            self.asked
                .lock()
                .unwrap()
                .push(format!("{:?} {} {}", question.user, question.host, question.again));
            let mut answers = self.answers.lock().unwrap();
            if answers.is_empty() { None } else { Some(Password::new(answers.remove(0).into())) }
        }
    }

    /// Opens a store twice, as where a connection is made anew, on a host whose password is `right`: the first result,
    /// and what was asked in all.
    fn opens(store: &str, answers: &[&'static str], agentless: bool) -> (Result<(), Error>, Vec<String>) {
        let person = Person { answers: Arc::new(Mutex::new(answers.to_vec())), ..Person::default() };
        let passwords = Passwords::asked_by(person.clone());
        let asking = Asking { passwords, user: Box::new(|| Some("guest".into())) };
        let answer = |request: &Request| match request {
            Request::Open(Open { password: Some(password), .. }) if password.reveal() == "right" => {
                opened("docker 28.5")
            }
            _ => Reply::Failed(Failure { kind: FailureKind::EnginePassword, causes: vec!["no".into()] }),
        };
        let open = super::super::open(store, &Options::default());
        let mut results = (0..2).map(|_| {
            let (Local { link, served }, _) = end(answer);
            let (sent, received) = Default::default();
            let dialled = Dialled { link, pipe: None, sent, received, agentless, served };
            let observer: Arc<dyn Observer> = Arc::new(());
            let mut end =
                End::remote("build".into(), dialled, None, &observer, &Options::default().interrupt);
            asking.open(&mut end, &open)
        });
        let first = results.next().unwrap();
        if first.is_ok() {
            results.next().unwrap().unwrap();
        }
        let asked = person.asked.lock().unwrap().clone();
        (first, asked)
    }

    const FIRST: &str = r#"Some("guest") build false"#;
    const AGAIN: &str = r#"Some("guest") build true"#;

    #[test]
    fn a_person_is_asked_once_a_run() {
        let (opened, asked) = opens("sudo docker", &["right"], false);
        assert!(opened.is_ok());
        assert_eq!(asked, [FIRST]);
    }

    #[test]
    fn a_wrong_answer_is_asked_again_and_three_are_enough() {
        let (opened, asked) = opens("sudo docker", &["wrong", "right"], false);
        assert!(opened.is_ok());
        assert_eq!(asked, [FIRST, AGAIN]);
        let (refused, asked) = opens("sudo docker", &["1", "2", "3", "right"], false);
        assert!(matches!(refused, Err(Error::Password { tries: 3, .. })), "{refused:?}");
        assert_eq!(asked, [FIRST, AGAIN, AGAIN]);
    }

    #[test]
    fn without_an_answer_the_failure_is_that_of_sudo() {
        let (refused, asked) = opens("sudo docker", &[], false);
        assert_eq!(refused.unwrap_err().failure_kind(), Some(FailureKind::EnginePassword));
        assert_eq!(asked, [FIRST]);
    }

    #[test]
    fn a_remote_makes_no_prompt_by_itself() {
        for (store, agentless) in
            [("docker", false), ("", false), ("sudo -n docker", false), ("sudo docker", true)]
        {
            let (refused, asked) = opens(store, &["right"], agentless);
            assert_eq!(refused.unwrap_err().failure_kind(), Some(FailureKind::EnginePassword), "{store}");
            assert!(asked.is_empty(), "{store}");
        }
    }
}

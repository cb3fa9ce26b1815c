//! A host: an engine, and the login that has the host's name.

use std::ops::Deref;
use std::process::Command;
use std::sync::Arc;

use crate::login::Surroundings;
use crate::{Engine, LabError, Login, LoginOptions};

/// An engine and a first login to it. All that a [`Login`] can do, a host can.
#[derive(Debug)]
pub struct Host {
    name: String,
    engine: Engine,
    login: Login,
    lab: Arc<Surroundings>,
}

impl Host {
    pub(crate) fn start(
        lab: &Arc<Surroundings>,
        name: &str,
        engine: Engine,
        options: &LoginOptions,
    ) -> Result<Host, LabError> {
        let login = Login::start(lab, name, &engine, options)?;
        Ok(Host { name: name.to_owned(), engine, login, lab: Arc::clone(lab) })
    }

    /// The host's name, which is also its name for ssh.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine's client, `docker` or `podman`, ready for a subcommand.
    pub fn docker(&self) -> Command {
        self.engine.client()
    }

    /// One more login to the same engine. Its name for ssh is the host's, `-`, and this one; as long as it
    /// lives, no other may have it.
    pub fn login(&self, name: &str, options: LoginOptions) -> Result<Login, LabError> {
        Login::start(&self.lab, &format!("{}-{name}", self.name), &self.engine, &options)
    }
}

impl Deref for Host {
    type Target = Login;

    fn deref(&self) -> &Login {
        &self.login
    }
}

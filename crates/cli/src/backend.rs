//! The part of a session that the command line uses, as a trait: tests have a fake one.

use std::sync::Arc;
use std::time::Duration;

use dsync_core::ImageRef;
use dsync_sync::{
    Direction, Entry, Error, Interrupt, Observer, Options, Outcome, Passwords, Referrers, Remote, Report,
    Retries, Session, Traffic, TransferMethod,
};

use crate::agents;
use crate::args::{self, ConnectionArgs, SyncArgs};
use crate::password;

/// One connection to the other side.
pub(crate) trait Backend {
    /// See [`Session::report`].
    fn report(&mut self, patterns: &[String]) -> Result<Report, Error>;
    /// See [`Session::sync`].
    fn sync(&mut self, entry: &Entry, also: &[ImageRef], dry_run: bool) -> Result<Outcome, Error>;
    /// See [`Session::verify`].
    fn verify(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u64, Error>;
    /// See [`Session::sync_referrers`].
    fn sync_referrers(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u32, Error>;
    /// See [`Session::traffic`].
    fn traffic(&self) -> Traffic;
}

impl Backend for Session {
    fn report(&mut self, patterns: &[String]) -> Result<Report, Error> {
        Session::report(self, patterns)
    }

    fn sync(&mut self, entry: &Entry, also: &[ImageRef], dry_run: bool) -> Result<Outcome, Error> {
        Session::sync(self, entry, also, dry_run)
    }

    fn verify(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u64, Error> {
        Session::verify(self, entry, also)
    }

    fn sync_referrers(&mut self, entry: &Entry, also: &[ImageRef]) -> Result<u32, Error> {
        Session::sync_referrers(self, entry, also)
    }

    fn traffic(&self) -> Traffic {
        Session::traffic(self)
    }
}

/// The direction that the arguments name.
pub(crate) fn direction(args: &SyncArgs) -> Direction {
    if args.push { Direction::Push } else { Direction::Pull }
}

/// The options of a session by the arguments. `docker` is the engine's command as the docker CLI gives it to a plugin;
/// `--docker` comes first.
fn options(args: &SyncArgs, docker: Option<String>, interrupt: Interrupt) -> Options {
    Options {
        memory: args.memory,
        limit: args.limit,
        retries: Retries { most: args.retries, ..Retries::default() },
        platform: args.platform.clone(),
        compression: args.compression,
        method: match args.method {
            args::Method::Auto => TransferMethod::Auto,
            args::Method::Delta => TransferMethod::Delta,
            args::Method::Rsync => TransferMethod::Rsync,
            args::Method::Stream => TransferMethod::Stream,
        },
        identity: args.identity.into(),
        referrers: match (args.with_referrers, args.no_referrers) {
            (true, _) => Referrers::Required,
            (_, true) => Referrers::Left,
            _ => Referrers::IfKept,
        },
        basis: args.basis.clone(),
        explain: args.explain,
        ..connection_options(&args.connection, docker, interrupt)
    }
}

/// The options by which both sides are reached; all others are what they are by default.
pub(crate) fn connection_options(
    args: &ConnectionArgs,
    docker: Option<String>,
    interrupt: Interrupt,
) -> Options {
    let words =
        |line: &Option<args::CommandLine>| line.as_ref().map(|line| line.words.clone()).unwrap_or_default();
    let text =
        |line: &Option<args::CommandLine>| line.as_ref().map(|line| line.text.clone()).unwrap_or_default();
    let usual = Options::default();
    let local_store = Some(text(&args.docker)).filter(|store| !store.is_empty()).or(docker);
    Options {
        ssh: Some(words(&args.ssh)).filter(|ssh| !ssh.is_empty()).unwrap_or(usual.ssh),
        local_store: local_store.unwrap_or_default(),
        remote_store: text(&args.remote_docker),
        // An empty variable in the environment means: not set.
        tmpfolder: args.tmpfolder.clone().filter(|folder| !folder.as_os_str().is_empty()),
        timeout: limit(args.timeout),
        engine_timeout: limit(args.engine_timeout),
        passwords: Passwords::asked_by(password::Terminal),
        interrupt,
        version: env!("CARGO_PKG_VERSION").into(),
        agents: agents::AGENTS,
        ..usual
    }
}

/// A time limit in seconds, which 0 stands for none of.
fn limit(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// Connects with the options of the arguments.
pub(crate) fn connect(
    remote: &Remote,
    args: &SyncArgs,
    docker: Option<String>,
    observer: Arc<dyn Observer>,
    interrupt: Interrupt,
) -> Result<Session, Error> {
    Session::connect(remote, direction(args), options(args, docker, interrupt), observer)
}

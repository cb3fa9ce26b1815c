//! Remotes on which no agent can run: everything there is done by its shell and its engine's client.
//!
//! The other end of the session is then an endpoint in this process, over a store that is reached through
//! ssh. One ssh is the master of the connection, so a password is asked for once. What the master runs
//! waits for the end of its input, and then removes the temporary files of the remote: so nothing stays
//! there, and no ssh here, however this process ends.

pub(crate) mod distant_folder;
pub(crate) mod partial_images;
pub(crate) mod rsync;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use dsync_engine::{DistantStore, Reach, Store, StoreSpec, Sudo, temporary};
use dsync_proto::{Failure, FailureKind};

use crate::endpoint::{self, Site};
use crate::error::{Error, Host};
use crate::event::{Event, Observer};
use crate::failure::EndpointError;
use crate::interrupt::Interrupt;
use crate::layers::workspace::Workspace;
use crate::link::Link;
use crate::options::{Identity, Options};
use crate::transport::connection::{Dialled, Served, login_timeout};
use crate::transport::destination::Destination;
use crate::transport::ssh::{self, Pipe};
use distant_folder::DistantFolder;
use rsync::{Rsync, RsyncStore};
use stream::StreamStore;

/// The program that carries the missing layers where there is no agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// rsync, against the layers that they replace.
    Rsync,
    /// ssh alone.
    Stream,
}

/// Connects to the shell of a host.
pub(crate) fn dial(
    to: &Destination,
    carrier: Carrier,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Dialled, Error> {
    Ok(Master::start(to, options, observer)?.serve(carrier, to, options))
}

/// Does without the agent that cannot run there, for this reason.
pub(crate) fn fall_back(
    to: &Destination,
    host: &str,
    reason: &str,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Dialled, Error> {
    let master = Master::start(to, options, observer)?;
    let here = ssh::said(&["rsync".into(), "--version".into()], None, &options.interrupt).is_some();
    let (carrier, way) = match here && master.has_rsync(to, options) {
        true => (Carrier::Rsync, "rsync of the missing layers"),
        false => (Carrier::Stream, "a stream of the missing layers"),
    };
    observer.event(Event::Warning(&format!("no agent can run on {host} ({reason}); falling back to {way}")));
    Ok(master.serve(carrier, to, options))
}

/// The text that the command of the master prints, to show that commands run there at all.
const SIGN: &str = "docker-sync-runs";

/// An ssh that keeps the connection, for other ssh to go through.
struct Master {
    pipe: Pipe,
    interrupt: Interrupt,
    /// The ssh command that goes through it.
    shell: Vec<String>,
    /// The directory of the temporary files; that of the other host has the same name.
    folder: tempfile::TempDir,
    distant: DistantFolder,
}

impl Master {
    /// Starts it and waits until it has the connection.
    fn start(to: &Destination, options: &Options, observer: &Arc<dyn Observer>) -> Result<Master, Error> {
        let interrupt = options.interrupt.of_connection();
        let here = |failure: Failure| Error::Endpoint { host: Host::Here, failure };
        let workspace = Workspace::new("", options.memory, &interrupt).map_err(|error| here(error.into()))?;
        let folder = temporary::folder(None).map_err(|error| here(workspace.unusable(error).into()))?;
        let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
        let unusable = |cause| Error::Endpoint {
            host: Host::Remote(to.host.clone()),
            failure: Failure { kind: FailureKind::Usage, causes: vec![cause] },
        };
        let distant = DistantFolder::named(&name, options.tmpfolder.as_deref()).map_err(unusable)?;
        let socket = folder.path().join("ssh");
        // The user's configuration of masters is about others than this one.
        let through = |role: &[&str]| {
            let control = format!("ControlPath={}", socket.display());
            let role = role.iter().flat_map(|option| ["-o", option]).map(str::to_owned);
            [&options.ssh[..], &["-o".into(), control]].concat().into_iter().chain(role).collect::<Vec<_>>()
        };
        let master = through(&["ControlMaster=yes", "ControlPersist=no"]);
        // Where the master is gone, ssh would connect by itself, and perhaps ask for the password again.
        let shell = through(&["ControlMaster=no", "ProxyCommand=false"]);
        let master_script = format!("exec /bin/sh -c 'echo {SIGN}; cat >/dev/null; {}'", distant.removal());
        let words = ssh::arguments(&master, to, &master_script);
        let (mut pipe, output, input) = Pipe::spawn(&words, &to.host, observer, &interrupt)?;
        pipe.keep(output, input, SIGN);
        let (begin, timeout) = (Instant::now(), login_timeout(options.timeout));
        while !socket.exists() {
            if let Some(silence) = timeout.filter(|timeout| begin.elapsed() > *timeout) {
                interrupt.interrupt();
                pipe.end();
                return Err(Error::Silent { host: to.host.clone(), silence });
            }
            if pipe.has_ended() || interrupt.happened() {
                let status = pipe.end().and_then(|status| status.code());
                if interrupt.happened() {
                    return Err(Error::Interrupted);
                }
                // It has its own exit code where it did not get there, and the command's where it did.
                if status != Some(255) {
                    return Err(pipe.ended(&to.host));
                }
                return Err(ssh::failed(&to.host, pipe.message()));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Master { pipe, interrupt, shell, folder, distant })
    }

    /// True if rsync is there and can be talked to: it does not put up with a login shell that prints.
    fn has_rsync(&self, to: &Destination, options: &Options) -> bool {
        let script = "exec /bin/sh -c 'command -v rsync >/dev/null && echo yes'";
        let words = ssh::arguments(&self.shell, to, script);
        ssh::said(&words, options.timeout, &self.interrupt).is_some_and(|said| said == b"yes\n")
    }

    /// Serves the store of the remote from this process.
    fn serve(self, carrier: Carrier, to: &Destination, options: &Options) -> Dialled {
        let Master { pipe, interrupt, shell, folder, distant } = self;
        let reach = Reach { words: ssh::words(&shell, to), ..Reach::default() };
        let (sent, received) = (Arc::clone(&reach.sent), Arc::clone(&reach.received));
        let (link, served) = Link::pair(&interrupt);
        let (version, local, to) = (options.version.clone(), options.local_store.clone(), to.clone());
        let (tmpfolder, timeout, limit) = (options.tmpfolder.clone(), options.timeout, options.limit);
        let exact = options.identity == Identity::Exact;
        let served = thread::spawn(move || {
            let opener =
                move |spec: &str, folder: &Path, _: &Sudo| -> Result<Box<dyn Store>, EndpointError> {
                    let store = DistantStore::open(&words(spec)?, &reach)?;
                    let stream = |store| {
                        if limit.is_some() {
                            let reason =
                                "images would cross as a stream, which --limit does not reach".into();
                            return Err(EndpointError::Usage(reason));
                        }
                        Ok(Box::new(StreamStore::new(store, tmpfolder.clone())) as Box<dyn Store>)
                    };
                    if carrier == Carrier::Stream {
                        return stream(store);
                    }
                    let here = endpoint::open_here(&local, folder)?;
                    // An image that keeps its ID has compressed layers, in which rsync finds nothing that is the same.
                    if store.has_packages() && here.has_packages() && exact {
                        return stream(store);
                    }
                    let (shell, to, reach) = (shell.clone(), to.clone(), reach.clone());
                    let rsync = Rsync { shell, to, timeout, limit, reach };
                    Ok(Box::new(RsyncStore::new(store, here, rsync, tmpfolder.clone(), distant.clone())))
                };
            let site = Site { opener: &opener, stands_in: true, ..Site::here(&version, &interrupt) };
            let served = endpoint::serve(served, &site);
            // The directory is needed as long as the master runs.
            drop(folder);
            served
        });
        Dialled { link, pipe: Some(pipe), sent, received, agentless: true, served: Served::by(served) }
    }
}

/// The words of the engine's client.
fn words(spec: &str) -> Result<Vec<String>, EndpointError> {
    match spec.parse().map_err(|error| EndpointError::Usage(format!("{error}")))? {
        StoreSpec::Auto => Ok(Vec::new()),
        StoreSpec::Command(words) if !StoreSpec::is_ctr(&words) => Ok(words),
        StoreSpec::Command(_) | StoreSpec::Containerd { .. } => {
            Err(EndpointError::Usage("a containerd of the remote needs an agent there".into()))
        }
        StoreSpec::OciLayout(_) | StoreSpec::Archive { .. } => {
            Err(EndpointError::Usage("files of the remote need an agent there".into()))
        }
    }
}

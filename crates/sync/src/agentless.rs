//! Remotes on which no agent can run: everything there is done by its shell and its engine's client.
//!
//! The other end of the session is then an endpoint in this process, over a store that is reached through
//! ssh. One ssh is the master of the connection, so a password is asked for once.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use dsync_engine::{DistantStore, Reach, Store, StoreSpec};

use crate::dial::Dialled;
use crate::endpoint;
use crate::error::Error;
use crate::event::Observer;
use crate::failure::EndpointError;
use crate::link::Link;
use crate::remote::Destination;
use crate::rsync::RsyncStore;
use crate::session::Options;
use crate::ssh::{self, Pipe};

/// Connects to the shell of a host.
pub(crate) fn dial(
    to: &Destination,
    rsync: bool,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Dialled, Error> {
    let folder = tempfile::Builder::new()
        .prefix("docker-sync-")
        .tempdir()
        .map_err(Error::io("cannot make a temporary directory"))?;
    let socket = folder.path().join("ssh");
    let pipe = start_master(to, &socket, options, observer)?;
    let shell = [&options.ssh[..], &["-o".into(), format!("ControlPath={}", socket.display())]].concat();
    let reach = Reach { words: ssh::words(&shell, to), ..Reach::default() };
    let (sent, received) = (Arc::clone(&reach.sent), Arc::clone(&reach.received));
    let (link, served) = Link::pair();
    let (version, local, to) = (options.version.clone(), options.local_store.clone(), to.clone());
    let tmpfolder = options.tmpfolder.clone();
    thread::spawn(move || {
        let opener = move |spec: &str| -> Result<Box<dyn Store>, EndpointError> {
            let words = match spec.parse().map_err(|error| EndpointError::Usage(format!("{error}")))? {
                StoreSpec::Auto => Vec::new(),
                StoreSpec::Command(words) => words,
                StoreSpec::OciLayout(_) => {
                    return Err(EndpointError::Usage(
                        "a directory of the remote needs an agent there".into(),
                    ));
                }
            };
            let distant = DistantStore::open(&words, &reach)?;
            if !rsync {
                return Ok(Box::new(distant));
            }
            let here = endpoint::open_here(&local)?;
            Ok(Box::new(RsyncStore::new(distant, here, shell.clone(), to.clone(), tmpfolder.clone(), &reach)))
        };
        let served = endpoint::serve(served, &version, &opener);
        // The directory is needed as long as the master runs.
        drop(folder);
        served
    });
    Ok(Dialled { link, pipe, sent, received, whole: true })
}

/// Whether rsync is on both hosts.
pub(crate) fn has_rsync(to: &Destination, options: &Options, observer: &Arc<dyn Observer>) -> bool {
    let here = std::process::Command::new("rsync")
        .arg("--version")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    if !here.is_ok_and(|status| status.success()) {
        return false;
    }
    let words = ssh::arguments(&options.ssh, to, "exec sh -c 'command -v rsync >/dev/null'");
    match Pipe::spawn(&words, &to.host, observer) {
        Ok((mut pipe, output, input)) => {
            drop(input);
            let status = pipe.wait();
            drop(output);
            status.is_some_and(|status| status.success())
        }
        Err(_) => false,
    }
}

/// Starts an ssh that does nothing but keep the connection, and waits until it has it.
fn start_master(
    to: &Destination,
    socket: &Path,
    options: &Options,
    observer: &Arc<dyn Observer>,
) -> Result<Pipe, Error> {
    let control = format!("ControlPath={}", socket.display());
    let master = [&options.ssh[..], &["-M".into(), "-N".into(), "-o".into(), control]].concat();
    let (mut pipe, output, input) = Pipe::spawn(&ssh::words(&master, to), &to.host, observer)?;
    while !socket.exists() {
        if pipe.has_ended() {
            drop((output, input));
            pipe.end();
            let message = pipe.message();
            let kind = ssh::classify(&message);
            return Err(Error::Ssh { host: to.host.clone(), kind, message });
        }
        thread::sleep(Duration::from_millis(10));
    }
    pipe.keep(output, input);
    Ok(pipe)
}

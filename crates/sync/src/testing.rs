//! Sessions in one process, over bytes that a test has in its hands: no ssh, no agent's process, no environment.
//!
//! Both ends are the ones of the program. A test gives the two halves of a connection to [`connect`], and the other two
//! to [`serve`], which is the agent; it may also play one of the two itself.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use crate::endpoint::{self, Site};
use crate::interrupt::Interrupt;
use crate::link::{Link, Liveness};
use crate::transport::connection::{Dialled, Local, Served};
use crate::{Direction, Error, Observer, Options, Remote, Session, SshFailure};

/// One end of a connection, after the preambles.
pub struct Wire {
    /// The bytes from the other end.
    pub input: Box<dyn Read + Send>,
    /// The bytes to the other end. Dropped when this end is done.
    pub output: Box<dyn Write + Send>,
    /// Ends both where this end gives up, as one that kills its ssh.
    pub hang_up: Box<dyn FnOnce() + Send>,
    /// The longest silence of a client that has not said yet how long it may be.
    pub timeout: Option<Duration>,
}

impl Wire {
    /// An end of a connection that does not fall silent.
    pub fn new(input: impl Read + Send + 'static, output: impl Write + Send + 'static) -> Wire {
        let (input, output) = (Box::new(input), Box::new(output));
        Wire { input, output, hang_up: Box::new(|| {}), timeout: None }
    }
}

/// The surroundings of a session's client.
pub struct Client {
    /// The REMOTE: only a layout or an archive is opened by its name, on the other end.
    pub remote: Remote,
    /// The direction in which images go.
    pub direction: Direction,
    /// The options of the sync. The local store is a layout or an archive, too.
    pub options: Options,
    /// The folder that the client's index cache is in.
    pub caches: PathBuf,
    /// Layers go whole, as where no agent can run on the remote.
    pub agentless: bool,
}

/// Connects to an agent at the other end of the wire, and opens both stores. Nothing of the session runs any more when
/// it has been dropped.
///
/// # Errors
///
/// Fails as [`Session::connect`] does.
pub fn connect(client: Client, wire: Wire, observer: Arc<dyn Observer>) -> Result<Session, Error> {
    let mut wire = Some(wire);
    connect_by(client, move || wire.take(), observer)
}

/// Connects as [`connect`] does, over one wire after the other where there are tries for that. Where there is none the
/// remote does not answer.
///
/// # Errors
///
/// Those of [`Session::connect`].
pub fn connect_by(
    client: Client,
    mut wires: impl FnMut() -> Option<Wire> + Send + 'static,
    observer: Arc<dyn Observer>,
) -> Result<Session, Error> {
    let Client { remote, direction, options, caches, agentless } = client;
    let (timeout, run, host) = (options.timeout, options.interrupt.clone(), remote.to_string());
    let dial = move || {
        let (kind, message) = (SshFailure::Unreachable, "there is no wire".to_owned());
        let no_wire = || Error::Ssh { host: host.clone(), kind, message };
        let wire = wires().ok_or_else(no_wire)?;
        let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let connection = run.of_connection();
        let liveness = liveness(timeout, &connection, wire.hang_up);
        let (counters, interrupt) = ((Arc::clone(&sent), Arc::clone(&received)), &connection);
        let link = Link::over(wire.input, wire.output, counters.0, counters.1, interrupt, liveness);
        Ok(Dialled { link, pipe: None, sent, received, agentless, served: Served::default() })
    };
    let (local, served) = Link::pair(&options.interrupt);
    let (version, interrupt) = (options.version.clone(), options.interrupt.clone());
    let serving = thread::spawn(move || {
        endpoint::serve(served, &Site { caches: Some(&caches), ..Site::here(&version, &interrupt) })
    });
    let local = Local { link: local, served: Served::by(serving) };
    Session::over(local, Box::new(dial), None, &remote, direction, options, observer)
}

/// Ends a connection whose other end falls silent.
fn liveness(timeout: Option<Duration>, interrupt: &Interrupt, hang_up: Box<dyn FnOnce() + Send>) -> Liveness {
    let interrupt = interrupt.clone();
    Liveness::watch(timeout, move |_| {
        interrupt.interrupt();
        hang_up();
    })
}

/// Serves a client at the other end of the wire, as an agent does, until it goes away.
///
/// # Errors
///
/// Fails if the wire ends early, or if what comes over it is no request.
pub fn serve(wire: Wire, version: &str, caches: &std::path::Path) -> io::Result<()> {
    let interrupt = Interrupt::default();
    let liveness = liveness(wire.timeout, &interrupt, wire.hang_up);
    let link = Link::over(wire.input, wire.output, Arc::default(), Arc::default(), &interrupt, liveness);
    endpoint::serve(link, &Site { caches: Some(caches), ..Site::here(version, &interrupt) })
}

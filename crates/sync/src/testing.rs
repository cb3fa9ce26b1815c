//! Sessions in one process, over bytes that a test has in its hands: no ssh, no agent's process, no environment.
//!
//! Both ends are the ones of the program. A test gives the two halves of a connection to [`connect`], and the other two
//! to [`serve`], which is the agent; it may also play one of the two itself.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use crate::endpoint::{self, Site};
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::transport::connection::{Dialled, Local, Served};
use crate::{Direction, Error, Observer, Options, Remote, Session};

/// One end of a connection, after the preambles.
pub struct Wire {
    /// The bytes from the other end.
    pub input: Box<dyn Read + Send>,
    /// The bytes to the other end. Dropped when this end is done.
    pub output: Box<dyn Write + Send>,
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
    let Client { remote, direction, options, caches, agentless } = client;
    let (sent, received) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let link =
        Link::over(wire.input, wire.output, Arc::clone(&sent), Arc::clone(&received), &options.interrupt);
    let dialled = Dialled { link, pipe: None, sent, received, agentless, served: Served::default() };
    let (local, served) = Link::pair(&options.interrupt);
    let (version, interrupt) = (options.version.clone(), options.interrupt.clone());
    let serving = thread::spawn(move || {
        endpoint::serve(served, &Site { caches: Some(&caches), ..Site::here(&version, &interrupt) })
    });
    let local = Local { link: local, served: Served(Some(serving)) };
    Session::over(local, dialled, None, &remote, direction, options, observer)
}

/// Serves a client at the other end of the wire, as an agent does, until it goes away.
///
/// # Errors
///
/// Fails if the wire ends early, or if what comes over it is no request.
pub fn serve(wire: Wire, version: &str, caches: &std::path::Path) -> io::Result<()> {
    let interrupt = Interrupt::default();
    let link = Link::over(wire.input, wire.output, Arc::default(), Arc::default(), &interrupt);
    endpoint::serve(link, &Site { caches: Some(caches), ..Site::here(version, &interrupt) })
}

//! One end of a run: the endpoint of this host, or of another one behind a connection.

use std::io;
use std::sync::Arc;

use dsync_proto::{FailureKind, Open, Opened, Reply, Request};

use super::relay::{self, Side};
use super::words;
use crate::error::{Error, Host};
use crate::event::Observer;
use crate::failure::Breach;
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::traffic::{Meter, Traffic};
use crate::transport::connection::{Dialled, Local, Served};
use crate::transport::link_speed;
use crate::transport::ssh::Pipe;

/// An end of a run.
pub(super) struct End {
    pub(super) host: Host,
    pub(super) link: Link,
    /// The store that it has opened.
    pub(super) store: Opened,
    /// The connection to another host.
    connection: Option<Connection>,
    // The order matters: a link that is gone ends who serves it, and then nobody needs the connection.
    _served: Served,
    /// The child process that holds the connection, if one does.
    pipe: Option<Pipe>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) interrupt: Interrupt,
}

/// The state of a connection.
struct Connection {
    meter: Meter,
    /// There is no agent that could say what the other host has: layers go whole.
    agentless: bool,
    /// The speed of the link, as it is remembered.
    speed: Option<link_speed::RememberedSpeed>,
}

fn unopened() -> Opened {
    Opened {
        store: String::new(),
        id_is_config: true,
        has_packages: false,
        keeps_referrers: false,
        version: String::new(),
    }
}

impl End {
    /// The end of this host.
    pub(super) fn here(
        Local { link, served }: Local,
        observer: &Arc<dyn Observer>,
        interrupt: &Interrupt,
    ) -> End {
        let (observer, interrupt) = (Arc::clone(observer), interrupt.clone());
        End {
            host: Host::Here,
            link,
            store: unopened(),
            connection: None,
            _served: served,
            pipe: None,
            observer,
            interrupt,
        }
    }

    /// The end of another host, or of what was named in its place.
    pub(super) fn remote(
        name: String,
        dialled: Dialled,
        speed: Option<link_speed::RememberedSpeed>,
        observer: &Arc<dyn Observer>,
        interrupt: &Interrupt,
    ) -> End {
        let Dialled { link, pipe, sent, received, agentless, served } = dialled;
        let meter = Meter::new(&sent, &received);
        let connection = Some(Connection { meter, agentless, speed });
        let (observer, interrupt) = (Arc::clone(observer), interrupt.clone());
        let (host, store) = (Host::Remote(name), unopened());
        End { host, link, store, connection, _served: served, pipe, observer, interrupt }
    }

    /// Its side of a relay.
    pub(super) fn side(&mut self) -> Side<'_> {
        Side { link: &mut self.link, host: &self.host }
    }

    pub(super) fn is_remote(&self) -> bool {
        self.host.is_remote()
    }

    /// True where layers go whole, as no agent could say what the host has.
    pub(super) fn is_agentless(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.agentless)
    }

    /// Bytes a second of the link last time, if that is known.
    pub(super) fn speed(&self) -> Option<u64> {
        self.connection.as_ref()?.speed.as_ref().and_then(link_speed::RememberedSpeed::speed)
    }

    /// Remembers how fast the link was.
    pub(super) fn remember_speed(&self, speed: u64) {
        if let Some(known) = self.connection.as_ref().and_then(|connection| connection.speed.as_ref()) {
            known.remember(speed);
        }
    }

    /// The bytes that crossed the connection until now.
    pub(super) fn traffic(&self) -> Traffic {
        self.connection.as_ref().map(|connection| connection.meter.traffic()).unwrap_or_default()
    }

    /// Opens the store.
    pub(super) fn open(&mut self, open: Open) -> Result<(), Error> {
        match self.ask(&Request::Open(open))? {
            Reply::Opened(opened) => self.store = words::of_store(opened),
            _ => return Err(self.out_of_turn("a store")),
        }
        Ok(())
    }

    /// The error of another reply than the one that was expected.
    pub(super) fn out_of_turn(&self, expected: &'static str) -> Error {
        Error::OutOfTurn { end: self.host.clone(), expected }
    }

    /// Sends a request.
    pub(super) fn tell(&mut self, request: &Request) -> Result<(), Error> {
        let told = self.link.outbox.request(request);
        told.map_err(|error| self.lost(error))
    }

    /// Sends a request and waits for the reply.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Reply, Error> {
        self.tell(request)?;
        // Between source and target there is nothing to be said now.
        let out_of_turn = |_| Err(Breach("it sent something out of turn".into()).into());
        let reply = relay::reply(&mut self.link.inbox, &*self.observer, self.host.name(), out_of_turn);
        self.check(reply)
    }

    /// A reply, or why it is a failure.
    pub(super) fn check(&mut self, reply: io::Result<Reply>) -> Result<Reply, Error> {
        match reply {
            Ok(Reply::Failed(_)) if self.interrupt.happened() => Err(Error::Interrupted),
            // Without an agent, what fails since the connection is gone fails in this process.
            Ok(Reply::Failed(_)) if self.is_agentless() && self.ends_soon() => Err(self.lost_connection()),
            Ok(Reply::Failed(failure)) => {
                // Without an agent, this host does the work of the other, with its own temporary files.
                let is_here = self.is_agentless() && failure.kind == FailureKind::ClientFull;
                let host = if is_here { Host::Here } else { self.host.clone() };
                Err(Error::Endpoint { host, failure: words::of_failure(failure) })
            }
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.lost(error)),
        }
    }

    fn ends_soon(&mut self) -> bool {
        self.pipe.as_mut().is_some_and(Pipe::ends_soon)
    }

    fn lost_connection(&mut self) -> Error {
        let host = self.host.to_string();
        if let Some(silence) = self.link.inbox.silence() {
            if let Some(pipe) = &mut self.pipe {
                pipe.hurry();
                pipe.end();
            }
            return Error::Silent { host, silence };
        }
        match &mut self.pipe {
            None => Error::Lost { host, message: String::new() },
            Some(pipe) => {
                pipe.end();
                pipe.ended(&host)
            }
        }
    }

    /// The reason why it no longer answers.
    fn lost(&mut self, error: io::Error) -> Error {
        if self.interrupt.happened() {
            return Error::Interrupted;
        }
        // An end that can no longer be written to has perhaps said why.
        let said = if self.is_remote() { self.link.inbox.failure() } else { None };
        if let Some(what) = said.as_ref().and_then(relay::breach).or_else(|| relay::breach(&error)) {
            self.pipe.as_mut().map(Pipe::hurry);
            return Error::Protocol { end: self.host.to_string(), what };
        }
        let ended = matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut
        );
        match self.is_remote() && ended {
            // The link stays as it is; its process has closed its end and says why.
            true => self.lost_connection(),
            false => Error::Io { what: format!("{} no longer answers", self.host), source: error },
        }
    }
}

//! The route to the remote end of a session, which is gone again where the connection fails.

use std::sync::Arc;

use dsync_proto::Open;

use super::end::End;
use super::retry::Tries;
use super::sudo::Asking;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::interrupt::Interrupt;
use crate::traffic::Meter;
use crate::transport::connection::Dialled;
use crate::transport::link_speed;

/// Connects to the remote.
pub(crate) type Dial = dyn FnMut() -> Result<Dialled, Error> + Send;

/// The route to the remote end of a session.
pub(crate) struct Route {
    /// The remote, for people.
    pub(crate) name: String,
    /// Opens its store.
    pub(crate) open: Open,
    /// Asks for the password that a sudo there may want.
    pub(crate) asking: Asking,
    pub(crate) dial: Box<Dial>,
    /// Remembers how fast the link is.
    pub(crate) speed: Option<link_speed::RememberedSpeed>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) interrupt: Interrupt,
}

impl Route {
    /// Connects to the remote and opens its store; again where the connection fails, as often as there are tries.
    pub(super) fn connect(&mut self, tries: &mut Tries) -> Result<End, Error> {
        loop {
            match self.connect_once() {
                Err(failed) => tries.again(failed)?,
                end => return end,
            }
        }
    }

    fn connect_once(&mut self) -> Result<End, Error> {
        let Route { name, open, asking, dial, speed, observer, interrupt } = self;
        observer.event(Event::Connecting { remote: name });
        let dialled = dial()?;
        let meter = Meter::new(&dialled.sent, &dialled.received);
        observer.event(Event::Opening { remote: name, meter: &meter });
        let mut end = End::remote(name.clone(), dialled, speed.clone(), observer, interrupt);
        asking.open(&mut end, open)?;
        Ok(end)
    }
}

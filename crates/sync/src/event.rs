//! The events of a sync, for whoever shows them.

use dsync_core::Image;
pub use dsync_proto::Phase;

use crate::traffic::Meter;

/// Is told what happens. Called from several threads; must be quick and never fails the sync.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Something that happened.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// ssh (or a local agent) is being started.
    Connecting {
        /// As the user named it.
        remote: &'a str,
    },
    /// The agent answered, and opens the store of its host.
    Opening {
        /// As the user named it.
        remote: &'a str,
        /// The count of its connection's bytes.
        meter: &'a Meter,
    },
    /// A person is asked for the password of sudo on this host, on the terminal.
    Asking {
        /// The host of sudo, for people.
        host: &'a str,
    },
    /// The other end has no agent of this build yet; it is given one.
    Uploading {
        /// Compressed bytes to send.
        bytes: u64,
    },
    /// The images of one side are being listed.
    Listing {
        /// The name of the store, for people.
        store: &'a str,
        /// The host of the store, for people.
        host: &'a str,
    },
    /// The sync of an image begins.
    Image {
        /// The name it is asked for under, or its ID.
        name: &'a str,
        /// As the source lists it.
        image: &'a Image,
    },
    /// One side does something else now.
    Phase {
        /// Its work from now on.
        phase: Phase,
        /// Its host, for people.
        host: &'a str,
    },
    /// The uncompressed bytes of contents that will cross in all.
    Total(u64),
    /// The number of them that did since the last event.
    Advance(u64),
    /// A batch of contents begins to cross: its bytes before it was coded, and those on the wire.
    Batch {
        /// Uncompressed bytes.
        raw: u64,
        /// Bytes on the wire.
        packed: u64,
    },
    /// An end waits for the client program of its engine.
    Waiting {
        /// The program: `docker`.
        program: &'a str,
        /// The host of the end, for people.
        host: &'a str,
        /// The seconds that it has waited.
        seconds: u32,
    },
    /// Bytes of the image's layers that earlier transfers left at the target, which goes on with them. Retries are counted
    /// by it, too.
    Partial(u64),
    /// Something that only `-v` shows.
    Note(&'a str),
    /// Something that a person should know though it goes on.
    Warning(&'a str),
}

/// Tells nobody.
impl Observer for () {
    fn event(&self, _: Event<'_>) {}
}

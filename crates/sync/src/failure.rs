//! The reasons why an endpoint could not do what was asked, and the part of them that crosses the wire.

use std::fmt;
use std::io;
use std::path::PathBuf;

use dsync_core::Digest;
use dsync_delta::batch::BatchError;
use dsync_delta::fine_chunks::LengthsError;
use dsync_delta::header_delta::HeaderDeltaError;
use dsync_delta::reconcile::ReconcileError;
use dsync_delta::{BitmapError, JoinError};
use dsync_engine::{Purpose, StoreError};
use dsync_proto::{Failure, FailureKind, FrameError, MessageError};

/// The other end did what no end of this protocol does.
#[derive(Debug, thiserror::Error)]
#[error("the other end broke the protocol: {0}")]
pub(crate) struct Breach(pub(crate) String);

impl From<Breach> for io::Error {
    fn from(breach: Breach) -> Self {
        io::Error::other(breach)
    }
}

/// A disk has not the room that a transfer takes at least.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no room for {purpose} in {}: at least {needed} bytes are needed, and the file system ({}) has {free} left",
    .folder.display(), .mount.display()
)]
pub(crate) struct NoRoom {
    /// The use of the room.
    pub(crate) purpose: Words,
    /// The folder that is written into.
    pub(crate) folder: PathBuf,
    /// The folder at which its file system is mounted.
    pub(crate) mount: PathBuf,
    /// Bytes.
    pub(crate) needed: u64,
    /// Bytes.
    pub(crate) free: u64,
    /// True if the disk is one of this process's host.
    pub(crate) is_here: bool,
}

/// A purpose, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) Purpose);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Purpose::Images => "the image",
            Purpose::Temporary => "temporary files",
        })
    }
}

/// The other side gave up first.
#[derive(Debug, thiserror::Error)]
#[error("the other side gave up")]
pub(crate) struct Aborted;

impl From<Aborted> for io::Error {
    fn from(aborted: Aborted) -> Self {
        io::Error::other(aborted)
    }
}

/// The bytes that came out of an encoder are not those of the blob.
#[derive(Debug, thiserror::Error)]
#[error("a layer that was compressed anew is {got}, not {expected}")]
pub(crate) struct NotTheBlob {
    pub(crate) expected: Digest,
    pub(crate) got: Digest,
}

/// The reason why an endpoint could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndpointError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}", match is_mistaken(.0) {
        true => "a rebuilt layer is not the one that was asked for",
        false => "a layer cannot be rebuilt",
    })]
    Join(#[source] JoinError),
    #[error("what the source tells of its layers cannot be used")]
    HeaderDelta(#[source] HeaderDeltaError),
    #[error("what the source sent cannot be unpacked")]
    Batch(#[from] BatchError),
    #[error("the basis cannot be used: {0}")]
    UnusableBasis(String),
    #[error("the target's answer cannot be used")]
    Bitmap(#[from] BitmapError),
    #[error("the two sides cannot agree on what is there")]
    Reconcile(#[from] ReconcileError),
    #[error("what the source sends in part cannot be put together")]
    Lengths(#[from] LengthsError),
    #[error("{what}")]
    Io { what: &'static str, source: io::Error },
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    #[error("an image that was there was removed meanwhile")]
    Changed(#[source] Box<EndpointError>),
    /// The source gives another image than was asked for.
    #[error("{0}")]
    AnotherImage(String),
    /// The other end did what no end of this protocol does.
    #[error("{0}")]
    Protocol(String),
    /// A patch is damaged.
    #[error("{0}")]
    Patch(String),
    /// A file is of a form that is not read.
    #[error("{0}")]
    Unsupported(String),
    /// A file that is to be written is there already.
    #[error("{0} is there already: --force replaces it")]
    Exists(String),
    /// The basis is not there.
    #[error("{0}")]
    NoBasis(String),
    /// The image that was named is not there.
    #[error("{0}")]
    NoImage(String),
    /// The digest that was named is not that of an image which is to be had.
    #[error("{0}")]
    NoDigest(String),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Broken(String),
}

impl From<Breach> for EndpointError {
    fn from(breach: Breach) -> Self {
        EndpointError::Protocol(breach.to_string())
    }
}

/// The image needs more memory than there is.
#[derive(Debug, thiserror::Error)]
#[error("{what} needs more memory than the {} MiB of --memory: give it more", .memory >> 20)]
pub(crate) struct TooLarge {
    pub(crate) what: &'static str,
    /// Bytes.
    pub(crate) memory: u64,
}

impl From<TooLarge> for EndpointError {
    fn from(large: TooLarge) -> Self {
        EndpointError::Usage(large.to_string())
    }
}

impl From<TooLarge> for io::Error {
    fn from(large: TooLarge) -> Self {
        io::Error::other(large)
    }
}

impl From<HeaderDeltaError> for EndpointError {
    fn from(error: HeaderDeltaError) -> Self {
        match error {
            HeaderDeltaError::Limit { .. } => Breach(error.to_string()).into(),
            HeaderDeltaError::Io(source) => {
                EndpointError::Io { what: "cannot receive the headers of a layer from the source", source }
            }
            error => EndpointError::HeaderDelta(error),
        }
    }
}

impl EndpointError {
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> EndpointError {
        move |source| EndpointError::Io { what, source }
    }

    pub(crate) fn kind(&self) -> FailureKind {
        if self.is_caused_by::<Aborted>() {
            return FailureKind::Aborted;
        }
        if let Some(error) = self.root_io()
            && matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return FailureKind::TemporaryFull;
        }
        if self.is_caused_by::<NotTheBlob>() {
            return FailureKind::Mismatch;
        }
        if self.is_caused_by::<Breach>()
            || self.is_caused_by::<MessageError>()
            || self.is_caused_by::<FrameError>()
        {
            return FailureKind::Protocol;
        }
        if self.is_caused_by::<TooLarge>() {
            return FailureKind::Usage;
        }
        match self {
            EndpointError::Store(error) => match error {
                StoreError::NotFound { .. } => FailureKind::EngineNotFound,
                StoreError::Down { .. } => FailureKind::EngineDown,
                StoreError::Permission { .. } => FailureKind::EnginePermission,
                StoreError::Password { .. } => FailureKind::EnginePassword,
                StoreError::NoSuchImage { .. } => FailureKind::NoSuchImage,
                StoreError::Removed { .. } => FailureKind::Changed,
                StoreError::StorageFull { .. } => FailureKind::StorageFull,
                StoreError::TemporaryFull { .. } => FailureKind::TemporaryFull,
                StoreError::Broken { .. } => FailureKind::Broken,
                StoreError::ReadOnly { .. } => FailureKind::Usage,
                StoreError::NoStore { .. } => FailureKind::NoStore,
                StoreError::Unsupported { .. } => FailureKind::Unsupported,
                _ => FailureKind::Other,
            },
            EndpointError::NoRoom(NoRoom { purpose: Words(Purpose::Images), .. }) => FailureKind::StorageFull,
            EndpointError::NoRoom(_) => FailureKind::TemporaryFull,
            EndpointError::Join(error) if is_mistaken(error) => FailureKind::Mismatch,
            // The answer to a question of n nodes has n bits, whatever the target has.
            EndpointError::Reconcile(ReconcileError::Answer(_) | ReconcileError::Unasked) => {
                FailureKind::Protocol
            }
            // Bytes that were coded against something else do not decode, or decode to something else.
            EndpointError::UnusableBasis(_)
            | EndpointError::HeaderDelta(_)
            | EndpointError::Batch(_)
            | EndpointError::Reconcile(_)
            | EndpointError::Lengths(_) => FailureKind::Mismatch,
            EndpointError::AnotherImage(_) => FailureKind::AnotherImage,
            EndpointError::Protocol(_) | EndpointError::Bitmap(_) => FailureKind::Protocol,
            EndpointError::Patch(_) => FailureKind::DamagedPatch,
            EndpointError::Unsupported(_) => FailureKind::Unsupported,
            EndpointError::NoBasis(_) => FailureKind::NoBasis,
            EndpointError::NoImage(_) => FailureKind::NoSuchImage,
            EndpointError::NoDigest(_) => FailureKind::NoDigest,
            EndpointError::Changed(_) => FailureKind::Changed,
            EndpointError::Usage(_) => FailureKind::Usage,
            EndpointError::Broken(_) => FailureKind::Broken,
            _ => FailureKind::Other,
        }
    }

    /// The failure of an end whose host another one stands in for: what is full is the disk of that one.
    pub(crate) fn of_who_stands_in(self) -> Failure {
        let is_full = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        };
        let is_here = matches!(&self, EndpointError::NoRoom(room) if room.is_here)
            || self.root_io().is_some_and(is_full);
        let failure = Failure::from(self);
        match is_here {
            true => Failure { kind: FailureKind::ClientFull, ..failure },
            false => failure,
        }
    }

    fn is_caused_by<E: std::error::Error + 'static>(&self) -> bool {
        self.root_io().and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<E>())
    }

    /// The system's error at the bottom, if there is one.
    fn root_io(&self) -> Option<&io::Error> {
        let mut found = None;
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                found = Some(io);
            }
            next = error.source();
        }
        found
    }
}

/// True if a layer came out wrong since one side took a chunk of the other's for another.
fn is_mistaken(error: &JoinError) -> bool {
    match error {
        JoinError::Mismatch { .. } | JoinError::Length { .. } => true,
        JoinError::Chunk { source, .. } => source.get_ref().is_some_and(|inner| inner.is::<BatchError>()),
        JoinError::Write(_) => false,
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Failure {
        Failure::new(error.kind(), &error)
    }
}

#[cfg(test)]
mod tests {
    use dsync_delta::header_delta::Origin;

    use super::*;
    use dsync_proto::{Peer, decode};

    fn kind(error: EndpointError) -> FailureKind {
        Failure::from(error).kind
    }

    #[test]
    fn what_is_full_is_the_disk_of_who_writes() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let message = || "x".to_owned();
        let standing_in = |error: EndpointError| error.of_who_stands_in().kind;
        let own = || EndpointError::Io { what: "x", source: full() };
        assert_eq!((kind(own()), standing_in(own())), (FailureKind::TemporaryFull, FailureKind::ClientFull));
        // A program of the other host speaks of that.
        let engine = || EndpointError::from(StoreError::StorageFull { message: message() });
        assert_eq!(
            (kind(engine()), standing_in(engine())),
            (FailureKind::StorageFull, FailureKind::StorageFull)
        );
        let folder = || EndpointError::from(StoreError::TemporaryFull { message: message() });
        assert_eq!(
            (kind(folder()), standing_in(folder())),
            (FailureKind::TemporaryFull, FailureKind::TemporaryFull)
        );
        let room = |is_here| {
            let (purpose, folder) = (Words(Purpose::Temporary), PathBuf::from("/x"));
            NoRoom { purpose, mount: folder.clone(), folder, needed: 2, free: 1, is_here }
        };
        assert_eq!(standing_in(room(true).into()), FailureKind::ClientFull);
        assert_eq!(standing_in(room(false).into()), FailureKind::TemporaryFull);
        let removed = StoreError::Removed { image: message() };
        assert_eq!(kind(removed.into()), FailureKind::Changed);
    }

    #[test]
    fn the_kind_is_found_below_the_surface() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(kind(EndpointError::Io { what: "x", source: full() }), FailureKind::TemporaryFull);
        assert_eq!(kind(EndpointError::UnusableBasis("x".into())), FailureKind::Mismatch);
        let aborted = StoreError::Io { what: "x".into(), source: Aborted.into() };
        assert_eq!(kind(aborted.into()), FailureKind::Aborted);
        let breach = || io::Error::from(Breach("x".into()));
        assert_eq!(kind(EndpointError::Io { what: "x", source: breach() }), FailureKind::Protocol);
        let message = decode::<Peer>(&[99]).map_err(io::Error::other).unwrap_err();
        assert_eq!(kind(EndpointError::Io { what: "x", source: message }), FailureKind::Protocol);
        let sink = StoreError::Io { what: "x".into(), source: breach() };
        assert_eq!(kind(sink.into()), FailureKind::Protocol);
        assert_eq!(kind(Breach("x".into()).into()), FailureKind::Protocol);
        let chunk = JoinError::Chunk { from: Origin::Literal(0), len: 1, source: breach() };
        assert_eq!(kind(EndpointError::Join(chunk)), FailureKind::Protocol);
        let large = TooLarge { what: "x", memory: 1 << 28 };
        assert_eq!(
            kind(StoreError::Io { what: "x".into(), source: large.into() }.into()),
            FailureKind::Usage
        );
        assert_eq!(kind(StoreError::Down { message: "x".into() }.into()), FailureKind::EngineDown);
    }
}

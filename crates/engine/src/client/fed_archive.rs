//! An archive on its way into the client program of an engine, layer by layer.

use std::io::{self, Write};

use dsync_core::LayerKey;

use super::packed::{ArchiveCompression, CompressedArchive};
use crate::archive::{PartialArchive, WriteError};
use crate::command::Feeding;
use crate::store::StoreError;

/// The archive; absent after a failure, when it cannot become whole any more.
pub(super) struct FedArchive(Option<Archive>);

/// An archive that is whole so far.
pub(super) type Archive = PartialArchive<CompressedArchive>;

impl FedArchive {
    pub(super) fn new(program: Feeding, compression: ArchiveCompression) -> Self {
        Self(Some(PartialArchive::new(CompressedArchive::new(program, compression))))
    }

    /// Writes a layer, each of which is given once.
    pub(super) fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut archive = self.take()?;
        if archive.given().contains_key(&key.digest()) {
            return Err(broken(&format!("the layer {key} was given twice")));
        }
        let written = archive.layer(&key.digest(), len, write);
        self.0 = Some(settled(archive, written)?);
        Ok(())
    }

    /// The archive with its layers, for what describes them.
    pub(super) fn take(&mut self) -> Result<Archive, StoreError> {
        self.0.take().ok_or_else(|| broken("an earlier part of it failed"))
    }
}

/// Ends an archive behind what describes its layers, and waits for the program: its output.
pub(super) fn finish(archive: Archive, described: Result<(), WriteError>) -> Result<String, StoreError> {
    let mut packed = settled(archive, described)?.into_inner();
    match packed.end() {
        Ok(()) => packed.into_inner().map_or_else(|| Err(broken("it could not be ended")), Feeding::finish),
        Err(source) => Err(stopped(packed, source)),
    }
}

/// The archive, if what was written last is in it.
fn settled(archive: Archive, written: Result<(), WriteError>) -> Result<Archive, StoreError> {
    match written {
        Ok(()) => Ok(archive),
        Err(WriteError::Out(source)) => Err(stopped(archive.into_inner(), source)),
        Err(error) => Err(unwritten(error)),
    }
}

/// The engine reads no more: the failure that it reports.
fn stopped(packed: CompressedArchive, source: io::Error) -> StoreError {
    match packed.into_inner().map(Feeding::finish) {
        Some(Err(error)) => error,
        _ => StoreError::Io { what: "the engine stopped reading the image".into(), source },
    }
}

pub(super) fn unwritten(error: WriteError) -> StoreError {
    match error {
        WriteError::Config(error) => broken(&error.to_string()),
        WriteError::Out(source) => StoreError::Io { what: "the image cannot be written".into(), source },
        WriteError::Contents { layer, source } => {
            StoreError::Io { what: format!("layer {layer} of the image cannot be read"), source }
        }
    }
}

pub(super) fn broken(reason: &str) -> StoreError {
    StoreError::Broken { what: "the image to load".into(), reason: reason.into() }
}

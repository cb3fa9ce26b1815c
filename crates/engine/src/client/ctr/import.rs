//! Writes an image by `images import`: an archive of the layers that are missing, then what describes them.
//!
//! The image has a temporary name from its import on. It gets its names by a second import, of nothing but names, which
//! moves a name in one step, where `images tag --force` removes it before.

use std::collections::HashMap;
use std::io::{self, Write};

use dsync_core::{Config, DiffId, Digest, ImageId, ImageRef, LayerKey};

use super::daemon::Daemon;
use super::hold::Hold;
use super::records;
use crate::blob::BlobRef;
use crate::client::containerd::{self, Content as _};
use crate::client::fed_archive::{self, Archive, FedArchive, broken, unwritten};
use crate::client::packed::ArchiveCompression;
use crate::client::temporary_names::TemporaryName;
use crate::store::{Import, ImportIdentity, StoreError};

/// An import that waits for its archive.
pub(super) struct CtrImport<'a> {
    daemon: &'a Daemon,
    identity: ImportIdentity<'a>,
    archive: FedArchive,
    /// The layers that may be left out, with their sizes.
    held: HashMap<Digest, u64>,
    _hold: Hold<'a>,
}

impl<'a> CtrImport<'a> {
    pub(super) fn begin(daemon: &'a Daemon, identity: ImportIdentity<'a>) -> Result<Self, StoreError> {
        let images = daemon.images()?.images;
        let mut held = containerd::held(&daemon.blobs, &images);
        let hold = match identity {
            ImportIdentity::Exact(package) => {
                let layers = || package.layers().iter().map(|layer| layer.blob.digest);
                held.retain(|digest, _| layers().any(|layer| layer == *digest));
                let documents = package.documents().map(|(digest, _)| *digest);
                Hold::on(&daemon.ctr, &package.root(), &documents.chain(layers()).collect::<Vec<_>>())?
            }
            ImportIdentity::Content(config) => {
                let plain = |digest: &Digest| {
                    images.iter().any(|image| image.diff_ids.iter().any(|id| id.digest() == *digest))
                };
                held.retain(|digest, _| plain(digest));
                Hold::on(&daemon.ctr, &config, &held.keys().copied().collect::<Vec<_>>())?
            }
        };
        // Blobs that were there before the hold may be gone.
        daemon.blobs.refresh()?;
        held.retain(|digest, size| daemon.blobs.has(&BlobRef { digest: *digest, size: *size }));
        let package = match identity {
            ImportIdentity::Exact(package) => Some(package),
            ImportIdentity::Content(_) => None,
        };
        let feeding = daemon.feed_import(package, true)?;
        let archive = FedArchive::new(feeding, ArchiveCompression::Plain);
        Ok(Self { daemon, identity, archive, held, _hold: hold })
    }

    /// Checks that each layer was given or is held: the client would make an image of less.
    fn check_layers(
        &self,
        layers: impl Iterator<Item = Digest>,
        given: &HashMap<Digest, u64>,
    ) -> Result<(), StoreError> {
        let mut layers = layers;
        match layers.find(|digest| !given.contains_key(digest) && !self.held.contains_key(digest)) {
            Some(digest) => Err(broken(&format!("containerd has no layer {digest}"))),
            None => Ok(()),
        }
    }

    /// The image must be there with all of its blobs.
    fn verify(&self, id: &ImageId, diff_ids: Option<&[DiffId]>) -> Result<(), StoreError> {
        let daemon = self.daemon;
        daemon.blobs.refresh()?;
        if !records::list(&daemon.ctr)?.iter().any(|record| record.id == *id) {
            return Err(StoreError::Removed { image: id.to_string() });
        }
        if let ImportIdentity::Exact(package) = self.identity {
            let documents = package.documents().map(|(digest, _)| digest);
            let layers = package.layers().iter().map(|layer| &layer.blob.digest);
            if let Some(missing) = documents.chain(layers).find(|digest| !daemon.blobs.is_there(digest)) {
                return Err(broken(&format!("containerd took it without the blob {missing}")));
            }
        }
        let package = containerd::package(&daemon.blobs, id, None)?;
        let package = package.check().map_err(|reason| broken(&reason))?;
        let shown = package.image(&daemon.platform).map(|(config, _)| &config.diff_ids[..]);
        match diff_ids.is_some_and(|diff_ids| shown != Some(diff_ids)) {
            true => Err(broken("containerd took it and has other layers than its config names")),
            false => Ok(()),
        }
    }

    fn load(&self, mut archive: Archive, config: &[u8], name: &ImageRef) -> Result<(), StoreError> {
        let finished = match self.identity {
            ImportIdentity::Exact(package) => {
                archive.finish_documents(package.documents(), package.media_type(), Some(name))
            }
            ImportIdentity::Content(_) => archive.finish(config, &self.held, Some(name)).map(drop),
        };
        fed_archive::finish(archive, finished).map(drop)
    }
}

impl Import for CtrImport<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.archive.layer(key, len, write)
    }

    fn commit(mut self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        let archive = self.archive.take()?;
        let (id, diff_ids) = match self.identity {
            ImportIdentity::Exact(package) => {
                self.check_layers(package.layers().iter().map(|layer| layer.blob.digest), archive.given())?;
                (package.root(), None)
            }
            ImportIdentity::Content(expected) => {
                let parsed = Config::parse_expected(config, expected);
                let parsed = parsed.map_err(|error| broken(&error.to_string()))?;
                self.check_layers(parsed.diff_ids.iter().map(DiffId::digest), archive.given())?;
                (archive.manifest_digest(config, &self.held).map_err(unwritten)?, Some(parsed.diff_ids))
            }
        };
        let id = ImageId::from(id);
        let before = records::list(&self.daemon.ctr)?;
        let temporary = TemporaryName::of(&id.digest()).name;
        let loaded = self
            .load(archive, config, &temporary)
            .and_then(|()| self.verify(&id, diff_ids.as_deref()))
            .and_then(|()| self.daemon.give(&id, names));
        self.daemon.temporary_names.remove(&temporary);
        match loaded {
            Ok(()) => self.daemon.temporary_names.named(&id),
            Err(_) => self.daemon.take_back(&id, &before),
        }
        loaded.map(|()| id)
    }
}

//! Writes an image by `load`: an archive of the layers that are missing, then what describes them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::slice::from_ref;

use dsync_core::{Config, DiffId, Digest, ImageId, ImageRef, LayerKey};

use tempfile::TempDir;

use super::containerd::{self, Content as _, ContentStore};
use super::fetch::Fetch;
use super::history::layer_sizes;
use super::identify::Engine;
use super::list::{inspect, list};
use super::packed::{ArchiveCompression, CompressedArchive};
use super::temporary_names::TemporaryNames;
use crate::archive::{PartialArchive, WriteError};
use crate::command::{Feeding, Program};
use crate::store::{IdOf, Import, ImportIdentity, StoreError, StoreKind};
use crate::temporary;

/// An engine that images are loaded into.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    pub(super) program: &'a Program,
    pub(super) engine: &'a Engine,
    /// Its blobs, where they can be read.
    pub(super) content: Option<&'a ContentStore>,
    pub(super) temporary_names: &'a TemporaryNames,
}

/// A load that waits for its archive.
pub(super) struct PendingLoad<'a> {
    loader: Loader<'a>,
    identity: ImportIdentity<'a>,
    /// Absent after a failure: the archive cannot become whole any more.
    archive: Option<PartialArchive<CompressedArchive>>,
    /// podman's folder for its copies of what it loads. One that is killed leaves them; the next run finds the folder.
    _copies: Option<TempDir>,
}

impl<'a> Loader<'a> {
    /// Starts `load`, which waits for its archive.
    pub(super) fn begin(
        self,
        identity: ImportIdentity<'a>,
        compression: ArchiveCompression,
    ) -> Result<PendingLoad<'a>, StoreError> {
        // Where it cannot be made, podman says why it needs one.
        let copies = self.engine.own_copies().filter(|_| self.program.is_here());
        let copies = copies.and_then(|folder| temporary::folder(Some(folder)).ok());
        let program = match &copies {
            Some(copies) => &self.program.in_folder(copies.path()),
            None => self.program,
        };
        let load = program.feed(&["load", "--quiet"])?;
        let archive = PartialArchive::new(CompressedArchive::new(load, compression));
        Ok(PendingLoad { loader: self, identity, archive: Some(archive), _copies: copies })
    }
}

impl PendingLoad<'_> {
    fn archive(&mut self) -> Result<PartialArchive<CompressedArchive>, StoreError> {
        self.archive.take().ok_or_else(|| broken("an earlier part of it failed"))
    }
}

impl Import for PendingLoad<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut archive = self.archive()?;
        if archive.given().contains_key(&key.digest()) {
            return Err(broken(&format!("the layer {key} was given twice")));
        }
        match archive.layer(&key.digest(), len, write) {
            Ok(()) => {
                self.archive = Some(archive);
                Ok(())
            }
            Err(WriteError::Out(source)) => Err(stopped(archive.into_inner(), source)),
            Err(error) => Err(unwritten(error)),
        }
    }

    fn commit(mut self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        let archive = self.archive()?;
        let (id, diff_ids) = match self.identity {
            ImportIdentity::Exact(package) => (package.root(), None),
            ImportIdentity::Content(expected) => {
                let parsed = Config::parse_expected(config, expected);
                let parsed = parsed.map_err(|error| broken(&error.to_string()))?;
                let id = match self.loader.engine.kind.id_of() {
                    IdOf::Config => parsed.digest,
                    IdOf::Manifest => {
                        let held = self.held(&parsed.diff_ids, archive.given())?;
                        archive.manifest_digest(config, &held).map_err(unwritten)?
                    }
                };
                (id, Some(parsed.diff_ids))
            }
        };
        let id = ImageId::from(id);
        let text = id.to_string();
        // Only the containerd store can leave a broken image behind; one that was there stays.
        let removable = self.loader.engine.kind == StoreKind::DockerContainerd
            && inspect(self.loader.program, from_ref(&text.as_str()))?.images.is_empty();
        let loaded =
            self.loader.temporary_names.load_for(self.loader.engine.syntax, &id, names, |temporary| {
                let output = self.load(archive, config, temporary)?;
                self.verify(&id, diff_ids.as_deref(), &output)
            });
        if loaded.is_err() && removable {
            // The first error counts; there may be nothing to remove.
            let _ = self.loader.program.output(&["rmi", &text]);
        }
        loaded.map(|()| id)
    }
}

impl PendingLoad<'_> {
    /// Ends the archive, in which the image has this name, and waits for the engine: its output.
    fn load(
        &self,
        mut archive: PartialArchive<CompressedArchive>,
        config: &[u8],
        name: Option<&ImageRef>,
    ) -> Result<String, StoreError> {
        let finished = match self.identity {
            ImportIdentity::Exact(package) => {
                archive.finish_documents(package.documents(), package.media_type(), name)
            }
            ImportIdentity::Content(_) => {
                let diff_ids = Config::parse(config).map_err(|error| broken(&error.to_string()))?.diff_ids;
                let held = self.held(&diff_ids, archive.given())?;
                archive.finish(config, &held, name).map(drop)
            }
        };
        match finished {
            Ok(()) => {}
            Err(WriteError::Out(source)) => return Err(stopped(archive.into_inner(), source)),
            Err(error) => return Err(unwritten(error)),
        }
        let mut packed = archive.into_inner();
        match packed.end() {
            Ok(()) => {
                packed.into_inner().map_or_else(|| Err(broken("it could not be ended")), Feeding::finish)
            }
            Err(source) => Err(stopped(packed, source)),
        }
    }

    /// The sizes of the layers that the store holds, as far as they matter.
    ///
    /// podman keeps the manifest that it was given, so its sizes should be right; that they are not has no
    /// effect on the image itself. The classic store makes no use of them.
    fn held(
        &self,
        diff_ids: &[DiffId],
        given: &HashMap<Digest, u64>,
    ) -> Result<HashMap<Digest, u64>, StoreError> {
        let mut held = HashMap::new();
        let missing = |held: &HashMap<Digest, u64>, id: &DiffId| {
            !given.contains_key(&id.digest()) && !held.contains_key(&id.digest())
        };
        if !diff_ids.iter().any(|id| missing(&held, id)) {
            return Ok(held);
        }
        match self.loader.engine.kind {
            StoreKind::Podman => {}
            StoreKind::DockerContainerd => {
                // Blobs that no image has may go at any time.
                let kept = match self.loader.content {
                    Some(content) => containerd::held(content, &list(self.loader.program)?.images),
                    None => HashMap::new(),
                };
                for digest in diff_ids.iter().map(DiffId::digest).filter(|digest| !given.contains_key(digest))
                {
                    let content = self.loader.content.filter(|_| kept.contains_key(&digest));
                    let size = content.and_then(|content| content.size(&digest));
                    let missing = || broken(&format!("the containerd image store has no layer {digest}"));
                    held.insert(digest, size.ok_or_else(missing)?);
                }
                return Ok(held);
            }
            _ => return Ok(held),
        }
        for image in list(self.loader.program)?.images {
            if !diff_ids.iter().any(|id| missing(&held, id) && image.diff_ids.contains(id)) {
                continue;
            }
            if let Some(sizes) = layer_sizes(self.loader.program, self.loader.engine, &image)? {
                held.extend(image.diff_ids.iter().map(DiffId::digest).zip(sizes));
            }
        }
        Ok(held)
    }

    /// A load can fail and exit with success: what counts is the image that is there.
    fn verify(&self, id: &ImageId, diff_ids: Option<&[DiffId]>, output: &str) -> Result<(), StoreError> {
        if let Some(line) = output.lines().find(|line| line.starts_with("Error unpacking image")) {
            return Err(broken(line));
        }
        let text = id.to_string();
        let shown = || Ok(inspect(self.loader.program, from_ref(&text.as_str()))?.images.pop());
        let removed = || StoreError::Removed { image: text.clone() };
        let Some(image) = shown()? else { return Err(removed()) };
        if diff_ids.is_some_and(|diff_ids| image.diff_ids != diff_ids) {
            return Err(broken("the engine took it and shows other layers than its config names"));
        }
        if self.loader.engine.kind != StoreKind::DockerContainerd {
            return Ok(());
        }
        // Blobs that it has no more do not belong to the package, and then something is missing in it.
        let package = match self.loader.content.filter(|content| content.has_image(id)) {
            Some(content) => containerd::package(content, id, None),
            None => Fetch(self.loader.program).package(id, None),
        };
        let checked =
            package.and_then(|package| package.check().map(drop).map_err(|reason: String| broken(&reason)));
        match checked {
            // It lacks what went with it when it was removed.
            Err(_) if shown()?.is_none() => Err(removed()),
            checked => checked,
        }
    }
}

/// The engine reads no more: the failure that it reports.
pub(super) fn stopped(packed: CompressedArchive, source: io::Error) -> StoreError {
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

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;

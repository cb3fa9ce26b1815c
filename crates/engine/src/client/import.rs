//! Writes an image by `load`: an archive of the layers that are missing, then what describes them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::slice::from_ref;

use dsync_core::{Config, DiffId, Digest, ImageId, ImageRef, LayerKey};

use super::containerd::{self, Content as _, ContentStore};
use super::fed_archive::{self, Archive, FedArchive, broken, unwritten};
use super::fetch::Fetch;
use super::history::layer_sizes;
use super::identify::Engine;
use super::list::{inspect, list};
use super::packed::ArchiveCompression;
use super::temporary_names::TemporaryNames;
use crate::command::Program;
use crate::store::{IdOf, Import, ImportIdentity, StoreError, StoreKind};

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
    archive: FedArchive,
}

impl<'a> Loader<'a> {
    /// Starts `load`, which waits for its archive.
    pub(super) fn begin(
        self,
        identity: ImportIdentity<'a>,
        compression: ArchiveCompression,
    ) -> Result<PendingLoad<'a>, StoreError> {
        let load = self.program.feed(&["load", "--quiet"])?;
        let archive = FedArchive::new(load, compression);
        Ok(PendingLoad { loader: self, identity, archive })
    }
}

impl Import for PendingLoad<'_> {
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
        if removable && matches!(&loaded, Err(error) if !matches!(error, StoreError::Down { .. })) {
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
        mut archive: Archive,
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
        fed_archive::finish(archive, finished)
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

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;

//! Writes an image by `images import`: an archive of the layers that are missing, then what describes them.
//!
//! The image has a temporary name from its import on. It gets its names by a second import, of nothing but names, which
//! moves a name in one step, where `images tag --force` removes it before.

use std::collections::HashMap;
use std::io::{self, Write};

use dsync_core::{Config, DiffId, Digest, ImageId, ImageRef, LayerKey};

use super::hold::{self, Hold};
use super::records::{self, Record, unnamed};
use super::store::CtrStore;
use crate::archive::{PartialArchive, WriteError};
use crate::blob::BlobRef;
use crate::client::containerd::{self, Content as _};
use crate::client::import::{broken, stopped, unwritten};
use crate::client::packed::{ArchiveCompression, CompressedArchive};
use crate::client::temporary_names::TemporaryName;
use crate::command::{Feeding, Program};
use crate::host;
use crate::layers::Blobs as _;
use crate::package::Package;
use crate::store::{Import, ImportIdentity, StoreError};

/// The snapshotter of the client, unless its variable names another.
const SNAPSHOTTER: &str = "overlayfs";

/// An import that waits for its archive.
pub(super) struct CtrImport<'a> {
    store: &'a CtrStore,
    identity: ImportIdentity<'a>,
    /// Absent after a failure: the archive cannot become whole any more.
    archive: Option<PartialArchive<CompressedArchive>>,
    /// The layers that may be left out, with their sizes.
    held: HashMap<Digest, u64>,
    _hold: Hold<'a>,
}

impl<'a> CtrImport<'a> {
    pub(super) fn begin(store: &'a CtrStore, identity: ImportIdentity<'a>) -> Result<Self, StoreError> {
        hold::sweep(&store.ctr);
        let images = store.images()?.images;
        let mut held = containerd::held(&store.blobs, &images);
        let hold = match identity {
            ImportIdentity::Exact(package) => {
                let layers = || package.layers().iter().map(|layer| layer.blob.digest);
                held.retain(|digest, _| layers().any(|layer| layer == *digest));
                let documents = package.documents().map(|(digest, _)| *digest);
                Hold::on(&store.ctr, &package.root(), &documents.chain(layers()).collect::<Vec<_>>())?
            }
            ImportIdentity::Content(config) => {
                let plain = |digest: &Digest| {
                    images.iter().any(|image| image.diff_ids.iter().any(|id| id.digest() == *digest))
                };
                held.retain(|digest, _| plain(digest));
                Hold::on(&store.ctr, &config, &held.keys().copied().collect::<Vec<_>>())?
            }
        };
        // What was there before the hold may be gone.
        store.blobs.refresh()?;
        held.retain(|digest, size| store.blobs.has(&BlobRef { digest: *digest, size: *size }));
        let feeding = store.ctr.feed(
            &store
                .import_words(
                    match identity {
                        ImportIdentity::Exact(package) => Some(package),
                        ImportIdentity::Content(_) => None,
                    },
                    true,
                )?
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        )?;
        let archive = PartialArchive::new(CompressedArchive::new(feeding, ArchiveCompression::Plain));
        Ok(Self { store, identity, archive: Some(archive), held, _hold: hold })
    }

    fn archive(&mut self) -> Result<PartialArchive<CompressedArchive>, StoreError> {
        self.archive.take().ok_or_else(|| broken("an earlier part of it failed"))
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
        let store = self.store;
        store.blobs.refresh()?;
        if !records::list(&store.ctr)?.iter().any(|record| record.id == *id) {
            return Err(StoreError::Removed { image: id.to_string() });
        }
        if let ImportIdentity::Exact(package) = self.identity {
            let documents = package.documents().map(|(digest, _)| digest);
            let layers = package.layers().iter().map(|layer| &layer.blob.digest);
            if let Some(missing) = documents.chain(layers).find(|digest| !store.blobs.is_there(digest)) {
                return Err(broken(&format!("containerd took it without the blob {missing}")));
            }
        }
        let package = containerd::package(&store.blobs, id, None)?;
        let package = package.check().map_err(|reason| broken(&reason))?;
        let shown = package.image(&store.platform).map(|(config, _)| &config.diff_ids[..]);
        match diff_ids.is_some_and(|diff_ids| shown != Some(diff_ids)) {
            true => Err(broken("containerd took it and has other layers than its config names")),
            false => Ok(()),
        }
    }

    fn load(
        &self,
        mut archive: PartialArchive<CompressedArchive>,
        config: &[u8],
        name: &ImageRef,
    ) -> Result<(), StoreError> {
        let finished = match self.identity {
            ImportIdentity::Exact(package) => {
                archive.finish_documents(package.documents(), package.media_type(), Some(name))
            }
            ImportIdentity::Content(_) => archive.finish(config, &self.held, Some(name)).map(drop),
        };
        match finished {
            Ok(()) => {}
            Err(WriteError::Out(source)) => return Err(stopped(archive.into_inner(), source)),
            Err(error) => return Err(unwritten(error)),
        }
        let mut packed = archive.into_inner();
        match packed.end() {
            Ok(()) => packed
                .into_inner()
                .map_or_else(|| Err(broken("it could not be ended")), Feeding::finish)
                .map(drop),
            Err(source) => Err(stopped(packed, source)),
        }
    }
}

impl Import for CtrImport<'_> {
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
        let before = records::list(&self.store.ctr)?;
        let temporary = TemporaryName::of(&id.digest()).name;
        let loaded = self
            .load(archive, config, &temporary)
            .and_then(|()| self.verify(&id, diff_ids.as_deref()))
            .and_then(|()| self.store.give(&id, names));
        self.store.temporary_names.remove(&temporary);
        match loaded {
            Ok(()) => self.store.temporary_names.named(&id),
            Err(_) => self.store.take_back(&id, &before),
        }
        loaded.map(|()| id)
    }
}

/// How a client imports.
pub(super) struct Importer {
    /// It can do it by itself, and have the daemon do it by rules of its own (from 2.0 on).
    has_local: bool,
    /// The snapshotter that unpacks images, if there is one: that of the client, or the simple one.
    snapshotter: Option<String>,
}

impl Importer {
    fn of(ctr: &Program) -> Result<Self, StoreError> {
        let help = ctr.output(&["images", "import", "--help"])?;
        let has_local = String::from_utf8_lossy(&help.stdout).contains("--local");
        let named = std::env::var("CONTAINERD_SNAPSHOTTER").ok().filter(|name| !name.is_empty());
        if named.is_some() {
            return Ok(Self { has_local, snapshotter: named });
        }
        let plugins = ctr.run(&["plugins", "ls", "type==io.containerd.snapshotter.v1"], None)?;
        let snapshotter = snapshotter(&String::from_utf8_lossy(&plugins.stdout)).map(str::to_owned);
        Ok(Self { has_local, snapshotter })
    }
}

/// The snapshotter for images in a table of `plugins ls`: `TYPE ID PLATFORMS STATUS`.
fn snapshotter(table: &str) -> Option<&'static str> {
    let works = |name: &str| {
        table.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.get(1) == Some(&name) && words.last() == Some(&"ok")
        })
    };
    [SNAPSHOTTER, "native"].into_iter().find(|name| works(name))
}

impl CtrStore {
    /// The arguments of an import from standard input: of an index, where its package is given.
    fn import_words(&self, package: Option<&Package>, unpack: bool) -> Result<Vec<String>, StoreError> {
        let importer = match self.importer.get() {
            Some(known) => known,
            None => {
                let asked = Importer::of(&self.ctr)?;
                self.importer.get_or_init(|| asked)
            }
        };
        let mut words = ["images", "import"].map(str::to_owned).to_vec();
        words.extend(importer.has_local.then(|| "--local".into()));
        if let Some(package) = package.filter(|package| package.is_index()) {
            // Without it the client wants all platforms that its host runs, there or not.
            let platforms = package.platforms();
            let here = host::platform().to_string();
            let platform = platforms.iter().find(|platform| **platform == here).or(platforms.first());
            words.extend(platform.map(|platform| format!("--platform={platform}")));
        }
        match importer.snapshotter.as_deref().filter(|_| unpack) {
            Some(SNAPSHOTTER) => {}
            Some(name) => words.push(format!("--snapshotter={name}")),
            None => words.push("--no-unpack".into()),
        }
        words.push("-".into());
        Ok(words)
    }

    /// Gives an image its names, or one by its digest where it has none at all.
    pub(super) fn give(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        let all = records::list(&self.ctr)?;
        let Some(own) = all.iter().find(|record| record.id == *id) else {
            return Err(StoreError::NoSuchImage { image: id.to_string() });
        };
        let unnamed = unnamed(id);
        let full: Vec<String> = match names.is_empty() {
            false => names.iter().map(ImageRef::qualified).collect(),
            true if has_other(&all, id, &[]) => return Ok(()),
            true => vec![unnamed.clone()],
        };
        keep_others(self, &all, id, &full)?;
        let package = containerd::package(&self.blobs, id, None)?;
        self.keep_whole(&package)?;
        let size = self.blobs.size(&id.digest());
        let size = size.ok_or_else(|| self.blobs.broken(format!("the blob {id} is missing")))?;
        let words = self.import_words(Some(&package), false)?;
        let mut naming = self.ctr.feed(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut archive = PartialArchive::new(Vec::new());
        archive.name(&own.media_type, &BlobRef { digest: id.digest(), size }, &full).map_err(unwritten)?;
        let written = naming.write_all(&archive.into_inner());
        naming.finish()?;
        written
            .map_err(|source| StoreError::Io { what: "the client stopped reading names".into(), source })?;
        if !names.is_empty() && all.iter().any(|record| record.name == unnamed) {
            self.remove(&unnamed);
        }
        Ok(())
    }

    /// Has an index keep all that it names and is there: the client sees to one platform only.
    fn keep_whole(&self, package: &Package) -> Result<(), StoreError> {
        if !package.is_index() {
            return Ok(());
        }
        for (digest, children) in package.references() {
            hold::refer(&self.ctr, &digest, &children)?;
        }
        Ok(())
    }

    /// Removes the records of an image that were not there before: Kubernetes makes some of its own.
    fn take_back(&self, id: &ImageId, before: &[Record]) {
        if before.iter().any(|record| record.id == *id) {
            return;
        }
        for record in records::list(&self.ctr).unwrap_or_default() {
            if record.id == *id {
                self.remove(&record.name);
            }
        }
    }

    fn remove(&self, name: &str) {
        // It may be gone.
        let _ = self.ctr.output(&["images", "rm", name]);
    }
}

/// True if an image has a record that lasts, beside these.
fn has_other(all: &[Record], id: &ImageId, but: &[String]) -> bool {
    let is_temporary =
        |record: &Record| record.name.parse().is_ok_and(|name| TemporaryName::parse(&name).is_some());
    all.iter().any(|record| record.id == *id && !but.contains(&record.name) && !is_temporary(record))
}

/// Names the images by their digests that are about to lose their last name.
fn keep_others(store: &CtrStore, all: &[Record], id: &ImageId, names: &[String]) -> Result<(), StoreError> {
    let losing = all.iter().filter(|record| record.id != *id && names.contains(&record.name));
    for record in losing.filter(|record| !has_other(all, &record.id, names)) {
        let kept = unnamed(&record.id);
        match store.ctr.run(&["images", "tag", &record.name, &kept], None) {
            // Several names of one image, or somebody who removed it.
            Err(StoreError::Failed { message, .. })
                if ["already exists", "not found"].iter().any(|said| message.contains(said)) => {}
            kept => kept.map(drop)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_unpacked_where_that_works() {
        let line =
            |id: &str, status: &str| format!("io.containerd.snapshotter.v1 {id} linux/amd64 {status}\n");
        let table = |overlayfs: &str, native: &str| {
            "TYPE ID PLATFORMS STATUS\n".to_owned() + &line("native", native) + &line("overlayfs", overlayfs)
        };
        assert_eq!(snapshotter(&table("ok", "ok")), Some("overlayfs"));
        assert_eq!(snapshotter(&table("error", "ok")), Some("native"));
        assert_eq!(snapshotter(&table("skip", "error")), None);
    }
}

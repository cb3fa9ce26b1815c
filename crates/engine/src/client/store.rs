//! The store of an engine behind its client: what the client does, and what is read past it.

use std::collections::HashSet;
use std::io::Read;
use std::sync::OnceLock;

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};
use tempfile::TempDir;

use super::containerd::{self, Content as _, ContentStore};
use super::daemon_host::KernelHost;
use super::direct::{Docker, Podman, ReadImages, Stopped, Storage};
use super::fetch::Fetch;
use super::identify::{Engine, EnginePlace, identify};
use super::import::Loader;
use super::packed::ArchiveCompression;
use super::temporary_names::TemporaryNames;
use super::{demand, export, history, list};
use crate::blob::BlobRef;
use crate::command::Program;
use crate::command::sudo::Sudo;
use crate::demand::{Demand, ImportSize};
use crate::host;
use crate::layers::{self, Blobs};
use crate::package::Package;
use crate::store::{
    Description, Export, Holdings, IdOf, Import, ImportIdentity, LayerSink, Nested, Store, StoreError,
    StoreKind, tars,
};
use crate::temporary;

/// The store of an engine, behind its client.
pub(crate) struct ClientStore {
    pub(super) program: Program,
    pub(super) engine: Engine,
    /// The engine's own files, where they can be read.
    pub(super) storage: Option<Storage>,
    /// The blobs of the containerd image store, where they can be read.
    pub(super) content: Option<ContentStore>,
    /// The platform by whose config an image of several platforms is described.
    pub(super) platform: Platform,
    pub(super) temporary_names: TemporaryNames,
    /// The host of the client, once it was looked at.
    pub(super) host: OnceLock<KernelHost>,
    /// podman's folder for temporary files and for its copies of what it loads. One that is killed leaves them; the next
    /// run finds the folder. It goes last, as names are removed before.
    pub(super) _copies: Option<TempDir>,
}

impl ClientStore {
    /// Finds the program and asks what it is.
    pub(crate) fn open(words: &[String], sudo: &Sudo) -> Result<Self, StoreError> {
        let store = Self::identified(Program::find_by(words, sudo)?)?;
        let content = match store.engine.kind {
            StoreKind::DockerContainerd => ContentStore::open(&store.engine),
            _ => None,
        };
        Ok(Self { storage: store.readable(), content, ..store })
    }

    /// The engine's own files, if they are on this host and may be read.
    fn readable(&self) -> Option<Storage> {
        let root = self.engine.root.as_deref()?;
        match self.engine.kind {
            StoreKind::DockerClassic => Docker::open(root).map(Storage::Docker),
            StoreKind::Podman => {
                let has = |id: &str| self.program.run(&["image", "exists", id], None).is_ok();
                Podman::open(root, (self.engine.podman.as_ref()?, self.engine.images), has)
                    .map(Storage::Podman)
            }
            _ => None,
        }
    }

    /// The engine's blobs, where they have this image: the engine may be on another host, and another here.
    fn content_of(&self, id: &ImageId) -> Option<&ContentStore> {
        self.content.as_ref().filter(|content| content.has_image(id))
    }

    /// Begins to write an image, in an archive that is packed so.
    pub(super) fn load<'a>(
        &'a self,
        identity: ImportIdentity<'a>,
        compression: ArchiveCompression,
    ) -> Result<Box<dyn Import + 'a>, StoreError> {
        let loader = Loader {
            program: &self.program,
            engine: &self.engine,
            content: self.content.as_ref(),
            temporary_names: &self.temporary_names,
        };
        Ok(Box::new(loader.begin(identity, compression)?))
    }

    /// Loads an image and gives it its names. It is loaded under the name that `load` is given, and so is never without
    /// one; an image that is to have no name is loaded without.
    pub(super) fn load_for(
        &self,
        id: &ImageId,
        names: &[ImageRef],
        load: impl FnOnce(Option<&ImageRef>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.temporary_names.load_for(self.engine.syntax, id, names, load)
    }

    /// The host of the client.
    pub(super) fn host(&self) -> &KernelHost {
        self.host.get_or_init(|| match self.program.is_here() {
            true => KernelHost::here(),
            false => KernelHost::printed(&self.run_script(&KernelHost::script()).unwrap_or_default()),
        })
    }

    /// Runs a script on the host of the client, which is another, and collects its output.
    pub(super) fn run_script(&self, script: &str) -> Result<String, StoreError> {
        let mut reading = self.program.read_script(script)?;
        let mut output = Vec::new();
        let taken = reading.read_to_end(&mut output);
        reading.finish(None)?;
        taken.map_err(|source| StoreError::Io { what: "the other host cannot be read".into(), source })?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    pub(super) fn identified(program: Program) -> Result<Self, StoreError> {
        let output = program.run(&["info", "--format", "{{json .}}"], None)?;
        let engine = identify(&output.stdout, &output.stderr)?;
        // Each command of podman makes files in TMPDIR, which one that is killed leaves. Where the folder cannot be made,
        // podman says why it needs one.
        let copies = engine.own_copies().filter(|_| program.is_here());
        let copies = copies.and_then(|folder| temporary::folder(Some(folder)).ok());
        let program = match &copies {
            Some(copies) => program.in_folder(copies.path()),
            None => program,
        };
        let (temporary_names, platform) = (TemporaryNames::of(&program), host::platform());
        let (storage, content, host) = (None, None, OnceLock::new());
        Ok(Self { program, engine, storage, content, platform, temporary_names, host, _copies: copies })
    }
}

impl Store for ClientStore {
    fn describe(&self) -> Description {
        let name = &self.engine.name;
        let readable = self.storage.is_some() || self.content.is_some();
        let name = if readable { format!("{name}, storage readable") } else { name.clone() };
        Description { kind: self.engine.kind, name }
    }

    fn prefer(&mut self, platform: &Platform) {
        self.platform = platform.clone();
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let mut all = match (&self.content, &self.storage) {
            (Some(content), _) => content.list(&self.program, &self.platform)?,
            (None, Some(Storage::Podman(podman))) => match podman.list() {
                Ok(ReadImages { images, others }) => {
                    let others: Vec<&str> = others.iter().map(String::as_str).collect();
                    let mut all = list::inspect_all(&self.program, &others)?;
                    all.images.extend(images);
                    all
                }
                Err(_) => list::list(&self.program)?,
            },
            (None, _) => list::list(&self.program)?,
        };
        if self.engine.kind.id_of() == IdOf::Config {
            for image in &mut all.images {
                image.config = Some(image.id.digest());
            }
        }
        self.temporary_names.hide(&mut all);
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        match &self.content {
            _ if self.engine.kind.id_of() == IdOf::Config => {
                Ok(ids.iter().map(|id| Some(id.digest())).collect())
            }
            Some(content) => {
                let config = |id| containerd::image(content, id, &self.platform).ok()??.config;
                Ok(ids.iter().map(config).collect())
            }
            None => Fetch(&self.program).configs(ids, &self.platform),
        }
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        if !self.has_packages() {
            return Ok(None);
        }
        let Inventory { images, unreadable } = self.list()?;
        let ids: Vec<ImageId> = images
            .iter()
            .map(|image| image.id)
            .chain(unreadable.iter().filter_map(|image| image.id))
            .collect();
        match &self.content {
            Some(content) => containerd::find_nested(content, digest, &ids, &self.platform),
            None => Fetch(&self.program).nested(digest, &ids, &self.platform),
        }
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        match (self.engine.kind, &self.content) {
            (StoreKind::DockerClassic, _) => Holdings::chains(held),
            (StoreKind::Podman | StoreKind::OciLayout, _) => Holdings::layers(held),
            // It knows layers by their blobs as they are stored. Of an image of another kind of store those that are
            // made there are not compressed.
            (StoreKind::DockerContainerd, Some(content)) => {
                Holdings::Blobs(containerd::held(content, held).into_keys().collect())
            }
            // Its client does not list them. A layer that is left out wrongly makes a broken image, one that
            // is given in vain costs local work only.
            (StoreKind::DockerContainerd | StoreKind::Containerd | StoreKind::DockerArchive, _) => {
                Holdings::Nothing
            }
        }
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        let package = match self.content_of(id) {
            Some(content) => containerd::package(content, id, platform)?,
            None if self.has_packages() => Fetch(&self.program).package(id, platform)?,
            None => return Ok(None),
        };
        let broken = |reason| StoreError::Broken { what: format!("the image {id}"), reason };
        package.check().map(Some).map_err(broken)
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        match &self.content {
            Some(content) => {
                let there = containerd::held(content, &self.list()?.images);
                Ok(blobs.iter().map(|blob| there.contains_key(&blob.digest)).collect())
            }
            None if self.has_packages() => Fetch(&self.program).has(blobs),
            None => Ok(vec![false; blobs.len()]),
        }
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        match self.content.as_ref().filter(|content| content.size(&blob.digest).is_some()) {
            Some(content) => content.open(blob),
            None => Fetch(&self.program).take(blob).map(|saved| Box::new(saved) as Box<dyn Read>),
        }
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        if self.has_packages() {
            let fetch = Fetch(&self.program);
            let (package, blobs): (_, &dyn Blobs) = match self.content_of(id) {
                Some(content) => (containerd::package(content, id, None)?, content),
                None => (fetch.package(id, None)?, &fetch),
            };
            let config = package.image(&self.platform).map(|(config, _)| config.digest);
            let config = config.and_then(|digest| package.document(&digest));
            let config = config.ok_or_else(|| {
                let reason = format!("its index has no image for {}, or that is not there", self.platform);
                StoreError::Broken { what: format!("the image {id}"), reason }
            })?;
            layers::export(&package, blobs, wanted, sink)?;
            return Ok(Export { config: config.to_vec() });
        }
        let mut missing = tars(id, wanted)?;
        if let Some(storage) = &self.storage {
            match storage.export(id, &mut missing, sink) {
                Ok(export) => return Ok(export),
                Err(Stopped::Sink(source)) => return Err(export::not_taken(&id.to_string(), source)),
                Err(Stopped::Storage(reason)) => {
                    sink.note(&format!("the storage of the engine is not read directly: {reason}"));
                }
            }
        }
        export::export(&self.program, &self.engine, id, &missing, sink)
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        if let Some(Storage::Podman(podman)) = &self.storage
            && let Ok(sizes) = podman.layer_sizes(image)
        {
            return Ok(Some(sizes));
        }
        history::layer_sizes(&self.program, &self.engine, image)
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        let content = self.content.as_ref().map(ContentStore::folder);
        demand::of(&self.engine, content, size, &|daemon| self.host().has(daemon))
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        let host = self.engine.platform.as_ref().filter(|host| !platform.runs_on(host))?;
        if platform.os == host.os {
            let is_beside = match &self.engine.place {
                EnginePlace::OfClient => true,
                EnginePlace::Of(daemon) => self.host().has(daemon),
                EnginePlace::Unknown => false,
            };
            let emulated = self.host().emulated.as_ref().filter(|_| is_beside)?;
            if emulated.contains(&platform.architecture) {
                return None;
            }
        }
        Some(host.clone())
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        self.load(identity, ArchiveCompression::Plain)
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.temporary_names.give(self.engine.syntax, id, names)
    }
}

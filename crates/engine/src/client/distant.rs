//! The engine of another host that has only a shell for us: no agent, `save` and `load`.
//!
//! An archive of the missing layers crosses, compressed: the shell leaves out the others by name (GNU tar's `--delete`
//! is a filter) before the rest goes through zstd or gzip.

use std::collections::HashSet;
use std::io::{self, Read};

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};

use super::distant_space;
use super::identify::{Engine, Syntax};
use super::list;
use super::packed::ArchiveCompression;
use super::store::ClientStore;
use super::temporary_names::TemporaryName;
use crate::archive::{self, ArchiveRequest, ReadError, v1_ids};
use crate::blob::BlobRef;
use crate::command::{Program, Reach};
use crate::demand::{Demand, Disk, FreeSpace, ImportSize};
use crate::package::Package;
use crate::script;
use crate::store::{
    Description, Export, Holdings, IdOf, Import, ImportIdentity, LayerSink, Nested, Store, StoreError,
    StoreKind, none_of, tars,
};

/// The store of an engine that is reached through a command such as `ssh -T -- host`.
pub struct DistantStore(ClientStore);

impl DistantStore {
    /// Asks the client program with these words what it is. Without words docker is tried, then podman.
    pub fn open(words: &[String], reach: &Reach) -> Result<Self, StoreError> {
        let client = |words: &[String]| ClientStore::identified(Program::distant(words, reach)?);
        if !words.is_empty() {
            return client(words).map(Self);
        }
        match client(&["docker".into()]) {
            Err(StoreError::NotFound { .. }) => match client(&["podman".into()]) {
                Err(StoreError::NotFound { .. }) => Err(none_of(&["docker", "podman"])),
                other => other.map(Self),
            },
            other => other.map(Self),
        }
    }

    /// A script that writes the archive of an image without all layers but these to standard output.
    pub fn save_script(&self, image: &Image, wanted: &HashSet<DiffId>) -> Result<String, StoreError> {
        let save = self.0.program.line(&[save_words(&self.0.engine), &[&image.id.to_string()]].concat())?;
        let dropped = dropped(&self.0.engine, &image.diff_ids, wanted);
        if dropped.is_empty() {
            return Ok(save);
        }
        Ok(without(&save, &dropped))
    }

    /// A script that loads the archive in this file.
    pub fn load_script(&self, file: &str) -> Result<String, StoreError> {
        self.0.program.line(&["load", "--quiet", "-i", file])
    }

    /// Loads an image and gives it its names. In the archive it has the name that `load` is given, if one.
    pub fn load_for(
        &self,
        id: &ImageId,
        names: &[ImageRef],
        load: impl FnOnce(Option<&ImageRef>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.0.load_for(id, names, load)
    }

    /// Runs a script on the host of the engine and collects its output.
    pub fn run_script(&self, script: &str) -> Result<String, StoreError> {
        self.0.run_script(script)
    }

    /// The free space at folders of the host of the engine, as its shell takes them between double quotes; `None` of one
    /// where that is not known.
    pub fn free_space(&self, folders: &[&str]) -> Vec<Option<FreeSpace>> {
        let printed = self.run_script(&distant_space::script(folders)).unwrap_or_default();
        distant_space::printed(&printed, folders.len())
    }

    /// The expected properties of an archive of the image.
    pub fn request<'a>(&self, image: &'a Image, wanted: &'a HashSet<DiffId>) -> ArchiveRequest<'a> {
        let config = image.id.digest();
        let config = (self.0.engine.kind.id_of() == IdOf::Config).then_some(config);
        ArchiveRequest { config, diff_ids: &image.diff_ids, wanted }
    }

    /// The image with this ID.
    pub fn image(&self, id: &ImageId) -> Result<Image, StoreError> {
        let text = id.to_string();
        let mut found = list::inspect(&self.0.program, &[&text])?.images;
        found.iter_mut().for_each(|image| image.names.retain(|name| TemporaryName::parse(name).is_none()));
        found.pop().ok_or(StoreError::NoSuchImage { image: text })
    }
}

impl Store for DistantStore {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        self.0.list()
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        self.0.configs(ids)
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        self.0.nested(digest)
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        self.0.holdings(held)
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        self.0.package(id, platform)
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        self.0.has(blobs)
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.0.blob(blob)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        if self.0.has_packages() {
            // Single blobs, compressed as they are.
            return self.0.export(id, wanted, sink);
        }
        let (image, wanted) = (self.image(id)?, tars(id, wanted)?);
        let save = self.save_script(&image, &wanted)?;
        let pack = "if command -v zstd >/dev/null; then zstd -q -c -T0; else gzip -c; fi";
        let mut saving = self.0.program.read_script(&format!("{{ {save}; }} | {pack}"))?;
        let archive = archive::decoded(&mut saving)
            .map_err(|source| StoreError::Io { what: format!("the archive of {id} cannot be read"), source });
        let read = archive.map(|archive| archive::read(archive, &self.request(&image, &wanted), sink));
        // The shell's status is that of the compressor; why an archive is broken is on standard error.
        match read {
            Err(error) => saving.finish(Some(&id.to_string())).and(Err(error)),
            Ok(Ok(export)) => saving.finish(Some(&id.to_string())).map(|()| export),
            Ok(Err(ReadError::Sink(source))) => {
                // A layer that is not the one that is wanted may have been cut by a `save` that failed.
                if source.kind() == io::ErrorKind::InvalidData {
                    saving.explain(Some(&id.to_string()))?;
                }
                Err(StoreError::Io { what: format!("a layer of {id} cannot be passed on"), source })
            }
            Ok(Err(error)) => {
                let reason = match error {
                    ReadError::Source(source) => source.to_string(),
                    other => other.to_string(),
                };
                saving.explain(Some(&id.to_string()))?;
                Err(StoreError::Broken { what: format!("the archive of {id}"), reason })
            }
        }
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        self.0.layer_sizes(image)
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        let mut demands = self.0.demands(size);
        // A path that a shell would change is not looked at.
        let folder =
            |demand: &Demand| demand.folder.to_str().and_then(|folder| script::word(folder).ok()).is_some();
        demands.retain(folder);
        let folders: Vec<String> = demands.iter().map(|demand| demand.folder.display().to_string()).collect();
        let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
        let spaces = if folders.is_empty() { Vec::new() } else { self.free_space(&folders) };
        for (demand, space) in demands.iter_mut().zip(spaces) {
            demand.disk = Disk::There(space);
        }
        demands
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        self.0.cannot_run(platform)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        self.0.load(identity, ArchiveCompression::Gzip)
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.0.tag(id, names)
    }
}

/// A script that writes an archive without some of its entries, where tar can leave them out. It fails as `save` does,
/// and where a disk is full.
///
/// GNU tar's `--delete` reads on for ever in an archive that ends within an entry that it leaves out (1.34,
/// `src/delete.c`), as that of a `save` that fails does. So zeros follow the archive: they end any entry, and then the
/// archive, and tar is done. The reader sees that such an archive is not whole, as what describes it comes last. An
/// absent entry is no failure, so the status of tar counts for nothing, and what it says only of a disk.
fn without(save: &str, dropped: &[String]) -> String {
    format!(
        "if tar --version 2>/dev/null | grep -q GNU; then {{ s=$({{ \
         {{ {save} 3>&-; echo $? >&3; exec cat /dev/zero 2>/dev/null 3>&-; }} | \
         {{ e=$(LC_ALL=C tar --delete -f - {} 2>&1 >&4 3>&-); case $e in *\"No space\"*|*\"quota exceeded\"*) \
         echo \"$e\" >&2; echo 1 >&3;; esac; }}; }} 3>&1); }} 4>&1; \
         (for c in $s; do [ $c = 0 ] || exit $c; done); else {save}; fi",
        dropped.join(" ")
    )
}

/// Arguments of `save` for one image; the other formats of podman compress anew and can change the config.
pub(super) fn save_words(engine: &Engine) -> &'static [&'static str] {
    match engine.syntax {
        Syntax::Docker => &["save"],
        Syntax::Podman => &["save", "--quiet", "--format", "docker-archive"],
    }
}

/// The names in an archive of the layers that are not wanted. In one of Docker's containerd store layers have the
/// names of their blobs, which its client does not show, so all of them come.
fn dropped(engine: &Engine, diff_ids: &[DiffId], wanted: &HashSet<DiffId>) -> Vec<String> {
    let unwanted = || diff_ids.iter().filter(|id| !wanted.contains(id));
    let mut names: Vec<String> = match (engine.kind, engine.v1_names) {
        (StoreKind::DockerClassic, true) => v1_ids(diff_ids)
            .into_iter()
            .zip(diff_ids)
            .filter(|(_, id)| !wanted.contains(id))
            .map(|(v1, _)| format!("{v1}/layer.tar"))
            .collect(),
        (StoreKind::DockerClassic, false) => {
            unwanted().map(|id| format!("blobs/sha256/{}", id.hex())).collect()
        }
        (StoreKind::Podman, _) => unwanted().map(|id| format!("{}.tar", id.hex())).collect(),
        (
            StoreKind::DockerContainerd
            | StoreKind::Containerd
            | StoreKind::OciLayout
            | StoreKind::DockerArchive,
            _,
        ) => Vec::new(),
    };
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
#[path = "distant_tests.rs"]
mod tests;

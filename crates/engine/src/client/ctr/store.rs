//! The store: what the client does, and what is read past it.

use std::collections::HashSet;
use std::io::Read;
use std::sync::OnceLock;

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform, Unreadable};

use super::blobs::CtrBlobs;
use super::import::{CtrImport, Importer};
use super::{namespace, records};
use crate::blob::BlobRef;
use crate::client::containerd;
use crate::client::daemon_host::KernelHost;
use crate::client::temporary_names::TemporaryNames;
use crate::command::Program;
use crate::demand::{Demand, Disk, ImportSize, Purpose};
use crate::host;
use crate::layers::{self, Blobs as _};
use crate::package::Package;
use crate::store::{
    Description, Export, Holdings, Import, ImportIdentity, LayerSink, Nested, Store, StoreError, StoreKind,
};

/// A namespace of a containerd.
pub(crate) struct CtrStore {
    /// The client, in the namespace.
    pub(super) ctr: Program,
    name: String,
    pub(super) blobs: CtrBlobs,
    /// The platform by whose config an image of several platforms is described.
    pub(super) platform: Platform,
    pub(super) temporary_names: TemporaryNames,
    /// How the client imports, once it was asked.
    pub(super) importer: OnceLock<Importer>,
}

impl CtrStore {
    /// Finds the client, asks whether its daemon answers, and chooses the namespace.
    pub(crate) fn open(words: &[String], namespace: Option<&str>) -> Result<Self, StoreError> {
        let client = Program::find(words)?;
        let version = client.run(&["version"], None)?;
        let version = server_version(&String::from_utf8_lossy(&version.stdout));
        let (ctr, namespace) = namespace::choose(&client, namespace)?;
        let blobs = CtrBlobs::open(&ctr)?;
        let readable = if blobs.folder().is_some() { ", storage readable" } else { "" };
        let name = format!("containerd {version}, namespace {namespace}{readable}");
        let temporary_names = TemporaryNames::removed_by(&ctr, &["images", "rm"]);
        let (platform, importer) = (host::platform(), OnceLock::new());
        Ok(Self { ctr, name, blobs, platform, temporary_names, importer })
    }

    /// All images, those with temporary names among them as well.
    pub(super) fn images(&self) -> Result<Inventory, StoreError> {
        let named = records::names(&records::list(&self.ctr)?);
        self.blobs.refresh()?;
        let mut all = Inventory::default();
        for (id, names) in named {
            match containerd::image(&self.blobs, &id, &self.platform) {
                Ok(image) => all.images.push(Image { names, ..image }),
                Err(reason) => all.unreadable.push(Unreadable { id: Some(id), names, reason }),
            }
        }
        Ok(all)
    }
}

impl Store for CtrStore {
    fn describe(&self) -> Description {
        Description { kind: StoreKind::Containerd, name: self.name.clone() }
    }

    fn prefer(&mut self, platform: &Platform) {
        self.platform = platform.clone();
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let mut all = self.images()?;
        self.temporary_names.hide(&mut all);
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        let config = |id| containerd::image(&self.blobs, id, &self.platform).ok()?.config;
        Ok(ids.iter().map(config).collect())
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        let Inventory { images, unreadable } = self.list()?;
        let unreadable = unreadable.iter().filter_map(|image| image.id);
        let ids: Vec<ImageId> = images.iter().map(|image| image.id).chain(unreadable).collect();
        containerd::find_nested(&self.blobs, digest, &ids, &self.platform)
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        Holdings::Blobs(containerd::held(&self.blobs, held).into_keys().collect())
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        let package = containerd::package(&self.blobs, id, platform)?;
        package.check().map(Some).map_err(|reason| self.blobs.broken(format!("{id}: {reason}")))
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        let there = containerd::held(&self.blobs, &self.images()?.images);
        Ok(blobs.iter().map(|blob| there.contains_key(&blob.digest)).collect())
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.blobs.open(blob)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let package = containerd::package(&self.blobs, id, None)?;
        let config = package.image(&self.platform).map(|(config, _)| config.digest);
        let config = config.and_then(|digest| package.document(&digest)).ok_or_else(|| {
            let reason = format!("its index has no image for {}, or that is not there", self.platform);
            StoreError::Broken { what: format!("the image {id}"), reason }
        })?;
        layers::export(&package, &self.blobs, wanted, sink)?;
        Ok(Export { config: config.to_vec() })
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        let package = containerd::package(&self.blobs, &image.id, None)?;
        let size = |id| {
            let layer = package.layers().iter().find(|layer| layer.blob.is_plain(id))?;
            Some(layer.blob.size)
        };
        Ok(image.diff_ids.iter().map(size).collect())
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        let demand = |folder: &std::path::Path| Demand {
            purpose: Purpose::Images,
            folder: folder.to_owned(),
            bytes: size.given.saturating_add(size.contents),
            disk: Disk::Here,
        };
        self.blobs.folder().map(demand).into_iter().collect()
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        // A containerd that this process may not look at may be in a virtual machine.
        self.blobs.folder()?;
        let host = host::platform();
        let emulated = KernelHost::here().emulated?;
        let runs =
            platform.runs_on(&host) || platform.os == host.os && emulated.contains(&platform.architecture);
        (!runs).then_some(host)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        Ok(Box::new(CtrImport::begin(self, identity)?))
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.blobs.refresh()?;
        self.give(id, names)?;
        if !names.is_empty() {
            self.temporary_names.named(id);
        }
        Ok(())
    }
}

/// The version of the daemon in the output of `version`.
fn server_version(said: &str) -> String {
    let mut lines = said.lines().skip_while(|line| line.trim() != "Server:");
    let version = lines.find_map(|line| line.trim().strip_prefix("Version:"));
    version
        .map(|version| version.trim().trim_start_matches('v'))
        .unwrap_or("of an unknown version")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_daemons() {
        let said =
            "Client:\n  Version:  1.6.20\n  Go version: go1\n\nServer:\n  Version:  v1.7.24\n  UUID: x\n";
        assert_eq!(server_version(said), "1.7.24");
        assert_eq!(server_version("Client:\n  Version: 1\n"), "of an unknown version");
    }
}

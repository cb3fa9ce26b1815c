//! The store: what the client does, and what is read past it.

use std::collections::HashSet;
use std::io::Read;

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};

use super::daemon::Daemon;
use super::import::CtrImport;
use super::records;
use crate::blob::BlobRef;
use crate::client::containerd;
use crate::client::daemon_host::KernelHost;
use crate::command::Program;
use crate::command::sudo::Sudo;
use crate::demand::{Demand, Disk, ImportSize, Purpose};
use crate::host;
use crate::layers::{self, Blobs as _};
use crate::package::Package;
use crate::referrers::{Referrer, WholeReferrer};
use crate::store::{
    Description, Export, Holdings, Import, ImportIdentity, LayerSink, Nested, Store, StoreError, StoreKind,
};

/// The store of a containerd without Docker.
pub(crate) struct CtrStore(Daemon);

impl CtrStore {
    /// Finds the client and the namespace.
    pub(crate) fn open(words: &[String], namespace: Option<&str>, sudo: &Sudo) -> Result<Self, StoreError> {
        Daemon::open(Program::find_by(words, sudo)?, namespace).map(Self)
    }
}

impl Store for CtrStore {
    fn describe(&self) -> Description {
        Description { kind: StoreKind::Containerd, name: self.0.name.clone() }
    }

    fn prefer(&mut self, platform: &Platform) {
        self.0.platform = platform.clone();
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let mut all = self.0.images()?;
        self.0.temporary_names.hide(&mut all);
        Ok(all)
    }

    fn configs(&self, ids: &[ImageId]) -> Result<Vec<Option<Digest>>, StoreError> {
        let config = |id| containerd::image(&self.0.blobs, id, &self.0.platform).ok()??.config;
        Ok(ids.iter().map(config).collect())
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        let Inventory { images, unreadable } = self.list()?;
        let unreadable = unreadable.iter().filter_map(|image| image.id);
        let ids: Vec<ImageId> = images.iter().map(|image| image.id).chain(unreadable).collect();
        containerd::find_nested(&self.0.blobs, digest, &ids, &self.0.platform)
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        Holdings::Blobs(containerd::held(&self.0.blobs, held).into_keys().collect())
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        let package = containerd::package(&self.0.blobs, id, platform)?;
        package.check().map(Some).map_err(|reason| self.0.blobs.broken(format!("{id}: {reason}")))
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        let there = containerd::held(&self.0.blobs, &self.0.images()?.images);
        Ok(blobs.iter().map(|blob| there.contains_key(&blob.digest)).collect())
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.0.blobs.open(blob)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let package = containerd::package(&self.0.blobs, id, None)?;
        let config = package.image(&self.0.platform).map(|(config, _)| config.digest);
        let config = config.and_then(|digest| package.document(&digest)).ok_or_else(|| {
            let reason = format!("its index has no image for {}, or that is not there", self.0.platform);
            StoreError::Broken { what: format!("the image {id}"), reason }
        })?;
        layers::export(&package, &self.0.blobs, wanted, sink)?;
        Ok(Export { config: config.to_vec() })
    }

    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        let package = containerd::package(&self.0.blobs, &image.id, None)?;
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
        self.0.blobs.folder().map(demand).into_iter().collect()
    }

    fn cannot_run(&self, platform: &Platform) -> Option<Platform> {
        // A containerd that this process may not look at may be in a virtual machine.
        self.0.blobs.folder()?;
        let host = host::platform();
        let emulated = KernelHost::here().emulated?;
        let runs =
            platform.runs_on(&host) || platform.os == host.os && emulated.contains(&platform.architecture);
        (!runs).then_some(host)
    }

    fn keeps_referrers(&self) -> bool {
        true
    }

    fn referrers(&self, package: &Package) -> Result<Vec<Referrer>, StoreError> {
        let records = records::list(&self.0.ctr)?;
        self.0.blobs.refresh()?;
        self.0.blobs.prefetch(records.iter().map(|record| record.id.digest()));
        let records = records.iter().map(|record| (record.name.as_str(), record.id));
        containerd::referrers(&self.0.blobs, package, records)
    }

    fn add_referrers(&self, names: &[ImageRef], referrers: &[WholeReferrer]) -> Result<(), StoreError> {
        referrers.iter().try_for_each(|referrer| self.0.add_referrer(names, referrer))
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        Ok(Box::new(CtrImport::begin(&self.0, identity)?))
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        self.0.blobs.refresh()?;
        self.0.give(id, names)?;
        if !names.is_empty() {
            self.0.temporary_names.named(id);
        }
        Ok(())
    }
}

//! An OCI image layout as a store (OCI image specification, "Image Layout"): a directory, or an archive of one, which
//! can only be read.
//!
//! The ID of an image here is the digest that the layout names it by: of a manifest, or of an index. Docker's
//! containerd store shows the same one.

mod directory;
mod import;
mod index;
mod layout;
mod resolve;

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use dsync_core::{Digest, Image, ImageId, ImageRef, Inventory, LayerKey, Platform};
use serde_json::Value;

use crate::archive::ArchiveIndex;
use crate::blob::BlobRef;
use crate::demand::{Demand, Disk, ImportSize, Purpose};
use crate::layers::{Blobs as _, export};
use crate::nested::nested;
use crate::package::Package;
use crate::referrers::{self, Candidate, Referrer, WholeReferrer};
use crate::store::{
    Description, Export, Holdings, Import, ImportIdentity, LayerSink, Nested, Store, StoreError, StoreKind,
};
use layout::Layout;
use resolve::{LayoutImage, Resolved, Whole, places, resolve, resolve_nested};

/// The images of one layout.
#[derive(Debug)]
pub(crate) struct OciStore {
    layout: Layout,
}

impl OciStore {
    /// Opens a layout. A directory that does not exist or is empty is a store without images, which the
    /// first import makes; one with other things in it is refused.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        Ok(Self { layout: Layout::open(directory)? })
    }

    /// Opens an archive with an index. `name` is the archive, for people.
    pub(crate) fn archived(name: String, contents: Arc<ArchiveIndex>) -> Result<Self, StoreError> {
        Ok(Self { layout: Layout::archived(name, contents)? })
    }
}

impl Store for OciStore {
    fn describe(&self) -> Description {
        Description { kind: StoreKind::OciLayout, name: self.layout.name() }
    }

    fn prefer(&mut self, platform: &Platform) {
        (self.layout.platform, self.layout.is_chosen) = (platform.clone(), true);
    }

    fn must_exist(&self) -> Result<(), StoreError> {
        self.layout.must_exist()
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let Resolved { images, unreadable } = resolve(&self.layout)?;
        Ok(Inventory { images: images.into_iter().map(|found| found.image).collect(), unreadable })
    }

    fn unnamed(&self, inventory: &Inventory) -> Result<Vec<ImageId>, StoreError> {
        let Inventory { images, unreadable } = inventory;
        // In a directory that is written again and again those are old images, unless there are no others. An image
        // counts that cannot be read, too: what is chosen must not depend on a damage.
        let are_named =
            || images.iter().map(|image| &image.names).chain(unreadable.iter().map(|image| &image.names));
        if self.layout.directory().is_ok() && are_named().any(|names| !names.is_empty()) {
            return Ok(Vec::new());
        }
        let index = self.layout.index()?;
        // An image of another platform may have lost its name to this one.
        let is_named = |id: &ImageId| {
            let is_it = |entry: &&Value| BlobRef::parse(entry).is_some_and(|blob| blob.digest == id.digest());
            index.entries().iter().filter(is_it).any(|entry| index::name(entry).is_some())
        };
        Ok(images.iter().map(|image| image.id).filter(|id| !is_named(id)).collect())
    }

    fn nested(&self, digest: &Digest) -> Result<Option<Nested>, StoreError> {
        nested(places(&self.layout, digest)?, &self.layout.platform, &mut |root| {
            Package::collect(root, None, &mut Whole(&self.layout))
        })
    }

    fn holdings(&self, held: &[Image]) -> Holdings {
        Holdings::layers(held)
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let found = self.find(id)?;
        export(&self.collect(&found, None)?, &self.layout, wanted, sink)?;
        Ok(Export { config: self.layout.document(&found.config)? })
    }

    fn package(&self, id: &ImageId, platform: Option<&Platform>) -> Result<Option<Package>, StoreError> {
        let package = self.collect(&self.find(id)?, platform)?;
        package.check().map(Some).map_err(|reason| self.layout.broken(format!("{id}: {reason}")))
    }

    fn has(&self, blobs: &[BlobRef]) -> Result<Vec<bool>, StoreError> {
        Ok(blobs.iter().map(|blob| self.layout.has(blob)).collect())
    }

    fn blob(&self, blob: &BlobRef) -> Result<Box<dyn Read + '_>, StoreError> {
        self.layout.open(blob)
    }

    /// Known where all layers are kept uncompressed.
    fn layer_sizes(&self, image: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        let found = self.find(&image.id)?;
        let layers = found.layers.iter().zip(&found.image.diff_ids);
        Ok(layers.map(|(layer, id)| layer.is_plain(id).then_some(layer.size)).collect())
    }

    fn must_take(&self) -> Result<(), StoreError> {
        self.layout.directory()?.check_writable()
    }

    fn demands(&self, size: &ImportSize) -> Vec<Demand> {
        // Blobs are kept as they are given.
        let folder = self.layout.directory().map(|directory| directory.path().to_owned());
        let demand =
            |folder| Demand { purpose: Purpose::Images, folder, bytes: size.given, disk: Disk::Here };
        folder.ok().map(demand).into_iter().collect()
    }

    fn keeps_referrers(&self) -> bool {
        true
    }

    fn referrers(&self, package: &Package) -> Result<Vec<Referrer>, StoreError> {
        let index = self.layout.index()?;
        let candidate =
            |entry| Some(Candidate { root: BlobRef::parse(entry)?, tag: index::referrer_tag(entry) });
        let candidates = index.entries().iter().filter_map(candidate).collect();
        referrers::find(package, candidates, &mut Whole(&self.layout))
    }

    fn add_referrers(&self, names: &[ImageRef], referrers: &[WholeReferrer]) -> Result<(), StoreError> {
        import::add_referrers(&self.layout, names, referrers)
    }

    fn import<'a>(&'a self, identity: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        Ok(Box::new(import::LayoutImport::begin(&self.layout, identity)?))
    }

    fn tag(&self, id: &ImageId, names: &[ImageRef]) -> Result<(), StoreError> {
        let directory = self.layout.directory()?;
        let _lock = directory.lock()?;
        let entry = self.find(id)?.entry.ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })?;
        let mut index = self.layout.index()?;
        let before = index.to_bytes();
        index.tag(entry, names);
        // Nobody's index is written anew without a reason.
        if index.to_bytes() == before { Ok(()) } else { directory.replace_index(&index) }
    }
}

impl OciStore {
    fn collect(&self, found: &LayoutImage, platform: Option<&Platform>) -> Result<Package, StoreError> {
        Package::collect(&found.root, platform, &mut Whole(&self.layout))
            .map_err(|error| self.layout.unpackaged(error))
    }

    fn find(&self, id: &ImageId) -> Result<LayoutImage, StoreError> {
        let Resolved { images, unreadable } = resolve(&self.layout)?;
        match images.into_iter().find(|found| found.image.id == *id) {
            Some(found) => Ok(found),
            None => match unreadable.into_iter().find(|image| image.id == Some(*id)) {
                Some(image) => Err(self.layout.broken(format!("{id}: {}", image.reason))),
                None => resolve_nested(&self.layout, id)?
                    .ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() }),
            },
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;

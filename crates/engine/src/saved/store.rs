//! An archive that `docker save` or `podman save` wrote, as a store that can only be read: `docker-archive:FILE`.
//!
//! This is the form that has only a `manifest.json`. One that is an OCI image layout, too, is read as such.

use std::collections::HashSet;
use std::io::{self, Read as _};
use std::sync::Arc;

use dsync_core::{Config, DiffId, Image, ImageId, ImageRef, Inventory, LayerKey, Unreadable};

use crate::archive::{
    ArchiveIndex, MANIFEST_JSON, ManifestEntry, decoded, is_gzip, is_zstd, parse_manifest, peek,
};
use crate::package::{LARGEST_DOCUMENT, elsewhere};
use crate::store::{
    Description, Export, Holdings, Import, ImportIdentity, LayerSink, Store, StoreError, StoreKind, tars,
};
use crate::watched::WatchedReader;

/// More images than anybody saves in one archive.
const MOST_IMAGES: usize = 10_000;

/// The images of one file.
#[derive(Debug)]
pub(crate) struct ArchiveStore {
    name: String,
    contents: Arc<ArchiveIndex>,
    images: Vec<Archived>,
    unreadable: Vec<Unreadable>,
}

/// An image of the archive.
#[derive(Debug)]
struct Archived {
    image: Image,
    listed: ManifestEntry,
}

impl ArchiveStore {
    /// Reads the manifest and the configs of the archive's images. `name` is the archive, for people.
    pub(crate) fn new(name: String, contents: Arc<ArchiveIndex>) -> Result<Self, StoreError> {
        let mut store = Self { name, contents, images: Vec::new(), unreadable: Vec::new() };
        let manifest = store.document(MANIFEST_JSON)?;
        let listed = parse_manifest(&manifest)
            .ok_or_else(|| store.broken(format!("its {MANIFEST_JSON} names no config and layers")))?;
        if listed.len() > MOST_IMAGES {
            return Err(store.broken(format!("its {MANIFEST_JSON} lists more than {MOST_IMAGES} images")));
        }
        for listed in listed {
            let names = listed.names.iter().filter_map(|name| name.parse().ok()).collect();
            match store.archived(listed) {
                Ok(archived) => store.add(archived),
                Err(StoreError::Broken { reason, .. }) => {
                    store.unreadable.push(Unreadable { id: None, names, reason });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(store)
    }

    /// Takes an image in. A name means the image that was listed with it last: so `docker load` leaves it.
    fn add(&mut self, new: Archived) {
        for other in &mut self.images {
            other.image.names.retain(|name| !new.image.names.contains(name));
        }
        match self.images.iter_mut().find(|other| other.image.id == new.image.id) {
            Some(same) => same.image.names.extend(new.image.names),
            None => self.images.push(new),
        }
    }

    fn archived(&self, listed: ManifestEntry) -> Result<Archived, StoreError> {
        let bytes = self.document(&listed.config)?;
        let config = Config::parse(&bytes)
            .map_err(|error| self.broken(format!("its config {} cannot be used: {error}", listed.config)))?;
        if config.diff_ids.len() != listed.layers.len() {
            let (named, paths) = (config.diff_ids.len(), listed.layers.len());
            let path = &listed.config;
            return Err(
                self.broken(format!("its config {path} names {named} layers, its {MANIFEST_JSON} {paths}"))
            );
        }
        let sizes = listed.layers.iter().map(|path| self.contents.len(path).unwrap_or(0));
        let mut names: Vec<ImageRef> = listed.names.iter().filter_map(|name| name.parse().ok()).collect();
        names.sort_unstable();
        names.dedup();
        let image = Image {
            names,
            ..Image::unnamed(ImageId::from(config.digest), &config, sizes.fold(0, u64::saturating_add))
        };
        Ok(Archived { image, listed })
    }

    /// The bytes of a small file.
    fn document(&self, path: &str) -> Result<Vec<u8>, StoreError> {
        let mut part =
            self.contents.open(path).ok_or_else(|| self.broken(format!("its {path} is missing")))?;
        if part.left() > LARGEST_DOCUMENT {
            return Err(self.broken(format!("its {path} is larger than {LARGEST_DOCUMENT} bytes")));
        }
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).map_err(|source| self.unread(source))?;
        Ok(bytes)
    }

    /// Gives a layer to the sink, decompressed. A tar may begin like a compressed one: then its name is its diff id, or
    /// its digest decides.
    fn give(&self, id: DiffId, path: &str, sink: &mut dyn LayerSink) -> Result<(), StoreError> {
        let open =
            || self.contents.open(path).ok_or_else(|| self.broken(format!("the layer {id} is missing")));
        let passed_on =
            |source| StoreError::Io { what: format!("a layer of {} cannot be passed on", self.name), source };
        let name = path.rsplit('/').next().unwrap_or(path);
        let start = peek(&mut open()?).map_err(|error| self.unread(error))?;
        let is_packed = is_gzip(&start) || is_zstd(&start);
        if !is_packed || name.strip_suffix(".tar").unwrap_or(name) == id.hex() {
            return sink.layer(Some(id.into()), &mut open()?).map_err(passed_on);
        }
        let undone = |error: io::Error| self.broken(format!("{path} cannot be unpacked: {error}"));
        let mut plain = WatchedReader::new(decoded(open()?).map_err(undone)?);
        let taken = sink.layer(Some(id.into()), &mut plain);
        let failed = match (plain.failure(), taken) {
            (None, Ok(())) => return Ok(()),
            (None, Err(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(passed_on(error)),
            (Some(error), _) => undone(error),
            (None, Err(error)) => passed_on(error),
        };
        sink.layer(Some(id.into()), &mut open()?).map_err(|_| failed)
    }

    fn find(&self, id: &ImageId) -> Result<&Archived, StoreError> {
        let mut images = self.images.iter();
        images
            .find(|archived| archived.image.id == *id)
            .ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })
    }

    fn broken(&self, reason: String) -> StoreError {
        StoreError::Broken { what: self.name.clone(), reason }
    }

    fn unread(&self, source: io::Error) -> StoreError {
        StoreError::Io { what: format!("cannot read {}", self.name), source }
    }

    fn refused(&self) -> StoreError {
        StoreError::ReadOnly { store: self.name.clone() }
    }
}

impl Store for ArchiveStore {
    fn describe(&self) -> Description {
        Description { kind: StoreKind::DockerArchive, name: self.name.clone() }
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        let images = self.images.iter().map(|archived| archived.image.clone()).collect();
        Ok(Inventory { images, unreadable: self.unreadable.clone() })
    }

    fn unnamed(&self, inventory: &Inventory) -> Result<Vec<ImageId>, StoreError> {
        Ok(inventory.images.iter().filter(|image| image.names.is_empty()).map(|image| image.id).collect())
    }

    fn holdings(&self, _: &[Image]) -> Holdings {
        Holdings::Nothing
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<LayerKey>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let Archived { image, listed } = self.find(id)?;
        let mut missing = tars(id, wanted)?;
        for (layer, path) in image.diff_ids.iter().zip(&listed.layers) {
            if !missing.remove(layer) {
                continue;
            }
            match listed.elsewhere.get(layer) {
                Some(urls) if !self.contents.has(path) => return Err(self.broken(elsewhere(layer, urls))),
                _ => self.give(*layer, path, sink)?,
            }
        }
        match missing.iter().next() {
            Some(layer) => Err(self.broken(format!("the image {id} has no layer {layer}"))),
            None => Ok(Export { config: self.document(&listed.config)? }),
        }
    }

    fn layer_sizes(&self, _: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        Ok(None)
    }

    fn import<'a>(&'a self, _: ImportIdentity<'a>) -> Result<Box<dyn Import + 'a>, StoreError> {
        Err(self.refused())
    }

    fn tag(&self, _: &ImageId, _: &[ImageRef]) -> Result<(), StoreError> {
        Err(self.refused())
    }
}

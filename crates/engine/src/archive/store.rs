//! A file that `docker save` or `podman save` wrote, as a store that can only be read: `docker-archive:FILE`.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use dsync_core::{DiffId, Digest, Image, ImageId, ImageRef, Inventory};

use super::read::{Archived, ReadError, Request, list, read};
use crate::store::{Description, Export, Holdings, Import, LayerSink, Store, StoreError, StoreKind};

/// The images of one file.
pub(crate) struct ArchiveStore {
    file: PathBuf,
    images: Vec<Image>,
}

impl ArchiveStore {
    /// Opens an archive. One pass finds its images; the file is not expected to change.
    pub(crate) fn open(file: &Path) -> Result<Self, StoreError> {
        let mut store = Self { file: file.to_owned(), images: Vec::new() };
        let archived = list(store.archive()?).map_err(|error| store.unread(error))?;
        store.images = archived.into_iter().map(image).collect();
        Ok(store)
    }

    fn archive(&self) -> Result<BufReader<File>, StoreError> {
        let opened = File::open(&self.file);
        let what = || format!("cannot read {}", self.name());
        opened.map(BufReader::new).map_err(|source| StoreError::Io { what: what(), source })
    }

    fn name(&self) -> String {
        format!("docker-archive:{}", self.file.display())
    }

    fn unread(&self, error: ReadError) -> StoreError {
        let name = self.name();
        match error {
            ReadError::Broken(reason) => StoreError::Broken { what: name, reason },
            ReadError::Source(source) => StoreError::Io { what: format!("cannot read {name}"), source },
            ReadError::Sink(source) => {
                StoreError::Io { what: format!("a layer of {name} cannot be passed on"), source }
            }
        }
    }

    fn refused(&self) -> StoreError {
        StoreError::ReadOnly { store: self.name() }
    }
}

fn image(Archived { names, config, size }: Archived) -> Image {
    Image {
        id: ImageId::from_bytes(*config.digest.as_bytes()),
        config: Some(config.digest),
        digests: Vec::new(),
        names: names.iter().filter_map(|name| name.parse().ok()).collect(),
        diff_ids: config.diff_ids,
        platform: config.platform,
        size,
        created: config.created,
    }
}

impl Store for ArchiveStore {
    fn describe(&self) -> Description {
        Description { kind: StoreKind::DockerArchive, name: self.name() }
    }

    fn list(&self) -> Result<Inventory, StoreError> {
        Ok(self.images.clone().into())
    }

    fn holdings(&self, _: &[Image]) -> Holdings {
        Holdings::Nothing
    }

    fn export(
        &self,
        id: &ImageId,
        wanted: &HashSet<DiffId>,
        sink: &mut dyn LayerSink,
    ) -> Result<Export, StoreError> {
        let image = self.images.iter().find(|image| image.id == *id);
        let image = image.ok_or_else(|| StoreError::NoSuchImage { image: id.to_string() })?;
        let config = Some(Digest::from_bytes(*id.as_bytes()));
        let request = Request { config, diff_ids: &image.diff_ids, wanted };
        read(self.archive()?, &request, sink).map_err(|error| self.unread(error))
    }

    fn layer_sizes(&self, _: &Image) -> Result<Option<Vec<u64>>, StoreError> {
        Ok(None)
    }

    fn import(&self) -> Result<Box<dyn Import + '_>, StoreError> {
        Err(self.refused())
    }

    fn tag(&self, _: &ImageId, _: &[ImageRef]) -> Result<(), StoreError> {
        Err(self.refused())
    }
}

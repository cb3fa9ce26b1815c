//! Writes an image into a layout: files of no name, renamed when all is verified, the index last.

use std::collections::HashMap;
use std::io::{self, Write};

use dsync_core::{Config, DiffId, Digest, HashingWriter, ImageId, ImageRef, LayerKey};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::directory::{Directory, temporary};
use super::layout::Layout;
use super::resolve::resolve;
use crate::archive::{is_gzip, is_zstd, peek};
use crate::blob::BlobRef;
use crate::manifest::{Descriptor, GZIP_LAYER, LAYER, MANIFEST, ZSTD_LAYER, manifest};
use crate::package::{Package, PackedLayer};
use crate::referrers::WholeReferrer;
use crate::store::{Import, ImportIdentity, StoreError};
use crate::watched::WatchedWriter;

/// The layers that have come.
pub(super) struct LayoutImport<'a> {
    layout: &'a Layout,
    directory: &'a Directory,
    identity: ImportIdentity<'a>,
    /// The layers by their digests.
    layers: HashMap<Digest, ArrivedLayer>,
    failed: bool,
}

/// A layer that has come.
struct ArrivedLayer {
    file: NamedTempFile,
    len: u64,
}

impl<'a> LayoutImport<'a> {
    pub(super) fn begin(layout: &'a Layout, identity: ImportIdentity<'a>) -> Result<Self, StoreError> {
        let directory = layout.directory()?;
        directory.create()?;
        let _lock = directory.lock()?;
        directory.remove_stale()?;
        Ok(Self { layout, directory, identity, layers: HashMap::new(), failed: false })
    }

    fn receive(
        &self,
        digest: &Digest,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<NamedTempFile, StoreError> {
        let mut file = HashingWriter::new(WatchedWriter::new(live_file(self.layout, self.directory)?));
        let written = write(&mut file);
        let came = file.len();
        let (got, file) = file.digest();
        let file = file.into_inner().map_err(|error| self.layout.io("takes no new blobs", error))?;
        written.map_err(|source| StoreError::Io {
            what: format!("the layer {digest} cannot be read"),
            source,
        })?;
        if got != *digest || came != len {
            let reason =
                format!("its bytes have the digest {got} and the length {came}; {len} were announced");
            return Err(StoreError::Broken { what: format!("the layer {digest}"), reason });
        }
        Ok(file)
    }

    /// Descriptors of the layers for the manifest: given, or held in whatever form.
    fn describe(&self, config: &Config) -> Result<Vec<Descriptor<'static>>, StoreError> {
        let mut held: HashMap<DiffId, BlobRef> = HashMap::new();
        for found in resolve(self.layout)?.images {
            for (id, layer) in found.image.diff_ids.into_iter().zip(found.layers) {
                if self.layout.has(&layer) {
                    held.entry(id).or_insert(layer);
                }
            }
        }
        let layers = config.diff_ids.iter().map(|id| {
            if let Some(ArrivedLayer { len, .. }) = self.layers.get(&id.digest()) {
                return Ok(Descriptor { media_type: LAYER, digest: id.digest(), size: *len });
            }
            let Some(layer) = held.get(id) else {
                return Err(
                    self.broken(&format!("the layer {id} was not given, and the layout does not have it"))
                );
            };
            let media_type = if layer.is_plain(id) { LAYER } else { self.media_type(layer)? };
            Ok(Descriptor { media_type, digest: layer.digest, size: layer.size })
        });
        layers.collect()
    }

    fn media_type(&self, layer: &BlobRef) -> Result<&'static str, StoreError> {
        let start = peek(&mut self.layout.open_blob(&layer.digest)?)
            .map_err(|error| self.layout.io("has an unreadable blob", error))?;
        if is_gzip(&start) {
            Ok(GZIP_LAYER)
        } else if is_zstd(&start) {
            Ok(ZSTD_LAYER)
        } else {
            Err(self.broken(&format!("the blob {} is compressed in an unknown way", layer.digest)))
        }
    }

    /// Checks that each layer of a package was given or is there, in the size that its manifests name.
    fn check(&self, package: &Package) -> Result<(), StoreError> {
        for PackedLayer { blob: BlobRef { digest, size }, .. } in package.layers() {
            match self.layers.get(digest) {
                Some(ArrivedLayer { len, .. }) if len == size => {}
                Some(ArrivedLayer { len, .. }) => {
                    return Err(self.broken(&format!("the blob {digest} has {len} bytes, not {size}")));
                }
                None if self.layout.has(&BlobRef { digest: *digest, size: *size }) => {}
                None => return Err(self.broken(&format!("the blob {digest} was not given"))),
            }
        }
        Ok(())
    }

    fn keep_layers(&mut self) -> Result<(), StoreError> {
        for (digest, ArrivedLayer { file, .. }) in std::mem::take(&mut self.layers) {
            self.keep(file, &digest)?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) -> Result<BlobRef, StoreError> {
        let blob = BlobRef { digest: Digest::of(bytes), size: bytes.len() as u64 };
        keep_blob(self.layout, self.directory, &blob.digest, bytes)?;
        Ok(blob)
    }

    fn keep(&self, file: NamedTempFile, digest: &Digest) -> Result<(), StoreError> {
        let kept = file.persist(self.directory.blob_path(digest));
        kept.map(drop).map_err(|error| self.layout.io("takes no new blobs", error.error))
    }

    fn broken(&self, reason: &str) -> StoreError {
        StoreError::Broken { what: format!("the image for {}", self.layout.name()), reason: reason.into() }
    }
}

/// Takes artifacts: their blobs first, and then all entries at once.
pub(super) fn add_referrers(
    layout: &Layout,
    names: &[ImageRef],
    referrers: &[WholeReferrer],
) -> Result<(), StoreError> {
    let directory = layout.directory()?;
    for referrer in referrers {
        for (digest, bytes) in referrer.blobs().rev() {
            keep_blob(layout, directory, digest, bytes)?;
        }
    }
    let _lock = directory.lock()?;
    let mut index = layout.index()?;
    let before = index.to_bytes();
    for referrer in referrers.iter().map(WholeReferrer::referrer) {
        index.refer(referrer, &referrer.names_beside(names));
    }
    if index.to_bytes() == before { Ok(()) } else { directory.replace_index(&index) }
}

/// A file that other processes take for alive.
fn live_file(layout: &Layout, directory: &Directory) -> Result<NamedTempFile, StoreError> {
    let _lock = directory.lock()?;
    let file = temporary(&directory.blobs()).and_then(|file| file.as_file().lock().map(|()| file));
    file.map_err(|error| layout.io("takes no new blobs", error))
}

/// Writes a blob, unless it is there.
fn keep_blob(
    layout: &Layout,
    directory: &Directory,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), StoreError> {
    if layout.has(&BlobRef { digest: *digest, size: bytes.len() as u64 }) {
        return Ok(());
    }
    let mut file = live_file(layout, directory)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.persist(directory.blob_path(digest)).map_err(|error| error.error));
    written.map(drop).map_err(|error| layout.io("takes no new blobs", error))
}

impl Import for LayoutImport<'_> {
    fn layer(
        &mut self,
        key: &LayerKey,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let digest = key.digest();
        if self.layers.contains_key(&digest) {
            return Err(self.broken(&format!("the layer {key} was given twice")));
        }
        match self.receive(&digest, len, write) {
            Ok(file) => {
                self.layers.insert(digest, ArrivedLayer { file, len });
                Ok(())
            }
            Err(error) => {
                self.failed = true;
                Err(error)
            }
        }
    }

    fn commit(mut self: Box<Self>, config: &[u8], names: &[ImageRef]) -> Result<ImageId, StoreError> {
        if self.failed {
            return Err(self.broken("an earlier part of it failed"));
        }
        let (root, media_type) = match self.identity {
            ImportIdentity::Content(expected) => {
                let parsed = Config::parse_expected(config, expected);
                let parsed = parsed.map_err(|error| self.broken(&error.to_string()))?;
                let layers = self.describe(&parsed)?;
                self.keep_layers()?;
                self.write(config)?;
                (self.write(&manifest(config, &layers))?, MANIFEST)
            }
            ImportIdentity::Exact(package) => {
                self.check(package)?;
                self.keep_layers()?;
                // A document comes after those that it names.
                let documents: Vec<&[u8]> = package.documents().map(|(_, bytes)| bytes).collect();
                let mut written = None;
                for document in documents.into_iter().rev() {
                    written = Some(self.write(document)?);
                }
                (written.ok_or_else(|| self.broken("it has no documents"))?, package.media_type())
            }
        };
        let _lock = self.directory.lock()?;
        let mut index = self.layout.index()?;
        let is_it = |entry: &Value| BlobRef::parse(entry).as_ref() == Some(&root);
        let entry = index.entries().iter().position(is_it);
        if entry.is_none() {
            index.add(media_type, &root);
        }
        if !names.is_empty() {
            index.tag(entry.unwrap_or(index.entries().len() - 1), names);
        }
        // The image and its names come in one step.
        if entry.is_none() || !names.is_empty() {
            self.directory.replace_index(&index)?;
        }
        Ok(ImageId::from(root.digest))
    }
}

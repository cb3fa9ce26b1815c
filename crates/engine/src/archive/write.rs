//! Makes the archive that every engine loads with layers left out.
//!
//! One image, perhaps with a name; the layers first, what describes them last, so that an archive which ends
//! early is refused by every engine.

use std::collections::HashMap;
use std::io::{self, Write};

use dsync_core::ustar::{BLOCK, padding};
use dsync_core::{Config, ConfigError, DiffId, Digest, ImageRef};

use super::header::header;
use crate::blob::BlobRef;
use crate::manifest::{Descriptor, LAYER, MANIFEST, index, manifest, named_index};
use crate::watched::WatchedWriter;

/// The contents of `oci-layout`, by which an archive is a layout too.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An archive on its way out.
#[derive(Debug)]
pub struct PartialArchive<W> {
    out: W,
    /// The digests and sizes of the layers that are in it.
    given: HashMap<Digest, u64>,
}

/// A failure to write an archive.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output takes no more.
    #[error("the archive cannot be written")]
    Out(#[source] io::Error),
    /// The contents of a layer could not be read, or have not the length that was announced.
    #[error("the contents of layer {layer} did not come whole")]
    Contents {
        /// The layer.
        layer: Digest,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The config is none.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl<W: Write> PartialArchive<W> {
    /// Begins an archive; nothing is written yet.
    pub fn new(out: W) -> Self {
        Self { out, given: HashMap::new() }
    }

    /// The layers that are in it, with their sizes.
    pub fn given(&self) -> &HashMap<Digest, u64> {
        &self.given
    }

    /// Adds a layer, a tar or a blob, of `len` bytes, which `write` produces.
    pub fn layer(
        &mut self,
        digest: &Digest,
        len: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), WriteError> {
        self.out.write_all(&header(&blob(&digest.hex()), len)).map_err(WriteError::Out)?;
        let mut exact = Exact { out: WatchedWriter::new(&mut self.out), left: len };
        let written = write(&mut exact);
        let Exact { out, left } = exact;
        out.into_inner().map_err(WriteError::Out)?;
        let written = written.and_then(|()| match left {
            0 => Ok(()),
            _ => Err(io::Error::other(format!("{left} of {len} bytes are missing"))),
        });
        written.map_err(|source| WriteError::Contents { layer: *digest, source })?;
        self.out.write_all(&[0; BLOCK][..padding(len) as usize]).map_err(WriteError::Out)?;
        self.given.insert(*digest, len);
        Ok(())
    }

    /// Ends the archive with all that makes it an image: the digest of its manifest.
    ///
    /// `held` has the sizes of the layers that are not in it. Only the manifest's own digest depends on them; Docker's
    /// classic store ignores them.
    pub fn finish(
        &mut self,
        config: &[u8],
        held: &HashMap<Digest, u64>,
        name: Option<&ImageRef>,
    ) -> Result<Digest, WriteError> {
        let manifest = self.manifest(config, held)?;
        let layers: Vec<String> =
            Config::parse(config)?.diff_ids.iter().map(|id| format!(r#""{}""#, blob(&id.hex()))).collect();
        let config_path = blob(&Digest::of(config).hex());
        let tags = name.map_or("null".into(), |name| format!(r#"["{name}"]"#));
        let list =
            format!(r#"[{{"Config":"{config_path}","RepoTags":{tags},"Layers":[{}]}}]"#, layers.join(","));
        let digest = Digest::of(&manifest);
        self.file(&config_path, config)?;
        self.file(&blob(&digest.hex()), &manifest)?;
        self.file("index.json", &index(MANIFEST, &manifest, name))?;
        self.file("oci-layout", LAYOUT)?;
        self.file("manifest.json", list.as_bytes())?;
        self.end()?;
        Ok(digest)
    }

    /// Ends the archive with the documents that name an image, its root first, for a store that names images by
    /// manifests.
    pub fn finish_documents<'a>(
        &mut self,
        documents: impl Iterator<Item = (&'a Digest, &'a [u8])>,
        media_type: &str,
        name: Option<&ImageRef>,
    ) -> Result<(), WriteError> {
        let mut root = None;
        for (digest, document) in documents {
            root = root.or(Some(document));
            self.file(&blob(&digest.hex()), document)?;
        }
        self.file("index.json", &index(media_type, root.unwrap_or_default(), name))?;
        self.file("oci-layout", LAYOUT)?;
        self.end()
    }

    /// The whole archive of an artifact under each of these names, which are full ones.
    pub(crate) fn artifact<'a>(
        &mut self,
        blobs: impl Iterator<Item = (&'a Digest, &'a [u8])>,
        media_type: &str,
        root: &BlobRef,
        names: &[String],
    ) -> Result<(), WriteError> {
        for (digest, bytes) in blobs {
            self.file(&blob(&digest.hex()), bytes)?;
        }
        self.name(media_type, root, names)
    }

    /// The whole archive of a document that the store has already, under each of these names, which are full ones.
    pub(crate) fn name(
        &mut self,
        media_type: &str,
        document: &BlobRef,
        names: &[String],
    ) -> Result<(), WriteError> {
        self.file("index.json", &named_index(media_type, document, names))?;
        self.file("oci-layout", LAYOUT)?;
        self.end()
    }

    fn end(&mut self) -> Result<(), WriteError> {
        self.out.write_all(&[0; 2 * BLOCK]).and_then(|()| self.out.flush()).map_err(WriteError::Out)
    }

    /// The output of the archive.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// The digest that `finish` will return.
    pub fn manifest_digest(&self, config: &[u8], held: &HashMap<Digest, u64>) -> Result<Digest, WriteError> {
        Ok(Digest::of(&self.manifest(config, held)?))
    }

    fn manifest(&self, config: &[u8], held: &HashMap<Digest, u64>) -> Result<Vec<u8>, WriteError> {
        let layers: Vec<Descriptor<'_>> = Config::parse(config)?
            .diff_ids
            .iter()
            .map(DiffId::digest)
            .map(|digest| Descriptor {
                media_type: LAYER,
                digest,
                size: self.given.get(&digest).or_else(|| held.get(&digest)).copied().unwrap_or(0),
            })
            .collect();
        Ok(manifest(config, &layers))
    }

    fn file(&mut self, name: &str, contents: &[u8]) -> Result<(), WriteError> {
        let size = contents.len() as u64;
        let parts = [&header(name, size)[..], contents, &[0; BLOCK][..padding(size) as usize]];
        parts.iter().try_for_each(|part| self.out.write_all(part)).map_err(WriteError::Out)
    }
}

fn blob(hex: &str) -> String {
    format!("blobs/sha256/{hex}")
}

/// Takes a given number of bytes and no more.
struct Exact<W> {
    out: W,
    left: u64,
}

impl<W: Write> Write for Exact<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            return Err(io::Error::other("there are more bytes than were announced"));
        }
        let written = self.out.write(bytes)?;
        self.left -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn config(ids: &[DiffId]) -> Vec<u8> {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{id}\"")).collect();
        format!(r#"{{"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(",")).into_bytes()
    }

    #[test]
    fn the_layers_come_first_and_the_rest_last() {
        let [given, held] = [DiffId::of(b"given"), DiffId::of(b"held")];
        let config = config(&[held, given, held]);
        let mut archive = PartialArchive::new(Vec::new());
        archive.layer(&given.digest(), 5, &mut |out| out.write_all(b"given")).unwrap();
        let held = HashMap::from([(held.digest(), 4)]);
        let announced = archive.manifest_digest(&config, &held).unwrap();
        let digest = archive.finish(&config, &held, None).unwrap();
        assert_eq!(announced, digest);
        let bytes = archive.into_inner();
        let mut archive = tar::Archive::new(&bytes[..]);
        let files: Vec<(String, String)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let [given, config, manifest] =
            [given.hex(), Digest::of(&config).hex(), digest.hex()].map(|hex| blob(&hex));
        assert_eq!(names, [&given, &config, &manifest, "index.json", "oci-layout", "manifest.json"]);
        assert_eq!(files[0].1, "given");
        let json: serde_json::Value = serde_json::from_str(&files[2].1).unwrap();
        let sizes: Vec<u64> =
            json["layers"].as_array().unwrap().iter().map(|layer| layer["size"].as_u64().unwrap()).collect();
        assert_eq!(sizes, [4, 5, 4]);
        let json: serde_json::Value = serde_json::from_str(&files[5].1).unwrap();
        assert_eq!(json[0]["Layers"][1], given);
        assert_eq!(json[0]["Config"], config);
    }

    #[test]
    fn a_layer_has_the_length_that_was_announced() {
        let id = Digest::of(b"");
        for contents in [&b"1234"[..], b"123456"] {
            let mut archive = PartialArchive::new(Vec::new());
            let error = archive.layer(&id, 5, &mut |out| out.write_all(contents)).unwrap_err();
            assert!(matches!(error, WriteError::Contents { .. }), "{error:?}");
            assert!(archive.given().is_empty());
        }
    }

    #[test]
    fn whose_fault_it_was_is_told() {
        let full = &mut [0u8; 520][..];
        let mut archive = PartialArchive::new(full);
        let error = archive.layer(&Digest::of(b""), 50, &mut |out| out.write_all(&[1; 50])).unwrap_err();
        assert!(matches!(error, WriteError::Out(_)), "{error:?}");
    }
}

//! The manifests and indexes that docker-sync writes (OCI image specification, "Image Manifest" and "Image Index"), and
//! their media types.
//!
//! The bytes are those that Docker 25 and later make for an image of the classic store, so that every store that names
//! images by their manifest shows the same ID for the same image.

use std::fmt::Write as _;

use dsync_core::{Digest, ImageRef};

use crate::blob::BlobRef;

/// The media type of an uncompressed layer.
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The media type of a layer in gzip.
pub(crate) const GZIP_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The media type of a layer in zstd.
pub(crate) const ZSTD_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// The media type of a manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an empty config (OCI image specification, "Guidance for an Empty Descriptor").
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The annotation that is a full name of an image: what containerd and Docker read.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The annotation that is a name of an image or only a tag: what skopeo and podman read.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A blob, as a manifest names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor<'a> {
    /// Its media type, which needs no quoting.
    pub(crate) media_type: &'a str,
    /// The digest of the blob as it is stored.
    pub(crate) digest: Digest,
    /// Its bytes as it is stored.
    pub(crate) size: u64,
}

/// The canonical manifest of a config and its layers, the lowest first.
pub(crate) fn manifest(config: &[u8], layers: &[Descriptor<'_>]) -> Vec<u8> {
    let config = Descriptor { media_type: CONFIG, digest: Digest::of(config), size: config.len() as u64 };
    let mut json = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":"#);
    describe(&mut json, &config);
    json.push_str(r#","layers":["#);
    for (at, layer) in layers.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        describe(&mut json, layer);
    }
    json.push_str("]}");
    json.into_bytes()
}

/// The manifest of no image, by which a store gives these blobs, and its config.
pub(crate) fn probe(blobs: &[BlobRef]) -> (Vec<u8>, Vec<u8>) {
    let config = b"{}".to_vec();
    let empty = Descriptor { media_type: EMPTY, digest: Digest::of(&config), size: config.len() as u64 };
    let mut json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","artifactType":"application/vnd.docker-sync.probe.v1","config":"#
    );
    describe(&mut json, &empty);
    json.push_str(r#","layers":["#);
    for (at, BlobRef { digest, size }) in blobs.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        describe(
            &mut json,
            &Descriptor { media_type: "application/octet-stream", digest: *digest, size: *size },
        );
    }
    json.push_str("]}");
    (json.into_bytes(), config)
}

/// An index of this one document, perhaps with a name.
pub(crate) fn index(media_type: &str, manifest: &[u8], name: Option<&ImageRef>) -> Vec<u8> {
    let blob = BlobRef { digest: Digest::of(manifest), size: manifest.len() as u64 };
    match name {
        Some(name) => named_index(media_type, &blob, &[name.qualified()]),
        None => index_of(media_type, &blob, [None].into_iter()),
    }
}

/// An index of this one document under each of these names, which are full ones.
pub(crate) fn named_index(media_type: &str, document: &BlobRef, names: &[String]) -> Vec<u8> {
    index_of(media_type, document, names.iter().map(Some))
}

fn index_of<'a>(
    media_type: &str,
    document: &BlobRef,
    names: impl Iterator<Item = Option<&'a String>>,
) -> Vec<u8> {
    let BlobRef { digest, size } = *document;
    let mut json = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":["#);
    for (at, name) in names.enumerate() {
        if at > 0 {
            json.push(',');
        }
        describe(&mut json, &Descriptor { media_type, digest, size });
        if let Some(name) = name {
            json.pop();
            write!(json, r#","annotations":{{"{CONTAINERD_NAME}":"{name}","{REF_NAME}":"{name}"}}}}"#)
                .expect("a String takes any text");
        }
    }
    json.push_str("]}");
    json.into_bytes()
}

fn describe(json: &mut String, blob: &Descriptor<'_>) {
    let Descriptor { media_type, digest, size } = blob;
    write!(json, r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        .expect("a String takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_fixed() {
        let layer = Descriptor { media_type: LAYER, digest: Digest::of(b"layer"), size: 5 };
        let bytes = manifest(b"{}", &[layer.clone(), layer]);
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            concat!(
                r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
                r#""config":{"mediaType":"application/vnd.oci.image.config.v1+json","#,
                r#""digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"#,
                r#""layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","#,
                r#""digest":"sha256:LAYER","size":5},"#,
                r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","#,
                r#""digest":"sha256:LAYER","size":5}]}"#
            )
            .replace("LAYER", &Digest::of(b"layer").hex())
        );
        for name in [None, Some("app:1".parse().unwrap())] {
            let index: serde_json::Value =
                serde_json::from_slice(&index(MANIFEST, &bytes, name.as_ref())).unwrap();
            let entry = &index["manifests"][0];
            assert_eq!(entry["digest"], Digest::of(&bytes).to_string());
            assert_eq!(entry["size"], bytes.len());
            let full = name.as_ref().map(|_| "docker.io/library/app:1");
            assert_eq!(entry["annotations"][CONTAINERD_NAME].as_str(), full);
            assert_eq!(entry["annotations"][REF_NAME].as_str(), full);
        }
        let blob = BlobRef { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        let names = ["docker.io/library/app:1", "x@sha256:1"].map(str::to_owned);
        let index: serde_json::Value = serde_json::from_slice(&named_index(MANIFEST, &blob, &names)).unwrap();
        for (entry, name) in index["manifests"].as_array().unwrap().iter().zip(&names) {
            assert_eq!(
                (&entry["size"], &entry["annotations"][CONTAINERD_NAME]),
                (&bytes.len().into(), &name[..].into())
            );
        }
    }
}

//! Fields of manifests, indexes and descriptors (OCI image specification, "Image Manifest", "Image Index" and "Content
//! Descriptors"), as JSON.

use std::fmt::Display;

use dsync_core::{Digest, Platform};
use serde_json::Value;

use crate::blob::BlobRef;
use crate::manifest::{INDEX, MANIFEST};

/// The media type of a document. Older ones need not have it.
pub(crate) fn media_type(json: &Value) -> String {
    let plain = |text: &&str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/.+-".contains(&b));
    let default = if json.get("manifests").is_some() { INDEX } else { MANIFEST };
    json.get("mediaType").and_then(Value::as_str).filter(plain).unwrap_or(default).to_owned()
}

/// True if the config of a manifest is an image's; that of a chart or a signature is something else.
pub(super) fn is_config(manifest: &Value) -> bool {
    let media_type = manifest.pointer("/config/mediaType").and_then(Value::as_str);
    media_type.is_none_or(|media_type| {
        matches!(
            media_type,
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    }) && manifest.get("artifactType").is_none()
}

/// The entries of an index.
pub(super) fn entries(index: &Value) -> &[Value] {
    index.get("manifests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// All that a manifest or an index names, its subject left out; `None` where that is not well formed.
pub(crate) fn members(document: &Value) -> Option<Vec<BlobRef>> {
    let list = |key: &str| document.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let all = list("manifests").iter().chain(list("layers")).chain(document.get("config"));
    // Manifests of artifacts had their blobs in `blobs` before version 1.1 of the specification.
    all.chain(list("blobs")).map(BlobRef::parse).collect()
}

/// The entry of an index for this digest.
pub(crate) fn entry_of<'a>(index: &'a Value, digest: &Digest) -> Option<&'a Value> {
    entries(index).iter().find(|entry| BlobRef::parse(entry).is_some_and(|blob| blob.digest == *digest))
}

/// The first manifest of an index that may be for the platform.
pub(crate) fn for_platform(index: &Value, wanted: &Platform) -> Option<BlobRef> {
    let fits = |entry: &&Value| {
        !is_attestation(entry) && platform(entry).is_none_or(|platform| platform.satisfies(wanted))
    };
    entries(index).iter().find(fits).and_then(BlobRef::parse)
}

/// True for an attestation, which a builder lists beside the image.
pub(crate) fn is_attestation(descriptor: &Value) -> bool {
    descriptor.pointer("/annotations/vnd.docker.reference.type").is_some()
}

/// The platform that a descriptor names.
pub(crate) fn platform(descriptor: &Value) -> Option<Platform> {
    let platform = descriptor.get("platform")?;
    let text = |key: &str| platform.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Platform { os: text("os"), architecture: text("architecture"), variant: text("variant") })
}

/// The reason for which a layer is not there that may not be distributed with its image.
pub(crate) fn elsewhere(layer: impl Display, urls: &[String]) -> String {
    let place = if urls.is_empty() { "elsewhere".into() } else { format!("at {}", urls.join(", ")) };
    format!(
        "its layer {layer} is foreign: it is not kept with the image but to be had {place}, which is not read here"
    )
}
